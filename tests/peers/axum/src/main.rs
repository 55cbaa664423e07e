//! Orders of a clerk's region by axum and PostgreSQL, written by hand: three statements, prepared once for each connection. The row rule
//! and the hidden field stand in the statements. The cached list is kept in memory and forgotten at every create.
//!
//! usage: axum-peer ADDRESS SOCKET_FOLDER PORT

use std::sync::{Arc, RwLock};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use serde::{Deserialize, Serialize};
use tokio_postgres::{NoTls, Row};

const ITEM: &str = "select id, customer_id, status, region, total, created_at from orders where id = $1 and region = $2";
const LIST: &str = "select o.id, o.status, o.total, o.created_at, c.id, c.name, c.region from orders o join customers c \
    on c.id = o.customer_id where o.region = $1 and o.status = $2 and c.active order by o.created_at desc limit $3";
const CREATE: &str = "insert into orders (customer_id, status, region, total, created_at) values ($1, $2, $3, $4, $5) returning id";

#[derive(Clone)]
struct App {
    pool: Pool,
    cached: Arc<RwLock<Option<(u64, String)>>>,
    writes: Arc<std::sync::atomic::AtomicU64>,
}

#[derive(Serialize)]
struct Order {
    id: i32,
    customer_id: Option<i32>,
    status: String,
    region: String,
    total: f64,
    created_at: String,
}

#[derive(Serialize)]
struct Listed {
    id: i32,
    status: String,
    total: f64,
    created_at: String,
    customer: Customer,
}

#[derive(Serialize)]
struct Customer {
    id: i32,
    name: String,
    region: String,
}

#[derive(Deserialize)]
struct New {
    customer_id: i32,
    status: String,
    region: String,
    total: f64,
    created_at: String,
}

#[derive(Deserialize)]
struct Filter {
    status: String,
    limit: i64,
}

/// Anything that goes wrong.
struct Failed(StatusCode);

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        eprintln!("{error}");
        Self(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

/// The region of the caller.
fn region(headers: &HeaderMap) -> Result<&'static str, Failed> {
    match headers.get(header::AUTHORIZATION).map(|value| value.as_bytes()) {
        Some(b"Bearer token-of-the-clerk") => Ok("eu"),
        _ => Err(Failed(StatusCode::UNAUTHORIZED)),
    }
}

async fn item(State(app): State<App>, Path(id): Path<i32>, headers: HeaderMap) -> Result<Json<Order>, Failed> {
    let region = region(&headers)?;
    let client = app.pool.get().await?;
    let statement = client.prepare_cached(ITEM).await?;
    let row = client.query_opt(&statement, &[&id, &region]).await?.ok_or(Failed(StatusCode::NOT_FOUND))?;
    Ok(Json(Order {
        id: row.get(0),
        customer_id: row.get(1),
        status: row.get(2),
        region: row.get(3),
        total: row.get(4),
        created_at: row.get(5),
    }))
}

async fn list(State(app): State<App>, Query(filter): Query<Filter>, headers: HeaderMap) -> Result<Response, Failed> {
    let region = region(&headers)?;
    let text = read(&app, region, &filter).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

async fn cached(State(app): State<App>, Query(filter): Query<Filter>, headers: HeaderMap) -> Result<Response, Failed> {
    let region = region(&headers)?;
    let now = app.writes.load(std::sync::atomic::Ordering::SeqCst);
    let kept = app.cached.read().ok().and_then(|kept| kept.clone()).filter(|(made, _)| *made == now);
    let text = match kept {
        Some((_, text)) => text,
        None => {
            let text = read(&app, region, &filter).await?;
            if let Ok(mut kept) = app.cached.write() {
                *kept = Some((now, text.clone()));
            }
            text
        }
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

async fn read(app: &App, region: &str, filter: &Filter) -> Result<String, Failed> {
    let client = app.pool.get().await?;
    let statement = client.prepare_cached(LIST).await?;
    let rows = client.query(&statement, &[&region, &filter.status, &filter.limit.min(100)]).await?;
    let listed = |row: &Row| Listed {
        id: row.get(0),
        status: row.get(1),
        total: row.get(2),
        created_at: row.get(3),
        customer: Customer { id: row.get(4), name: row.get(5), region: row.get(6) },
    };
    Ok(serde_json::to_string(&rows.iter().map(listed).collect::<Vec<_>>())?)
}

async fn create(State(app): State<App>, headers: HeaderMap, Json(new): Json<New>) -> Result<Response, Failed> {
    region(&headers)?;
    let valid = matches!(new.status.as_str(), "new" | "paid" | "shipped" | "void") && new.total >= 0.0;
    if !valid {
        return Err(Failed(StatusCode::UNPROCESSABLE_ENTITY));
    }
    let client = app.pool.get().await?;
    let statement = client.prepare_cached(CREATE).await?;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&new.customer_id, &new.status, &new.region, &new.total, &new.created_at];
    let id: i32 = client.query_one(&statement, &values).await?.get(0);
    app.writes.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    let New { customer_id, status, region, total, created_at } = new;
    let order = Order { id, customer_id: Some(customer_id), status, region, total, created_at };
    Ok((StatusCode::CREATED, Json(order)).into_response())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(socket), Some(port)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: axum-peer ADDRESS SOCKET_FOLDER PORT".into());
    };
    let mut config = tokio_postgres::Config::new();
    config.host_path(socket).port(port.parse()?).user("postgres").dbname("axum");
    let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let pool = Pool::builder(manager).max_size(16).build()?;
    let app = App { pool, cached: Arc::default(), writes: Arc::default() };
    let routes = Router::new().route("/orders/{id}", get(item)).route("/orders", get(list).post(create)).route("/cached", get(cached));
    axum::serve(tokio::net::TcpListener::bind(address).await?, routes.with_state(app)).await?;
    Ok(())
}

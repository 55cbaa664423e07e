//! Functions that die before or after any of their calls: afterwards every record shows a file that is there, or none, and in the end
//! nothing else is.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use holdfast::app::App;
use holdfast::files::sweep;
use holdfast::http::{ApiRequest, ApiResponse};
use holdfast::identity::auth::AuthOutcome;
use holdfast::pipeline;
use holdfast::store::table::TableName;
use holdfast::store::{items, keys};
use holdfast_local::embedded::BUCKET;
use holdfast_tests::crash::{End, crashing};
use holdfast_tests::stack::somebody;
use holdfast_tests::upload::announced;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};

use super::World;

const CONTENT: &[u8] = b"the second picture";
/// More calls than any of these handlers makes.
const MAX_CALLS: u32 = 12;

/// What a caller in role `admin` gets from a function.
async fn call(app: &App, method: Method, path: &str, body: &Value) -> ApiResponse {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer looked-at-by-the-authorizer"));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let request = ApiRequest {
        method,
        path: path.to_owned(),
        query: String::new(),
        headers,
        body: if body.is_null() { Vec::new().into() } else { body.to_string().into_bytes().into() },
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        context: Some(AuthOutcome::Ok(Box::new(somebody("root", "admin"))).to_context()),
        deadline: app.env.now().plus(Duration::from_secs(29)),
        base_url: "https://api.example".to_owned(),
    };
    pipeline::handle(app, request).await
}

fn document(answer: &ApiResponse) -> Value {
    serde_json::from_slice(answer.body()).unwrap_or_default()
}

impl World {
    /// An upload whose content has arrived.
    async fn arrived(&self, app: &App, field: &str) {
        let link = call(app, Method::POST, &format!("{field}/upload"), &announced("b.png", "image/png", CONTENT)).await;
        assert_eq!(link.status(), 201, "{}", document(&link));
        self.send(&document(&link), CONTENT).await.expect(200);
    }

    /// The keys of all objects.
    async fn objects(&self) -> BTreeSet<String> {
        let config = holdfast::aws::local_config(&self.system.local().stores.s3, holdfast::aws::plain_http_client());
        let config = aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build();
        let listed = aws_sdk_s3::Client::from_conf(config).list_objects_v2().bucket(BUCKET).send().await.unwrap();
        assert_eq!(listed.is_truncated(), Some(false));
        listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
    }
}

/// The key of a book's cover, if the book is there and has one.
async fn cover(app: &App, id: &str) -> Option<String> {
    let place = [(TableName::Data, keys::record(app.model.by_name("book").unwrap(), id))];
    let record = items::decode(&app.table.get(&place, true).await.unwrap().pop().flatten()?).unwrap();
    let key = record.fields.get("cover#").and_then(Value::as_str).map(str::to_owned);
    assert_eq!(key.is_some(), record.fields["cover"].is_object(), "{id}");
    key
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_leaves_no_record_without_its_file_and_no_file_without_its_record() {
    let world = World::start().await;
    let app = world.app();
    let mut books = Vec::new();
    let mut deaths = 0;
    for operation in ["upload", "complete", "clear", "delete"] {
        for end in [End::Before, End::After] {
            for at in 1..=MAX_CALLS {
                let id = format!("{operation}-{end:?}-{at}");
                let field = format!("/v1/books/{id}/cover");
                call(&app, Method::POST, "/v1/books", &json!({ "id": id, "title": id })).await;
                world.arrived(&app, &field).await;
                assert_eq!(call(&app, Method::POST, &format!("{field}/complete"), &Value::Null).await.status(), 200);
                let (method, path, body) = match operation {
                    "upload" => (Method::POST, format!("{field}/upload"), announced("c.png", "image/png", CONTENT)),
                    "complete" => {
                        world.arrived(&app, &field).await;
                        (Method::POST, format!("{field}/complete"), Value::Null)
                    }
                    "clear" => (Method::PATCH, format!("/v1/books/{id}"), json!({ "cover": null })),
                    _ => (Method::DELETE, format!("/v1/books/{id}"), Value::Null),
                };
                let crashing = crashing(app.table.clone(), at, end);
                let dying = world.app_over(crashing.clone());
                let done = crashing.until_end(call(&dying, method.clone(), &path, &body)).await;
                deaths += u32::from(done.is_none());
                // Every second client asks again.
                if at % 2 == 0 && done.is_none() {
                    let again = call(&app, method, &path, &body).await;
                    let gone = operation == "delete" && again.status() == 404;
                    assert!(again.status().is_success() || gone, "{id}: {}", document(&again));
                }
                books.push(id);
                if done.is_some() {
                    break;
                }
            }
        }
    }
    assert!(deaths > 20, "{deaths}");
    world.pass(2 * 86_400);
    for end in [End::Before, End::After] {
        for at in 1..=MAX_CALLS {
            let crashing = crashing(app.table.clone(), at, end);
            let dying = world.app_over(crashing.clone());
            let _killed = crashing.until_end(sweep(&dying, dying.env.now().plus(Duration::from_secs(20)))).await;
        }
    }
    assert_eq!(world.sweep().await.failed, 0);
    let mut shown = BTreeSet::new();
    for id in &books {
        shown.extend(cover(&app, id).await);
    }
    assert!(!shown.is_empty());
    assert_eq!(world.objects().await, shown);
    assert_eq!(world.sweep().await, holdfast::files::Swept::default());
    world.system.stop().await;
}

//! Writes over the embedded store, by what a client sees.

mod atomic;
mod keys;
mod references;
mod rules;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Method};
use serde_json::{Value, json};

use crate::app::App;
use crate::aws::dynamodb::embedded::Embedded;
use crate::core::caller::Caller;
use crate::core::clock::Env;
use crate::http::problem::Problem;
use crate::http::{CORRELATION_ID, Reply, header_value};
use crate::identity::auth::Principal;
use crate::identity::auth::{Authenticator, StaticJwks};
use crate::model::parse;
use crate::pipeline::{Context, Gate, RequestContext};
use crate::store::table::{SharedTable, TableName};

const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  customer:
    id: string
    fields:
      name: {type: string, max: 50, required: true}
      country: {type: string, max: 2}
      email: {type: email, unique: true}
  order:
    fields:
      customer: {ref: customer, on_delete: restrict, inverse: orders, required: true}
      status: {enum: [open, paid], default: open}
      note: {type: string, max: 20}
      cost: {type: integer}
  guarded:
    plural: guarded
    id: string
    require_if_match: true
    fields:
      name: {type: string, max: 50}
  part:
    id: string
    fields:
      whole: {ref: part, inverse: parts}
      owner: {type: string, max: 20}
      drawing: {type: text}
  reading:
    id: [sensor, at]
    fields:
      sensor: {type: string, max: 20, required: true}
      at: {type: integer, required: true}
      value: number
      extra: json
roles:
  admin: {all: true}
  fitter:
    entities:
      part:
        read: true
        create: {rows: {or: [{whole_id: null}, {whole.owner: $claim.customer_id}]}, fields: all}
  buyer:
    entities:
      order:
        view: {rows: {customer_id: $claim.customer_id}, fields: {except: [cost]}}
        create: {rows: {customer_id: $claim.customer_id}, fields: [{customer: {link: true}}, note]}
        update: {rows: {customer_id: $claim.customer_id, status: open}, fields: [note, customer_id]}
  german:
    entities:
      order:
        read: {rows: {customer.country: DE}}
        update: {rows: {customer.country: DE}, fields: [note]}
  clerk: {entities: {order: {read: true, create: true, update: true}}}
  host:
    entities:
      customer: {read: {rows: {country: DE}}}
      order: {read: true, create: true, update: true}
      part: {read: {rows: {owner: me}}, create: true, update: true}
  linker: {inherits: clerk, entities: {order: {create: {fields: {note: true, customer: {link: true}}}}}}
  picky: {entities: {order: {create: {rows: {customer.country: FR}}}}}
auth: {claims: [customer_id]}
";

const JSON: (&str, &str) = ("content-type", "application/json");

struct World {
    _dynamo: Embedded,
    app: App,
}

/// What a client sees.
struct Seen {
    status: u16,
    body: Value,
    version: String,
    location: Option<String>,
    replayed: bool,
}

impl World {
    async fn new() -> Self {
        let dynamo = Embedded::start().await;
        let model = Arc::new(parse("model.yaml", MODEL).unwrap_or_else(|mistakes| panic!("{mistakes:?}")));
        let table: SharedTable = Arc::new(dynamo.table.clone());
        let env = Env::system();
        let jwks = Arc::new(StaticJwks::new(HashMap::new(), None));
        let authenticator = Arc::new(Authenticator::new(model.clone(), table.clone(), jwks, env.clone()));
        let world = Self { app: App::new(model, table, authenticator, env, "test"), _dynamo: dynamo };
        for (id, country) in [("anna", "DE"), ("bob", "FR")] {
            world.ok(&admin(), Method::POST, "customers", &json!({"id": id, "name": id, "country": country})).await;
        }
        world
    }

    async fn call(
        &self,
        who: &Principal,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Result<Seen, Problem> {
        let mut request = crate::http::tests::request(method.clone(), &format!("/v1/{path}"), &[]);
        request.body = Bytes::copy_from_slice(body.as_bytes());
        request.deadline = self.app.env.now().plus(Duration::from_secs(60));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request.headers.insert(HeaderName::from_static("content-type"), header_value(JSON.1));
        }
        request.headers.insert(CORRELATION_ID, header_value("c"));
        for (name, value) in headers {
            request.headers.insert(HeaderName::from_static(name), header_value(value));
        }
        let (plural, id) = path.split_once('/').map_or((path, None), |(plural, id)| (plural, Some(id)));
        let entity = self.app.model.by_plural(plural).unwrap().ix;
        let gate = Gate::open();
        let inner = RequestContext::new(&self.app, &request);
        let cx = Context { inner: &inner, principal: who, gate: &gate };
        let reply: Reply = match (method.as_str(), id) {
            ("POST", Some("_bulk")) => super::bulk(&cx, entity).await,
            ("POST", _) => super::create(&cx, entity).await,
            ("PUT", Some(id)) => super::replace(&cx, entity, id).await,
            ("PATCH", Some(id)) => super::patch(&cx, entity, id).await,
            ("DELETE", Some(id)) => super::delete(&cx, entity, id).await,
            other => panic!("{other:?}"),
        }?;
        let header = |name: &str| reply.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        Ok(Seen {
            status: reply.status.as_u16(),
            body: serde_json::from_slice(&reply.body).unwrap_or_default(),
            location: header("location"),
            replayed: header("idempotency-replayed").is_some(),
            version: reply.version.unwrap_or_default(),
        })
    }

    async fn ok(&self, who: &Principal, method: Method, path: &str, body: &Value) -> Seen {
        self.call(who, method, path, &[], &body.to_string()).await.unwrap_or_else(|problem| panic!("{problem}"))
    }

    async fn problem(&self, who: &Principal, method: Method, path: &str, body: &Value) -> (u16, Vec<String>) {
        seen_of(self.call(who, method, path, &[], &body.to_string()).await)
    }

    /// An order of a customer; its id.
    async fn order(&self, customer: &str) -> String {
        let made = self.ok(&admin(), Method::POST, "orders", &json!({"customer_id": customer, "cost": 7})).await;
        made.body["id"].as_str().unwrap().to_owned()
    }

    async fn count(&self, prefix: &str) -> usize {
        let (mut count, mut after) = (0, None);
        loop {
            let (items, next) = self.app.table.scan(TableName::Data, after, (0, 1)).await.unwrap();
            count += items.iter().filter(|item| item.key.pk.starts_with(prefix)).count();
            after = next;
            if after.is_none() {
                return count;
            }
        }
    }
}

/// Status and pointers of what is expected to be refused.
fn seen_of(result: Result<Seen, Problem>) -> (u16, Vec<String>) {
    match result {
        Ok(seen) => panic!("{} {}", seen.status, seen.body),
        Err(problem) => {
            let pointers = problem.errors.into_iter().map(|error| error.pointer).collect();
            (problem.code.status().as_u16(), pointers)
        }
    }
}

fn with(roles: &[&str], customer: Option<&str>) -> Principal {
    Principal::unverified(Caller {
        consumer: "c".to_owned(),
        subject: customer.unwrap_or("s").to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        claims: customer.map(|id| ("customer_id".to_owned(), json!(id))).into_iter().collect(),
        ..Caller::default()
    })
}

fn admin() -> Principal {
    with(&["admin"], None)
}

/// The first word of every assertion about sending: these futures run on a server with many threads.
#[test]
fn writes_can_move_between_threads() {
    fn is_send<T: Send>(_: fn(&'static Context<'static>) -> T) {}
    is_send(|cx| super::bulk(cx, crate::model::EntityIx(0)));
    is_send(|cx| super::create(cx, crate::model::EntityIx(0)));
    is_send(|cx| super::patch(cx, crate::model::EntityIx(0), "a"));
}

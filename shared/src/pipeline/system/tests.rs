//! The system resources on an embedded DynamoDB, from route to reply.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, LINK, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use super::{alive, handle, ready};
use crate::app::App;
use crate::aws::dynamodb::embedded::Embedded;
use crate::core::caller::Caller;
use crate::core::clock::Env;
use crate::http::problem::{Code, Problem};
use crate::http::route::Route;
use crate::http::{CORRELATION_ID, JSON, Reply, tests::request};
use crate::identity::auth::Authenticator;
use crate::identity::auth::Principal;
use crate::identity::auth::tests::support::{Idp, Items, NOW, Seeded, Set};
use crate::limit::Call;
use crate::model::value::Record;
use crate::model::{Operation, parse};
use crate::notify::{Kind, enqueue_for_operator};
use crate::pipeline::{Context, Gate, RequestContext, admit};
use crate::store::table::{Item, Key, Returning, SharedTable, TableName, Write};
use crate::store::{items, keys, tags};

const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  book:
    id: string
    contention: 1000
    fields:
      title: {type: string, max: 50, required: true}
  loan:
    id: integer
    fields:
      member: {type: string, max: 20}
    indexes:
      by_member: {equality: member}
roles:
  operator: {all: true, system: all}
  reader: {all: true}
plans:
  small:
    rates:
      burst: {rate: 1, per: 1s, burst: 4}
    quotas: {day: 6}
    thresholds: [50, 100]
    when_unavailable: refuse
auth: {default_plan: small}
limits: {per_address: 2}
";

/// An application with a clock that stands still.
pub(crate) struct World {
    _db: Option<Embedded>,
    pub(crate) app: App,
    pub(crate) clock: Arc<Set>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let db = Embedded::start().await;
        let table: SharedTable = Arc::new(db.table.clone());
        Self { _db: Some(db), ..Self::over(table) }
    }

    fn over(table: SharedTable) -> Self {
        let clock = Arc::new(Set::at(NOW));
        let env = Env { clock: clock.clone(), random: Arc::new(Seeded::new(3)) };
        let model = Arc::new(parse("model.yaml", MODEL).unwrap_or_else(|mistakes| panic!("{mistakes:?}")));
        let authenticator = Authenticator::new(model.clone(), table.clone(), Arc::new(Idp::default()), env.clone());
        Self { _db: None, app: App::new(model, table, Arc::new(authenticator), env, "test"), clock }
    }

    async fn call(&self, who: &Principal, line: &str, headers: &[(&'static str, &str)], body: &Value) -> Result<Reply, Problem> {
        let (method, address) = line.split_once(' ').unwrap();
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let mut request = request(Method::from_bytes(method.as_bytes()).unwrap(), path, headers);
        request.deadline = self.app.env.now().plus(std::time::Duration::from_secs(30));
        request.query = query.to_owned();
        if !body.is_null() {
            request.body = Bytes::from(body.to_string());
            request.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(JSON));
        }
        request.headers.insert(CORRELATION_ID, HeaderValue::from_static("c-1"));
        let inner = RequestContext::new(&self.app, &request);
        let gate = Gate::open();
        let cx = Context { inner: &inner, principal: who, gate: &gate };
        match &inner.matched.as_ref().map_err(Problem::clone)?.route {
            Route::System(resource) => handle(&cx, resource).await,
            Route::Health => Ok(alive()),
            Route::Ready => ready(&self.app).await,
            other => panic!("{other:?} is no system resource"),
        }
    }

    /// Charges a caller for system calls.
    async fn charge(&self, who: &Principal, count: u64) {
        let request = request(Method::GET, "/v1/_audit", &[]);
        let call = Call { entity: None, operation: Operation::System, count };
        admit::admit(&RequestContext::new(&self.app, &request), who, &[call], None).await.unwrap();
    }

    async fn ops(&self, line: &str, body: Value) -> Result<Reply, Problem> {
        self.call(&principal("ops", "operator"), line, &[], &body).await
    }

    async fn stamps(&self, places: &[Key]) -> Vec<(String, i64)> {
        let places: Vec<_> = places.iter().map(|key| (TableName::Data, key.clone())).collect();
        let found = self.app.table.get(&places, true).await.unwrap();
        let stamp = |item: &Option<Item>| (tags::stamp(item.as_ref()).0.to_owned(), tags::stamp(item.as_ref()).1);
        found.iter().map(stamp).collect()
    }
}

pub(crate) fn principal(consumer: &str, role: &str) -> Principal {
    Principal::unverified(verified(consumer, role))
}

fn verified(consumer: &str, role: &str) -> Caller {
    Caller { consumer: consumer.into(), subject: consumer.into(), roles: vec![role.into()], ..Caller::default() }
}

fn body(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

fn header(reply: &Reply, name: HeaderName) -> &str {
    reply.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

fn code(result: Result<Reply, Problem>) -> Code {
    result.map_or_else(|problem| problem.code, |reply| panic!("{reply:?}"))
}

#[tokio::test]
async fn a_consumers_life_with_conditions_and_its_trail() {
    let (world, ops) = (World::new().await, principal("ops", "operator"));
    let none = Value::Null;
    let made = world.ops("POST /v1/_consumers", json!({"id": "acme", "plan": "small"})).await.unwrap();
    assert_eq!((made.status, header(&made, LOCATION)), (StatusCode::CREATED, "/v1/_consumers/acme"));
    assert_eq!(code(world.ops("POST /v1/_consumers", json!({"id": "acme"})).await), Code::Conflict);
    let wrong = world.ops("POST /v1/_consumers", json!({"plan": "none", "x": 1})).await.unwrap_err();
    let mut pointers: Vec<_> = wrong.errors.iter().map(|error| error.pointer.as_str()).collect();
    pointers.sort_unstable();
    assert_eq!((wrong.code, pointers), (Code::ValidationFailed, vec!["/plan", "/x"]));

    let read = world.ops("GET /v1/_consumers/acme", none.clone()).await.unwrap();
    let mut with_keys = body(&made);
    with_keys["keys"] = json!([]);
    assert_eq!(body(&read), with_keys);
    let tag = format!("\"{}.hash\"", read.version.clone().unwrap());
    let stale = [("if-match", "\"other.hash\"")];
    for (line, content) in [
        ("PUT /v1/_consumers/acme", json!({})),
        ("PATCH /v1/_consumers/acme", json!({})),
        ("DELETE /v1/_consumers/acme", none.clone()),
    ] {
        assert_eq!(code(world.call(&ops, line, &stale, &content).await), Code::PreconditionFailed, "{line}");
    }
    let changed = world.call(&ops, "PATCH /v1/_consumers/acme", &[("if-match", &tag)], &json!({"name": "Acme"})).await.unwrap();
    assert_eq!((changed.status, &body(&changed)["name"]), (StatusCode::OK, &json!("Acme")));
    assert_ne!(changed.version, read.version);
    let absent = [("if-none-match", "*")];
    assert_eq!(code(world.call(&ops, "PUT /v1/_consumers/acme", &absent, &json!({})).await), Code::PreconditionFailed);
    let put = world.call(&ops, "PUT /v1/_consumers/new", &absent, &json!({})).await.unwrap();
    assert_eq!((put.status, header(&put, LOCATION)), (StatusCode::CREATED, "/v1/_consumers/new"));
    let put = world.ops("PUT /v1/_consumers/new", body(&put)).await.unwrap();
    assert_eq!(put.status, StatusCode::OK, "what GET shows may be PUT");
    let xml = [("content-type", "text/xml")];
    assert_eq!(code(world.call(&ops, "POST /v1/_consumers", &xml, &json!({})).await), Code::UnsupportedMediaType);

    let key = world.ops("POST /v1/_consumers/acme/keys", none.clone()).await.unwrap();
    assert_eq!((key.status, header(&key, CACHE_CONTROL)), (StatusCode::CREATED, "no-store"));
    let secret = body(&key)["key"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("hf_test_"));
    let bearer = format!("Bearer {secret}");
    let known = crate::identity::auth::principal(
        &world.app.model,
        &world.app.authenticator,
        crate::identity::auth::Evidence::Nothing,
        Some(&bearer),
        world.app.env.now(),
    );
    assert_eq!(known.await.unwrap().consumer, "acme");
    let address = header(&key, LOCATION).to_owned();
    let gone = world.ops(&format!("DELETE {address}"), none.clone()).await.unwrap();
    assert_eq!((gone.status, gone.body.len()), (StatusCode::NO_CONTENT, 0));
    assert_eq!(code(world.ops(&format!("DELETE {address}"), none.clone()).await), Code::NotFound);
    world.ops("DELETE /v1/_consumers/acme", none.clone()).await.unwrap();
    assert_eq!(code(world.ops("GET /v1/_consumers/acme", none.clone()).await), Code::NotFound);

    let trail = world.ops("GET /v1/_audit?limit=100", none).await.unwrap();
    assert!(!String::from_utf8_lossy(&trail.body).contains(&secret));
    let entries = body(&trail)["data"].as_array().unwrap().clone();
    let mut actions: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    actions.sort_unstable();
    let expected = [
        "consumer.create",
        "consumer.create",
        "consumer.delete",
        "consumer.key.create",
        "consumer.key.delete",
        "consumer.update",
        "consumer.update",
    ];
    assert_eq!(actions, expected, "one row for each change, none for what was refused");
    assert!(entries.iter().all(|entry| entry["consumer"] == "ops" && entry["correlation_id"] == "c-1"));
}

/// Exactly once by their keys, and no secret in what is told again or kept.
#[tokio::test]
async fn a_repetition_by_its_key_has_no_effect_and_shows_no_secret() {
    let (world, ops) = (World::new().await, principal("ops", "operator"));
    let hook = json!({"id": "acme", "notify": ["https://hooks.example.com/a"]});
    let cases = [
        ("POST /v1/_consumers", hook.clone(), 201),
        ("POST /v1/_consumers/acme/keys", json!({"expires_in": 60}), 201),
        ("PATCH /v1/_consumers/acme", json!({"name": "Acme"}), 200),
        ("PUT /v1/_consumers/acme", json!({"name": "Acme 2"}), 200),
        ("DELETE /v1/_consumers/acme", Value::Null, 204),
    ];
    let mut secrets = Vec::new();
    for (line, content, status) in cases {
        let key = [("idempotency-key", line)];
        let first = world.call(&ops, line, &key, &content).await.unwrap();
        let again = world.call(&ops, line, &key, &content).await.unwrap();
        assert_eq!((first.status.as_u16(), again.status.as_u16()), (status, status), "{line}");
        assert_eq!(header(&again, HeaderName::from_static("idempotency-replayed")), "true", "{line}");
        assert_eq!(header(&first, LOCATION), header(&again, LOCATION), "{line}");
        assert_eq!(first.version, again.version, "{line}");
        if status != 204 {
            let (mut told, repeated) = (body(&first), body(&again));
            let members = told.as_object_mut().unwrap();
            for name in ["key", "webhook_secret"] {
                secrets.extend(members.remove(name).map(|secret| secret.as_str().unwrap().to_owned()));
            }
            assert_eq!(told, repeated, "{line}");
        }
        if status != 204 {
            let other = world.call(&ops, line, &key, &json!({"name": "another"})).await;
            assert_eq!(code(other), Code::IdempotencyKeyReused, "{line}");
        }
    }
    assert_eq!(secrets.len(), 2, "the key and the secret of the webhooks");
    let trail = body(&world.ops("GET /v1/_audit?limit=100", Value::Null).await.unwrap());
    assert_eq!(trail["data"].as_array().unwrap().len(), 5, "one entry for each effect");
    let (items, _) = world.app.table.scan(TableName::Data, None, (0, 1)).await.unwrap();
    let unpacked = |item: &crate::store::table::Item| {
        use std::io::Read as _;
        let mut text = format!("{item:?}");
        if let Some(packed) = item.b("b") {
            flate2::read::ZlibDecoder::new(packed).read_to_string(&mut text).unwrap();
        }
        text
    };
    let all: String = items.iter().map(unpacked).collect();
    assert!(all.contains("hooks.example.com"), "what is kept can be read here");
    assert!(secrets.iter().all(|secret| !all.contains(secret)), "no secret is kept");
}

#[tokio::test]
async fn a_purge_repeated_by_its_key_changes_nothing_again() {
    let (world, ops) = (World::new().await, principal("ops", "operator"));
    let (line, key, all) = ("POST /v1/_cache/purge", [("idempotency-key", "k")], json!({"all": true}));
    let tag = [keys::global_tag()];
    let replayed = HeaderName::from_static("idempotency-replayed");
    let first = world.call(&ops, line, &key, &all).await.unwrap();
    let version = world.stamps(&tag).await;
    let again = world.call(&ops, line, &key, &all).await.unwrap();
    assert_eq!((first.status, again.status), (StatusCode::NO_CONTENT, StatusCode::NO_CONTENT));
    assert_eq!((header(&first, replayed.clone()), header(&again, replayed)), ("", "true"));
    assert_eq!(world.stamps(&tag).await, version);
    let other = world.call(&ops, line, &key, &json!({"entity": "book"})).await;
    assert_eq!(code(other), Code::IdempotencyKeyReused);
    world.ops(line, all).await.unwrap();
    assert_ne!(world.stamps(&tag).await, version, "without the key it is a purge of its own");
    let trail = body(&world.ops("GET /v1/_audit", Value::Null).await.unwrap());
    assert_eq!(trail["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_repetition_at_the_same_time_makes_one_key() {
    let (world, ops) = (World::new().await, principal("ops", "operator"));
    world.ops("POST /v1/_consumers", json!({"id": "acme"})).await.unwrap();
    let key = [("idempotency-key", "k")];
    let both = futures::future::join_all((0..4).map(|_| world.call(&ops, "POST /v1/_consumers/acme/keys", &key, &Value::Null)));
    let ids: std::collections::BTreeSet<String> =
        both.await.into_iter().map(|reply| body(&reply.unwrap())["id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
    let consumers = crate::identity::consumer::Consumers {
        table: &*world.app.table,
        model: &world.app.model,
        env: &world.app.env,
        riders: &|_| Vec::new(),
    };
    assert_eq!(consumers.keys("acme").await.unwrap().len(), 1);
}

/// Shown once, to whoever brings it about, and overlapping when it is changed.
#[tokio::test]
async fn the_secret_of_webhooks_is_shown_once_and_can_be_changed() {
    use crate::notify::{Addresses as _, webhook};
    let world = World::new().await;
    let none = Value::Null;
    let recipients = crate::identity::consumer::Recipients {
        table: world.app.table.clone(),
        model: world.app.model.clone(),
        env: world.app.env.clone(),
        master: world.app.secrets().await.unwrap().webhook,
    };
    let signed_by = async || {
        let now = world.app.env.now().seconds();
        let signature = webhook::headers(&recipients.of("acme").await.unwrap().secrets, "m", now, "{}").remove(3).1;
        signature.split(' ').filter(|part| !part.is_empty()).count()
    };
    let secret = |reply: &Reply| body(reply)["webhook_secret"].as_str().map(str::to_owned);
    let mail = world.ops("POST /v1/_consumers", json!({"id": "acme", "notify": ["mailto:a@example.com"]})).await.unwrap();
    assert_eq!((secret(&mail), signed_by().await), (None, 0));
    let hook = json!({"notify": ["mailto:a@example.com", "https://hooks.example.com/a"]});
    let made = world.ops("PATCH /v1/_consumers/acme", hook).await.unwrap();
    let first = secret(&made).unwrap();
    assert!(first.starts_with("whsec_") && header(&made, CACHE_CONTROL) == "no-store");
    for (line, content) in [("GET /v1/_consumers/acme", none.clone()), ("PATCH /v1/_consumers/acme", json!({"name": "Acme"}))] {
        assert_eq!(secret(&world.ops(line, content).await.unwrap()), None, "{line}");
    }
    assert_eq!(signed_by().await, 1);
    let changed = world.ops("PATCH /v1/_consumers/acme", json!({"webhook_secret": "new"})).await.unwrap();
    assert_ne!(secret(&changed).unwrap(), first);
    assert_eq!(signed_by().await, 2, "the old one signs too, for a day");
    world.clock.advance(24 * 3_600 + 1);
    assert_eq!(signed_by().await, 1);

    let wrong = [
        (json!({"webhook_secret": "mine"}), "/webhook_secret"),
        (json!({"notify": [], "webhook_secret": "new"}), "/webhook_secret"),
        (json!({"notify": ["https://169.254.169.254/"]}), "/notify/0"),
        (json!({"notify": ["https://localhost/"]}), "/notify/0"),
    ];
    for (content, pointer) in wrong {
        let problem = world.ops("PATCH /v1/_consumers/acme", content.clone()).await.unwrap_err();
        assert_eq!((problem.code, problem.errors[0].pointer.as_str()), (Code::ValidationFailed, pointer), "{content}");
    }

    // A receiver that is gone is not called again; the trail says who took it out.
    recipients.gone("acme", "https://hooks.example.com/a").await.unwrap();
    assert_eq!(recipients.of("acme").await.unwrap().addresses, ["mailto:a@example.com"]);
    let trail = body(&world.ops("GET /v1/_audit?limit=1", none).await.unwrap());
    assert_eq!(trail["data"][0]["consumer"], "holdfast");
}

#[tokio::test]
async fn each_resource_asks_for_its_permission() {
    let world = World::new().await;
    let lines = [
        ("GET /v1/_consumers", "consumers"),
        ("POST /v1/_consumers", "consumers"),
        ("GET /v1/_consumers/a", "consumers"),
        ("PUT /v1/_consumers/a", "consumers"),
        ("PATCH /v1/_consumers/a", "consumers"),
        ("DELETE /v1/_consumers/a", "consumers"),
        ("GET /v1/_consumers/a/keys", "consumers"),
        ("POST /v1/_consumers/a/keys", "consumers"),
        ("DELETE /v1/_consumers/a/keys/k", "consumers"),
        ("POST /v1/_cache/purge", "cache"),
        ("GET /v1/_audit", "audit"),
        ("GET /v1/_notifications?consumer=other", "usage"),
    ];
    let scoped = |scope: &str| Principal::unverified(Caller { scopes: Some(vec![scope.into()]), ..verified("ops", "operator") });
    for (line, permission) in lines {
        let content = json!({"all": true});
        let refused = world.call(&principal("acme", "reader"), line, &[], &content).await.unwrap_err();
        assert_eq!(refused.code, Code::Forbidden, "{line}");
        assert!(refused.detail.contains(permission), "{line}");
        assert_eq!(code(world.call(&scoped("book:read"), line, &[], &content).await), Code::InsufficientScope, "{line}");
        let let_in = world.call(&scoped(&format!("system:{permission}")), line, &[], &content).await;
        let refused = |problem: &Problem| [Code::Forbidden, Code::InsufficientScope].contains(&problem.code);
        assert!(!let_in.as_ref().is_err_and(refused), "{line}");
    }
}

#[tokio::test]
async fn parameters_are_strict_and_pages_follow_one_another() {
    let world = World::new().await;
    for id in ["a", "b", "c"] {
        world.ops("POST /v1/_consumers", json!({ "id": id })).await.unwrap();
    }
    let wrong = [
        ("GET /v1/_consumers?x=1", "x"),
        ("GET /v1/_consumers?limit=1&limit=2", "limit"),
        ("GET /v1/_consumers?limit=0", "limit"),
        ("GET /v1/_consumers?limit=101", "limit"),
        ("GET /v1/_consumers?cursor=", "cursor"),
        ("GET /v1/_consumers?cursor=!", "cursor"),
        ("GET /v1/_consumers/a?fields=id", "fields"),
        ("GET /v1/_me?x=1", "x"),
        ("GET /v1/_audit?from=yesterday", "from"),
        ("GET /v1/_audit?cursor=MQ", "cursor"),
        ("GET /v1/_audit?action=Order", "action"),
        ("GET /v1/_audit?action=", "action"),
        ("GET /v1/_audit?entity=books", "entity"),
        ("GET /v1/_audit?consumer=", "consumer"),
        ("GET /v1/_audit?to=tomorrow", "to"),
        ("GET /v1/_audit?to=2026-01-01T00:00:00Z&from=2026-01-02T00:00:00Z", "from"),
        ("GET /v1/_notifications?cursor=MQ", "cursor"),
        ("GET /v1/_notifications?consumer=", "consumer"),
    ];
    for (line, parameter) in wrong {
        let problem = world.ops(line, Value::Null).await.unwrap_err();
        assert_eq!((problem.code, &problem.members["parameter"]), (Code::InvalidParameter, &json!(parameter)), "{line}");
    }
    let (mut seen, mut line) = (Vec::new(), "GET /v1/_consumers?limit=2".to_owned());
    for _ in 0..3 {
        let page = world.ops(&line, Value::Null).await.unwrap();
        seen.extend(body(&page)["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let link = header(&page, LINK).to_owned();
        assert_eq!(link.is_empty(), body(&page)["next_cursor"].is_null());
        let Some(next) = link.strip_prefix("<https://api.example").and_then(|link| link.strip_suffix(">; rel=\"next\"")) else {
            break;
        };
        assert!(next.contains("limit=2&cursor="), "{next}");
        line = format!("GET {next}");
    }
    assert_eq!(seen, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_purge_changes_the_tags_of_what_it_names_alone() {
    let world = World::new().await;
    let model = world.app.model.clone();
    let (book, loan) = (model.by_name("book").unwrap(), model.by_name("loan").unwrap());
    assert!(book.shards > 1);
    let fields = serde_json::Map::from_iter([("title".to_owned(), json!("Emma"))]);
    let record = Record { id: "b1".into(), version: "v".into(), fields };
    let stored = Write::Put { item: items::record(book, &record), condition: None };
    world.app.table.write(TableName::Data, stored, Returning::Nothing).await.unwrap();

    let of_book = tags::of_entity(book);
    let places = [of_book.clone(), tags::of_entity(loan), vec![keys::global_tag()]].concat();
    let shard = keys::shard("b1", book.shards);
    let of_record = [keys::entity_tag(book, shard)];
    let cases: [(Value, Vec<Key>); 5] = [
        (json!({"entity": "book", "id": "b1"}), of_record.to_vec()),
        (json!({"entity": "book", "id": "none"}), vec![keys::entity_tag(book, keys::shard("none", book.shards))]),
        (json!({"entity": "book"}), of_book),
        (json!({"entity": "loan"}), [tags::of_entity(loan), vec![keys::global_tag()]].concat()),
        (json!({"all": true}), vec![keys::global_tag()]),
    ];
    for (content, expected) in cases {
        let before = world.stamps(&places).await;
        let reply = world.ops("POST /v1/_cache/purge", content.clone()).await.unwrap();
        assert_eq!(reply.status, StatusCode::NO_CONTENT);
        let after = world.stamps(&places).await;
        let changed = places.iter().zip(before.iter().zip(&after)).filter(|(_, (before, after))| before != after);
        let changed: Vec<Key> = changed.map(|(key, _)| key.clone()).collect();
        assert!(expected.iter().all(|key| changed.contains(key)) && changed.len() == expected.len(), "{content}: {changed:?}");
    }
    let trail = body(&world.ops("GET /v1/_audit", Value::Null).await.unwrap());
    assert_eq!(trail["data"].as_array().unwrap().len(), 5);
    assert!(trail["data"].as_array().unwrap().iter().all(|entry| entry["action"] == "cache.purge"));

    let wrong = [
        (json!([]), ""),
        (json!({}), ""),
        (json!({"all": false}), ""),
        (json!({"all": true, "entity": "book"}), ""),
        (json!({"all": true, "id": "b1"}), ""),
        (json!({"id": "b1"}), ""),
        (json!({"entity": "books"}), "/entity"),
        (json!({"entity": "book", "id": 1}), "/id"),
        (json!({"entity": "loan", "id": "x"}), "/id"),
        (json!({"entity": "book", "x": 1}), "/x"),
    ];
    for (content, pointer) in wrong {
        let problem = world.ops("POST /v1/_cache/purge", content.clone()).await.unwrap_err();
        assert_eq!((problem.code, problem.errors[0].pointer.as_str()), (Code::ValidationFailed, pointer), "{content}");
    }
}

#[tokio::test]
async fn me_says_what_is_left_and_charges_nothing() {
    let world = World::new().await;
    let who = Principal::unverified(Caller { expires: Some(NOW + 60), ..verified("acme", "reader") });
    for _ in 0..2 {
        let me = body(&world.call(&who, "GET /v1/_me", &[], &Value::Null).await.unwrap());
        assert_eq!((&me["consumer"], &me["roles"], &me["plan"]), (&json!("acme"), &json!(["reader"]), &json!("small")));
        assert_eq!(me["expires_at"], "2026-11-21T00:01:00.000Z");
        assert_eq!((&me["limits"][0]["name"], &me["limits"][0]["remaining"]), (&json!("burst"), &json!(4)));
        assert_eq!((&me["limits"][1]["used"], &me["limits"][1]["runs_out_at"]), (&json!(0), &Value::Null));
    }
    world.charge(&who, 3).await;
    let me = body(&world.call(&who, "GET /v1/_me", &[], &Value::Null).await.unwrap());
    assert_eq!(me["limits"][0]["remaining"], 1);
    assert_eq!((&me["limits"][1]["used"], &me["limits"][1]["remaining"]), (&json!(3), &json!(3)));
    assert_eq!(me["limits"][1]["runs_out_at"], "2026-11-21T00:01:00.000Z", "three in the shortest time that counts as a pace");
}

#[tokio::test]
async fn notices_are_the_callers_own_unless_it_may_see_all() {
    let world = World::new().await;
    let told = Kind::Suspicious { address: None, key_id: Some("k".into()), count: 20 };
    enqueue_for_operator(&*world.app.table, &world.app.env, told, world.app.env.now()).await.unwrap();
    let acme = principal("acme", "reader");
    world.charge(&acme, 3).await;
    let types =
        |reply: Reply| -> Vec<Value> { body(&reply)["data"].as_array().unwrap().iter().map(|one| one["type"].clone()).collect() };
    let own = world.call(&acme, "GET /v1/_notifications", &[], &Value::Null).await.unwrap();
    assert_eq!(types(own), ["quota.threshold"]);
    let named = world.call(&acme, "GET /v1/_notifications?consumer=acme", &[], &Value::Null).await.unwrap();
    assert_eq!(types(named), ["quota.threshold"]);
    assert_eq!(types(world.ops("GET /v1/_notifications?consumer=acme", Value::Null).await.unwrap()), ["quota.threshold"]);
    let first = world.ops("GET /v1/_notifications?limit=1", Value::Null).await.unwrap();
    let cursor = body(&first)["next_cursor"].as_str().unwrap().to_owned();
    let second = world.ops(&format!("GET /v1/_notifications?limit=1&cursor={cursor}"), Value::Null).await.unwrap();
    let mut all = [types(first), types(second)].concat();
    all.sort_by_key(Value::to_string);
    assert_eq!(all, ["credentials.suspicious", "quota.threshold"]);
}

#[tokio::test]
async fn readiness_names_what_does_not_answer() {
    let (world, who) = (World::new().await, principal("a", "reader"));
    for line in ["GET /v1/_health", "GET /v1/_health/ready"] {
        let reply = world.call(&who, line, &[], &Value::Null).await.unwrap();
        assert_eq!((reply.status, header(&reply, CACHE_CONTROL)), (StatusCode::OK, ""), "as every answer: {line}");
    }
    let table = Arc::new(Items::default());
    let broken = World::over(table.clone());
    assert_eq!(super::ready(&broken.app).await.unwrap().status, StatusCode::OK);
    table.down.store(true, Ordering::SeqCst);
    let problem = super::ready(&broken.app).await.unwrap_err();
    assert_eq!((problem.code, &problem.members["dependencies"]), (Code::Unavailable, &json!(["data_table", "volatile_table"])));
}

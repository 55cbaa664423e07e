//! The whole system over HTTP while its DynamoDB has a bad day: conflicts, throttling, unprocessed keys, lost requests and answers.
//! Clients that repeat their requests by their keys end with exactly the effects that they were told of, in a sound table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use holdfast::core::clock::{Clock, Env, Micros};
use holdfast::store::table::{SharedTable, Table, TableName, Write};
use holdfast::store::verify::{Kind, Verifier};
use holdfast_local::Options;
use holdfast_tests::proxy::Faults;
use holdfast_tests::{Actor, Reply, System};
use reqwest::Method;
use serde_json::{Value, json};

const MODEL: &str = "
name: Faults
version: 1.0.0
entities:
  customer:
    id: string
    fields:
      email: {type: email, unique: true}
      tally: {type: integer}
  order:
    id: string
    contention: 1000
    fields:
      customer: {ref: customer, on_delete: restrict, inverse: orders, required: true}
      note: {type: string, max: 50}
    indexes:
      by_note: {sort: [note]}
roles:
  admin: {all: true, system: all}
plans:
  wide:
    rates: {burst: {rate: 100000, per: 1s, burst: 100000}}
auth: {default_plan: wide}
";

/// Sends a request until its outcome is known, as a client does that does not give up.
async fn insist(actor: &Actor, method: Method, path: &str, key: &str, body: Option<Value>) -> Reply {
    loop {
        let call = actor.call(method.clone(), path).header("idempotency-key", key);
        let reply = match body.clone() {
            Some(body) => call.json(body).send().await,
            None => call.send().await,
        };
        if !matches!(reply.status, 500.. | 429) && reply.body["code"] != "request_in_progress" {
            return reply;
        }
        assert_ne!(reply.body["code"], "internal", "{path}: {}", reply.body);
    }
}

/// What one client was told of: orders that are there, orders that are gone, how often it counted.
#[derive(Default)]
struct Told {
    orders: BTreeMap<String, String>,
    counted: i64,
    emails: Vec<String>,
}

async fn client(actor: Actor, number: usize) -> Told {
    let mut told = Told::default();
    for step in 0..8 {
        let (id, key) = (format!("o{number}-{step}"), format!("{number}-{step}"));
        let body = json!({"id": id, "customer_id": "ann", "note": "new"});
        insist(&actor, Method::POST, "/v1/orders", &key, Some(body)).await.expect(201);
        told.orders.insert(id.clone(), "new".to_owned());
        match step % 4 {
            0 => {
                let patch = json!({"note": "changed"});
                insist(&actor, Method::PATCH, &format!("/v1/orders/{id}"), &format!("{key}-patch"), Some(patch))
                    .await
                    .expect(200);
                told.orders.insert(id, "changed".to_owned());
            }
            1 => {
                insist(&actor, Method::DELETE, &format!("/v1/orders/{id}"), &format!("{key}-gone"), None).await.expect(204);
                told.orders.remove(&id);
            }
            2 => {
                let two = [format!("{id}-a"), format!("{id}-b")];
                let create = |id: &String| json!({"op": "create", "data": {"id": id, "customer_id": "ann", "note": "bulk"}});
                let bulk = json!({"operations": [create(&two[0]), create(&two[1])], "atomic": step == 2});
                let reply =
                    insist(&actor, Method::POST, "/v1/orders/_bulk", &format!("{key}-bulk"), Some(bulk)).await.expect(200);
                for (id, result) in two.into_iter().zip(reply.body["results"].as_array().unwrap()) {
                    if result["status"] == 201 {
                        told.orders.insert(id, "bulk".to_owned());
                    }
                }
            }
            _ => told.counted += count(&actor, &key).await,
        }
        let email = json!({"id": format!("c{number}-{step}"), "email": format!("the{step}@example.org")});
        let taken = insist(&actor, Method::POST, "/v1/customers", &format!("{key}-email"), Some(email)).await;
        if taken.status == 201 {
            told.emails.push(format!("the{step}@example.org"));
        } else {
            taken.expect_problem(409, "unique_violation");
        }
    }
    told
}

/// Adds one to a record that everybody counts on: reads, changes under the version that it read, and again where others were faster.
async fn count(actor: &Actor, key: &str) -> i64 {
    for attempt in 0.. {
        let read = actor.get("/v1/customers/ann").await;
        if read.status != 200 {
            continue;
        }
        let next = json!({"tally": read.body["tally"].as_i64().unwrap() + 1});
        let key = format!("{key}-count-{attempt}");
        loop {
            let call = actor.call(Method::PATCH, "/v1/customers/ann").header("idempotency-key", &key);
            let reply = call.header("if-match", read.header("etag")).json(next.clone()).send().await;
            match reply.status {
                200 => return 1,
                412 => break,
                _ => {}
            }
        }
    }
    0
}

struct Later(Arc<dyn Clock>, Duration);

impl Clock for Later {
    fn now(&self) -> Micros {
        self.0.now().plus(self.1)
    }
}

/// The table is sound, once tags of handlers that gave up are settled.
async fn assert_sound(system: &System) {
    let env = Env::system();
    let env = Env { clock: Arc::new(Later(env.clock.clone(), Duration::from_secs(120))), random: env.random };
    let (table, model): (SharedTable, _) = (Arc::new(system.table()), system.local().model.clone());
    let verifier = |repair| Verifier::new(table.clone(), model.clone(), env.clone(), repair).strict();
    let deadline = env.now().plus(Duration::from_secs(60));
    let first = verifier(false).run(deadline, |_| {}).await.unwrap();
    assert!(
        first.listed.iter().all(|problem| matches!(problem.kind, Kind::TagUnsettled | Kind::GateUnsettled)),
        "{:#?}",
        first.listed
    );
    verifier(true).run(deadline, |_| {}).await.unwrap();
    let second = verifier(false).run(deadline, |_| {}).await.unwrap();
    assert_eq!(second.problems, 0, "{:#?}", second.listed);
}

async fn all(actor: &Actor, path: &str) -> Vec<Value> {
    let (mut records, mut cursor) = (Vec::new(), String::new());
    loop {
        let reply = actor.get(&format!("{path}{cursor}")).await.expect(200);
        records.extend(reply.body["data"].as_array().unwrap().clone());
        match reply.body["next_cursor"].as_str() {
            None => return records,
            Some(next) => cursor = format!("&cursor={next}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_bad_day_clients_get_exactly_the_effects_that_they_were_told_of() {
    let system = System::start_behind_proxy(Options::in_memory(MODEL), Faults::bad_day(41)).await;
    let admin = system.admin();
    insist(&admin, Method::POST, "/v1/customers", "ann", Some(json!({"id": "ann", "tally": 0}))).await.expect(201);
    let clients = (0..5).map(|number| tokio::spawn(client(system.actor(&format!("u{number}"), &["admin"]), number)));
    let told: Vec<Told> = join_all(clients).await.into_iter().map(Result::unwrap).collect();
    let trouble = system.proxy().tally();
    assert!(trouble.conflicts > 0 && trouble.lost > 0 && trouble.throttled > 0, "there was no trouble: {trouble:?}");
    system.proxy().set(Faults::none(1));

    let expected: BTreeMap<String, String> = told.iter().flat_map(|one| one.orders.clone()).collect();
    for path in ["/v1/orders?limit=100", "/v1/orders?limit=7&sort=note"] {
        let text = |order: &Value, name: &str| order[name].as_str().unwrap().to_owned();
        let orders = all(&admin, path).await;
        assert_eq!(orders.len(), expected.len(), "{path}");
        let found: BTreeMap<String, String> = orders.iter().map(|one| (text(one, "id"), text(one, "note"))).collect();
        assert_eq!(found, expected, "{path}");
    }
    let ann = admin.get("/v1/customers/ann").await.expect(200);
    assert_eq!(ann.body["tally"], told.iter().map(|one| one.counted).sum::<i64>());
    let winners: Vec<&String> = told.iter().flat_map(|one| &one.emails).collect();
    assert_eq!(winners.len(), winners.iter().collect::<BTreeSet<_>>().len(), "one winner a value: {winners:?}");
    assert_eq!(winners.len(), 8, "and each value has one");
    admin.delete("/v1/customers/ann").await.expect_problem(409, "restricted");
    assert_sound(&system).await;
    system.stop().await;
}

/// A clock that a test moves.
struct Moved(std::sync::Mutex<Micros>);

impl Clock for Moved {
    fn now(&self) -> Micros {
        *self.0.lock().unwrap()
    }
}

/// Time to live is late by days: what has expired and is still there counts as gone, and its removal changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_expired_is_gone_whether_or_not_it_was_removed() {
    let clock = Arc::new(Moved(std::sync::Mutex::new(Env::system().now())));
    let env = Env { clock: clock.clone(), random: Env::system().random };
    let system = System::start_with(Options { env, ..Options::in_memory(MODEL) }).await;
    let post = async |id: &str| {
        let body = json!({"id": id, "tally": 0});
        system.admin().call(Method::POST, "/v1/customers").header("idempotency-key", "k").json(body).send().await
    };
    let first = post("a").await.expect(201);
    assert_eq!(post("a").await.header("idempotency-replayed"), "true");
    post("b").await.expect_problem(422, "idempotency_key_reused");
    let later = clock.now().plus(Duration::from_secs(25 * 3_600));
    *clock.0.lock().unwrap() = later;
    // The row of the key is still there; it is as if it were not.
    let second = post("b").await.expect(201);
    assert_eq!((first.header("idempotency-replayed"), second.header("idempotency-replayed")), ("", ""));
    *clock.0.lock().unwrap() = later.plus(Duration::from_secs(3 * 86_400));
    removed(&system.table(), clock.now()).await;
    post("c").await.expect(201);
    assert_eq!(all(&system.admin(), "/v1/customers?limit=100").await.len(), 3);
    system.stop().await;
}

/// What time to live does, days later.
async fn removed(table: &impl Table, now: Micros) {
    let mut count = 0;
    for name in [TableName::Data, TableName::Volatile] {
        let (items, _) = table.scan(name, None, (0, 1)).await.unwrap();
        for item in items.into_iter().filter(|item| item.n("ttl").is_some_and(|end| end < now.seconds())) {
            let gone = Write::Delete { key: item.key, condition: None };
            table.write(name, gone, holdfast::store::table::Returning::Nothing).await.unwrap();
            count += 1;
        }
    }
    assert!(count > 0, "nothing had expired");
}

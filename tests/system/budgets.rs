//! What requests may cost at most (`architecture.md` 7): waits for the table one after another, calls, capacity units.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use holdfast::core::caller::Caller;
use holdfast::core::clock::{Clock, Micros};
use holdfast::model::value::Record;
use holdfast::store::meter::Kind;
use holdfast::store::write::{Batch, Mutation};
use holdfast_tests::stack::{Cost, Instance, Stack, somebody};
use http::StatusCode;
use serde_json::{Value, json};

/// The end of the models: an administrator without limits that matter.
macro_rules! with_administrator {
    ($entities:literal) => {
        concat!(
            $entities,
            "roles:
  admin: {all: true, system: all}
plans:
  wide:
    rates: {burst: {rate: 1000, per: 1s, burst: 1000}}
auth: {default_plan: wide}
"
        )
    };
}

const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  author:
    id: string
    cache: off
    fields:
      name: {type: string, max: 50, required: true}
  shop:
    id: string
    cache: off
    fields:
      name: {type: string, max: 50}
  book:
    id: string
    cache: off
    fields:
      title: {type: string, max: 50, required: true}
      year: integer
      author: {ref: author, on_delete: restrict, inverse: books}
      shop: {ref: shop, on_delete: restrict, inverse: books}
      cover: file
    indexes:
      by_title: {sort: [title]}
roles:
  admin: {all: true, system: all}
plans:
  wide:
    rates: {burst: {rate: 1000, per: 1s, burst: 1000}}
    quotas: {day: 100000}
  narrow:
    rates: {burst: {rate: 1, per: 1h, burst: 2}}
auth: {default_plan: wide}
";

/// The same with everything cached, as it is by default.
const BUDGET: &str = with_administrator!(
    "
name: Test
version: 1.0.0
entities:
  author:
    id: string
    fields:
      name: {type: string, max: 50}
  series:
    plural: series
    id: string
    fields:
      name: {type: string, max: 50}
  book:
    id: string
    fields:
      title: {type: string, max: 50, required: true}
      author: {ref: author, on_delete: restrict, inverse: books}
      series: {ref: series, on_delete: cascade, inverse: books}
      sequel_to: {ref: book, on_delete: set_null, inverse: sequels}
    indexes:
      by_title: {sort: [title]}
"
);

/// An order as `protocol-2.md` counts it.
const ORDERS: &str = with_administrator!(
    "
name: Test
version: 1.0.0
entities:
  customer:
    id: string
    contention: 100
    fields:
      name: {type: string, max: 50}
  employee:
    id: string
    fields:
      name: {type: string, max: 50}
  order:
    id: string
    fields:
      status: {enum: [open, sent]}
      at: date
      customer: {ref: customer, on_delete: restrict, inverse: orders}
      employee: {ref: employee, on_delete: restrict, inverse: orders}
    indexes:
      by_status: {equality: status}
      by_date: {sort: [-at]}
"
);

struct Client {
    _stack: Stack,
    instance: Instance,
    who: Caller,
}

impl Client {
    /// The cost of a request that is answered so.
    async fn cost(&self, status: u16, line: &str, body: Value) -> Cost {
        let (response, cost) = self.instance.call(&self.who, line, &body).await;
        let text = String::from_utf8_lossy(response.body());
        assert_eq!(response.status(), StatusCode::from_u16(status).unwrap(), "{line}: {text}");
        cost
    }
}

/// Waits, calls, read units, write units.
fn figures(cost: &Cost) -> (u32, u64, f64, f64) {
    (cost.waits, cost.usage.total_calls(), cost.usage.read_units, cost.usage.write_units)
}

/// An author, a shop and 20 books; an instance that has read what instances read once.
async fn furnished() -> Client {
    let stack = Stack::start(MODEL).await;
    let instance = stack.instance();
    let caller = Client { _stack: stack, instance, who: somebody("ann", "admin") };
    caller.cost(201, "POST /v1/authors", json!({"id": "a", "name": "A"})).await;
    caller.cost(201, "POST /v1/shops", json!({"id": "s"})).await;
    for number in 0..20 {
        let book = json!({"id": format!("b{number}"), "title": format!("t{number}"), "author_id": "a", "shop_id": "s"});
        caller.cost(201, "POST /v1/books", book).await;
    }
    filed(&caller).await;
    caller.cost(200, "GET /v1/books?sort=title", Value::Null).await;
    // Somebody else from here on: whoever has called so often holds a lease and need not ask the limiter.
    Client { who: somebody("cleo", "admin"), ..caller }
}

/// A book with a file, as if it had been uploaded.
async fn filed(caller: &Client) {
    let app = &caller.instance.app;
    let entity = app.model.by_name("book").unwrap();
    let file = json!({"filename": "a", "content_type": "text/plain", "size": 1, "sha256": "0", "uploaded_at": "2026-11-21T00:00:00.000Z"});
    let Value::Object(fields) = json!({"title": "filed", "cover": file, "cover#": "f/1"}) else { unreachable!() };
    let record = Record { id: "filed".into(), version: "v".into(), fields };
    let batch = Batch { mutations: vec![Mutation::create(entity, record)], ..Batch::default() };
    let written = app.writer.write_unchecked(&batch, app.env.now().plus(Duration::from_secs(20))).await.unwrap();
    app.writer.settle(written.unsettled).await;
}

#[tokio::test]
async fn a_record_costs_one_wait_with_its_limits_beside_it() {
    let caller = furnished().await;
    let cost = caller.cost(200, "GET /v1/books/b1", Value::Null).await;
    assert_eq!(figures(&cost), (1, 2, 1.0, 1.0));
}

#[tokio::test]
async fn lists_cost_a_wait_and_another_for_what_they_embed() {
    let caller = furnished().await;
    let list = caller.cost(200, "GET /v1/books?sort=title", Value::Null).await;
    assert_eq!((list.waits, list.usage.of(Kind::Query), list.usage.total_calls()), (1, 1, 2));
    let embedding = caller.cost(200, "GET /v1/books?sort=title&include=author,shop", Value::Null).await;
    assert!(embedding.waits <= 3, "{embedding:?}");
    assert_eq!(embedding.usage.of(Kind::Query), 1);
    let children = caller.cost(200, "GET /v1/authors/a?include=books.shop", Value::Null).await;
    assert_eq!((children.usage.of(Kind::Query), children.usage.of(Kind::Scan)), (1, 0));
    assert!(children.waits <= 3, "{children:?}");
}

#[tokio::test]
async fn writes_cost_four_waits() {
    let caller = furnished().await;
    let book = json!({"id": "new", "title": "new", "author_id": "a", "shop_id": "s"});
    let created = caller.cost(201, "POST /v1/books", book.clone()).await;
    // Admission, the announcement at both gates, the transaction, settling. Nothing of this model is cached, so there are no tags.
    assert_eq!(created.waits, 4, "{created:?}");
    // The record, its rows by id, title, author and shop, two rows of references, the fence, the audit entry: 2 units each; two
    // gates, announced at and settled; and the limiter's one.
    assert_eq!((created.usage.of(Kind::TransactWrite), created.usage.write_units), (1, 2.0 * 9.0 + 2.0 * 2.0 + 1.0));
    for line in ["PUT /v1/books/new", "PATCH /v1/books/new"] {
        let changed = caller.cost(200, line, json!({"title": line, "author_id": "a", "shop_id": "s"})).await;
        assert!(changed.waits <= 2, "{line}: {changed:?}");
        assert_eq!(changed.usage.of(Kind::TransactWrite), 1, "{line}");
    }
    let deleted = caller.cost(204, "DELETE /v1/books/new", Value::Null).await;
    // The record beside admission, who refers to it, the transaction; where chains run beside each other the count may say one more.
    assert!(deleted.waits <= 4, "{deleted:?}");
}

/// Costs of a create of a caller with a key, less what the budget of `protocol-2.md` leaves out: the look for the key, and the limiter's
/// calls and units.
async fn create(caller: &Client, line: &str, body: Value, key: &'static str, limiter: u64) -> (u32, u64, f64) {
    let (response, cost) = caller.instance.call_with(&caller.who, line, &body, &[("idempotency-key", key)]).await;
    let text = String::from_utf8_lossy(response.body());
    assert_eq!(response.status(), StatusCode::CREATED, "{line}: {text}");
    #[expect(clippy::cast_precision_loss, reason = "none or one")]
    let units = cost.usage.write_units - limiter as f64;
    (cost.waits, cost.usage.total_calls() - 1 - limiter, units)
}

/// An instance that has read what instances read once, for somebody whom it does not know.
async fn warm(stack: Stack, parents: &[(&str, Value)], line: &str, body: Value) -> Client {
    let caller = Client { instance: stack.instance(), _stack: stack, who: somebody("ann", "admin") };
    for (line, body) in parents {
        caller.cost(201, line, body.clone()).await;
    }
    create(&caller, line, body, "warm", 1).await;
    Client { who: somebody("bob", "admin"), ..caller }
}

/// The table of `protocol-2.md`: a book with five indexes (three references, a title, the id), one author.
#[tokio::test]
async fn a_create_costs_what_the_budget_says() {
    let stack = Stack::start(BUDGET).await;
    let book = |id: &str| json!({"id": id, "title": "t", "author_id": "a"});
    let caller = warm(stack, &[("POST /v1/authors", json!({"id": "a"}))], "POST /v1/books", book("first")).await;
    // Admission and the look for the key, announcement, transaction, settling.
    assert_eq!(create(&caller, "POST /v1/books", book("b"), "k1", 1).await, (4, 11, 30.0));
    // Without a key the announcement goes beside admission, once the caller is known to have room.
    assert_eq!(caller.cost(201, "POST /v1/books", book("c")).await.waits, 3);
    let unknown = Client { who: somebody("cleo", "admin"), ..caller };
    assert_eq!(unknown.cost(201, "POST /v1/books", book("d")).await.waits, 4);
}

/// Of two references, with an index by a field beside those by its references and one by time; `contention: 100` asked for four guards.
#[tokio::test]
async fn an_order_costs_what_the_budget_says() {
    let stack = Stack::start(ORDERS).await;
    let order = |id: &str| json!({"id": id, "status": "open", "at": "2026-11-28", "customer_id": "c", "employee_id": "e"});
    let parents = [("POST /v1/customers", json!({"id": "c"})), ("POST /v1/employees", json!({"id": "e"}))];
    let caller = warm(stack, &parents, "POST /v1/orders", order("first")).await;
    assert_eq!(create(&caller, "POST /v1/orders", order("a"), "k1", 1).await, (4, 13, 34.0));
    assert_eq!(caller.cost(201, "POST /v1/orders", order("b")).await.waits, 3);
}

/// A clock that a test sets.
struct Set(AtomicI64);

impl Clock for Set {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_create_on_a_lease_waits_for_its_announcement_its_transaction_and_settling() {
    let mut stack = Stack::start(BUDGET).await;
    let clock = Arc::new(Set(AtomicI64::new(stack.env.now().0)));
    stack.env.clock = clock.clone();
    let book = |id: &str| json!({"id": id, "title": "t", "author_id": "a"});
    let caller = warm(stack, &[("POST /v1/authors", json!({"id": "a"}))], "POST /v1/books", book("first")).await;
    // Over 20 requests in each of some seconds.
    for _ in 0..100 {
        clock.0.fetch_add(40_000, Ordering::SeqCst);
        caller.cost(200, "GET /v1/authors/a", Value::Null).await;
    }
    let cost = caller.cost(201, "POST /v1/books", book("b")).await;
    // Neither a key nor the limiter; 28 units because there is no row of a key.
    assert_eq!((cost.waits, cost.usage.total_calls(), cost.usage.write_units), (3, 11, 28.0));
}

#[tokio::test]
async fn a_link_costs_one_wait_with_its_limits_and_its_audit_entry_beside_the_record() {
    let caller = furnished().await;
    let link = caller.cost(302, "GET /v1/books/filed/cover/download", Value::Null).await;
    // The record, the limiter, the audit trail.
    assert_eq!(figures(&link), (1, 3, 1.0, 2.0));
    let none = caller.cost(404, "GET /v1/books/b1/cover/download", Value::Null).await;
    // The entry is taken back.
    assert_eq!((none.waits, none.usage.total_calls()), (2, 4));
    let body = json!({"filename": "a", "content_type": "text/plain", "size": 1, "sha256": "0".repeat(64)});
    let upload = caller.cost(201, "POST /v1/books/b1/cover/upload", body).await;
    assert_eq!((upload.waits, upload.usage.total_calls()), (2, 3));
}

/// The same with a role for callers without credentials.
fn opened() -> String {
    MODEL
        .replace("roles:\n", "roles:\n  everybody: {entities: {author: {view: true}, book: {view: true}}}\n")
        .replace("auth: {default_plan: wide}", "auth: {default_plan: wide, anonymous_role: everybody}")
}

/// Reads have no authorizer: their function verifies a credential, and remembers it.
#[tokio::test]
async fn a_read_waits_once_for_whoever_is_known_or_nobody_and_twice_at_first_sight_of_a_token() {
    let stack = Stack::start(&opened()).await;
    let caller = Client { instance: stack.instance(), _stack: stack, who: somebody("ann", "admin") };
    caller.cost(201, "POST /v1/authors", json!({"id": "a", "name": "A"})).await;
    caller.cost(201, "POST /v1/shops", json!({"id": "s"})).await;
    caller.cost(201, "POST /v1/books", json!({"id": "b1", "title": "t", "author_id": "a", "shop_id": "s"})).await;
    filed(&caller).await;
    caller.cost(200, "GET /v1/books?sort=title", Value::Null).await;
    let instance = &caller.instance;
    let ask = async |authorization: Option<&str>, line: &str| {
        let (response, cost) = instance.ask(authorization, line).await;
        assert!(response.status().as_u16() < 400, "{line}: {}", String::from_utf8_lossy(response.body()));
        (cost.waits, cost.usage.total_calls(), cost.usage.write_units)
    };
    // Nobody is limited by address, in memory: the record, and for a link its audit entry.
    assert_eq!(ask(None, "GET /v1/books/b1").await, (1, 1, 0.0));
    assert_eq!(ask(None, "GET /v1/books?sort=title").await, (1, 1, 0.0));
    assert_eq!(ask(None, "GET /v1/books/filed/cover/download").await, (1, 2, 1.0));
    for (line, calls, units) in
        [("GET /v1/books/b1", 2, 1.0), ("GET /v1/books?sort=title", 2, 1.0), ("GET /v1/books/filed/cover/download", 3, 2.0)]
    {
        let token = instance.bearer(line, "admin");
        let token = Some(token.as_str());
        assert_eq!(ask(token, line).await, (2, calls + 1, units), "{line}: its consumer's record comes first");
        assert_eq!(ask(token, line).await, (1, calls, units), "{line}");
    }
}

#[tokio::test]
async fn a_denial_repeated_within_a_second_costs_nothing() {
    let caller = furnished().await;
    let narrow = Client { who: Caller { plan: Some("narrow".into()), ..somebody("bob", "admin") }, ..caller };
    narrow.cost(200, "GET /v1/books/b1", Value::Null).await;
    narrow.cost(200, "GET /v1/books/b1", Value::Null).await;
    narrow.cost(429, "GET /v1/books/b1", Value::Null).await;
    for line in ["GET /v1/books/b1", "GET /v1/books?sort=title", "DELETE /v1/books/b1", "GET /v1/books/filed/cover/download"] {
        let denied = narrow.cost(429, line, Value::Null).await;
        assert_eq!(figures(&denied), (0, 0, 0.0, 0.0), "{line}");
    }
}

#[tokio::test]
async fn a_refused_write_leaves_nothing_behind() {
    let caller = furnished().await;
    let narrow = Client { who: Caller { plan: Some("narrow".into()), ..somebody("eve", "admin") }, ..caller };
    for id in ["one", "two"] {
        narrow.cost(201, "POST /v1/shops", json!({"id": id})).await;
    }
    narrow.cost(429, "POST /v1/shops", json!({"id": "three"})).await;
    let again = Client { who: somebody("ann", "admin"), ..narrow };
    again.cost(404, "GET /v1/shops/three", Value::Null).await;
}

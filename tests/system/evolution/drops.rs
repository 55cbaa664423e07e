//! What the model has no more, and its removal.

use std::sync::Arc;
use std::time::Duration;

use holdfast::core::clock::Env;
use holdfast::migrate::{Dropped, Evolution, Fills};
use holdfast::store::constraints::Constraints;
use holdfast::store::double::{Double, Intercept, TableCall};
use holdfast::store::table::{SharedTable, Table as _, TableError, TableName};
use holdfast_tests::Actor;
use holdfast_tests::upload::{announced, headers};
use serde_json::json;

use super::{Place, model};

const TITLE: &str = "title: {type: string, max: 200}";

impl Place {
    async fn drop_all(&self, model: &str, what: &str) -> Dropped {
        let chosen = self.plan(model).await.chosen(what);
        self.evolution(model).drop_leftovers(&chosen, Duration::ZERO, |_| {}).await.unwrap()
    }

    /// Steps that are left to an operator.
    async fn left(&self, model: &str) -> Vec<String> {
        self.plan(model).await.leftovers.iter().map(ToString::to_string).collect()
    }

    /// Items of kinds: what stands before the first `#`.
    async fn kinds(&self, kinds: &[&str]) -> Vec<String> {
        let (items, more) = self.system().table().scan(TableName::Data, None, (0, 1)).await.unwrap();
        assert!(more.is_none());
        let is_wanted = |pk: &String| kinds.contains(&pk.split('#').next().unwrap());
        items.into_iter().map(|item| item.key.pk).filter(is_wanted).collect()
    }

    async fn upload(&self, field: &str, content: &[u8]) {
        let admin = self.admin();
        let link = admin.post(&format!("{field}/upload"), announced("a.txt", "text/plain", content)).await.expect(201).body;
        let mut call = holdfast_local::client::http().build().unwrap().put(link["url"].as_str().unwrap());
        for (name, value) in headers(&link) {
            call = call.header(name, value);
        }
        assert!(call.body(content.to_vec()).send().await.unwrap().status().is_success());
        admin.post(&format!("{field}/complete"), json!({})).await.expect(200);
    }
}

async fn book(admin: &Actor, id: &str, fields: serde_json::Value) {
    let mut body = fields;
    body["id"] = id.into();
    admin.post("/v1/books", body).await.expect(201);
}

#[tokio::test]
async fn values_of_a_field_that_is_gone_go_only_when_asked_for() {
    let with =
        model(&[("book", "title: {type: string, max: 200}\nblurb: {type: text, max: 2000}\nnote: {type: string, max: 9}")]);
    let without = model(&[("book", TITLE)]);
    let mut place = Place::new(&with).await;
    for id in ["a", "b"] {
        book(&place.admin(), id, json!({"title": "t", "blurb": "long", "note": "n"})).await;
    }
    assert_eq!(place.left(&with).await, [""; 0]);
    place.serve(&without).await;
    place.migrate(&without).await;
    assert_eq!(place.left(&without).await, ["values of book.blurb", "values of book.note"], "also once the model is recorded");
    place.serve(&with).await;
    assert_eq!(place.admin().get("/v1/books/a").await.expect(200).body["blurb"], json!("long"), "a rollback finds them");
    place.serve(&without).await;
    let chosen = place.plan(&without).await.chosen("book.blurb");
    let units = place.evolution(&without).estimate_drop(&chosen, |_| {}).await.unwrap();
    assert_eq!((units.rewritten, units.removed), (2, 0));
    let done = place.drop_all(&without, "book.blurb").await;
    assert_eq!((done.values.changed, done.is_complete()), (2, true), "{done:?}");
    assert_eq!(place.left(&without).await, ["values of book.note"]);
    place.assert_clean().await;
    place.serve(&with).await;
    let found = place.admin().get("/v1/books/a").await.expect(200).body;
    assert_eq!((&found["blurb"], &found["note"]), (&json!(null), &json!("n")));
    place.admin().patch("/v1/books/a", json!({"blurb": "new"})).await.expect(200);
    let mark = place.evolution(&without).one_way().await.unwrap().unwrap();
    assert!(mark.why.starts_with("remove the values of book.blurb"), "{mark:?}");
    let trail = place.admin().get("/v1/_audit?action=book.drop").await.expect(200);
    assert_eq!(trail.body["data"][0]["detail"]["dropped"], json!("values of book.blurb"));
}

#[tokio::test]
async fn rules_and_indexes_that_are_gone_leave_no_row_and_come_back_as_new() {
    let with = model(&[
        ("customer", TITLE),
        ("order", "number: {type: string, max: 20, unique: true}\ncustomer: {ref: customer, on_delete: restrict}"),
    ])
    .replace("roles:", "    indexes:\n      by_customer: {equality: [customer_id], sort: [-id]}\nroles:");
    let without = model(&[("customer", TITLE), ("order", "number: {type: string, max: 20}")]);
    let mut place = Place::new(&with).await;
    place.admin().post("/v1/customers", json!({"id": "a"})).await.expect(201);
    for id in ["o1", "o2"] {
        place.admin().post("/v1/orders", json!({"id": id, "number": id, "customer_id": "a"})).await.expect(201);
    }
    place.serve(&without).await;
    assert_eq!(place.admin().delete("/v1/customers/a").await.expect(409).body["code"], "restricted");
    let mut left = place.left(&without).await;
    left.sort();
    assert_eq!(
        left,
        [
            "index order.by_customer",
            "index order.by_number",
            "references order.customer_id",
            "unique values of order.number",
            "values of order.customer_id"
        ]
    );
    assert!(place.drop_all(&without, "order").await.is_complete());
    assert_eq!(place.left(&without).await, [""; 0]);
    assert_eq!(place.kinds(&["u", "f"]).await, [""; 0]);
    assert!(place.kinds(&["i"]).await.iter().all(|pk| !pk.contains("by_")));
    place.admin().delete("/v1/customers/a").await.expect(204);
    place.assert_clean().await;
    // As a new one: nothing has to be built for the ref, whose values are gone; the number's are there.
    place.admin().post("/v1/customers", json!({"id": "a"})).await.expect(201);
    place.serve(&with).await;
    assert!(place.admin().get("/v1/orders/o1").await.expect(200).body["customer_id"].is_null());
    place.admin().patch("/v1/orders/o1", json!({"customer_id": "a"})).await.expect(200);
    assert_eq!(place.admin().get("/v1/orders?customer_id=a").await.expect(200).body["data"][0]["id"], json!("o1"));
    assert_eq!(place.admin().delete("/v1/customers/a").await.expect(409).body["code"], "restricted");
    let taken = place.admin().post("/v1/orders", json!({"id": "o3", "number": "o2"})).await.expect(409);
    assert_eq!(taken.body["code"], "unique_violation");
    place.assert_clean().await;
}

#[tokio::test]
async fn an_entity_that_is_gone_goes_with_all_that_belongs_to_it() {
    let book = ("book", "title: {type: string, max: 200}\ncover: {type: file}");
    let with = model(&[
        book,
        (
            "review",
            "book: {ref: book, on_delete: restrict}\ncode: {type: string, max: 9, unique: true}\nscan: {type: file, share_expiry: 7d}",
        ),
    ]);
    let without = model(&[book]);
    let mut place = Place::new(&with).await;
    place.admin().post("/v1/books", json!({"id": "b"})).await.expect(201);
    place.admin().post("/v1/reviews", json!({"id": "r", "book_id": "b", "code": "x"})).await.expect(201);
    place.upload("/v1/books/b/cover", b"cover").await;
    place.upload("/v1/reviews/r/scan", b"scan").await;
    place.admin().post("/v1/reviews/r/scan/shares", json!({})).await.expect(201);
    place.admin().post("/v1/reviews/r/scan/upload", announced("b.txt", "text/plain", b"two")).await.expect(201);
    place.serve(&without).await;
    assert_eq!(place.left(&without).await, ["records of review"]);
    assert!(place.plan(&without).await.steps.iter().any(|step| step.to_string().contains("(one-way)")));
    let due = place.kinds(&["v"]).await.len();
    let done = place.drop_all(&without, "review").await;
    assert!(done.is_complete() && done.removed > 5, "{done:?}");
    let left = place.kinds(&["r", "i", "u", "f", "g", "w", "h", "hf", "x"]).await;
    assert!(left.iter().all(|pk| !pk.contains("review") && !pk.starts_with("h#")), "{left:?}");
    assert_eq!(place.kinds(&["v"]).await.len(), due + 1, "the object of its file is going to be deleted");
    assert_eq!(place.left(&without).await, [""; 0]);
    place.admin().get("/v1/books/b/cover/download").await.expect(302);
    place.admin().delete("/v1/books/b").await.expect(204);
    assert_ne!(place.admin().get("/v1/_audit?action=review.create").await.expect(200).body["data"], json!([]));
    place.assert_clean().await;
    place.serve(&with).await;
    assert_eq!(place.admin().get("/v1/reviews").await.expect(200).body["data"], json!([]));
    place.admin().post("/v1/reviews", json!({"id": "r", "code": "x"})).await.expect(201);
    place.assert_clean().await;
}

#[tokio::test]
async fn a_file_goes_with_its_field_or_its_record_and_follows_another_name() {
    let with = model(&[("book", "title: {type: string, max: 200}\ncover: {type: file}")]);
    let without = model(&[("book", TITLE)]);
    let mut place = Place::new(&with).await;
    for id in ["a", "b", "c"] {
        place.admin().post("/v1/books", json!({"id": id})).await.expect(201);
        place.upload(&format!("/v1/books/{id}/cover"), id.as_bytes()).await;
    }
    let renamed = model(&[("book", "title: {type: string, max: 200}\nimage: {type: file, was: cover}")]);
    place.serve(&renamed).await;
    place.admin().get("/v1/books/a/image/download").await.expect(302);
    assert_eq!(place.admin().get("/v1/books/a").await.expect(200).body["image"]["size"], json!(1));
    place.serve(&without).await;
    let due = place.kinds(&["v"]).await.len();
    place.admin().delete("/v1/books/a").await.expect(204);
    assert_eq!(place.kinds(&["v"]).await.len(), due + 1, "its object is let go of, though the model knows the field no more");
    place.admin().put("/v1/books/b", json!({"title": "put"})).await.expect(200);
    place.serve(&renamed).await;
    place.admin().get("/v1/books/b/image/download").await.expect(302);
    place.serve(&without).await;
    place.admin().patch("/v1/books/c", json!({"title": "patched"})).await.expect(200);
    assert!(place.drop_all(&without, "all").await.is_complete());
    assert_eq!(place.kinds(&["v"]).await.len(), due + 3);
    place.serve(&renamed).await;
    assert!(place.admin().get("/v1/books/b").await.expect(200).body["image"].is_null());
    place.upload("/v1/books/b/image", b"again").await;
    place.assert_clean().await;
}

#[tokio::test]
async fn what_a_version_that_is_deployed_has_is_not_removed() {
    let with =
        model(&[("book", "title: {type: string, max: 200}\ncode: {type: string, max: 20, unique: true}"), ("page", TITLE)]);
    let without = model(&[("book", TITLE)]);
    let place = Place::new(&with).await;
    book(&place.admin(), "a", json!({"code": "x"})).await;
    let chosen = place.plan(&without).await.chosen("all");
    assert_eq!(chosen.len(), 4, "{chosen:?}");
    // Readers count: an instance that only reads comes by once all is marked.
    let parsed = |source: &str| Arc::new(holdfast::model::parse("m", source).unwrap());
    let reader = Constraints::new(Arc::new(place.system().table()), parsed(&with), Env::system());
    let met = MetBy { marks: 4.into(), reader };
    let table: SharedTable = Arc::new(Double::new(Arc::new(place.system().table()), met));
    let evolution = Evolution::new(table, parsed(&without), Env::system(), Fills::default());
    let done = evolution.drop_leftovers(&chosen, Duration::ZERO, |_| {}).await;
    assert_eq!(done.unwrap().in_use, chosen);
    assert_eq!(place.admin().get("/v1/books/a").await.expect(200).body["code"], json!("x"));
    let taken = place.admin().post("/v1/books", json!({"id": "b", "code": "x"})).await.expect(409);
    assert_eq!(taken.body["code"], "unique_violation");
    place.assert_clean().await;
}

/// After so many marks, an instance of a version that has it all reads the states.
struct MetBy {
    marks: std::sync::atomic::AtomicI64,
    reader: Constraints,
}

impl Intercept for MetBy {
    async fn around<T: Send>(
        &self,
        call: TableCall,
        pass: impl Future<Output = Result<T, TableError>> + Send,
    ) -> Result<T, TableError> {
        let outcome = pass.await;
        if call == TableCall::Write && self.marks.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1 {
            assert_eq!(self.reader.states().await?.pending().count(), 0, "it keeps what it was promised");
        }
        outcome
    }
}

/// Every call after some fails: the process that made them is dead.
struct Dies(std::sync::atomic::AtomicI64);

impl Intercept for Dies {
    async fn around<T: Send>(
        &self,
        _: TableCall,
        pass: impl Future<Output = Result<T, TableError>> + Send,
    ) -> Result<T, TableError> {
        match self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) > 0 {
            true => pass.await,
            false => Err(TableError::Broken("dead".to_owned())),
        }
    }
}

#[tokio::test]
async fn a_removal_that_dies_anywhere_is_finished_by_the_next() {
    let with = model(&[
        ("author", TITLE),
        (
            "book",
            "title: {type: string, max: 200}\ncode: {type: string, max: 20, unique: true}\nauthor: {ref: author, on_delete: restrict}",
        ),
        ("review", "book: {ref: book, on_delete: cascade, inverse: reviews}"),
    ]);
    let without = model(&[("author", TITLE), ("book", TITLE)]);
    let mut place = Place::new(&with).await;
    place.admin().post("/v1/authors", json!({"id": "w"})).await.expect(201);
    for id in ["a", "b", "c"] {
        book(&place.admin(), id, json!({"code": id, "author_id": "w"})).await;
        place.admin().post("/v1/reviews", json!({"id": id, "book_id": id})).await.expect(201);
    }
    place.serve(&without).await;
    let chosen = place.plan(&without).await.chosen("all");
    let parsed = Arc::new(holdfast::model::parse("m", &without).unwrap());
    for calls in (1..200).step_by(7) {
        let table: SharedTable = Arc::new(Double::new(Arc::new(place.system().table()), Dies(calls.into())));
        let evolution = Evolution::new(table, Arc::clone(&parsed), Env::system(), Fills::default());
        if evolution.drop_leftovers(&chosen, Duration::ZERO, |_| {}).await.is_ok() {
            break;
        }
    }
    assert!(place.drop_all(&without, "all").await.is_complete());
    assert_eq!(place.left(&without).await, [""; 0]);
    assert_eq!(place.kinds(&["u", "f", "m"]).await, ["m#model", "m#one_way"]);
    place.admin().delete("/v1/authors/w").await.expect(204);
    place.assert_clean().await;
    place.serve(&with).await;
    book(&place.admin(), "d", json!({"code": "a"})).await;
    place.assert_clean().await;
}

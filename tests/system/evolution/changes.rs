//! The changes that were seen to break something, one by one.

use serde_json::json;

use super::{Place, model};

const TITLE: &str = "title: {type: string, max: 200}";

/// 1. The first reference to an entity that has records.
#[tokio::test]
async fn a_new_reference_to_stored_records_needs_nothing() {
    let mut place = Place::new(&model(&[("book", TITLE)])).await;
    place.admin().post("/v1/books", json!({"id": "b"})).await.expect(201);
    let newer = model(&[
        ("book", "title: {type: string, max: 200}\nsequel_to: {ref: book, on_delete: set_null, inverse: sequels}"),
        ("comment", "book: {ref: book, on_delete: restrict}"),
    ]);
    assert!(!place.plan(&newer).await.own().any(|step| step.work.name() == "build_reference"));
    place.serve(&newer).await;
    place.admin().post("/v1/comments", json!({"id": "c", "book_id": "b"})).await.expect(201);
    place.admin().post("/v1/books", json!({"id": "b2", "sequel_to_id": "b"})).await.expect(201);
    assert_eq!(place.admin().delete("/v1/books/b").await.expect(409).body["code"], "restricted");
    place.admin().delete("/v1/comments/c").await.expect(204);
    place.admin().delete("/v1/books/b").await.expect(204);
    assert!(place.admin().get("/v1/books/b2").await.expect(200).body["sequel_to_id"].is_null());
    place.assert_clean().await;
}

/// 2. More gates and tags than before, and fewer again.
#[tokio::test]
async fn contention_changes_over_stored_references() {
    let with = |contention: &str| {
        model(&[("book", TITLE), ("comment", "book: {ref: book, on_delete: cascade, inverse: comments}")])
            .replace("  book:\n    id: string\n", &format!("  book:\n    id: string\n{contention}"))
    };
    let mut place = Place::new(&with("")).await;
    place.admin().post("/v1/books", json!({"id": "b"})).await.expect(201);
    place.admin().post("/v1/comments", json!({"id": "c0", "book_id": "b"})).await.expect(201);
    for (round, contention) in ["    contention: 2000\n", "    contention: 500\n", ""].into_iter().enumerate() {
        place.serve(&with(contention)).await;
        for number in 0..6 {
            let id = format!("c{round}-{number}");
            place.admin().post("/v1/comments", json!({"id": id, "book_id": "b"})).await.expect(201);
        }
        place.admin().delete(&format!("/v1/comments/c{round}-0")).await.expect(204);
    }
    place.admin().delete("/v1/comments/c0").await.expect(204);
    place.admin().delete("/v1/books/b").await.expect(204);
    assert_eq!(place.admin().get("/v1/comments").await.expect(200).body["data"], json!([]));
    place.assert_clean().await;
}

/// 3. A plain field that holds ids becomes a ref.
#[tokio::test]
async fn a_field_that_becomes_a_ref_protects_what_it_refers_to() {
    let plain = model(&[("customer", TITLE), ("order", "customer_id: {type: string, max: 60}")]);
    let mut place = Place::new(&plain).await;
    for id in ["a", "b"] {
        place.admin().post("/v1/customers", json!({"id": id})).await.expect(201);
    }
    place.admin().post("/v1/orders", json!({"id": "o", "customer_id": "a"})).await.expect(201);
    place.admin().post("/v1/orders", json!({"id": "none", "customer_id": "not an id!"})).await.expect(201);
    let newer = model(&[("customer", TITLE), ("order", "customer: {ref: customer, on_delete: restrict}")]);
    let plan = place.plan(&newer).await;
    assert!(plan.own().any(|step| step.work.name() == "build_reference"), "{plan:?}");
    place.serve(&newer).await;
    assert_eq!(place.admin().delete("/v1/customers/a").await.expect(409).body["code"], "restricted");
    place.admin().delete("/v1/customers/b").await.expect(204);
    place.admin().get("/v1/orders/none").await.expect(200);
    place.admin().delete("/v1/orders/none").await.expect(204);
    place.admin().patch("/v1/orders/o", json!({"customer_id": null})).await.expect(200);
    place.admin().delete("/v1/customers/a").await.expect(204);
    place.assert_clean().await;
}

/// 4. References to nobody.
#[tokio::test]
async fn a_reference_to_nobody_hinders_nothing() {
    let plain = model(&[("customer", TITLE), ("order", "customer_id: {type: string, max: 60}\nnote: {type: string, max: 60}")]);
    let mut place = Place::new(&plain).await;
    for id in ["o1", "o2", "o3"] {
        place.admin().post("/v1/orders", json!({"id": id, "customer_id": "gone"})).await.expect(201);
    }
    let newer = model(&[
        ("customer", TITLE),
        ("order", "customer: {ref: customer, on_delete: set_null, inverse: orders}\nnote: {type: string, max: 60}"),
    ]);
    place.serve(&newer).await;
    let shown = place.admin().get("/v1/orders/o1?include=customer").await.expect(200);
    assert_eq!((&shown.body["customer_id"], &shown.body["customer"]), (&json!("gone"), &json!(null)));
    place.admin().patch("/v1/orders/o1", json!({"note": "still here"})).await.expect(200);
    place.admin().patch("/v1/orders/o1", json!({"customer_id": null})).await.expect(200);
    place.admin().delete("/v1/orders/o2").await.expect(204);
    // Where the rule has one right answer, a repair gives it.
    let repaired = place.verify(true).await;
    assert_eq!((repaired.problems, repaired.repaired), (1, 1), "{:#?}", repaired.listed);
    assert!(place.admin().get("/v1/orders/o3").await.expect(200).body["customer_id"].is_null());
    place.assert_clean().await;
}

/// 5. A ref gets another target.
#[tokio::test]
async fn a_ref_with_another_target_leaves_nothing_behind() {
    let with = |target: &str| {
        model(&[("customer", TITLE), ("shop", TITLE), ("order", &format!("owner: {{ref: {target}, on_delete: restrict}}"))])
    };
    let mut place = Place::new(&with("customer")).await;
    for path in ["/v1/customers", "/v1/shops"] {
        place.admin().post(path, json!({"id": "a"})).await.expect(201);
    }
    for id in ["o1", "o2"] {
        place.admin().post("/v1/orders", json!({"id": id, "owner_id": "a"})).await.expect(201);
    }
    place.serve(&with("shop")).await;
    place.admin().delete("/v1/customers/a").await.expect(204);
    assert_eq!(place.admin().delete("/v1/shops/a").await.expect(409).body["code"], "restricted");
    place.admin().delete("/v1/orders/o1").await.expect(204);
    place.admin().patch("/v1/orders/o2", json!({"owner_id": null})).await.expect(200);
    place.admin().delete("/v1/shops/a").await.expect(204);
    place.assert_clean().await;
}

/// 6. A ref goes and comes back.
#[tokio::test]
async fn a_ref_that_comes_back_finds_nothing_stuck() {
    let with = model(&[("customer", TITLE), ("order", "customer: {ref: customer, on_delete: cascade, inverse: orders}")]);
    let without = model(&[("customer", TITLE), ("order", TITLE)]);
    let mut place = Place::new(&with).await;
    place.admin().post("/v1/customers", json!({"id": "a"})).await.expect(201);
    for number in 0..3 {
        place.admin().post("/v1/orders", json!({"id": format!("o{number}"), "customer_id": "a"})).await.expect(201);
    }
    place.serve(&without).await;
    assert_eq!(place.admin().delete("/v1/customers/a").await.expect(409).body["code"], "restricted");
    for number in 0..3 {
        place.admin().delete(&format!("/v1/orders/o{number}")).await.expect(204);
    }
    place.admin().delete("/v1/customers/a").await.expect(204);
    place.serve(&with).await;
    place.admin().post("/v1/customers", json!({"id": "a"})).await.expect(201);
    place.admin().post("/v1/orders", json!({"id": "o", "customer_id": "a"})).await.expect(201);
    place.admin().delete("/v1/customers/a").await.expect(204);
    place.assert_clean().await;
}

/// 7. A filled field becomes unique.
#[tokio::test]
async fn a_field_that_becomes_unique_refuses_duplicates_and_tells_those_that_there_are() {
    let plain = model(&[("customer", "email: {type: string, max: 60}")]);
    let unique = model(&[("customer", "email: {type: string, max: 60, unique: true}")]);
    let mut place = Place::new(&plain).await;
    for (id, email) in [("a", "a@x"), ("b", "b@x"), ("c", "b@x")] {
        place.admin().post("/v1/customers", json!({"id": id, "email": email})).await.expect(201);
    }
    place.serve(&unique).await;
    let taken = place.admin().post("/v1/customers", json!({"id": "d", "email": "a@x"})).await.expect(409);
    assert_eq!(taken.body["code"], "unique_violation");
    let done = place.migrate(&unique).await;
    let listed: Vec<&str> = done.rows.listed.iter().flat_map(|found| [found.record.as_str(), found.other.as_str()]).collect();
    assert!(!done.is_complete() && listed.contains(&"customer/b") && listed.contains(&"customer/c"), "{done:?}");
    // Both can be changed and deleted, whosever the value is.
    place.admin().patch("/v1/customers/c", json!({"email": "c@x"})).await.expect(200);
    place.admin().delete("/v1/customers/b").await.expect(204);
    assert!(place.migrate(&unique).await.is_complete());
    place.admin().post("/v1/customers", json!({"id": "e", "email": "b@x"})).await.expect(201);
    place.assert_clean().await;
}

/// 8. A stored value is too long for a sort key.
#[tokio::test]
async fn a_value_that_is_too_long_for_an_index_stops_nothing() {
    let long = model(&[("book", "title: {type: string, max: 2000}")]);
    let mut place = Place::new(&long).await;
    for id in ["a", "b", "c"] {
        place.admin().post("/v1/books", json!({"id": id, "title": "t".repeat(1900)})).await.expect(201);
    }
    place.admin().post("/v1/books", json!({"id": "d", "title": "u"})).await.expect(201);
    let indexed = model(&[("book", "title: {type: string, max: 100, unique: true}")])
        .replace("roles:", "    indexes:\n      by_title: {sort: [title]}\nroles:");
    place.serve(&indexed).await;
    place.admin().delete("/v1/books/a").await.expect(204);
    place.admin().patch("/v1/books/b", json!({"title": "short"})).await.expect(200);
    let listed = place.admin().get("/v1/books?sort=title").await.expect(200);
    let ids: Vec<&str> = listed.body["data"].as_array().unwrap().iter().filter_map(|book| book["id"].as_str()).collect();
    assert_eq!(ids, ["b", "c", "d"]);
    let report = place.verify(false).await;
    let forbidden: Vec<&str> = report.forbidden_listed.iter().map(|value| value.record.as_str()).collect();
    assert_eq!((report.problems, forbidden), (0, vec!["book/c"]), "{:#?}", report.listed);
    place.admin().delete("/v1/books/c").await.expect(204);
    assert!(place.migrate(&indexed).await.is_complete());
    place.assert_clean().await;
}

/// 10. A default, a required field and timestamps come to stored records.
#[tokio::test]
async fn old_records_get_what_the_new_model_promises() {
    let old = model(&[("book", "title: {type: string, max: 200}")])
        .replace("    id: string\n", "    id: string\n    timestamps: false\n");
    let mut place = Place::new(&old).await;
    place.admin().post("/v1/books", json!({"id": "a", "title": "t"})).await.expect(201);
    let newer = model(&[(
        "book",
        "title: {type: string, max: 200}\nhidden: {type: boolean, default: false, filter: scan}\nkind: {type: string, max: 9, required: true, fill: novel}",
    )])
    .replace("roles:\n", "roles:\n  reader: {entities: {book: {view: {rows: {hidden: false}}}}}\n");
    let plan = place.plan(&newer).await;
    assert!(plan.own().filter(|step| step.work.name() == "fill").count() == 4, "{plan:?}");
    let (units, _) = place.evolution(&newer).estimate(|_| {}).await.unwrap();
    assert!(plan.is_needed_before(&units) && units.without_value == 1, "{units:?}");
    place.serve(&newer).await;
    let book = place.system().actor("r", &["reader"]).get("/v1/books/a").await.expect(200).body;
    assert_eq!((&book["hidden"], &book["kind"]), (&json!(false), &json!("novel")));
    assert!(book["created_at"].is_string() && book["updated_at"].is_string(), "{book}");
    // Without a value to give, nothing is invented.
    let required = model(&[("book", "title: {type: string, max: 200}\ncode: {type: string, max: 9, required: true}")]);
    place.serve(&required).await;
    let done = place.migrate(&required).await;
    assert_eq!((done.values.stuck, done.is_complete()), (1, false), "{done:?}");
    place.admin().patch("/v1/books/a", json!({"code": "x"})).await.expect(200);
    assert!(place.migrate(&required).await.is_complete());
    place.assert_clean().await;
}

/// Siblings of 10: types, names.
#[tokio::test]
async fn values_follow_their_field_to_another_type_and_another_name() {
    let old = model(&[("book", "pages: {type: string, max: 9}\nname: {type: string, max: 50, unique: true}")]);
    let mut place = Place::new(&old).await;
    place.admin().post("/v1/books", json!({"id": "a", "pages": "12", "name": "Emma"})).await.expect(201);
    place.admin().post("/v1/books", json!({"id": "b", "pages": "many", "name": "Ulysses"})).await.expect(201);
    let newer = model(&[("book", "pages: {type: integer}\ntitle: {type: string, max: 50, unique: true, was: name}")]);
    assert!(place.plan(&newer).await.is_one_way());
    assert_eq!(place.evolution(&newer).one_way().await.unwrap(), None);
    place.serve(&newer).await;
    let mark = place.evolution(&newer).one_way().await.unwrap().unwrap();
    assert!(
        mark.why.contains("convert book.pages: string -> integer; rename") || mark.why.contains("rename book.name to title"),
        "{mark:?}"
    );
    assert_eq!(mark.version, "Shop 1.0.0");
    let book = place.admin().get("/v1/books/a").await.expect(200).body;
    assert_eq!((&book["pages"], &book["title"]), (&json!(12), &json!("Emma")));
    // What has no counterpart can be read, told, changed and deleted.
    assert_eq!(place.migrate(&newer).await.values.stuck, 1);
    assert_eq!(place.admin().get("/v1/books/b").await.expect(200).body["pages"], json!("many"));
    let taken = place.admin().post("/v1/books", json!({"id": "c", "title": "Ulysses"})).await.expect(409);
    assert_eq!(taken.body["code"], "unique_violation");
    place.admin().patch("/v1/books/b", json!({"pages": 7})).await.expect(200);
    assert!(place.migrate(&newer).await.is_complete());
    place.admin().delete("/v1/books/b").await.expect(204);
    place.assert_clean().await;
}

/// Siblings of 10: ids of another kind.
#[tokio::test]
async fn ids_of_another_kind_stay_where_they_are_of_it_and_are_told_where_not() {
    let with = |id: &str| {
        model(&[("book", TITLE), ("comment", "book: {ref: book, on_delete: restrict}")])
            .replace("  book:\n    id: string\n", &format!("  book:\n    id: {id}\n"))
    };
    let mut place = Place::new(&with("string")).await;
    for id in ["17", "abc"] {
        place.admin().post("/v1/books", json!({"id": id})).await.expect(201);
        place.admin().post("/v1/comments", json!({"id": format!("c{id}"), "book_id": id})).await.expect(201);
    }
    let newer = with("integer");
    assert!(place.plan(&newer).await.own().any(|step| step.work.name() == "convert_id"));
    place.serve(&newer).await;
    assert_eq!(place.admin().get("/v1/books/17").await.expect(200).body["id"], json!(17));
    assert_eq!(place.admin().get("/v1/comments/c17").await.expect(200).body["book_id"], json!(17));
    assert_eq!(place.admin().delete("/v1/books/17").await.expect(409).body["code"], "restricted");
    let done = place.migrate(&newer).await;
    let mut told: Vec<&str> = done.values.listed.iter().map(|stuck| stuck.record.as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["book/abc", "comment/cabc"], "{done:?}");
    // Back, both are there.
    place.serve(&with("string")).await;
    place.admin().delete("/v1/comments/cabc").await.expect(204);
    place.admin().delete("/v1/books/abc").await.expect(204);
    place.serve(&newer).await;
    assert!(place.migrate(&newer).await.is_complete());
    place.assert_clean().await;
}

/// 11. A role and a plan leave the model.
#[tokio::test]
async fn a_consumer_of_a_role_that_is_gone_can_be_disabled() {
    let old = model(&[("book", TITLE)])
        .replace("roles:\n", "roles:\n  clerk: {entities: {book: {view: true}}}\n")
        .replace("plans:\n", "plans:\n  small: {rates: {burst: {rate: 10, per: 1s, burst: 10}}}\n");
    let mut place = Place::new(&old).await;
    let consumer = json!({"id": "acme", "name": "Acme", "roles": ["clerk"], "plan": "small"});
    place.admin().post("/v1/_consumers", consumer).await.expect(201);
    place.serve(&model(&[("book", TITLE)])).await;
    let shown = place.admin().get("/v1/_consumers/acme").await.expect(200);
    assert_eq!(shown.body["roles"], json!(["clerk"]));
    let disabled = place.admin().patch("/v1/_consumers/acme", json!({"disabled": true})).await.expect(200);
    assert_eq!(disabled.body["disabled"], json!(true));
    place.admin().patch("/v1/_consumers/acme", json!({"roles": ["admin"], "plan": "wide", "disabled": false})).await.expect(200);
    place.admin().patch("/v1/_consumers/acme", json!({"roles": ["clerk"]})).await.expect(422);
}

/// 12. Another project's model on the data.
#[tokio::test]
async fn another_projects_model_is_told() {
    let own = model(&[("book", "title: {type: string, max: 200}\npages: {type: string, max: 9}")]);
    let mut place = Place::new(&own).await;
    place.admin().post("/v1/books", json!({"id": "b", "pages": "12"})).await.expect(201);
    let other = model(&[("book", "pages: {type: integer}"), ("pump", TITLE)]).replace("name: Shop", "name: Pumps");
    assert_eq!(place.plan(&other).await.other_project.as_deref(), Some("Shop"));
    assert_eq!(place.plan(&own).await.other_project, None);
    // Nothing is changed by a start with the wrong model, or the wrong directory.
    place.serve(&other).await;
    place.serve(&own).await;
    assert_eq!(place.admin().get("/v1/books/b").await.expect(200).body["pages"], json!("12"));
}

/// Siblings of 10: a whole entity under another name.
#[tokio::test]
async fn an_entity_gets_another_name_with_all_that_belongs_to_it() {
    let order = "buyer: {ref: customer, on_delete: restrict}\nnote: {type: string, max: 9}";
    let customer = "email: {type: string, max: 60, unique: true}\nboss: {ref: customer, on_delete: set_null, inverse: staff}";
    let old = model(&[("customer", customer), ("order", order)]);
    let mut place = Place::new(&old).await;
    place.admin().post("/v1/customers", json!({"id": "a", "email": "a@x"})).await.expect(201);
    place.admin().post("/v1/customers", json!({"id": "b", "email": "b@x", "boss_id": "a"})).await.expect(201);
    place.admin().post("/v1/orders", json!({"id": "o", "buyer_id": "b"})).await.expect(201);
    let newer = old
        .replace("  customer:\n    id: string\n", "  client:\n    was: customer\n    id: string\n")
        .replace("ref: customer", "ref: client");
    assert!(place.plan(&newer).await.is_one_way());
    place.serve(&newer).await;
    assert_eq!(place.admin().get("/v1/clients/b").await.expect(200).body["boss_id"], json!("a"));
    assert_eq!(place.admin().get("/v1/clients?boss_id=a").await.expect(200).body["data"][0]["id"], json!("b"));
    let taken = place.admin().post("/v1/clients", json!({"id": "c", "email": "a@x"})).await.expect(409);
    assert_eq!(taken.body["code"], "unique_violation");
    assert_eq!(place.admin().delete("/v1/clients/b").await.expect(409).body["code"], "restricted");
    place.assert_clean().await;
    place.admin().delete("/v1/orders/o").await.expect(204);
    place.admin().delete("/v1/clients/a").await.expect(204);
    assert!(place.admin().get("/v1/clients/b").await.expect(200).body["boss_id"].is_null());
    // It stays done, also once the model does not say it any more.
    assert!(!place.plan(&newer).await.is_needed());
    assert!(!place.plan(&newer.replace("    was: customer\n", "")).await.is_needed());
    place.admin().delete("/v1/clients/b").await.expect(204);
    place.assert_clean().await;
}

/// Siblings of 10: the version before changes records that the new one has written, as in a canary.
#[tokio::test]
async fn a_version_without_a_field_does_not_lose_its_values() {
    let with = model(&[("book", "title: {type: string, max: 200}\ncode: {type: string, max: 9, unique: true}")]);
    let mut place = Place::new(&with).await;
    for id in ["a", "b", "c"] {
        place.admin().post("/v1/books", json!({"id": id, "code": id})).await.expect(201);
    }
    place.serve(&model(&[("book", TITLE)])).await;
    let shown = place.admin().patch("/v1/books/a", json!({"title": "patched"})).await.expect(200);
    assert_eq!(shown.body.get("code"), None);
    place.admin().put("/v1/books/b", json!({"title": "put"})).await.expect(200);
    place.admin().delete("/v1/books/c").await.expect(204);
    place.serve(&with).await;
    for (id, title) in [("a", "patched"), ("b", "put")] {
        let book = place.admin().get(&format!("/v1/books/{id}")).await.expect(200).body;
        assert_eq!((&book["code"], &book["title"]), (&json!(id), &json!(title)));
    }
    // What the version before has left of the record that it deleted is gone as well.
    place.assert_clean().await;
    place.admin().post("/v1/books", json!({"id": "d", "code": "c"})).await.expect(201);
    assert_eq!(
        place.admin().post("/v1/books", json!({"id": "e", "code": "a"})).await.expect(409).body["code"],
        "unique_violation"
    );
}

//! Versions of the model that keep different tags, one after another on one store.

use std::sync::Arc;

use holdfast::model::parse;
use serde_json::json;

use super::{Caller, World};

const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  book:
    id: string
    timestamps: false
    fields:
      title: {type: string, max: 50}
  shelf:
    plural: shelves
    id: string
    fields:
      place: {type: string, max: 5}
roles:
  admin: {all: true, system: all}
";

/// A world of another model on the same store.
fn another(world: &World, model: &str) -> World {
    let model = Arc::new(parse("model.yaml", model).unwrap());
    World { model, direct: Arc::clone(&world.direct), dynamo: None }
}

#[tokio::test]
async fn what_was_cached_before_a_model_that_keeps_other_tags_is_void_after_it() {
    let root = Caller::new("root", &["admin"]);
    for change in ["    cache: off\n    timestamps", "    contention: 1000\n    timestamps"] {
        let first = World::new(MODEL).await;
        let second = another(&first, &MODEL.replace("    timestamps", change));
        let warm = first.instance();
        warm.done(&root, "POST books", &json!({"id": "a", "title": "old"})).await;
        warm.get(&root, "books").await;
        assert_eq!(warm.get(&root, "books").await.cache(), "hit");
        warm.idle().await;

        // The other model comes, writes (its tags are not those of the first) and goes.
        second.instance().done(&root, "PATCH books/a", &json!({"title": "new"})).await;
        let seen = warm.get(&root, "books").await;
        assert_eq!((seen.cache(), seen.text().contains("new")), ("fwd=miss; stored", true), "{change}");

        // Who comes now sees that others write, and leaves the cache alone until its own kind does.
        let new = first.instance();
        for _ in 0..2 {
            let seen = new.get(&root, "books").await;
            assert_eq!((seen.cache(), seen.text().contains("new")), ("fwd=bypass", true), "{change}");
        }
        let back = first.instance();
        back.done(&root, "PATCH books/a", &json!({"title": "newer"})).await;
        assert_eq!(back.get(&root, "books").await.cache(), "fwd=miss; stored", "{change}");
        assert!(back.get(&root, "books").await.text().contains("newer"));
    }
}

#[tokio::test]
async fn a_model_that_keeps_the_same_tags_voids_nothing() {
    let root = Caller::new("root", &["admin"]);
    let first = World::new(MODEL).await;
    let second = another(&first, &MODEL.replace("max: 50", "max: 60"));
    let instance = first.instance();
    instance.done(&root, "POST books", &json!({"id": "a", "title": "old"})).await;
    instance.get(&root, "books").await;
    let other = second.instance();
    assert_eq!(other.get(&root, "books").await.cache(), "fwd=miss; stored", "another model has answers of its own");
    other.done(&root, "POST _cache/purge", &json!({"entity": "shelf", "id": "z"})).await;
    assert_eq!(instance.get(&root, "books").await.cache(), "hit");
    other.done(&root, "PATCH books/a", &json!({"title": "new"})).await;
    assert!(instance.get(&root, "books").await.text().contains("new"));
}

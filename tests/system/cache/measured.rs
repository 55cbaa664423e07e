//! How much faster a hot list is from the cache: a measurement, not a test.
//!
//! `cargo test --profile bench --workspace --test system hot_list -- --ignored --nocapture`

use std::time::Duration;

use holdfast::core::clock::Env;
use holdfast::store::{keys, tags};
use serde_json::json;

use super::{Caller, Instance, World};

const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  author:
    id: string
    fields:
      name: {type: string, max: 50, required: true}
      biography: {type: text, max: 500}
  book:
    id: string
    fields:
      title: {type: string, max: 120, required: true}
      author: {ref: author, on_delete: restrict, inverse: books}
      pages: integer
    indexes:
      by_title: {sort: title}
roles:
  admin: {all: true}
";

const BOOKS: usize = 500;
const AUTHORS: usize = 50;
const READS: usize = 300;
const HOT: &str = "books?sort=title&include=author&limit=20";

/// The median of so many.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

async fn timed(instance: &Instance, caller: &Caller, expected: &str) -> Duration {
    let begun = std::time::Instant::now();
    let seen = instance.get(caller, HOT).await;
    let time = begun.elapsed();
    assert_eq!(seen.cache(), expected);
    instance.idle().await;
    time
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run it alone, in a release build"]
async fn a_hot_list_with_an_embedded_relation_hit_against_miss() {
    let world = World::new(MODEL).await;
    let (instance, root) = (world.instance(), Caller::new("root", &["admin"]));
    for author in 0..AUTHORS {
        let body = json!({"id": format!("a{author}"), "name": format!("Author {author}"), "biography": "x".repeat(300)});
        instance.done(&root, "POST authors", &body).await;
    }
    for book in 0..BOOKS {
        let author = format!("a{}", book % AUTHORS);
        let body = json!({"id": format!("b{book}"), "title": format!("Title {book:04}"), "author_id": author, "pages": book});
        instance.done(&root, "POST books", &body).await;
    }
    let env = Env::system();
    let (mut warm, mut cold, mut miss, mut without) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..READS {
        // Side by side, so that whatever else the machine does concerns all of them.
        tags::touch(world.direct.as_ref(), &env, keys::global_tag()).await.unwrap();
        miss.push(timed(&instance, &root, "fwd=miss; stored").await);
        warm.push(timed(&instance, &root, "hit").await);
        instance.app.cache.clear_memory();
        cold.push(timed(&instance, &root, "hit").await);
        let begun = std::time::Instant::now();
        instance.get_fresh(&root, HOT).await;
        without.push(begun.elapsed());
    }
    let [warm, cold, miss, without] = [warm, cold, miss, without].map(median);
    let ratio = |slow: Duration| slow.as_secs_f64() / warm.as_secs_f64();
    println!("a page of 20 books with their authors, of {BOOKS}, medians of {READS}:");
    println!("  hit, memory      {warm:>10.1?}");
    println!("  hit, table       {cold:>10.1?}   {:.1} x", ratio(cold));
    println!("  without cache    {without:>10.1?}   {:.1} x", ratio(without));
    println!("  miss, and stored {miss:>10.1?}   {:.1} x", ratio(miss));
}

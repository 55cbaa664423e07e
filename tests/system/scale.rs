//! A page costs the same however many records there are.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use holdfast::model::value::{Record, new_version};
use holdfast::store::items;
use holdfast::store::meter::Consumed;
use holdfast::store::table::{Table, TableName, Write};
use holdfast_tests::stack::{Instance, Stack, somebody};
use http::StatusCode;
use serde_json::{Value, json};

const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  author:
    id: string
    fields:
      name: {type: string, max: 50}
  book:
    id: integer
    cache: off
    fields:
      title: {type: string, max: 50, required: true}
      author: {ref: author, on_delete: restrict, inverse: books}
    indexes:
      by_title: {sort: [title]}
roles:
  admin: {all: true}
";

/// Stores the index rows of books: all that a list reads.
async fn grow(stack: &Stack, numbers: std::ops::Range<u32>) {
    let book = stack.model.by_name("book").unwrap();
    let puts = numbers.flat_map(|number| {
        let Value::Object(fields) =
            json!({"title": format!("title {:06}", number.wrapping_mul(7919) % 1_000_000), "author_id": "a"})
        else {
            unreachable!("it is an object")
        };
        let record = Record { id: number.to_string(), version: new_version(&stack.env), fields };
        let rows = book.indexes.iter().filter(|index| index.is_stored());
        let put = |index| Write::Put { item: items::row(&stack.model, book, index, &record), condition: None };
        rows.map(put).map(|put| (TableName::Data, put)).collect::<Vec<_>>()
    });
    let table = Arc::new(stack.table.clone());
    let batches: Vec<Vec<_>> = puts.collect::<Vec<_>>().chunks(25).map(<[_]>::to_vec).collect();
    let writes = batches.into_iter().map(|batch| {
        let table = table.clone();
        async move { table.write_batch(batch).await }
    });
    stream::iter(writes).buffer_unordered(16).try_collect::<()>().await.unwrap();
}

async fn page(instance: &Instance, query: &str) -> (Vec<Value>, Option<String>, Consumed) {
    let (response, cost) = instance.call(&somebody("ann", "admin"), &format!("GET /v1/books?{query}"), &Value::Null).await;
    assert_eq!(response.status(), StatusCode::OK, "{}", String::from_utf8_lossy(response.body()));
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    let titles = body["data"].as_array().unwrap().iter().map(|book| book["title"].clone()).collect();
    (titles, body["next_cursor"].as_str().map(str::to_owned), cost.usage)
}

/// The costs of a first page, of pages behind it, and of one in the middle.
async fn costs(instance: &Instance) -> Vec<Consumed> {
    let mut costs = Vec::new();
    for query in [
        "sort=title&limit=20",
        "author_id=a&limit=20",
        "sort=-title,-id&limit=100",
        "sort=title&limit=20&title[gte]=title 500000",
    ] {
        let (_, mut next, cost) = page(instance, &query.replace(' ', "%20")).await;
        costs.push(cost);
        for _ in 0..3 {
            let (titles, following, cost) =
                page(instance, &format!("{}&cursor={}", query.replace(' ', "%20"), next.unwrap())).await;
            assert!(titles.len() == 20 || titles.len() == 100);
            costs.push(cost);
            next = following;
        }
    }
    costs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_costs_the_same_among_1_000_and_100_000_records() {
    let stack = Stack::start(MODEL).await;
    let instance = stack.instance();
    grow(&stack, 0..1_000).await;
    page(&instance, "limit=1").await; // what an instance reads now and then: the states of indexes
    let few = costs(&instance).await;
    grow(&stack, 1_000..100_000).await;
    page(&instance, "limit=1").await;
    let many = costs(&instance).await;
    assert_eq!(few, many);
    assert!(few.iter().all(|cost| cost.read_units > 0.0));
}

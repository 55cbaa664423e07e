//! Keys that end are heard of before.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use holdfast::core::clock::{Env, Micros, Still};
use holdfast::identity::consumer::Consumers;
use holdfast::notify::{self, Kind};
use holdfast::{app::App, reporter::expiring_keys};
use holdfast_tests::stack::Stack;
use serde_json::json;

const MODEL: &str = "
name: Books
version: '1'
entities: {book: {plural: books, fields: {title: string}}}
roles: {admin: {all: true, system: [consumers]}}
plans: {free: {rates: {burst: {rate: 10, per: 1s, burst: 20}}}}
";
const DAY: Duration = Duration::from_secs(86_400);

/// The API of a stack as it is when so many days have passed.
fn days_later(stack: &mut Stack, begun: Micros, days: u32) -> App {
    stack.env = Env { clock: Arc::new(Still(begun.plus(DAY * days))), random: stack.env.random.clone() };
    stack.instance().app
}

async fn notified(app: &App) -> usize {
    expiring_keys::enqueue(app, app.env.now().plus(DAY)).await.unwrap()
}

#[tokio::test]
async fn a_key_that_ends_is_told_of_once_and_in_time() {
    let mut stack = Stack::start(MODEL).await;
    let begun = stack.env.now();
    let app = days_later(&mut stack, begun, 0);
    let consumers = Consumers { table: &*app.table, model: &app.model, env: &app.env, riders: &|_| Vec::new() };
    // More than one page of them, the one that counts among the last.
    for number in 0..120 {
        consumers.put(&format!("a{number}"), &json!({"roles": ["admin"]}), None).await.unwrap();
    }
    consumers.put("shop", &json!({"roles": ["admin"]}), None).await.unwrap();
    let mut ids = Vec::new();
    for days in [Some(30), Some(100), Some(1), None] {
        let body = json!({"expires_in": days.map(|days| days * 86_400)});
        ids.push(consumers.create_key("shop", "test", &body).await.unwrap().view.id);
    }
    let mut heard = Vec::new();
    for (days, count) in [(0, 0), (22, 0), (23, 1), (23, 0), (24, 0), (29, 0), (85, 0), (86, 1), (99, 0), (400, 0)] {
        let app = days_later(&mut stack, begun, days);
        assert_eq!(notified(&app).await, count, "day {days}");
        let (listed, _) = notify::list(&*app.table, Some("shop"), 100, None, app.env.now()).await.unwrap();
        if count > 0 {
            heard = listed;
        }
    }
    let mut keys: Vec<String> = heard
        .into_iter()
        .map(|one| match one.notice.kind {
            Kind::KeyExpiring { key_id, .. } => key_id,
            other => panic!("{other:?}"),
        })
        .collect();
    keys.sort();
    let mut expected = ids[..2].to_vec();
    expected.sort();
    assert_eq!(keys, expected, "neither the one of a day nor the one without an end");
}

#[tokio::test]
async fn a_reporter_without_time_goes_on_at_the_next_tick() {
    let mut stack = Stack::start(MODEL).await;
    let begun = stack.env.now();
    let app = days_later(&mut stack, begun, 0);
    let consumers = Consumers { table: &*app.table, model: &app.model, env: &app.env, riders: &|_| Vec::new() };
    consumers.put("shop", &json!({"roles": ["admin"]}), None).await.unwrap();
    consumers.create_key("shop", "test", &json!({"expires_in": 30 * 86_400})).await.unwrap();
    let app = days_later(&mut stack, begun, 25);
    assert_eq!(expiring_keys::enqueue(&app, app.env.now()).await.unwrap(), 0, "no time at all");
    assert_eq!(notified(&app).await, 1);
}

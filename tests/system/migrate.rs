//! `migrate`: stored subjects get their issuer while the API serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use holdfast::core::clock::{Clock, Env, Micros};
use holdfast::migrate::{MigrateError, Names, Progress, Subjects, Wanted};
use holdfast::model::{Model, parse};
use holdfast::store::double::{Double, Fail, TableCall};
use holdfast::store::table::{SharedTable, TableError};
use holdfast::store::verify::Verifier;
use holdfast_tests::System;
use serde_json::{Value, json};

/// `MAX` stands for the limit of the owner.
const MODEL: &str = "
name: Tasks
version: 1.0.0
entities:
  task:
    id: string
    fields:
      owner: {type: string, max: MAX, nullable: true, default: nobody}
      handle: {type: string, max: 60, unique: true}
      team: {list: {type: string, max: 40}, filter: scan}
      about: {type: text, max: 50000}
    indexes:
      by_owner: {equality: owner, sort: [-updated_at]}
  step:
    id: string
    fields:
      task: {ref: task, on_delete: cascade, inverse: steps}
    indexes:
      by_owner: {equality: task.owner}
roles:
  admin: {all: true, system: all}
  worker:
    entities:
      task: {view: {rows: {or: [{owner: [$subject, everyone]}, {handle: $subject}, {team: {contains: $subject}}]}}}
      step: {view: {rows: {task.owner: $subject}}}
plans:
  wide: {rates: {burst: {rate: 10000, per: 1s, burst: 10000}}}
auth: {default_plan: wide}
";

fn model() -> String {
    MODEL.replace("MAX", "20")
}

async fn started(tasks: &[Value]) -> System {
    let system = System::start(&model()).await;
    for task in tasks {
        system.admin().post("/v1/tasks", task.clone()).await.expect(201);
    }
    system
}

fn subjects(table: SharedTable, model: &Arc<Model>, wanted: Wanted<'_>) -> Subjects {
    let names = Names::new(model, wanted).unwrap_or_else(|why| panic!("{why}"));
    Subjects::new(table, Arc::clone(model), Env::system(), names)
}

const LOCAL: Wanted<'static> = Wanted { issuer: Some("local"), from: None, api_keys: false, local: true };

/// The tasks as an administrator sees them, without what every change changes.
async fn tasks(system: &System) -> Vec<Value> {
    let mut found = system.admin().get("/v1/tasks?limit=100&sort=id").await.expect(200).body["data"].as_array().unwrap().clone();
    for task in &mut found {
        task.as_object_mut().unwrap().retain(|name, _| ["id", "owner", "handle", "team"].contains(&name.as_str()));
    }
    found
}

async fn run(system: &System, wanted: Wanted<'_>) -> Progress {
    let subjects = subjects(Arc::new(system.table()), &system.local().model, wanted);
    subjects.run(|_| {}).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn planned(system: &System, wanted: Wanted<'_>) -> Progress {
    subjects(Arc::new(system.table()), &system.local().model, wanted).plan(|_| {}).await.unwrap()
}

async fn assert_sound(system: &System) {
    let verifier = Verifier::new(Arc::new(system.table()), system.local().model.clone(), Env::system(), false).strict();
    let report = verifier.run(Env::system().now(), |_| {}).await.unwrap();
    assert_eq!((report.problems, &report.listed[..]), (0, &[][..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_subjects_get_their_issuer_and_everything_follows() {
    let system = started(&[
        json!({"id": "a", "owner": "me", "handle": "me", "team": ["me", "local:ann", "you"]}),
        json!({"id": "b", "owner": "everyone"}),
        json!({"id": "c", "owner": null, "team": null}),
        json!({"id": "d"}),
        json!({"id": "e", "owner": "key:acme", "team": []}),
        json!({"id": "f", "owner": "idp:me"}),
    ])
    .await;
    let admin = system.admin();
    admin.post("/v1/steps", json!({"id": "s", "task_id": "a"})).await.expect(201);
    let me = system.actor("me", &["worker"]);
    assert_eq!(me.get("/v1/tasks").await.expect(200).ids(), [json!("b")], "what is stored names nobody any more");
    let before = tasks(&system).await;
    let plan = planned(&system, LOCAL).await;
    assert!(plan.is_needed());
    let values: Vec<_> = plan.values.iter().map(|(place, count)| (place.as_str(), *count)).collect();
    assert_eq!(values, [("task.handle", 1), ("task.owner", 2), ("task.team", 1)]);
    assert_eq!((plan.pending, plan.changed, plan.stuck), (2, 0, 0));
    assert_eq!(tasks(&system).await, before, "a plan changes nothing");

    let done = run(&system, LOCAL).await;
    assert_eq!((done.pending, done.changed, done.stuck, done.resumed), (2, 2, 0, false));
    let expected = json!([
        {"id": "a", "owner": "local:me", "handle": "local:me", "team": ["local:me", "local:ann", "local:you"]},
        {"id": "b", "owner": "everyone", "handle": null, "team": null},
        {"id": "c", "owner": null, "handle": null, "team": null},
        {"id": "d", "owner": "nobody", "handle": null, "team": null},
        {"id": "e", "owner": "key:acme", "handle": null, "team": []},
        // No issuer has this alias: it was a part of the name.
        {"id": "f", "owner": "local:idp:me", "handle": null, "team": null},
    ]);
    assert_eq!(json!(tasks(&system).await), expected);
    assert_sound(&system).await;
    let mut seen = me.get("/v1/tasks").await.expect(200).ids();
    seen.sort_by_key(Value::to_string);
    assert_eq!(seen, [json!("a"), json!("b")], "no list of before is believed");
    assert_eq!(me.get("/v1/steps").await.expect(200).ids(), [json!("s")]);
    assert_eq!(admin.get("/v1/tasks?owner=local:me").await.expect(200).ids(), [json!("a")]);
    assert_eq!(admin.get("/v1/tasks?owner=me").await.expect(200).ids(), [] as [Value; 0]);
    admin.post("/v1/tasks", json!({"id": "g", "handle": "local:me"})).await.expect_problem(409, "unique_violation");
    let audit = admin.get("/v1/_audit?consumer=operator").await.expect(200).body["data"].clone();
    let audit: Vec<_> = audit.as_array().unwrap().iter().map(|entry| (&entry["action"], &entry["subject"])).collect();
    assert_eq!(audit, [(&json!("task.update"), &json!("holdfast migrate")); 2]);

    let tags = |reply: holdfast_tests::Reply| reply.header("etag").to_owned();
    let tag = tags(admin.get("/v1/tasks/a").await.expect(200));
    let again = run(&system, LOCAL).await;
    assert_eq!((again.pending, again.changed), (0, 0));
    assert!(!planned(&system, LOCAL).await.is_needed());
    assert_eq!(tags(admin.get("/v1/tasks/a").await.expect(200)), tag, "a second run changes nothing");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_change_is_told_and_the_rest_changes() {
    let system = started(&[
        json!({"id": "long", "owner": "fifteen letters", "handle": "x"}),
        json!({"id": "fits", "owner": "fourteen lette", "handle": "local:x"}),
    ])
    .await;
    let done = run(&system, LOCAL).await;
    let stuck: Vec<_> = done.listed.iter().map(|stuck| format!("{} {}: {}", stuck.record, stuck.field, stuck.why)).collect();
    assert_eq!(
        stuck,
        [
            "task/long owner: it would be \"local:fifteen letters\", which must have at most 20 characters: change the limits of \
             task.owner first",
            "task/long handle: another task has the new value of the unique field handle already"
        ]
    );
    assert_eq!((done.changed, done.stuck), (1, 2));
    assert!(planned(&system, LOCAL).await.is_needed());
    assert_eq!(tasks(&system).await[0]["owner"], "local:fourteen lette");

    // With room for it, and with the name free, a further run does what was left.
    system.admin().patch("/v1/tasks/fits", json!({"handle": null})).await.expect(200);
    let wider = Arc::new(parse("m", &MODEL.replace("MAX", "21")).unwrap());
    let done = subjects(Arc::new(system.table()), &wider, LOCAL).run(|_| {}).await.unwrap();
    assert_eq!((done.changed, done.stuck), (1, 0));
    assert_eq!(tasks(&system).await[1]["owner"], "local:fifteen letters");
    assert_sound(&system).await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_api_keys_and_of_an_old_alias_go_where_they_belong() {
    let system = started(&[json!({"id": "a", "owner": "acme", "team": ["acme", "me"]}), json!({"id": "b", "owner": "me"})]).await;
    let admin = system.admin();
    for consumer in ["acme", "me"] {
        admin.post("/v1/_consumers", json!({"id": consumer, "roles": ["worker"]})).await.expect(201);
    }
    admin.post("/v1/_consumers/acme/keys", json!({})).await.expect(201);
    assert_eq!(planned(&system, LOCAL).await.of_keys, 2, "the other has no key");
    run(&system, Wanted { api_keys: true, ..LOCAL }).await;
    let found = tasks(&system).await;
    assert_eq!((&found[0]["owner"], &found[0]["team"]), (&json!("key:acme"), &json!(["key:acme", "local:me"])));
    assert_eq!(found[1]["owner"], "local:me");

    let source = model().replace(
        "{default_plan: wide}",
        "{default_plan: wide, issuers: {shop: {issuer: i, jwks_uri: \"https://k.example/\", audiences: [a]}}}",
    );
    let model = Arc::new(parse("m", &source).unwrap());
    let renamed = Wanted { issuer: Some("shop"), from: Some("local"), ..LOCAL };
    let done = subjects(Arc::new(system.table()), &model, renamed).run(|_| {}).await.unwrap();
    assert_eq!(done.changed, 2);
    let found = tasks(&system).await;
    assert_eq!((&found[0]["owner"], &found[0]["team"]), (&json!("key:acme"), &json!(["key:acme", "shop:me"])));
    assert_eq!(found[1]["owner"], "shop:me");
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_stay_and_are_told() {
    let system = started(&[json!({"id": "me"}), json!({"id": "local:me"})]).await;
    let source = model().replace("{handle: $subject}", "{id: $subject}");
    let by_id = Arc::new(parse("m", &source).unwrap_or_else(|mistakes| panic!("{mistakes:?}")));
    let done = subjects(Arc::new(system.table()), &by_id, LOCAL).run(|_| {}).await.unwrap();
    assert_eq!((done.pending, done.changed, done.stuck, done.is_needed()), (0, 0, 1, true));
    let stuck = &done.listed[0];
    assert_eq!((stuck.record.as_str(), stuck.field.as_str()), ("task/me", "id"));
    assert!(stuck.why.starts_with("a record keeps its id: export the records"), "{}", stuck.why);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_run_goes_on_where_it_was() {
    let about = "x".repeat(40_000);
    let many: Vec<Value> = (0..40).map(|n| json!({"id": format!("t{n:02}"), "owner": format!("u{n}"), "about": about})).collect();
    let system = started(&many).await;
    let model = system.local().model.clone();
    let direct: SharedTable = Arc::new(system.table());
    let whole = planned(&system, LOCAL).await;
    assert_eq!(whole.pending, 40);
    let mut left = 40;
    // Another migration does not begin where this one was; after it, this one begins anew.
    for resumes in [false, true] {
        // After the first few transactions every one fails, in a way that no repetition helps.
        let end = Fail::before(&[TableCall::Transact], TableError::Broken("the end".into())).passing(2);
        let dying: SharedTable = Arc::new(Double::new(Arc::clone(&direct), end));
        let end = subjects(dying, &model, LOCAL).run(|_| {}).await;
        assert!(matches!(end, Err(MigrateError::Table(TableError::Broken(_)))), "{end:?}");
        let after = planned(&system, LOCAL).await.pending;
        assert!((1..left).contains(&after), "{after} of {left}");
        left = after;
        if !resumes {
            let other = Wanted { from: Some("old"), ..LOCAL };
            let done = run(&system, other).await;
            assert_eq!((done.resumed, done.records, done.pending), (false, 40, 0));
        }
    }
    let done = run(&system, LOCAL).await;
    assert_eq!((done.resumed, done.changed), (true, left));
    assert!(done.items < whole.items, "{} of {}", done.items, whole.items);
    assert!(!planned(&system, LOCAL).await.is_needed());
    assert!(!run(&system, LOCAL).await.resumed, "what has ended is begun anew");
    assert_sound(&system).await;
    system.stop().await;
}

/// A clock that is a second later whenever it is asked.
struct Hurries(AtomicI64);

impl Clock for Hurries {
    fn now(&self) -> Micros {
        Micros(self.0.fetch_add(1_000_000, Ordering::SeqCst))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_table_ends_the_run_which_can_be_repeated() {
    let system = started(&[json!({"id": "a", "owner": "me"})]).await;
    let throttled = Fail::before(&[TableCall::Transact], TableError::Busy("throttled".into()));
    let table: SharedTable = Arc::new(Double::new(Arc::new(system.table()), throttled));
    let env = Env { clock: Arc::new(Hurries(AtomicI64::new(Env::system().now().0))), ..Env::system() };
    let model = system.local().model.clone();
    let busy = Subjects::new(table, Arc::clone(&model), env, Names::new(&model, LOCAL).unwrap());
    let end = busy.run(|_| {}).await.unwrap_err();
    assert_eq!(end, MigrateError::Busy("task/a".into()));
    assert!(end.to_string().contains("run it again"), "{end}");
    assert_eq!(run(&system, LOCAL).await.changed, 1);
    system.stop().await;
}

#[test]
fn which_issuer_is_meant_has_to_be_said_where_there_are_several() {
    let issuer = |alias: &str| format!("{alias}: {{issuer: {alias}, jwks_uri: \"https://k.example/\", audiences: [a]}}");
    let with = |issuers: &[&str]| {
        let issuers: Vec<String> = issuers.iter().map(|alias| issuer(alias)).collect();
        let source =
            model().replace("{default_plan: wide}", &format!("{{default_plan: wide, issuers: {{{}}}}}", issuers.join(", ")));
        parse("m", &source).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
    };
    let (none, one, two) = (with(&[]), with(&["shop"]), with(&["shop", "staff"]));
    let new = |model: &Model, issuer, from, local| {
        let names = Names::new(model, Wanted { issuer, from, api_keys: false, local })?;
        Ok::<_, String>(names.renamed("me", false))
    };
    let shop = Ok(Some("shop:me".to_owned()));
    assert_eq!(new(&one, None, None, false), shop);
    assert_eq!(new(&two, Some("shop"), None, false), shop);
    assert_eq!(new(&none, None, None, true), Ok(Some("local:me".to_owned())));
    assert_eq!(new(&none, Some("key"), None, false), Ok(Some("key:me".to_owned())));
    for (model, issuer, from, local, why) in [
        (&two, None, None, false, "one of `shop`, `staff`"),
        (&one, None, None, true, "one of `shop`, `local`"),
        (&none, None, None, false, "the model has no issuer: `--subject-issuer key`"),
        (&two, Some("shopp"), None, false, "there is no issuer `shopp`: there are `shop`, `staff`"),
        (&none, Some("shop"), None, false, "there is no issuer `shop`: the model has none"),
        (&two, Some("shop"), Some("staff"), false, "`staff` is an alias of the model"),
        (&two, Some("shop"), Some("shop"), false, "`shop` is an alias of the model"),
        (&two, Some("shop"), Some("a:b"), false, "`a:b` was never an alias"),
    ] {
        let said = new(model, issuer, from, local).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
}

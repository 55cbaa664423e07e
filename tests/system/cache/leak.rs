//! Nobody sees through the cache what they would not see past it.

use serde_json::{Value, json};

use super::{Caller, World};

/// Roles that overlap: by rows, by fields, by claims, over relations, by negation.
const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  team:
    id: string
    fields:
      name: {type: string, max: 20}
      region: {type: string, max: 5, filter: scan}
      budget: {type: integer}
  task:
    id: string
    fields:
      title: {type: string, max: 20}
      secret: {type: string, max: 20, filter: scan}
      owner: {type: string, max: 20, filter: scan}
      level: {type: integer, filter: scan}
      team: {ref: team, on_delete: restrict, inverse: tasks}
    indexes:
      by_owner: {equality: owner}
      by_level: {sort: level}
  remark:
    id: string
    fields:
      text: {type: string, max: 20}
      task: {ref: task, on_delete: cascade, inverse: remarks}
roles:
  admin: {all: true, system: all}
  worker:
    entities:
      team: {view: {fields: [name]}}
      task: {view: {rows: {owner: $subject}}}
      remark: {view: {rows: {task.owner: $subject}}}
  lead:
    entities:
      team: {view: {rows: {region: $claim.region}}}
      task: {view: {rows: {team.region: $claim.region}, fields: {except: [secret]}}}
      remark: {view: true}
  guest:
    entities:
      team: {view: {fields: [name, region]}}
      task: {view: {rows: {not: {level: {gte: 2}}}, fields: [title, level, team]}}
  auditor:
    inherits: guest
    entities:
      task: {view: {fields: [secret, level]}}
auth: {claims: [region], anonymous_role: guest}
";

fn callers() -> Vec<Caller> {
    let mut callers = vec![
        Caller::new("root", &["admin"]),
        Caller::new("ann", &["worker"]),
        Caller::new("bob", &["worker"]),
        Caller::new("ann", &["worker", "guest"]),
        Caller::new("bob", &["guest", "worker"]),
        Caller::new("ann", &["lead"]).claim("region", "north"),
        Caller::new("bob", &["lead"]).claim("region", "north"),
        Caller::new("bob", &["lead"]).claim("region", "south"),
        Caller::new("bob", &["lead"]),
        Caller::new("cid", &["lead", "auditor"]).claim("region", "south"),
        Caller::new("cid", &["auditor"]),
        Caller::new("dan", &["guest"]),
        Caller::new("eve", &[]),
    ];
    let mut narrowed = Caller::new("root", &["admin"]);
    narrowed.0.scopes = Some(vec!["task:list".to_owned(), "team:read".to_owned()]);
    callers.push(narrowed);
    callers
}

const ADDRESSES: [&str; 9] = [
    "tasks",
    "tasks?include=team",
    "tasks?include=remarks,team&fields=title",
    "tasks?owner=ann",
    "tasks?sort=level&limit=2&count=true",
    "tasks?secret=s1",
    "teams?include=tasks.remarks",
    "tasks/t1?include=team,remarks",
    "remarks?include=task.team",
];

async fn filled() -> World {
    let world = World::new(MODEL).await;
    let (instance, root) = (world.instance(), Caller::new("root", &["admin"]));
    for (id, region, budget) in [("n", "north", 10), ("s", "south", 20)] {
        instance.done(&root, "POST teams", &json!({"id": id, "name": id, "region": region, "budget": budget})).await;
    }
    for number in 0..6 {
        let id = format!("t{number}");
        let (owner, team) = (["ann", "bob", "cid"][number % 3], ["n", "s"][number % 2]);
        let secret = format!("s{number}");
        let task = json!({"id": id, "title": id, "secret": secret, "owner": owner, "level": number % 4, "team_id": team});
        instance.done(&root, "POST tasks", &task).await;
        instance.done(&root, "POST remarks", &json!({"id": format!("r{number}"), "text": secret, "task_id": id})).await;
    }
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_caller_has_cached_another_sees_only_if_it_is_theirs() {
    let world = filled().await;
    let (plain, root, callers) = (world.instance(), Caller::new("root", &["admin"]), callers());
    let mut truth = Vec::new();
    for caller in &callers {
        for address in ADDRESSES {
            truth.push(plain.get_fresh(caller, address).await.content());
        }
    }
    let (mut pairs, mut shared) = (0, 0);
    for first in &callers {
        // Nothing is cached but what the first has read, and what those after read for themselves.
        plain.done(&root, "POST _cache/purge", &json!({"all": true})).await;
        let (warm, new) = (world.instance(), world.instance());
        for address in ADDRESSES {
            warm.get(first, address).await;
        }
        warm.idle().await;
        for (at, second) in callers.iter().enumerate() {
            for (number, address) in ADDRESSES.iter().enumerate() {
                let instance = if number % 2 == 0 { &warm } else { &new };
                let seen = instance.get(second, address).await;
                let allowed = &truth[at * ADDRESSES.len() + number];
                assert_eq!(seen.content(), *allowed, "{address} of {second:?} after {first:?}");
                shared += usize::from(seen.cache() == "hit" && first.0 != second.0);
            }
            pairs += 1;
        }
    }
    assert_eq!(pairs, callers.len() * callers.len());
    assert!(shared > 100, "they hardly met: {shared}");
}

#[tokio::test]
async fn equal_access_shares_and_a_condition_on_the_caller_does_not() {
    let world = filled().await;
    let instance = world.instance();
    let north = |subject: &str| Caller::new(subject, &["lead"]).claim("region", "north");
    for (first, second, address, expected) in [
        (north("ann"), north("bob"), "tasks?include=team", "hit"),
        (Caller::new("ann", &["worker", "guest"]), Caller::new("ann", &["guest", "worker"]), "tasks", "hit"),
        (Caller::new("ann", &["worker"]), Caller::new("bob", &["worker"]), "tasks", "fwd=miss; stored"),
        (Caller::new("ann", &["guest"]), Caller::new("ann", &["auditor"]), "tasks", "fwd=miss; stored"),
        (north("ann"), Caller::new("ann", &["lead"]).claim("region", "south"), "teams", "fwd=miss; stored"),
        // Included relations count: both see all remarks, and not the same tasks in them.
        (north("ann"), Caller::new("x", &["lead"]).claim("region", "east"), "remarks?include=task", "fwd=miss; stored"),
    ] {
        instance.done(&Caller::new("root", &["admin"]), "POST _cache/purge", &json!({"all": true})).await;
        assert_eq!(instance.get(&first, address).await.cache(), "fwd=miss; stored", "{address}");
        assert_eq!(instance.get(&second, address).await.cache(), expected, "{address} of {second:?}");
    }
}

#[tokio::test]
async fn an_answer_carries_nothing_of_the_request_that_filled_it() {
    let world = filled().await;
    let (instance, root) = (world.instance(), Caller::new("root", &["admin"]));
    let get = async |headers: &[(&str, &str)]| instance.call(&root, "GET tasks?limit=2", headers, &Value::Null).await;
    let first = get(&[("x-correlation-id", "first"), ("accept-encoding", "br"), ("origin", "https://a.example")]).await;
    assert_eq!(first.cache(), "fwd=miss; stored");
    let second = get(&[("x-correlation-id", "second"), ("accept-encoding", "gzip")]).await;
    assert_eq!((second.cache(), second.header("x-correlation-id")), ("hit", "second"));
    let plain = instance.call(&root, "GET tasks?limit=2", &[("cache-control", "no-cache")], &Value::Null).await;
    assert_eq!((second.text(), second.header("link")), (plain.text(), plain.header("link")));
    assert!(second.header("link").starts_with("<https://api.example/v1/tasks?limit=2&cursor="), "{}", second.header("link"));
}

//! What documents tell beside operations and members, against what answers say: deprecations and limits.

use holdfast::model::Operation;
use holdfast_tests::Reply;
use serde_json::Value;

use super::{Role, systems};

#[tokio::test(flavor = "multi_thread")]
async fn a_deprecation_is_documented_if_and_only_if_answers_tell_of_it() {
    let (mut told, mut silent) = (0, 0);
    for seeded in systems().await {
        for role in seeded.roles().await {
            for entity in &seeded.model.entities {
                let path = format!("/v1/{}", entity.plural);
                let Some(operation) = role.operation("get", &path) else { continue };
                let shown = role.resolved(&operation["responses"]["200"]["content"]["application/json"]["schema"]);
                let record = role.resolved(&shown["properties"]["data"]["items"]);
                let ended = |member: &Value| member["deprecated"] == true;
                let members: Vec<&Value> = record["properties"].as_object().unwrap().values().filter(|one| ended(one)).collect();
                assert_eq!(ended(operation), entity.deprecation(Some(Operation::List)).is_some(), "{path}");
                let reply = role.actor.get(&path).await.expect(200);
                let headers = &operation["responses"]["200"]["headers"];
                if !ended(operation) && members.is_empty() {
                    assert_eq!((reply.header("deprecation"), reply.header("sunset")), ("", ""), "{} {path}", role.name);
                    silent += 1;
                    continue;
                }
                for of in members.iter().copied().chain(ended(operation).then_some(operation)) {
                    days_agree(&reply, of);
                    let words = of["description"].as_str().unwrap();
                    assert!(words.contains("Deprecated since") && words.contains("in its place"), "{words}");
                }
                assert!(reply.header("link").contains("rel=\"deprecation\""), "{}", reply.header("link"));
                for name in ["Deprecation", "Sunset", "Link"] {
                    assert!(headers[name].is_object(), "{} {path} does not say that it has {name}", role.name);
                }
                told += 1;
            }
        }
    }
    assert!(told >= 2 && silent > 50, "{told}, {silent}");
}

/// The headers name the moments of the document, which has them as dates. The models have one beginning for all.
fn days_agree(reply: &Reply, of: &Value) {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    assert_eq!((&of["x-deprecated-since"], reply.header("deprecation")), (&Value::from("2026-01-01"), "@1767225600"));
    let sunset: Vec<&str> = of["x-sunset"].as_str().unwrap().split('-').collect();
    let month = MONTHS[sunset[1].parse::<usize>().unwrap() - 1];
    let expected = format!(", {} {month} {} ", sunset[2], sunset[0]);
    assert!(reply.header("sunset").contains(&expected), "{} is not {expected}", reply.header("sunset"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_a_document_are_those_that_answers_name() {
    let mut compared = 0;
    for seeded in systems().await {
        for role in seeded.roles().await {
            let reply = role.actor.get("/v1/_me").await.expect(200);
            let mut named = policies(&reply);
            let mut documented = documented(&role);
            named.sort();
            documented.sort();
            assert_eq!(named, documented, "{}", role.name);
            compared += named.len();
        }
    }
    assert!(compared > 10, "{compared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_be_as_long_as_the_document_says_and_no_longer() {
    for seeded in systems().await {
        let role = seeded.role("admin").await;
        for entity in &seeded.model.entities {
            let path = format!("/v1/{}", entity.plural);
            let parameters = role.parameters(role.operation("get", &path).unwrap());
            let limit = parameters.iter().find(|parameter| parameter["name"] == "limit").unwrap();
            let most = limit["schema"]["maximum"].as_u64().unwrap();
            role.actor.get(&format!("{path}?limit={most}")).await.expect(200);
            role.actor.get(&format!("{path}?limit={}", most + 1)).await.expect_problem(400, "invalid_parameter");
        }
    }
}

/// Names and units of the limits that an answer tells of: `"burst";q=100;w=2, "day";q=5000;w=86400`.
fn policies(reply: &Reply) -> Vec<(String, u64)> {
    let header = reply.header("ratelimit-policy");
    let policy = |text: &str| {
        let mut parts = text.trim().split(';');
        let name = parts.next().unwrap().trim_matches('"').to_owned();
        (name, parts.find_map(|part| part.strip_prefix("q=")).unwrap().parse().unwrap())
    };
    header.split(',').map(policy).collect()
}

/// Those that the document tells of. A rate of some operations alone says nothing about others.
fn documented(role: &Role) -> Vec<(String, u64)> {
    let limits = &role.document["x-limits"];
    let pairs = |kind: &str, units: &str| -> Vec<(String, u64)> {
        let all = limits[kind].as_array().into_iter().flatten().filter(|one| one.get("only").is_none());
        all.map(|one| (one["name"].as_str().unwrap().to_owned(), one[units].as_u64().unwrap())).collect()
    };
    let mut all = pairs("rates", "burst");
    all.extend(pairs("quotas", "units"));
    all
}

//! Every role x entity x operation, and the system resources.

use reqwest::Method;
use serde_json::json;

use super::{absent, systems};
use holdfast::http::route::patterns;
use holdfast_tests::Reply;

/// Whether an answer says that the operation as such is not the caller's: not the record, not the content.
fn is_refused(reply: &Reply) -> bool {
    let some_rows = reply.body["detail"].as_str().is_some_and(|detail| detail.contains("only some"));
    matches!(reply.status, 401 | 403) && !some_rows
}

/// Whether the address itself is unknown to the caller, as that of a file in a field that they do not see.
fn is_hidden(reply: &Reply, path: &str) -> bool {
    let of_file = path.contains("/{id}/") && !path.starts_with("/v1/_");
    let no_file = reply.body["detail"].as_str().unwrap_or_default().contains("no file in");
    (of_file || !path.contains('{')) && reply.status == 404 && !no_file
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_documented_if_and_only_if_it_is_allowed() {
    let mut called = 0;
    for seeded in systems().await {
        for role in seeded.roles().await {
            let documented = role.operations();
            let mut seen = documented.clone();
            for (method, path) in patterns(&seeded.model) {
                let open = ["/v1/openapi", "/v1/docs", "/v1/_health", "/v1/_shares"].iter().any(|open| path.starts_with(open));
                let place = (method.to_string(), path.clone());
                let known = seen.remove(&place);
                if open {
                    continue;
                }
                let plural = path.split('/').nth(2).unwrap();
                // A change of a record that is not there shows what is allowed and changes nothing; of files only one that is
                // there shows it.
                let id = match seeded.model.by_plural(plural) {
                    Some(entity) if method == Method::GET || path.contains("/{id}/") => seeded.id_of(entity).await,
                    Some(entity) => absent(entity),
                    None => "nobody".to_owned(),
                };
                let address = path.replace("{id}", &id).replace("{key_id}", "none").replace("{share_id}", "none");
                let call = role.actor.call(method.clone(), &address);
                // An unknown member: nothing is written, even where a record could be.
                let body = json!({"not_a_member": 1});
                let reply = if method == Method::GET || method == Method::DELETE { call } else { call.json(body) }.send().await;
                let allowed = !is_refused(&reply) && !is_hidden(&reply, &path);
                // That there is no such share says nothing about whether one could be ended.
                if path.contains("{share_id}") && reply.status == 404 {
                    continue;
                }
                assert_eq!(known, allowed, "{} as {}: {} {}", place.0, role.name, address, String::from_utf8_lossy(&reply.bytes));
                assert!(reply.status != 405 && reply.status < 500, "{method} {address}: {}", reply.status);
                called += 1;
            }
            assert!(seen.is_empty(), "documented for {}, and not there: {seen:?}", role.name);
        }
    }
    assert!(called > 500, "{called}");
}

use std::collections::HashSet;

use super::*;
use crate::model::Operation;

fn model() -> Model {
    crate::model::parse("model.yaml", include_str!("../../../../model.yaml")).unwrap()
}

fn route(model: &Model, method: &Method, path: &str) -> Result<Route, Problem> {
    find(model, method, path).1.map(|matched| matched.route)
}

fn ix(model: &Model, name: &str) -> EntityIx {
    model.by_name(name).unwrap().ix
}

#[test]
fn paths_and_methods_find_their_routes() {
    let model = model();
    let (book, order, line, review) = (ix(&model, "book"), ix(&model, "order"), ix(&model, "order_line"), ix(&model, "review"));
    let sample = model.entity(book).by_field("sample").unwrap().ix;
    let id = || "moby-dick".to_owned();
    let file = || FileRef { entity: book, id: id(), field: sample };
    let cases = [
        ("GET", "/v1/books", Route::Records(book, Records::List)),
        ("HEAD", "/v1/books", Route::Records(book, Records::List)),
        ("POST", "/v1/books", Route::Records(book, Records::Create)),
        ("POST", "/v1/books/_bulk", Route::Records(book, Records::Bulk)),
        ("GET", "/v1/books/moby-dick", Route::Records(book, Records::Get { id: id() })),
        ("PUT", "/v1/books/moby-dick", Route::Records(book, Records::Replace { id: id() })),
        ("PATCH", "/v1/books/moby-dick", Route::Records(book, Records::Patch { id: id() })),
        ("DELETE", "/v1/orders/0", Route::Records(order, Records::Delete { id: "0".into() })),
        ("GET", "/v1/order_lines/10248,11", Route::Records(line, Records::Get { id: "10248,11".into() })),
        ("GET", "/v1/reviews/not-a-uuid", Route::Records(review, Records::Get { id: "not-a-uuid".into() })),
        (
            "GET",
            "/v1/reviews/0190B1F2-7C3E-7A41-9D52-3F1C5B7A9E10",
            Route::Records(review, Records::Get { id: "0190b1f2-7c3e-7a41-9d52-3f1c5b7a9e10".into() }),
        ),
        ("POST", "/v1/books/moby-dick/sample/upload", Route::Files(file(), Files::Upload)),
        ("POST", "/v1/books/moby-dick/sample/complete", Route::Files(file(), Files::Complete)),
        ("GET", "/v1/books/moby-dick/sample/download", Route::Download(file())),
        ("POST", "/v1/books/moby-dick/sample/shares", Route::Files(file(), Files::CreateShare)),
        ("GET", "/v1/books/moby-dick/sample/shares", Route::Files(file(), Files::ListShares)),
        ("DELETE", "/v1/books/moby-dick/sample/shares/s1", Route::Files(file(), Files::DeleteShare { share: "s1".into() })),
        ("DELETE", "/v1/books/moby-dick/sample/shares", Route::Files(file(), Files::DeleteShares)),
        ("GET", "/v1/_consumers/c/shares", Route::ConsumerShares("c".into(), ConsumerShares::List)),
        ("DELETE", "/v1/_consumers/c/shares", Route::ConsumerShares("c".into(), ConsumerShares::Revoke)),
        ("GET", "/v1/_shares/hush", Route::Share { secret: "hush".into() }),
        ("GET", "/v1/_consumers", Route::System(System::Consumers)),
        ("POST", "/v1/_consumers", Route::System(System::CreateConsumer)),
        ("GET", "/v1/_consumers/idp:u1", Route::System(System::Consumer { id: "idp:u1".into() })),
        ("PUT", "/v1/_consumers/c", Route::System(System::ReplaceConsumer { id: "c".into() })),
        ("PATCH", "/v1/_consumers/c", Route::System(System::PatchConsumer { id: "c".into() })),
        ("DELETE", "/v1/_consumers/c", Route::System(System::DeleteConsumer { id: "c".into() })),
        ("POST", "/v1/_consumers/c/keys", Route::System(System::CreateKey { id: "c".into() })),
        ("DELETE", "/v1/_consumers/c/keys/k", Route::System(System::DeleteKey { id: "c".into(), key_id: "k".into() })),
        ("GET", "/v1/_me", Route::System(System::Me)),
        ("POST", "/v1/_cache/purge", Route::System(System::Purge)),
        ("GET", "/v1/_usage", Route::System(System::Usage)),
        ("GET", "/v1/_usage/dashboard", Route::System(System::UsageDashboard)),
        ("GET", "/v1/_usage/metrics", Route::System(System::UsageMetrics)),
        ("GET", "/v1/_notifications", Route::System(System::Notifications)),
        ("GET", "/v1/_audit", Route::System(System::Audit)),
        ("GET", "/v1/_health", Route::Health),
        ("GET", "/v1/_health/ready", Route::Ready),
        ("GET", "/v1/openapi.json", Route::Document(Document::Json)),
        ("GET", "/v1/openapi.yaml", Route::Document(Document::Yaml)),
        ("GET", "/v1/docs", Route::Document(Document::Page)),
        ("GET", "/v1/docs/llms.txt", Route::Document(Document::Llms)),
        ("OPTIONS", "/v1/_me", Route::Preflight { allow: vec![Method::GET, Method::HEAD, Method::OPTIONS] }),
        // A browser's preflight must not fail for an id: the request that follows says what is wrong with it.
        ("OPTIONS", "/v1/books/-/sample/upload", Route::Preflight { allow: vec![Method::POST, Method::OPTIONS] }),
    ];
    for (method, path, expected) in cases {
        assert_eq!(route(&model, &method.parse().unwrap(), path), Ok(expected), "{method} {path}");
    }
}

#[test]
fn what_is_not_there_is_refused_with_the_right_code() {
    let model = model();
    let long = format!("/v1/books/{}", "a".repeat(129));
    let cases = [
        ("GET", "/", Code::NotFound),
        ("GET", "/v1", Code::NotFound),
        ("GET", "/v2/books", Code::NotFound),
        ("GET", "/v1/unicorns", Code::NotFound),
        ("OPTIONS", "/v1/unicorns", Code::NotFound),
        ("GET", "/v1/books/", Code::NotFound),
        ("GET", "/v1/books/a/b", Code::NotFound),
        ("GET", "/v1/_nothing", Code::NotFound),
        ("GET", "/v1/books/a/title/download", Code::NotFound),
        ("GET", "/v1/books/a/cover/shares", Code::NotFound),
        ("DELETE", "/v1/books", Code::MethodNotAllowed),
        ("POST", "/v1/books/a", Code::MethodNotAllowed),
        ("GET", "/v1/books/_bulk", Code::MethodNotAllowed),
        ("HEAD", "/v1/_cache/purge", Code::MethodNotAllowed),
        ("TRACE", "/v1/books", Code::MethodNotAllowed),
        ("GET", "/v1/books/a b", Code::ValidationFailed),
        ("GET", "/v1/books/_a", Code::ValidationFailed),
        ("GET", "/v1/books/a,b", Code::ValidationFailed),
        ("GET", &long, Code::ValidationFailed),
        ("GET", "/v1/orders/007", Code::ValidationFailed),
        ("GET", "/v1/orders/+7", Code::ValidationFailed),
        ("GET", "/v1/orders/9007199254740992", Code::ValidationFailed),
        ("GET", "/v1/order_lines/10248", Code::ValidationFailed),
        ("GET", "/v1/order_lines/10248,11,1", Code::ValidationFailed),
        ("GET", "/v1/order_lines/10248,x", Code::ValidationFailed),
        ("GET", "/v1/order_lines/010,1", Code::ValidationFailed),
        ("GET", "/v1/_consumers/a b", Code::ValidationFailed),
        ("DELETE", "/v1/_consumers/a/keys/_", Code::ValidationFailed),
    ];
    for (method, path, code) in cases {
        let refused = route(&model, &method.parse().unwrap(), path).map_err(|problem| problem.code);
        assert_eq!(refused, Err(code), "{method} {path}");
    }
}

#[test]
fn a_request_is_counted_under_its_template() {
    let model = model();
    for (method, path, template_of) in [
        ("GET", "/v1/books", "GET /v1/books"),
        ("HEAD", "/v1/books/moby-dick", "HEAD /v1/books/{id}"),
        ("BREW", "/v1/books/moby-dick", "OTHER /v1/books/{id}"),
        ("POST", "/v1/books/x/cover/upload", "POST /v1/books/{id}/cover/upload"),
        ("GET", "/v1/_consumers/acme", "GET /v1/_consumers/{id}"),
        ("GET", "/v1/_shares/hush", "GET /v1/_shares/{secret}"),
        ("GET", "/v1/unicorns/7", "OTHER"),
        ("GET", "/wp-login.php", "OTHER"),
    ] {
        assert_eq!(find(&model, &method.parse().unwrap(), path).0, template_of, "{method} {path}");
    }
}

#[test]
fn a_wrong_method_learns_the_right_ones() {
    let refused = route(&model(), &Method::POST, "/v1/books/a").unwrap_err();
    assert_eq!(refused.headers[0].1, "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
}

#[test]
fn every_pattern_routes_and_stands_there_once() {
    let model = model();
    let patterns = patterns(&model);
    assert_eq!(patterns.iter().collect::<HashSet<_>>().len(), patterns.len());
    for (method, pattern) in &patterns {
        let entity = model.by_plural(pattern.split('/').nth(2).unwrap());
        let id = entity.map_or(1, |entity| entity.id_parts().len().max(1));
        let path = pattern.replace("{id}", &vec!["1"; id].join(","));
        let path = path.replace("{key_id}", "k").replace("{share_id}", "s").replace("{secret}", "x");
        assert!(route(&model, method, &path).is_ok(), "{method} {path}");
    }
    assert!(patterns.contains(&(Method::POST, "/v1/books/{id}/cover/upload".into())));
    assert!(!patterns.iter().any(|(_, path)| path.contains("cover/shares")));
}

#[test]
fn rows_of_one_pattern_stand_together_and_differ_in_their_method() {
    let mut seen: Vec<&str> = Vec::new();
    for endpoint in ENDPOINTS {
        assert!(seen.last() == Some(&endpoint.pattern) || !seen.contains(&endpoint.pattern), "{}", endpoint.pattern);
        seen.push(endpoint.pattern);
    }
}

#[test]
fn what_a_matched_request_costs_and_whether_it_changes_anything_is_its_rows() {
    let model = model();
    let of = |method: Method, path: &str| {
        let matched = find(&model, &method, path).1.unwrap();
        (matched.charge, matched.effect, matched.entity)
    };
    let book = Some(ix(&model, "book"));
    assert_eq!(of(Method::HEAD, "/v1/books"), (Charge::Entity(Operation::List), Effect::Read, book));
    assert_eq!(of(Method::POST, "/v1/books/_bulk"), (Charge::Bulk, Effect::Write, book));
    assert_eq!(of(Method::GET, "/v1/books/a/sample/download"), (Charge::Entity(Operation::Download), Effect::Write, book));
    assert_eq!(of(Method::GET, "/v1/_me"), (Charge::Allowance, Effect::Read, None));
    assert_eq!(of(Method::GET, "/v1/docs"), (Charge::Allowance, Effect::Read, None));
}

//! The contract, the table of endpoints, the template and the pages name the same routes.

use std::collections::BTreeSet;

use holdfast::http::route::endpoint::{Auth, Endpoint};
use holdfast::http::route::{Route, endpoints, find};
use holdfast::model::{self, Model};
use holdfast_local::gateway::routes::Routes;
use holdfast_local::template::{EMBEDDED, Template};
use holdfast_tests::root;
use http::Method;

/// What clients were promised: method, path, function, whether the authorizer is asked first. Routes may be added without a row here.
const CONTRACT: &[(&str, &str, &str, bool)] = &[
    ("GET", "/v1/{plural}", "data-api", false),
    ("POST", "/v1/{plural}", "data-api", true),
    ("GET", "/v1/{plural}/{id}", "data-api", false),
    ("PUT", "/v1/{plural}/{id}", "data-api", true),
    ("PATCH", "/v1/{plural}/{id}", "data-api", true),
    ("DELETE", "/v1/{plural}/{id}", "data-api", true),
    ("POST", "/v1/{plural}/_bulk", "data-api", true),
    ("GET", "/v1/_consumers", "data-api", true),
    ("POST", "/v1/_consumers", "data-api", true),
    ("GET", "/v1/_consumers/{id}", "data-api", true),
    ("PUT", "/v1/_consumers/{id}", "data-api", true),
    ("PATCH", "/v1/_consumers/{id}", "data-api", true),
    ("DELETE", "/v1/_consumers/{id}", "data-api", true),
    ("GET", "/v1/_consumers/{id}/keys", "data-api", true),
    ("POST", "/v1/_consumers/{id}/keys", "data-api", true),
    ("DELETE", "/v1/_consumers/{id}/keys/{key_id}", "data-api", true),
    ("GET", "/v1/_me", "data-api", true),
    ("POST", "/v1/_cache/purge", "data-api", true),
    ("GET", "/v1/_usage", "data-api", true),
    ("GET", "/v1/_usage/dashboard", "data-api", false),
    ("GET", "/v1/_usage/metrics", "data-api", true),
    ("GET", "/v1/_notifications", "data-api", true),
    ("GET", "/v1/_audit", "data-api", true),
    ("GET", "/v1/_health", "data-api", false),
    ("GET", "/v1/_health/ready", "data-api", false),
    ("POST", "/v1/{plural}/{id}/{field}/upload", "download", true),
    ("POST", "/v1/{plural}/{id}/{field}/complete", "download", true),
    ("GET", "/v1/{plural}/{id}/{field}/download", "download", false),
    ("POST", "/v1/{plural}/{id}/{field}/shares", "download", true),
    ("GET", "/v1/{plural}/{id}/{field}/shares", "download", true),
    ("DELETE", "/v1/{plural}/{id}/{field}/shares/{share_id}", "download", true),
    ("GET", "/v1/_shares/{secret}", "download", false),
    ("GET", "/v1/openapi.json", "docs", false),
    ("GET", "/v1/openapi.yaml", "docs", false),
    ("GET", "/v1/docs", "docs", false),
    ("GET", "/v1/docs/llms.txt", "docs", false),
    ("DELETE", "/v1/{plural}/{id}/{field}/shares", "download", true),
    ("GET", "/v1/_consumers/{id}/shares", "download", true),
    ("DELETE", "/v1/_consumers/{id}/shares", "download", true),
];

/// Every endpoint of the table, `HEAD` where there is `GET`: method, path, function, whether the authorizer is asked first.
fn table() -> BTreeSet<(String, String, &'static str, bool)> {
    let of = |endpoint: &'static Endpoint<Route>| {
        let methods = if endpoint.method == Method::GET { vec!["GET", "HEAD"] } else { vec![endpoint.method.as_str()] };
        let path = endpoint.pattern.replace("{consumer}", "{id}");
        let row =
            move |method: &str| (method.to_owned(), path.clone(), endpoint.function.name(), endpoint.auth == Auth::Authorizer);
        methods.into_iter().map(row).collect::<Vec<_>>()
    };
    endpoints().iter().flat_map(of).collect()
}

#[test]
fn the_table_of_endpoints_has_every_route_of_the_contract() {
    let table = table();
    let contract =
        CONTRACT.iter().map(|(method, path, function, asked)| ((*method).to_owned(), (*path).to_owned(), *function, *asked));
    let missing: Vec<_> = contract.filter(|route| !table.contains(route)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// By the gateway's precedence: `GET /v1/_me` would also arrive by the route `GET /v1/{plural}`, where it has none of its own.
#[test]
fn every_endpoint_arrives_at_its_function_by_its_authorizer() {
    let template = Template::parse(EMBEDDED).unwrap();
    let routes = Routes::new(&template.routes);
    for (method, pattern, function, authorized) in table() {
        let (route, _) = routes.find(&method.parse().unwrap(), &sample(&pattern)).unwrap();
        let arrives = (template.function(&route.function).unwrap().binary.as_str(), route.authorized);
        assert!(route.path.is_some(), "{method} {pattern} has no route in template.yaml");
        assert_eq!(arrives, (function, authorized), "{method} {pattern} arrives by {}", route.key());
    }
}

#[test]
fn every_route_of_the_template_is_an_endpoint() {
    let template = Template::parse(EMBEDDED).unwrap();
    let binary = |id: &str| template.function(id).unwrap().binary.clone();
    let table = table();
    for route in &template.routes {
        let Some((method, path)) = route.method.as_ref().zip(route.path.clone()) else {
            assert_eq!(
                (route.key().as_str(), binary(&route.function).as_str(), route.authorized),
                ("$default", "data-api", false)
            );
            continue;
        };
        let fits = |row: &&(String, String, &str, bool)| row.0 == method.as_str() && row.1 == path;
        let row = table.iter().find(fits).unwrap_or_else(|| panic!("{} is no endpoint", route.key()));
        assert_eq!((binary(&route.function).as_str(), route.authorized), (row.2, row.3), "{}", route.key());
    }
}

/// What the page says of a resource is said of one that exists. That all are described is held by the documents of the API itself.
#[test]
fn the_page_of_http_names_only_system_resources_that_exist() {
    let page = std::fs::read_to_string(root().join("docs/http.md")).unwrap();
    let section = page.split("\n## System resources\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let paths: BTreeSet<String> = table().into_iter().map(|(_, path, _, _)| path).collect();
    let named: Vec<&str> = section.split('`').filter(|text| text.starts_with("/v1/_")).collect();
    assert!(named.len() > 10, "{named:?}");
    let gone: Vec<_> = named.into_iter().filter(|path| !paths.contains(*path)).collect();
    assert!(gone.is_empty(), "{gone:?}");
}

fn demo() -> Model {
    model::parse("model.yaml", &std::fs::read_to_string(root().join("model.yaml")).unwrap()).unwrap()
}

/// A path of the demo for a pattern.
fn sample(pattern: &str) -> String {
    let segment = |segment: &str| match segment {
        "{plural}" => "books".to_owned(),
        "{field}" => "sample".to_owned(),
        variable if variable.starts_with('{') => "x1".to_owned(),
        literal => literal.to_owned(),
    };
    pattern.split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[test]
fn the_handlers_serve_every_route_of_the_template() {
    let (template, model) = (Template::parse(EMBEDDED).unwrap(), demo());
    for served in &template.routes {
        let (Some(method), Some(pattern)) = (&served.method, &served.path) else { continue };
        let refused = find(&model, method, &sample(pattern)).1.err().map(|problem| problem.code);
        assert_eq!(refused, None, "{}", served.key());
    }
}

#[test]
fn every_function_of_the_template_is_a_binary_of_the_workspace() {
    let template = Template::parse(EMBEDDED).unwrap();
    let built: BTreeSet<String> = std::fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let named: BTreeSet<String> = template.functions.iter().map(|function| function.binary.clone()).collect();
    assert_eq!(named, built);
}

/// The bucket cannot read the model: its parameter repeats what the demo's says.
#[test]
fn pages_that_may_use_the_api_may_use_links_of_files() {
    let template = std::fs::read_to_string(root().join("template.yaml")).unwrap();
    let parameter = template.split("  FilesCorsOrigins:\n").nth(1).unwrap();
    let default = parameter.lines().find_map(|line| line.trim().strip_prefix("Default: ")).unwrap();
    assert_eq!(default.split(',').collect::<Vec<_>>(), demo().cors.origins);
}

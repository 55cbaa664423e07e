//! From method and path to the endpoint: [`find`] matches a request once, against the table of [`endpoints`](mod@endpoints).

pub mod endpoint;
mod endpoints;
#[cfg(test)]
mod tests;

use http::Method;

use crate::http::problem::{Code, Problem};
use crate::model::{EntityIx, Model};

pub use endpoint::FileRef;
pub use endpoints::{ConsumerShares, Document, Files, Records, Route, System};

use endpoint::{Charge, Effect, Endpoint};
use endpoints::ENDPOINTS;

/// A request's method and path, matched.
#[derive(Debug)]
pub struct Matched {
    /// Requested resource.
    pub route: Route,
    /// Charge.
    pub charge: Charge,
    /// Whether it changes anything.
    pub effect: Effect,
    /// The entity that the path names.
    pub entity: Option<EntityIx>,
}

/// The route of requests for what does not exist.
const UNKNOWN: &str = "OTHER";

/// Matches a request: what it asks for, and the name that it is counted under (`GET /v1/orders/{id}`). There are as few names as the
/// model has paths, whatever is sent.
///
/// # Errors
/// 404 `not_found`; 405 `method_not_allowed` with `Allow`; 422 `validation_failed` for an id that could never be one.
pub fn find(model: &Model, method: &Method, path: &str) -> (String, Result<Matched, Problem>) {
    let fitting = ENDPOINTS.iter().find_map(|endpoint| Some((endpoint, endpoint.find(model, path)?)));
    let Some((first, found)) = fitting else { return (UNKNOWN.to_owned(), Err(nowhere())) };
    let allow = allow(first.pattern);
    let counted = if allow.contains(method) { method.as_str() } else { UNKNOWN };
    let name = format!("{counted} {}", first.route_pattern(path));
    if method == Method::OPTIONS {
        let route = Route::Preflight { allow };
        return (name, Ok(Matched { route, charge: Charge::Free, effect: Effect::Read, entity: None }));
    }
    let served = if method == Method::HEAD { &Method::GET } else { method };
    let matched = match of_pattern(first.pattern).find(|endpoint| endpoint.method == *served) {
        None => Err(Problem::method_not_allowed(&allow)),
        Some(endpoint) => endpoint.check(model, found).map(|found| Matched {
            charge: endpoint.charge,
            effect: endpoint.effect,
            entity: endpoint.entity(&found),
            route: (endpoint.make)(found),
        }),
    };
    (name, matched)
}

fn nowhere() -> Problem {
    Problem::new(Code::NotFound, "There is no such resource. /v1/openapi.json lists all of them.")
}

fn of_pattern(pattern: &'static str) -> impl Iterator<Item = &'static Endpoint<Route>> {
    ENDPOINTS.iter().filter(move |endpoint| endpoint.pattern == pattern)
}

/// All methods of a path, with those that every path has.
fn allow(pattern: &'static str) -> Vec<Method> {
    let with_head = |endpoint: &Endpoint<Route>| match endpoint.method {
        Method::GET => vec![Method::GET, Method::HEAD],
        ref method => vec![method.clone()],
    };
    of_pattern(pattern).flat_map(with_head).chain([Method::OPTIONS]).collect()
}

/// All methods and paths of an API, `HEAD` and `OPTIONS` apart, with `{id}` and the like left in: what the documentation
/// and the gateway's routes are held against.
pub fn patterns(model: &Model) -> Vec<(Method, String)> {
    let paths = |endpoint: &Endpoint<Route>| endpoint.paths(model).into_iter();
    ENDPOINTS.iter().flat_map(|endpoint| paths(endpoint).map(|path| (endpoint.method.clone(), path))).collect()
}

/// All endpoints: for tests of documents and template.
pub fn endpoints() -> &'static [Endpoint<Route>] {
    ENDPOINTS
}

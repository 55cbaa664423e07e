//! Which route takes a request, by the precedence of an HTTP API: a full match of method and path, then a greedy variable
//! (`{proxy+}`), then `$default`; among full matches a literal segment goes before a variable, from left to right.

use std::cmp::Ordering;

use http::Method;

use crate::template::RouteDef;

/// The routes of an API, ready to match.
#[derive(Debug)]
pub struct Routes {
    /// Best first.
    routes: Vec<(RouteDef, Vec<Segment>)>,
    default: Option<RouteDef>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Variable(String),
    Greedy(String),
}

/// What matched: the route, and the path's variables in order.
pub type Match<'a> = (&'a RouteDef, Vec<(&'a str, String)>);

impl Routes {
    /// Routes by precedence.
    pub fn new(definitions: &[RouteDef]) -> Self {
        let default = definitions.iter().find(|route| route.path.is_none()).cloned();
        let mut routes: Vec<_> = definitions
            .iter()
            .filter_map(|route| Some((route.clone(), route.path.as_deref()?)))
            .map(|(route, path)| {
                let parsed: Vec<Segment> = segments(path).map(parse).collect();
                (route, parsed)
            })
            .collect();
        routes.sort_by(|(a, left), (b, right)| precedence(left, right).then(a.method.is_none().cmp(&b.method.is_none())));
        Self { routes, default }
    }

    /// The route for a decoded path.
    pub fn find(&self, method: &Method, path: &str) -> Option<Match<'_>> {
        let given: Vec<&str> = segments(path).collect();
        self.routes
            .iter()
            .filter(|(route, _)| route.method.as_ref().is_none_or(|wanted| wanted == method))
            .find_map(|(route, pattern)| Some((route, capture(pattern, &given)?)))
            .or_else(|| self.default.as_ref().map(|route| (route, Vec::new())))
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

fn parse(segment: &str) -> Segment {
    match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        None => Segment::Literal(segment.to_owned()),
        Some(name) => match name.strip_suffix('+') {
            Some(name) => Segment::Greedy(name.to_owned()),
            None => Segment::Variable(name.to_owned()),
        },
    }
}

fn precedence(left: &[Segment], right: &[Segment]) -> Ordering {
    let rank = |segment: &Segment| match segment {
        Segment::Literal(_) => 0,
        Segment::Variable(_) => 1,
        Segment::Greedy(_) => 2,
    };
    let greedy = |segments: &[Segment]| segments.iter().any(|segment| matches!(segment, Segment::Greedy(_)));
    greedy(left).cmp(&greedy(right)).then_with(|| left.iter().map(rank).cmp(right.iter().map(rank)))
}

fn capture<'a>(pattern: &'a [Segment], given: &[&str]) -> Option<Vec<(&'a str, String)>> {
    let mut variables = Vec::new();
    for (at, segment) in pattern.iter().enumerate() {
        match segment {
            Segment::Greedy(name) => {
                let rest = given.get(at..).filter(|rest| rest.iter().any(|part| !part.is_empty()))?;
                variables.push((name.as_str(), rest.join("/")));
                return Some(variables);
            }
            Segment::Literal(text) if given.get(at) == Some(&text.as_str()) => {}
            Segment::Variable(name) if given.get(at).is_some_and(|part| !part.is_empty()) => {
                variables.push((name.as_str(), given[at].to_owned()));
            }
            _ => return None,
        }
    }
    (pattern.len() == given.len()).then_some(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(keys: &[&str]) -> Routes {
        let parse = |key: &&str| {
            let (method, path) = key.split_once(' ').unwrap_or(("ANY", ""));
            RouteDef {
                method: (method != "ANY").then(|| method.parse().unwrap()),
                path: (!path.is_empty()).then(|| path.to_owned()),
                function: String::new(),
                authorized: false,
            }
        };
        Routes::new(&keys.iter().map(parse).collect::<Vec<_>>())
    }

    #[test]
    fn the_most_specific_route_wins_whatever_the_order() {
        let mut keys = vec![
            "$default",
            "GET /v1/docs/{proxy+}",
            "ANY /v1/{plural}",
            "GET /v1/{plural}",
            "GET /v1/{plural}/{id}",
            "GET /v1/_consumers/{id}",
            "POST /v1/{plural}/_bulk",
            "GET /v1/docs",
        ];
        let cases = [
            ("GET", "/v1/orders", "GET /v1/{plural}"),
            ("PUT", "/v1/orders", "ANY /v1/{plural}"),
            ("GET", "/v1/docs", "GET /v1/docs"),
            ("GET", "/v1/docs/a/b", "GET /v1/docs/{proxy+}"),
            ("GET", "/v1/docs/a", "GET /v1/{plural}/{id}"), // a full match goes before a greedy one
            ("GET", "/v1/_consumers/7", "GET /v1/_consumers/{id}"),
            ("POST", "/v1/orders/_bulk", "POST /v1/{plural}/_bulk"),
            ("DELETE", "/v1/orders/7", "$default"),
            ("GET", "/v1/orders/", "$default"),
            ("GET", "/", "$default"),
            ("GET", "", "$default"),
        ];
        for _ in 0..keys.len() {
            keys.rotate_left(1);
            let routes = routes(&keys);
            for (method, path, expected) in cases {
                let (route, _) = routes.find(&method.parse().unwrap(), path).unwrap();
                assert_eq!(route.key(), expected, "{method} {path}");
            }
        }
    }

    #[test]
    fn variables_are_captured() {
        let routes = routes(&["GET /v1/{plural}/{id}", "GET /v1/docs/{proxy+}"]);
        assert_eq!(
            routes.find(&Method::GET, "/v1/orders/a b").unwrap().1,
            [("plural", "orders".to_owned()), ("id", "a b".to_owned())]
        );
        assert_eq!(routes.find(&Method::GET, "/v1/docs/x/y/").unwrap().1, [("proxy", "x/y/".to_owned())]);
        assert!(routes.find(&Method::GET, "/v2").is_none());
    }
}

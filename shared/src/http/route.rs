//! From method and path to what is asked for. One table says which addresses and methods there are; routing, `Allow`, preflights
//! and [`patterns`] all read it.

use http::Method;

use super::path_id;
use crate::id::is_id_part;
use crate::model::{Entity, EntityIx, Field, FieldIx, FieldType, Model};
use crate::problem::{Code, Problem};

/// What is asked for. `HEAD` is routed as `GET`. Ids are well-formed, integer ids canonical, UUIDs in lower case.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names of the addresses' parts say it: see `PLACES`")]
pub enum Route {
    List(EntityIx),
    Create(EntityIx),
    Bulk(EntityIx),
    Get {
        entity: EntityIx,
        id: String,
    },
    Replace {
        entity: EntityIx,
        id: String,
    },
    Patch {
        entity: EntityIx,
        id: String,
    },
    Delete {
        entity: EntityIx,
        id: String,
    },
    Upload {
        entity: EntityIx,
        id: String,
        field: FieldIx,
    },
    Complete {
        entity: EntityIx,
        id: String,
        field: FieldIx,
    },
    Download {
        entity: EntityIx,
        id: String,
        field: FieldIx,
    },
    CreateShare {
        entity: EntityIx,
        id: String,
        field: FieldIx,
    },
    ListShares {
        entity: EntityIx,
        id: String,
        field: FieldIx,
    },
    DeleteShares {
        entity: EntityIx,
        id: String,
        field: FieldIx,
    },
    DeleteShare {
        entity: EntityIx,
        id: String,
        field: FieldIx,
        share: String,
    },
    Share {
        secret: String,
    },
    Consumers,
    CreateConsumer,
    Consumer {
        id: String,
    },
    ReplaceConsumer {
        id: String,
    },
    PatchConsumer {
        id: String,
    },
    DeleteConsumer {
        id: String,
    },
    CreateKey {
        id: String,
    },
    DeleteKey {
        id: String,
        key_id: String,
    },
    ConsumerShares {
        id: String,
    },
    DeleteConsumerShares {
        id: String,
    },
    Me,
    Purge,
    Usage,
    UsageDashboard,
    UsageMetrics,
    Notifications,
    Audit,
    Health,
    Ready,
    OpenApiJson,
    OpenApiYaml,
    Docs,
    Llms,
    /// `OPTIONS` of an address that has these methods.
    Preflight {
        allow: Vec<Method>,
    },
}

/// An address and what its methods do.
struct Place {
    /// Segments. `{plural}` and `{field}` stand for what the model has, `{id}` for the id of a record of that entity, other names
    /// for an id of ours.
    pattern: &'static str,
    methods: &'static [(Method, fn(Found) -> Route)],
}

/// What the variable segments of a path stand for; those that its pattern lacks keep their defaults, which no route reads.
struct Found {
    entity: EntityIx,
    id: String,
    field: FieldIx,
    other: String,
}

/// All addresses. The first that a path fits counts.
const PLACES: &[Place] = &[
    Place {
        pattern: "/v1/_consumers",
        methods: &[(Method::GET, |_| Route::Consumers), (Method::POST, |_| Route::CreateConsumer)],
    },
    Place {
        pattern: "/v1/_consumers/{consumer}",
        methods: &[
            (Method::GET, |found| Route::Consumer { id: found.id }),
            (Method::PUT, |found| Route::ReplaceConsumer { id: found.id }),
            (Method::PATCH, |found| Route::PatchConsumer { id: found.id }),
            (Method::DELETE, |found| Route::DeleteConsumer { id: found.id }),
        ],
    },
    Place { pattern: "/v1/_consumers/{consumer}/keys", methods: &[(Method::POST, |found| Route::CreateKey { id: found.id })] },
    Place {
        pattern: "/v1/_consumers/{consumer}/keys/{key_id}",
        methods: &[(Method::DELETE, |found| Route::DeleteKey { id: found.id, key_id: found.other })],
    },
    Place {
        pattern: "/v1/_consumers/{consumer}/shares",
        methods: &[
            (Method::GET, |found| Route::ConsumerShares { id: found.id }),
            (Method::DELETE, |found| Route::DeleteConsumerShares { id: found.id }),
        ],
    },
    Place { pattern: "/v1/_me", methods: &[(Method::GET, |_| Route::Me)] },
    Place { pattern: "/v1/_cache/purge", methods: &[(Method::POST, |_| Route::Purge)] },
    Place { pattern: "/v1/_usage", methods: &[(Method::GET, |_| Route::Usage)] },
    Place { pattern: "/v1/_usage/dashboard", methods: &[(Method::GET, |_| Route::UsageDashboard)] },
    Place { pattern: "/v1/_usage/metrics", methods: &[(Method::GET, |_| Route::UsageMetrics)] },
    Place { pattern: "/v1/_notifications", methods: &[(Method::GET, |_| Route::Notifications)] },
    Place { pattern: "/v1/_audit", methods: &[(Method::GET, |_| Route::Audit)] },
    Place { pattern: "/v1/_health", methods: &[(Method::GET, |_| Route::Health)] },
    Place { pattern: "/v1/_health/ready", methods: &[(Method::GET, |_| Route::Ready)] },
    Place { pattern: "/v1/_shares/{secret}", methods: &[(Method::GET, |found| Route::Share { secret: found.other })] },
    Place { pattern: "/v1/openapi.json", methods: &[(Method::GET, |_| Route::OpenApiJson)] },
    Place { pattern: "/v1/openapi.yaml", methods: &[(Method::GET, |_| Route::OpenApiYaml)] },
    Place { pattern: "/v1/docs", methods: &[(Method::GET, |_| Route::Docs)] },
    Place { pattern: "/v1/docs/llms.txt", methods: &[(Method::GET, |_| Route::Llms)] },
    Place {
        pattern: "/v1/{plural}",
        methods: &[(Method::GET, |found| Route::List(found.entity)), (Method::POST, |found| Route::Create(found.entity))],
    },
    Place { pattern: "/v1/{plural}/_bulk", methods: &[(Method::POST, |found| Route::Bulk(found.entity))] },
    Place {
        pattern: "/v1/{plural}/{id}",
        methods: &[
            (Method::GET, |found| Route::Get { entity: found.entity, id: found.id }),
            (Method::PUT, |found| Route::Replace { entity: found.entity, id: found.id }),
            (Method::PATCH, |found| Route::Patch { entity: found.entity, id: found.id }),
            (Method::DELETE, |found| Route::Delete { entity: found.entity, id: found.id }),
        ],
    },
    Place {
        pattern: "/v1/{plural}/{id}/{field}/upload",
        methods: &[(Method::POST, |found| Route::Upload { entity: found.entity, id: found.id, field: found.field })],
    },
    Place {
        pattern: "/v1/{plural}/{id}/{field}/complete",
        methods: &[(Method::POST, |found| Route::Complete { entity: found.entity, id: found.id, field: found.field })],
    },
    Place {
        pattern: "/v1/{plural}/{id}/{field}/download",
        methods: &[(Method::GET, |found| Route::Download { entity: found.entity, id: found.id, field: found.field })],
    },
    Place {
        pattern: "/v1/{plural}/{id}/{field}/shares",
        methods: &[
            (Method::GET, |found| Route::ListShares { entity: found.entity, id: found.id, field: found.field }),
            (Method::POST, |found| Route::CreateShare { entity: found.entity, id: found.id, field: found.field }),
            (Method::DELETE, |found| Route::DeleteShares { entity: found.entity, id: found.id, field: found.field }),
        ],
    },
    Place {
        pattern: "/v1/{plural}/{id}/{field}/shares/{share_id}",
        methods: &[(Method::DELETE, |found| Route::DeleteShare {
            entity: found.entity,
            id: found.id,
            field: found.field,
            share: found.other,
        })],
    },
];

/// Finds out what a request asks for.
///
/// # Errors
/// 404 `not_found`; 405 `method_not_allowed` with `Allow`; 422 `validation_failed` for an id that could never be one.
pub fn route(model: &Model, method: &Method, path: &str) -> Result<Route, Problem> {
    let (place, found) = PLACES.iter().find_map(|place| Some((place, place.find(model, path)?))).ok_or_else(nowhere)?;
    if method == Method::OPTIONS {
        return Ok(Route::Preflight { allow: place.allow() });
    }
    let asked = if method == Method::HEAD { &Method::GET } else { method };
    let (_, make) =
        place.methods.iter().find(|(method, _)| method == asked).ok_or_else(|| Problem::method_not_allowed(&place.allow()))?;
    Ok(make(place.check(model, found)?))
}

/// The route of a request as it is counted: `GET /v1/orders/{id}`. There are as few as the model has addresses, whatever is sent.
pub fn template(model: &Model, method: &Method, path: &str) -> String {
    let Some(place) = PLACES.iter().find(|place| place.find(model, path).is_some()) else { return UNKNOWN.to_owned() };
    // What fits the pattern is a name of the model where the pattern has one.
    let named = |(ours, theirs): (&'static str, &str)| match ours {
        "{plural}" | "{field}" => theirs.to_owned(),
        "{consumer}" => "{id}".to_owned(),
        other => other.to_owned(),
    };
    let segments: Vec<String> = place.pattern.split('/').zip(path.split('/')).map(named).collect();
    let method = if place.allow().contains(method) { method.as_str() } else { "OTHER" };
    format!("{method} {}", segments.join("/"))
}

/// The route of requests for what does not exist.
const UNKNOWN: &str = "OTHER";

fn nowhere() -> Problem {
    Problem::new(Code::NotFound, "There is no such resource. /v1/openapi.json lists all of them.")
}

/// All methods and addresses of an API, `HEAD` and `OPTIONS` apart, with `{id}` and the like left in: what the documentation
/// and the gateway's routes are held against.
pub fn patterns(model: &Model) -> Vec<(Method, String)> {
    PLACES
        .iter()
        .flat_map(|place| place.paths(model).into_iter().map(move |path| (place, path)))
        .flat_map(|(place, path)| place.methods.iter().map(move |(method, _)| (method.clone(), path.clone())))
        .collect()
}

impl Place {
    /// What the path's segments stand for, if it has this form.
    fn find(&self, model: &Model, path: &str) -> Option<Found> {
        let mut found = Found { entity: EntityIx(0), id: String::new(), field: FieldIx(0), other: String::new() };
        let (mut ours, mut theirs) = (self.pattern.split('/'), path.split('/'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return Some(found),
                (Some(pattern), Some(segment)) => self.segment(model, pattern, segment, &mut found)?,
                _ => return None,
            }
        }
    }

    fn segment(&self, model: &Model, pattern: &str, segment: &str, found: &mut Found) -> Option<()> {
        match pattern {
            "{plural}" => found.entity = model.by_plural(segment)?.ix,
            "{field}" => found.field = self.file_field(model.entity(found.entity).by_field(segment)?)?,
            "{id}" | "{consumer}" if !segment.is_empty() => found.id = segment.to_owned(),
            _ if pattern.starts_with('{') && !segment.is_empty() => found.other = segment.to_owned(),
            _ if pattern == segment => {}
            _ => return None,
        }
        Some(())
    }

    /// The field, if it is a file, and one that may be shared where this place is about shares.
    fn file_field(&self, field: &Field) -> Option<FieldIx> {
        match &field.kind {
            FieldType::File(limits) if limits.share_expiry.is_some() || !self.pattern.contains("/shares") => Some(field.ix),
            _ => None,
        }
    }

    /// Holds the ids to their syntax.
    fn check(&self, model: &Model, mut found: Found) -> Result<Found, Problem> {
        if self.pattern.contains("{id}") {
            found.id = path_id::check(model, model.entity(found.entity), &found.id)?;
        }
        for (name, id) in [("consumer", &found.id), ("key_id", &found.other), ("share_id", &found.other)] {
            if self.pattern.contains(&format!("{{{name}}}")) && !is_id_part(id) {
                let detail = format!("`{name}` in the path {}.", path_id::PART);
                return Err(Problem::new(Code::ValidationFailed, detail));
            }
        }
        Ok(found)
    }

    /// All methods, with those that every address has.
    fn allow(&self) -> Vec<Method> {
        let with_head = |method: &Method| match *method {
            Method::GET => vec![Method::GET, Method::HEAD],
            _ => vec![method.clone()],
        };
        self.methods.iter().flat_map(|(method, _)| with_head(method)).chain([Method::OPTIONS]).collect()
    }

    /// The addresses that it stands for in a model.
    fn paths(&self, model: &Model) -> Vec<String> {
        if !self.pattern.contains("{plural}") {
            return vec![self.pattern.replace("{consumer}", "{id}")];
        }
        model.entities.iter().flat_map(|entity| self.paths_of(entity)).collect()
    }

    fn paths_of(&self, entity: &Entity) -> Vec<String> {
        let path = self.pattern.replace("{plural}", &entity.plural);
        if !path.contains("{field}") {
            return vec![path];
        }
        let files = entity.fields.iter().filter(|field| self.file_field(field).is_some());
        files.map(|field| path.replace("{field}", &field.name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn model() -> Model {
        crate::model::parse("model.yaml", include_str!("../../../model.yaml")).unwrap()
    }

    fn ix(model: &Model, name: &str) -> EntityIx {
        model.by_name(name).unwrap().ix
    }

    #[test]
    fn paths_and_methods_find_their_routes() {
        let model = model();
        let (book, order, line, review) =
            (ix(&model, "book"), ix(&model, "order"), ix(&model, "order_line"), ix(&model, "review"));
        let sample = model.entity(book).by_field("sample").unwrap().ix;
        let id = || "moby-dick".to_owned();
        let cases = [
            ("GET", "/v1/books", Route::List(book)),
            ("HEAD", "/v1/books", Route::List(book)),
            ("POST", "/v1/books", Route::Create(book)),
            ("POST", "/v1/books/_bulk", Route::Bulk(book)),
            ("GET", "/v1/books/moby-dick", Route::Get { entity: book, id: id() }),
            ("PUT", "/v1/books/moby-dick", Route::Replace { entity: book, id: id() }),
            ("PATCH", "/v1/books/moby-dick", Route::Patch { entity: book, id: id() }),
            ("DELETE", "/v1/orders/0", Route::Delete { entity: order, id: "0".into() }),
            ("GET", "/v1/order_lines/10248,11", Route::Get { entity: line, id: "10248,11".into() }),
            ("GET", "/v1/reviews/not-a-uuid", Route::Get { entity: review, id: "not-a-uuid".into() }),
            (
                "GET",
                "/v1/reviews/0190B1F2-7C3E-7A41-9D52-3F1C5B7A9E10",
                Route::Get { entity: review, id: "0190b1f2-7c3e-7a41-9d52-3f1c5b7a9e10".into() },
            ),
            ("POST", "/v1/books/moby-dick/sample/upload", Route::Upload { entity: book, id: id(), field: sample }),
            ("POST", "/v1/books/moby-dick/sample/complete", Route::Complete { entity: book, id: id(), field: sample }),
            ("GET", "/v1/books/moby-dick/sample/download", Route::Download { entity: book, id: id(), field: sample }),
            ("POST", "/v1/books/moby-dick/sample/shares", Route::CreateShare { entity: book, id: id(), field: sample }),
            ("GET", "/v1/books/moby-dick/sample/shares", Route::ListShares { entity: book, id: id(), field: sample }),
            (
                "DELETE",
                "/v1/books/moby-dick/sample/shares/s1",
                Route::DeleteShare { entity: book, id: id(), field: sample, share: "s1".into() },
            ),
            ("DELETE", "/v1/books/moby-dick/sample/shares", Route::DeleteShares { entity: book, id: id(), field: sample }),
            ("GET", "/v1/_consumers/c/shares", Route::ConsumerShares { id: "c".into() }),
            ("DELETE", "/v1/_consumers/c/shares", Route::DeleteConsumerShares { id: "c".into() }),
            ("GET", "/v1/_shares/hush", Route::Share { secret: "hush".into() }),
            ("GET", "/v1/_consumers", Route::Consumers),
            ("POST", "/v1/_consumers", Route::CreateConsumer),
            ("GET", "/v1/_consumers/idp:u1", Route::Consumer { id: "idp:u1".into() }),
            ("PUT", "/v1/_consumers/c", Route::ReplaceConsumer { id: "c".into() }),
            ("PATCH", "/v1/_consumers/c", Route::PatchConsumer { id: "c".into() }),
            ("DELETE", "/v1/_consumers/c", Route::DeleteConsumer { id: "c".into() }),
            ("POST", "/v1/_consumers/c/keys", Route::CreateKey { id: "c".into() }),
            ("DELETE", "/v1/_consumers/c/keys/k", Route::DeleteKey { id: "c".into(), key_id: "k".into() }),
            ("GET", "/v1/_me", Route::Me),
            ("POST", "/v1/_cache/purge", Route::Purge),
            ("GET", "/v1/_usage", Route::Usage),
            ("GET", "/v1/_usage/dashboard", Route::UsageDashboard),
            ("GET", "/v1/_usage/metrics", Route::UsageMetrics),
            ("GET", "/v1/_notifications", Route::Notifications),
            ("GET", "/v1/_audit", Route::Audit),
            ("GET", "/v1/_health", Route::Health),
            ("GET", "/v1/_health/ready", Route::Ready),
            ("GET", "/v1/openapi.json", Route::OpenApiJson),
            ("GET", "/v1/openapi.yaml", Route::OpenApiYaml),
            ("GET", "/v1/docs", Route::Docs),
            ("GET", "/v1/docs/llms.txt", Route::Llms),
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
            assert_eq!(template(&model, &method.parse().unwrap(), path), template_of, "{method} {path}");
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
}

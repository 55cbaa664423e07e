//! Components: what operations refer to.

use serde_json::{Map, Value, json};

use super::parts::object;
use super::source::Source;
use super::{file_schemas, kinds, parameters, records, responses, system_schemas};
use crate::http::MAX_PATCH_STEPS;

/// All components. [`prune`](super::prune::prune) removes those that nothing refers to.
pub(super) fn all(source: &Source<'_>) -> Value {
    json!({
        "schemas": schemas(source),
        "parameters": parameters::shared(source.caller.anonymous),
        "headers": responses::all_headers(),
        "responses": responses::all(source.site.url),
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "A token (JWT) of an accepted issuer, checked as RFC8725 asks, or an API key (`hf_...`).",
            },
        },
    })
}

fn schemas(source: &Source<'_>) -> Map<String, Value> {
    let mut schemas = Map::new();
    for entity in source.entities() {
        schemas.extend(records::schemas(source, entity));
    }
    schemas.insert("Problem".to_owned(), responses::problem());
    schemas.insert("JsonPatch".to_owned(), json_patch());
    schemas.extend(file_schemas::schemas());
    schemas.extend(system_schemas::schemas(source.model));
    schemas
}

/// A JSON Patch (RFC 6902). Unknown members are ignored, as the RFC requires.
fn json_patch() -> Value {
    const POINTER: &str = "^(/([^~/]|~[01])*)*$";
    let place =
        || json!({"type": "string", "pattern": POINTER, "maxLength": kinds::HEAD, "description": "JSON pointer (RFC 6901)."});
    let step = |ops: &[&str], more: &str| {
        let properties = object([
            ("op", Some(kinds::word(ops))),
            ("path", Some(place())),
            ("value", (more == "value").then(|| json!({"description": "Any JSON."}))),
            ("from", (more == "from").then(place)),
        ]);
        let required: Vec<&str> = ["op", "path", more].into_iter().filter(|name| !name.is_empty()).collect();
        json!({"type": "object", "properties": properties, "required": required})
    };
    let steps =
        json!({"oneOf": [step(&["add", "replace", "test"], "value"), step(&["move", "copy"], "from"), step(&["remove"], "")]});
    let about = "Steps, done in order or not at all (RFC 6902); a `test` that fails is a conflict.";
    kinds::about(kinds::list(steps, MAX_PATCH_STEPS), about)
}

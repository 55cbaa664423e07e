//! A record in memory.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::core::clock::Env;
use crate::model::schema::{Entity, FieldType, IdKind, Path};

/// A stored record: its id, the random version of this state, and its fields in their normalised JSON form.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Id as paths show it (`10248,11` for a composite one).
    pub id: String,
    /// Random version, new with every change and never reused: `If-Match` compares it.
    pub version: String,
    /// Values by API name. A missing field is null.
    pub fields: Map<String, Value>,
}

impl Record {
    /// The value at a path of the record itself; [`Path::Via`] and missing fields are null.
    pub fn get<'a>(&'a self, entity: &Entity, path: Path) -> std::borrow::Cow<'a, Value> {
        use std::borrow::Cow;
        match path {
            Path::Id => Cow::Owned(self.id_value(entity)),
            Path::Own(field) => self.fields.get(&entity.field(field).name).map_or(Cow::Owned(Value::Null), Cow::Borrowed),
            Path::Via(..) => Cow::Owned(Value::Null),
        }
    }

    /// Sets `updated_at`, and `created_at` of a new record, to this moment, where the entity has them.
    pub fn stamp(&mut self, entity: &Entity, env: &Env, created: bool) {
        let now = env.now().rfc3339();
        for (name, set) in [("created_at", created), ("updated_at", true)] {
            let stamps = |field: &&crate::model::Field| field.read_only && field.kind == FieldType::Timestamp;
            if set && entity.by_field(name).filter(stamps).is_some() {
                self.fields.insert(name.to_owned(), Value::String(now.clone()));
            }
        }
    }

    /// The id as answers show it: a number for integer ids, else a string.
    pub fn id_value(&self, entity: &Entity) -> Value {
        id_value(&entity.id, &self.id)
    }
}

/// An id as JSON shows it.
fn id_value(kind: &IdKind, id: &str) -> Value {
    match kind {
        IdKind::Integer => id.parse::<i64>().map_or_else(|_| Value::String(id.to_owned()), Value::from),
        _ => Value::String(id.to_owned()),
    }
}

/// A new random version: 96 bits, 16 characters of base64url.
pub fn new_version(env: &Env) -> String {
    URL_SAFE_NO_PAD.encode(env.bytes::<12>())
}

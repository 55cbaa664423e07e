//! Files of records: what a record says of one, and where its content lies.
//!
//! A record's file field reads `{filename, content_type, size, sha256, uploaded_at}`. The key of the object that holds the content
//! stands in a member of the stored record beside it ([`member`]), whose name no field can have, so that nothing which shows,
//! filters or validates records ever meets it. Each upload has a key of its own: 256 random bits.

pub mod disposition;
pub mod media;
mod port;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use port::{Download, ObjectError, Objects, SharedObjects, Signed, Stored, Upload};

use crate::core::clock::Env;
use crate::model::{Entity, Field, FieldType, FileLimits};

/// A file as its record shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its name, any Unicode text of 1 to 255 characters.
    pub filename: String,
    /// Its media type.
    pub content_type: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content, 64 hexadecimal digits in lower case.
    pub sha256: String,
    /// Time of completion, RFC 3339.
    pub uploaded_at: String,
}

impl File {
    /// The file in a field of a record with these members; `None` where there is none.
    pub fn of(record: &Map<String, Value>, field: &Field) -> Option<Self> {
        serde_json::from_value(record.get(&field.name)?.clone()).ok()
    }
}

/// Ends the name of a [`member`], and of nothing else.
const MEMBER: char = '#';

/// The member of a stored record that has the key of a file field's object.
pub fn member(field: &str) -> String {
    format!("{field}{MEMBER}")
}

/// The field that a member of a stored record belongs to.
pub fn field_of(member: &str) -> &str {
    member.strip_suffix(MEMBER).unwrap_or(member)
}

/// The key of the object of a file field, if there is a file.
pub fn key_of<'r>(record: &'r Map<String, Value>, field: &Field) -> Option<&'r str> {
    record.get(&member(&field.name)).and_then(Value::as_str)
}

/// The limits of a file field; `None` for other fields.
pub fn limits(field: &Field) -> Option<&FileLimits> {
    match &field.kind {
        FieldType::File(limits) => Some(limits),
        _ => None,
    }
}

/// The file fields of an entity.
pub fn fields(entity: &Entity) -> impl Iterator<Item = &Field> {
    entity.fields.iter().filter(|field| limits(field).is_some())
}

/// Gives the fields of a changed record the keys of the files that it still has.
pub fn carry(entity: &Entity, before: &Map<String, Value>, after: &mut Map<String, Value>) {
    for field in fields(entity) {
        let (kept, member) = (after.get(&field.name).is_some_and(|value| !value.is_null()), member(&field.name));
        match before.get(&member).filter(|_| kept) {
            Some(key) => after.insert(member, key.clone()),
            None => after.remove(&member),
        };
    }
}

/// The keys of objects that nothing refers to any more after a record's change, also by fields that the model has no more.
pub fn released(before: Option<&Map<String, Value>>, after: Option<&Map<String, Value>>) -> Vec<String> {
    let kept: Vec<&str> = keys_of(after).collect();
    keys_of(before).filter(|key| !kept.contains(key)).map(str::to_owned).collect()
}

fn keys_of(record: Option<&Map<String, Value>>) -> impl Iterator<Item = &str> {
    let members = record.into_iter().flatten().filter(|(name, _)| name.ends_with(MEMBER));
    members.filter_map(|(_, key)| key.as_str())
}

/// A new key that nobody can guess. Short, because the embedded store makes file names of keys.
pub fn new_key(env: &Env) -> String {
    format!("f/{}", URL_SAFE_NO_PAD.encode(env.bytes::<32>()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MODEL: &str = "
name: T
version: 1.0.0
entities:
  book: {id: string, fields: {title: string, cover: {type: file}, sample: {type: file}}}
roles: {admin: {all: true}}
";

    fn record(fields: Value) -> Map<String, Value> {
        let Value::Object(fields) = fields else { panic!("an object") };
        fields
    }

    #[test]
    fn keys_follow_their_files_and_are_released_with_them() {
        let model = crate::model::parse("m", MODEL).unwrap();
        let entity = &model.entities[0];
        let before =
            record(json!({"title": "A", "cover": {"size": 1}, "cover#": "f/1", "sample": {"size": 2}, "sample#": "f/2"}));
        let mut after = record(json!({"title": "B", "cover": {"size": 1}, "sample": null}));
        carry(entity, &before, &mut after);
        assert_eq!(after.get("cover#"), Some(&json!("f/1")));
        assert_eq!(after.get("sample#"), None);
        assert_eq!(released(Some(&before), Some(&after)), ["f/2"]);
        assert_eq!(released(Some(&before), None), ["f/1", "f/2"]);
        assert_eq!(released(None, Some(&after)), [""; 0]);
        let replaced = record(json!({"cover": {"size": 1}, "cover#": "f/3"}));
        assert_eq!(released(Some(&after), Some(&replaced)), ["f/1"]);
    }

    #[test]
    fn no_two_uploads_share_a_key() {
        let env = Env::system();
        let (one, two) = (new_key(&env), new_key(&env));
        assert_ne!(one, two);
        assert_eq!(one.len(), 45);
    }
}

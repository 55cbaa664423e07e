//! From a line of NDJSON to a record to create.

use std::io::BufRead;
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Refused;

/// A record to create.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Where it goes: the plural of its entity.
    pub plural: Arc<str>,
    /// The file that it comes from.
    pub file: Arc<str>,
    /// Its line, from 1.
    pub line: usize,
    /// Bytes of its line, with the line's end.
    pub bytes: u64,
    /// The body of the request.
    pub body: Vec<u8>,
    /// Its `Idempotency-Key`: the same place and content give the same one.
    pub key: String,
}

/// How members of a line become fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reshape {
    /// Members that get another name: from, to.
    pub rename: Vec<(String, String)>,
    /// Members that are left out.
    pub drop: Vec<String>,
}

impl Reshape {
    fn apply(&self, members: Map<String, Value>) -> Map<String, Value> {
        let new_name = |name: String| match self.rename.iter().find(|(from, _)| *from == name) {
            Some((_, to)) => to.clone(),
            None => name,
        };
        members.into_iter().filter(|(name, _)| !self.drop.contains(name)).map(|(name, value)| (new_name(name), value)).collect()
    }
}

/// The rows of an NDJSON file, read as they are asked for; blank lines are skipped.
pub fn rows<'a, R: BufRead + 'a>(
    plural: &str,
    file: &str,
    reader: R,
    reshape: &'a Reshape,
) -> impl Iterator<Item = Result<Row, Refused>> + use<'a, R> {
    let (plural, file): (Arc<str>, Arc<str>) = (plural.into(), file.into());
    reader.split(b'\n').enumerate().filter_map(move |(at, text)| {
        let line = at + 1;
        let refuse = |why: String| Refused { file: file.clone(), line, code: "unreadable".into(), why };
        let text = match text {
            Ok(text) if text.trim_ascii().is_empty() => return None,
            Ok(text) => text,
            Err(error) => return Some(Err(refuse(error.to_string()))),
        };
        let members = match serde_json::from_slice(&text) {
            Ok(Value::Object(members)) => members,
            Ok(_) => return Some(Err(refuse("the line is JSON, but no object".into()))),
            Err(error) => return Some(Err(refuse(format!("the line is not JSON: {error}")))),
        };
        let body = Value::Object(reshape.apply(members)).to_string().into_bytes();
        let key = key(&plural, line, &body);
        let bytes = u64::try_from(text.len() + 1).unwrap_or(0);
        Some(Ok(Row { plural: plural.clone(), file: file.clone(), line, bytes, body, key }))
    })
}

fn key(plural: &str, line: usize, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(plural.as_bytes());
    hash.update([0]);
    hash.update(line.to_be_bytes());
    hash.update(body);
    format!("import-{}", hex::encode(&hash.finalize()[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_rows_with_their_place() {
        let reshape = Reshape { rename: vec![("customer_id".into(), "id".into())], drop: vec!["fax".into()] };
        let text = "{\"customer_id\":\"A\",\"fax\":null,\"n\":1.50}\n\n[1]\n{\"customer_id\":\"B\"}\r\nnot json";
        let read: Vec<_> = rows("customers", "c.ndjson", text.as_bytes(), &reshape).collect();
        assert_eq!(read.len(), 4);
        let first = read[0].as_ref().unwrap();
        assert_eq!((first.line, first.body.as_slice()), (1, br#"{"id":"A","n":1.5}"#.as_slice()));
        assert_eq!(read[1].as_ref().unwrap_err().to_string(), "c.ndjson:3: the line is JSON, but no object");
        assert_eq!(read[2].as_ref().unwrap().line, 4);
        assert!(read[3].as_ref().unwrap_err().to_string().starts_with("c.ndjson:5: the line is not JSON"));
    }

    #[test]
    fn the_key_depends_on_place_and_content_alone() {
        let reshape = Reshape::default();
        let keys = |plural: &str, text: &'static str| -> Vec<String> {
            rows(plural, "any name", text.as_bytes(), &reshape).map(|row| row.unwrap().key).collect()
        };
        let once = keys("a", "{\"x\":1}\n{\"x\":1}");
        assert_eq!(once, keys("a", "{\"x\":1}\n{\"x\":1}"));
        assert_ne!(once[0], once[1]);
        assert_ne!(once[0], keys("a", "{\"x\":2}")[0]);
        assert_ne!(once[0], keys("b", "{\"x\":1}")[0]);
    }
}

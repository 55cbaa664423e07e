//! Any YAML document as JSON with the place of every value: for files beside the model that are checked by JSON pointer.

use std::collections::HashMap;

use serde_json::Value;

use super::mistake::{Mistake, Spot};
use super::reader::Reader;
use super::tree::{Data, Node};
use super::{json, tree};

/// A YAML document.
#[derive(Debug, Clone)]
pub struct Document {
    /// Content.
    pub value: Value,
    file: String,
    places: HashMap<String, Spot>,
}

impl Document {
    /// Reads a document; `file_name` is named in the mistakes.
    ///
    /// # Errors
    /// It is not one YAML document, or a mapping repeats a key.
    pub fn read(file_name: &str, source: &str) -> Result<Self, Vec<Mistake>> {
        let tree = tree::load(file_name, source)?;
        let mut reader = Reader::new(file_name);
        reader.duplicates(&tree);
        if reader.failed() {
            return Err(reader.finish());
        }
        let mut places = HashMap::new();
        collect(&tree, String::new(), &mut places);
        Ok(Self { value: json::to_json(&tree), file: file_name.to_owned(), places })
    }

    /// A mistake at a JSON pointer (RFC 6901), or at the nearest place around it.
    pub fn mistake(&self, pointer: &str, message: impl Into<String>) -> Mistake {
        let mut around = pointer;
        let spot = loop {
            match (self.places.get(around), around.rsplit_once('/')) {
                (Some(spot), _) => break *spot,
                (None, Some((outer, _))) => around = outer,
                (None, None) => break Spot { line: 1, column: 1 },
            }
        };
        let (file, message) = (self.file.clone(), message.into());
        Mistake { file, line: spot.line, column: spot.column, message, help: String::new() }
    }
}

/// Collects the places of all values. The place of a member is that of its key, where a reader looks.
fn collect(node: &Node, pointer: String, places: &mut HashMap<String, Spot>) {
    places.entry(pointer.clone()).or_insert(node.spot);
    match &node.data {
        Data::Scalar { .. } => {}
        Data::Sequence(items) => {
            for (at, item) in items.iter().enumerate() {
                collect(item, format!("{pointer}/{at}"), places);
            }
        }
        Data::Mapping(entries) => {
            for (key, value) in entries {
                let Data::Scalar { text, .. } = &key.data else { continue };
                let member = format!("{pointer}/{}", text.replace('~', "~0").replace('/', "~1"));
                places.insert(member.clone(), key.spot);
                collect(value, member, places);
            }
        }
    }
}

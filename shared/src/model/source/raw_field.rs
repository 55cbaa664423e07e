//! Raw form of a field: its type and its flags. Defaults and examples stay nodes until the kinds of all ids are known.

use super::mistake::{At, Spot};
use super::raw_type::RawKind;
use super::reader::Reader;
use super::tree::Node;
use crate::model::schema::Deprecation;

/// A field as the file states it.
pub(in crate::model) struct RawField<'n> {
    /// Name in the file; that of a ref is the name of the relation.
    pub name: At<String>,
    pub kind: RawKind,
    pub required: bool,
    pub nullable: Option<bool>,
    pub was: Option<At<String>>,
    pub default: Option<&'n Node>,
    pub fill: Option<&'n Node>,
    pub unique: bool,
    pub immutable: bool,
    pub read_only: bool,
    pub write_only: bool,
    pub description: Option<String>,
    pub example: Option<&'n Node>,
    pub deprecated: Option<Deprecation>,
    pub scan: bool,
}

/// Keys of every field.
pub(in crate::model) const COMMON: [&str; 13] = [
    "was",
    "required",
    "nullable",
    "default",
    "fill",
    "unique",
    "immutable",
    "read_only",
    "write_only",
    "description",
    "example",
    "deprecated",
    "filter",
];

impl Reader<'_> {
    /// All fields of an entity.
    pub fn fields<'n>(&mut self, node: &'n Node) -> Vec<RawField<'n>> {
        self.named(node, "`fields`").into_iter().filter_map(|(key, body)| self.field(key, body)).collect()
    }

    fn field<'n>(&mut self, key: At<&str>, body: &'n Node) -> Option<RawField<'n>> {
        let name = self.name(key.spot, "a field", key.value);
        let Some((kind, keys)) = self.typed(body, &COMMON) else {
            self.mistake_if_clean(key.spot, body);
            return None;
        };
        let get = |key: &str| keys.as_ref().and_then(|keys| keys.get(key));
        Some(RawField {
            name: name?,
            kind: kind?,
            required: self.flag(get("required"), "`required`", false),
            nullable: get("nullable").and_then(|node| self.boolean(node, "`nullable`")),
            was: get("was").and_then(|node| self.was(node, "a field")),
            default: get("default"),
            fill: get("fill"),
            unique: self.flag(get("unique"), "`unique`", false),
            immutable: self.flag(get("immutable"), "`immutable`", false),
            read_only: self.flag(get("read_only"), "`read_only`", false),
            write_only: self.flag(get("write_only"), "`write_only`", false),
            description: get("description").and_then(|node| self.text(node, "`description`")).map(|text| text.value),
            example: get("example"),
            deprecated: get("deprecated").and_then(|node| self.deprecation(node, false)),
            scan: get("filter").and_then(|node| self.word(node, "kind of filter", &[("scan", ())])).is_some(),
        })
    }

    fn mistake_if_clean(&mut self, spot: Spot, body: &Node) {
        if body.is_null() {
            self.mistake(spot, "the field has no type", "write `title: string` or `title: {type: string, max: 80}`");
        }
    }
}

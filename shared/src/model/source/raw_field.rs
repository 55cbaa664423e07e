//! Raw form of a field: its type and its flags. Defaults and examples stay nodes until the kinds of all ids are known.

use super::keys;
use super::mistake::{At, Spot};
use super::raw_type::RawKind;
use super::reader::{Reader, fields_of};
use super::tree::Node;
use crate::model::schema::{Deprecation, FieldType};

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

impl Reader<'_> {
    /// All fields of an entity.
    pub fn fields<'n>(&mut self, node: &'n Node, entity: &str) -> Vec<RawField<'n>> {
        let mut fields = Vec::new();
        for (key, body) in self.named(node, "`fields`") {
            let field = self.field(key, body);
            if field.is_none() {
                self.broken(fields_of(entity), key.value);
            }
            fields.extend(field);
        }
        fields
    }

    fn field<'n>(&mut self, key: At<&str>, body: &'n Node) -> Option<RawField<'n>> {
        let name = self.name(key.spot, "a field", key.value);
        let Some((kind, keys)) = self.typed(body, &keys::FIELD) else {
            self.mistake_if_clean(key.spot, body);
            return None;
        };
        let get = |key: &str| keys.as_ref().and_then(|keys| keys.get(key));
        let is_right = kind.is_some();
        let said = RawField {
            name: At { spot: key.spot, value: key.value.to_owned() },
            // After a mistake it stands for any; the field is left out then.
            kind: kind.unwrap_or(RawKind::Plain(FieldType::Json { schema: None })),
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
        };
        name.filter(|_| is_right).map(|_| said)
    }

    fn mistake_if_clean(&mut self, spot: Spot, body: &Node) {
        if body.is_null() {
            self.mistake(spot, "the field has no type", "write `title: string` or `title: {type: string, max: 80}`");
        }
    }
}

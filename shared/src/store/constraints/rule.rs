//! Rules that rows of their own uphold: unique values, and references that keep what they refer to from vanishing.
//!
//! A rule of a model is *kept* by every version whose writes leave no value without its row. A version that does not know the field at
//! all keeps it: it writes no value of the field, and a row too many hinders nobody, because whoever meets one looks for the record.
//! A version that has the field, but not the rule, breaks it.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::model::evolution::{Form, reference_form, unique_form};
use crate::model::{Entity, EntityIx, Field, FieldIx, FieldType, IdKind, Model};

/// Kind of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RuleKind {
    /// No two records have one value.
    Unique,
    /// What a record refers to is there.
    Reference,
}

impl RuleKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Unique => "u_",
            Self::Reference => "f_",
        }
    }
}

/// A rule of an entity of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Entity of the field.
    pub entity: EntityIx,
    /// The field.
    pub field: FieldIx,
    /// Kind.
    pub kind: RuleKind,
}

impl Rule {
    /// The rules of a field.
    pub fn of_field(entity: &Entity, field: &Field) -> impl Iterator<Item = Self> + use<> {
        let (entity, ix) = (entity.ix, field.ix);
        let rule = move |kind| Self { entity, field: ix, kind };
        let reference = matches!(field.kind, FieldType::Ref { .. }).then(|| rule(RuleKind::Reference));
        field.unique.then(|| rule(RuleKind::Unique)).into_iter().chain(reference)
    }

    /// The rules of an entity.
    pub fn of_entity(entity: &Entity) -> impl Iterator<Item = Self> {
        entity.fields.iter().flat_map(|field| Self::of_field(entity, field))
    }

    /// What the rows of the rule depend on beside the field's name: 16 hex digits.
    pub fn fingerprint(&self, model: &Model) -> String {
        let entity = model.entity(self.entity);
        let field = entity.field(self.field);
        let form = match self.kind {
            RuleKind::Unique => Some(unique_form(model, entity, field)),
            RuleKind::Reference => reference_form(model, entity, field),
        };
        // What a deletion does to the record that refers is in the first row's text, and changes nothing about where it stands.
        let text = form.as_ref().map(Form::as_str).unwrap_or_default();
        let text = if self.kind == RuleKind::Reference { text.lines().next().unwrap_or_default() } else { text };
        hex::encode(&Sha256::digest(text.as_bytes())[..8])
    }

    /// Where its state stands in the state item of its entity: two forms of one rule stand side by side.
    pub(super) fn attribute(&self, model: &Model) -> String {
        let field = model.entity(self.entity).field(self.field);
        format!("{}{}.{}", self.kind.prefix(), field.name, self.fingerprint(model))
    }
}

/// Whether writes of this model may leave values without the rows of a rule that somebody's model has, told by its attribute.
pub(super) fn is_broken_by(model: &Model, entity: &Entity, attribute: &str) -> bool {
    let Some((kind, name)) = parse(attribute) else { return false };
    let Some(field) = entity.by_field(name) else { return false };
    !Rule::of_field(entity, field).any(|rule| rule.kind == kind && rule.attribute(model) == attribute)
}

/// Kind and field of a rule's attribute; `None` for any other attribute.
pub(super) fn parse(attribute: &str) -> Option<(RuleKind, &str)> {
    let of_kind = |kind: RuleKind| Some((kind, attribute.strip_prefix(kind.prefix())?.split_once('.')?.0));
    of_kind(RuleKind::Unique).or_else(|| of_kind(RuleKind::Reference))
}

const TEXT: &str = "text";
const UUID: &str = "uuid";

/// Whether values stored in one form are values of another as they are.
pub(super) fn is_kept(stored: &str, form: &str) -> bool {
    match (stored, form) {
        _ if stored == form => true,
        (UUID | "date" | "timestamp" | "decimal", TEXT) | ("integer", "number") => true,
        ("file", _) => false,
        (_, "json") => true,
        _ => match (stored.strip_prefix(LIST), form.strip_prefix(LIST)) {
            (Some(stored), Some(form)) => is_kept(stored, form),
            _ => false,
        },
    }
}

const LIST: &str = "list of ";

/// The form in which values of a type are stored.
pub fn class(model: &Model, kind: &FieldType) -> String {
    let name = match kind {
        FieldType::Formatted(format) if format.in_id => UUID,
        FieldType::String(_) | FieldType::Text(_) | FieldType::Formatted(_) | FieldType::Enum(_) => TEXT,
        FieldType::Integer { .. } => "integer",
        FieldType::Decimal { .. } => "decimal",
        FieldType::Number { .. } => "number",
        FieldType::Boolean => "boolean",
        FieldType::Date => "date",
        FieldType::Timestamp => "timestamp",
        FieldType::Json { .. } => "json",
        FieldType::File(_) => "file",
        FieldType::Ref { target, .. } => match model.entity(*target).id {
            IdKind::Integer => "integer",
            IdKind::Uuid => UUID,
            IdKind::String | IdKind::Composite(_) => TEXT,
        },
        FieldType::List { item, .. } => return format!("{LIST}{}", class(model, item)),
    };
    name.to_owned()
}

/// The name under which the values of a field stand that has none of its own: what its `was` says, unless the model has that field too.
pub(super) fn name_before(known: &BTreeMap<String, String>, entity: &Entity, field: &Field) -> Option<String> {
    let was = field.was.as_deref()?;
    // Of a plain field that became a ref, `was` may name the relation.
    let plain = was.strip_suffix("_id").filter(|_| matches!(field.kind, FieldType::Ref { .. }));
    let names = std::iter::once(was).chain(plain);
    names.into_iter().find(|name| known.contains_key(*name) && entity.by_field(name).is_none()).map(str::to_owned)
}

//! What a build makes complete: an index, or the rows of a rule.

use super::entry::attribute;
use super::form::fingerprint;
use super::rule::{Rule, RuleKind};
use crate::model::value::Record;
use crate::model::{Entity, EntityIx, FieldType, IndexIx, Model};
use crate::store::references::{self, referred};
use crate::store::table::{Attr, Item};
use crate::store::write::{OWNER, unique_hash};
use crate::store::{items, keys};

/// What a build makes complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The rows of an index.
    Index(EntityIx, IndexIx),
    /// The rows of a rule.
    Rule(Rule),
}

impl Target {
    /// The entity whose records it is about.
    pub fn entity<'m>(&self, model: &'m Model) -> &'m Entity {
        match self {
            Self::Index(entity, _) => model.entity(*entity),
            Self::Rule(rule) => model.entity(rule.entity),
        }
    }

    /// `index order.by_date`, `unique order.number`, `reference order.customer_id`.
    pub fn name(&self, model: &Model) -> String {
        let entity = self.entity(model);
        let (kind, name) = match self {
            Self::Index(_, index) => ("index", &entity.index(*index).name),
            Self::Rule(rule) => match rule.kind {
                RuleKind::Unique => ("unique", &entity.field(rule.field).name),
                RuleKind::Reference => ("reference", &entity.field(rule.field).name),
            },
        };
        format!("{kind} {}.{name}", entity.name)
    }

    /// Whether it is a reference.
    pub fn is_reference(&self) -> bool {
        matches!(self, Self::Rule(Rule { kind: RuleKind::Reference, .. }))
    }

    pub(super) fn attribute(&self, model: &Model) -> String {
        match self {
            Self::Index(_, index) => attribute(&self.entity(model).index(*index).name),
            Self::Rule(rule) => rule.attribute(model),
        }
    }

    pub(super) fn fingerprint(&self, model: &Model) -> String {
        match self {
            Self::Index(_, index) => fingerprint(model, self.entity(model), self.entity(model).index(*index)),
            Self::Rule(rule) => rule.fingerprint(model),
        }
    }

    /// The row that a record needs; `None`: none, because it has no value.
    pub(super) fn row(&self, model: &Model, record: &Record) -> Option<Item> {
        let entity = self.entity(model);
        let rule = match self {
            Self::Index(_, index) => return Some(items::row(model, entity, entity.index(*index), record)),
            Self::Rule(rule) => rule,
        };
        let field = entity.field(rule.field);
        let value = record.fields.get(&field.name).filter(|value| !value.is_null())?;
        match (rule.kind, &field.kind) {
            (RuleKind::Unique, _) => {
                let key = keys::unique(entity, &field.name, &unique_hash(model, field, value));
                Some(Item::new(key).with(OWNER, Attr::S(record.id.clone())))
            }
            (RuleKind::Reference, FieldType::Ref { target, on_delete }) => {
                Some(references::row(model.entity(*target), &referred(Some(value))?, entity, field, *on_delete, &record.id))
            }
            (RuleKind::Reference, _) => None,
        }
    }

    /// Whether an item is a row of it, also one that no record needs.
    pub(super) fn has_row(&self, model: &Model, item: &Item) -> bool {
        let entity = self.entity(model);
        match self {
            Self::Index(_, index) => {
                let name = format!("i#{}#{}", entity.name, entity.index(*index).name);
                item.key.pk.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
            }
            Self::Rule(rule) => {
                let field = &entity.field(rule.field).name;
                match rule.kind {
                    RuleKind::Unique => item.key.pk.starts_with(&format!("u#{}#{field}#", entity.name)),
                    RuleKind::Reference => {
                        item.key.pk.starts_with("f#") && item.key.sk.starts_with(format!("{}#{field}#", entity.name).as_bytes())
                    }
                }
            }
        }
    }
}

//! Entities: one kind of record with its fields, indexes and relations.

use std::collections::HashMap;
use std::time::Duration;

use super::deprecation::Deprecation;
use super::field::Field;
use super::id::IdKind;
use super::index::{Index, Path};
use super::operation::Operation;
use super::positions::{EntityIx, FieldIx, IndexIx};
use super::relation::{ToMany, ToOne};

/// Writes per second that a tag or gate takes: each announces itself there and is settled, one unit each, and an item takes 1,000
/// units; a fifth is left for what is late or repeated. Shards, ceilings and the documents go by it.
pub const PER_ITEM: u32 = 400;

/// One kind of record.
#[derive(Debug, Clone)]
pub struct Entity {
    /// Position in the model.
    pub ix: EntityIx,
    /// Singular name: `order`.
    pub name: String,
    /// Name that it had in an earlier model (`was`).
    pub was: Option<String>,
    /// Plural and path segment: `orders`.
    pub plural: String,
    /// Description, Markdown.
    pub description: Option<String>,
    /// Kind of its ids.
    pub id: IdKind,
    /// All stored fields in the order of answers: the declared ones (a relation's field by its API name,
    /// `customer_id`), then `created_at` and `updated_at` unless the model drops them. `id` is not among them.
    pub fields: Vec<Field>,
    /// All indexes: first the implicit `id` index, then the declared ones, then those that inverse relations imply.
    pub indexes: Vec<Index>,
    /// To-one relations of this entity: one for each `ref` field.
    pub to_one: Vec<ToOne>,
    /// To-many relations: the named inverse sides of other entities' refs.
    pub to_many: Vec<ToMany>,
    /// Refs of other entities (or of this one) that point here: they decide what a delete must do.
    pub referenced_by: Vec<(EntityIx, FieldIx)>,
    /// Use of the cache.
    pub cache: CacheMode,
    /// For how long shared caches may keep what callers without credentials see of it; `None`: not at all.
    pub public: Option<Duration>,
    /// Shards of gates and tags: `contention` over [`PER_ITEM`], rounded up, at least 1.
    pub shards: u16,
    /// Peak rate of writes that the model declares, per second.
    pub contention: Option<u32>,
    /// Whether a write without `If-Match` is refused with 428.
    pub require_if_match: bool,
    /// Deprecation of the whole resource, or of some operations on it.
    pub deprecated: Option<Deprecation>,
    /// Maximum size of a stored record, bytes of its JSON.
    pub max_bytes: usize,
    pub(crate) by_field: HashMap<String, FieldIx>,
}

impl Entity {
    /// The field at a position.
    pub fn field(&self, ix: FieldIx) -> &Field {
        &self.fields[usize::from(ix.0)]
    }

    /// The field with this API name (`customer_id` for the relation `customer`).
    pub fn by_field(&self, name: &str) -> Option<&Field> {
        self.by_field.get(name).map(|ix| self.field(*ix))
    }

    /// The index at a position.
    #[allow(clippy::should_implement_trait, reason = "named as `field` is; nothing is indexed by brackets here")]
    pub fn index(&self, ix: IndexIx) -> &Index {
        &self.indexes[usize::from(ix.0)]
    }

    /// The index with this name.
    pub fn by_index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| index.name == name)
    }

    /// The to-one relation with this name (`customer`).
    pub fn to_one(&self, name: &str) -> Option<&ToOne> {
        self.to_one.iter().find(|relation| relation.name == name)
    }

    /// The to-many relation with this name (`orders`).
    pub fn to_many(&self, name: &str) -> Option<&ToMany> {
        self.to_many.iter().find(|relation| relation.name == name)
    }

    /// Fields of a composite id; empty for the other kinds.
    pub fn id_parts(&self) -> &[FieldIx] {
        match &self.id {
            IdKind::Composite(parts) => parts,
            _ => &[],
        }
    }

    /// Deprecation of an operation on its records; `None`: of operations that only show them beside others.
    pub fn deprecation(&self, operation: Option<Operation>) -> Option<&Deprecation> {
        let concerned =
            |one: &&Deprecation| one.operations.is_empty() || operation.is_some_and(|of| one.operations.contains(&of));
        self.deprecated.as_ref().filter(concerned)
    }

    /// Whether any entity has a ref to this one, so that its records need gates.
    pub fn is_referenced(&self) -> bool {
        !self.referenced_by.is_empty()
    }
}

/// Use of the cache for the answers of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheMode {
    /// No answer is cached.
    Off,
    /// An answer is never older than the last acknowledged write.
    Strict,
    /// An answer may be this much older.
    Bounded(Duration),
}

/// The index that serves records of an entity by the ref `field`: its equality is exactly that field. It exists for every
/// relation with an inverse and for `on_delete: cascade` and `set_null`.
pub fn by_ref(entity: &Entity, field: FieldIx) -> Option<&Index> {
    entity.indexes.iter().find(|index| index.equality == [Path::Own(field)])
}

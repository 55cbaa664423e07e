//! A list as a caller asks for it.

use super::condition::Comparison;
use super::include::Include;
use super::limits::DEFAULT_LIMIT;
use crate::model::{Entity, EntityIx, FieldIx, FieldMask, SortPart};

/// A list as a caller asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListQuery {
    /// Entity to list.
    pub entity: EntityIx,
    /// Filters of the caller; all must hold.
    pub filters: Vec<Comparison>,
    /// Comparisons that the embedding of a relation adds. They are no filters of the caller, so they need no permission.
    pub fixed: Vec<Comparison>,
    /// Requested order; `None`: that of the index that serves the list.
    pub sort: Option<Vec<SortPart>>,
    /// Requested fields; `None`: all that the caller may read.
    pub fields: Option<Selection>,
    /// Relations to embed.
    pub includes: Vec<Include>,
    /// Maximum number of records.
    pub limit: usize,
    /// Position to continue at.
    pub cursor: Option<String>,
    /// Whether to count all matching records.
    pub count: bool,
}

impl ListQuery {
    /// A page of the default size of all records of an entity.
    pub fn all(entity: EntityIx) -> Self {
        Self {
            entity,
            filters: Vec::new(),
            fixed: Vec::new(),
            sort: None,
            fields: None,
            includes: Vec::new(),
            limit: DEFAULT_LIMIT,
            cursor: None,
            count: false,
        }
    }
}

/// Fields requested by `fields=`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Whether `id` is among them.
    pub id: bool,
    /// The other fields.
    pub mask: FieldMask,
}

impl Selection {
    /// Whether a field is shown.
    pub fn shows(&self, field: FieldIx) -> bool {
        self.mask.contains(field)
    }
}

impl Include {
    /// The list of related records, before the parent is known.
    pub fn target(&self, entity: &Entity) -> ListQuery {
        ListQuery {
            limit: self.limit,
            sort: self.sort.clone(),
            includes: self.includes.clone(),
            ..ListQuery::all(self.relation.target(entity))
        }
    }
}

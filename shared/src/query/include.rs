//! Embedded relations.

use super::limits::DEFAULT_LIMIT;
use crate::model::{Entity, EntityIx, SortPart};

/// A relation of an entity, by its position among those of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// In [`Entity::to_one`].
    One(u16),
    /// In [`Entity::to_many`].
    Many(u16),
}

impl Relation {
    /// The relation of this name.
    pub fn by_name(entity: &Entity, name: &str) -> Option<Self> {
        let at = |position: Option<usize>| position.and_then(|position| u16::try_from(position).ok());
        at(entity.to_one.iter().position(|relation| relation.name == name))
            .map(Self::One)
            .or_else(|| at(entity.to_many.iter().position(|relation| relation.name == name)).map(Self::Many))
    }

    /// Its name.
    pub fn name(self, entity: &Entity) -> &str {
        match self {
            Self::One(position) => &entity.to_one[usize::from(position)].name,
            Self::Many(position) => &entity.to_many[usize::from(position)].name,
        }
    }

    /// The entity on its other side.
    pub fn target(self, entity: &Entity) -> EntityIx {
        match self {
            Self::One(position) => entity.to_one[usize::from(position)].target,
            Self::Many(position) => entity.to_many[usize::from(position)].target,
        }
    }
}

/// A relation to embed.
#[derive(Debug, Clone, PartialEq)]
pub struct Include {
    /// Relation.
    pub relation: Relation,
    /// Most records (to-many).
    pub limit: usize,
    /// Their order (to-many).
    pub sort: Option<Vec<SortPart>>,
    /// What to embed in them.
    pub includes: Vec<Include>,
}

impl Include {
    /// The relation, with defaults.
    pub fn new(relation: Relation) -> Self {
        Self { relation, limit: DEFAULT_LIMIT, sort: None, includes: Vec::new() }
    }
}

//! The whole model.

use std::collections::HashMap;
use std::sync::Arc;

use super::auth::Auth;
use super::entity::Entity;
use super::plan::RatePlan;
use super::positions::EntityIx;
use super::role::Role;
use super::settings::{Cors, Limits};
use super::validators::Validators;

/// A validated model. [`parse`](crate::model::parse) alone makes one, so every name resolves, every index serves a field that exists,
/// and every relation has its other side.
#[derive(Debug, Clone)]
pub struct Model {
    /// Name of the API, shown in its documents.
    pub name: String,
    /// Description of the API, Markdown.
    pub description: Option<String>,
    /// The team's own version of the API (`1.4.0`), shown in its documents.
    pub version: String,
    /// Hash of the canonical model: it changes with everything that can change an answer. 16 hex digits.
    pub hash: String,
    /// Text of the file.
    pub source: Arc<str>,
    /// All entities, in the order of the file.
    pub entities: Vec<Entity>,
    /// All roles, in the order of the file, with inheritance applied.
    pub roles: Vec<Role>,
    /// All plans, in the order of the file.
    pub plans: Vec<RatePlan>,
    /// Authentication of callers.
    pub auth: Auth,
    /// Settings of cross-origin requests.
    pub cors: Cors,
    /// Limits of the API as a whole.
    pub limits: Limits,
    pub(crate) by_name: HashMap<String, EntityIx>,
    pub(crate) by_plural: HashMap<String, EntityIx>,
    pub(crate) validators: Arc<Validators>,
}

impl Model {
    /// The entity at a position.
    pub fn entity(&self, ix: EntityIx) -> &Entity {
        &self.entities[usize::from(ix.0)]
    }

    /// The entity with this singular name.
    pub fn by_name(&self, name: &str) -> Option<&Entity> {
        self.by_name.get(name).map(|ix| self.entity(*ix))
    }

    /// The entity with this plural, which is its path segment.
    pub fn by_plural(&self, plural: &str) -> Option<&Entity> {
        self.by_plural.get(plural).map(|ix| self.entity(*ix))
    }

    /// All entities, those that others refer to first, so that data can be loaded in this order. A cycle of refs keeps the order
    /// of the file.
    pub fn dependency_order(&self) -> Vec<EntityIx> {
        let mut order: Vec<EntityIx> = Vec::with_capacity(self.entities.len());
        while order.len() < self.entities.len() {
            let mut left = self.entities.iter().filter(|entity| !order.contains(&entity.ix));
            let ready = |entity: &&Entity| {
                entity.to_one.iter().all(|relation| relation.target == entity.ix || order.contains(&relation.target))
            };
            let next = left.clone().find(ready).or_else(|| left.next());
            order.extend(next.map(|entity| entity.ix));
        }
        order
    }

    /// The role with this name.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// The plan with this name.
    pub fn plan(&self, name: &str) -> Option<&RatePlan> {
        self.plans.iter().find(|plan| plan.name == name)
    }
}

//! The plan of a read with all that it embeds: made once, before anything is read. The lists of a to-many relation differ only by
//! their parent, so their indexes are chosen once, and each parent's list is bound to them.

use serde_json::Value;

use super::choose::{self, Choice};
use super::help;
use super::query_plan::{NoIndex, QueryPlan};
use crate::model::{FieldIx, Model};
use crate::query::policy::{Permitted, PermittedInclude};
use crate::query::{ListQuery, Relation};
use crate::store::constraints::States;

/// Plan of a read with what is embedded in its records.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadPlan<'a> {
    /// Plan of its own rows.
    pub own: QueryPlan,
    /// Plans of its includes, in their order.
    pub includes: Vec<IncludePlan<'a>>,
}

/// Plan of an embedded relation.
#[derive(Debug, Clone, PartialEq)]
pub struct IncludePlan<'a> {
    /// Relation, as policy permits it.
    pub include: &'a PermittedInclude,
    /// Way to its records.
    pub reads: Reads<'a>,
    /// Plans of what is embedded in its records.
    pub includes: Vec<IncludePlan<'a>>,
}

/// Way to the records of a relation.
#[derive(Debug, Clone, PartialEq)]
pub enum Reads<'a> {
    /// One record by the id in the reference; the relation's position among those to one.
    Target(u16),
    /// A list for each parent.
    Children(ChildrenPlan<'a>),
}

/// Plan of the lists of a to-many relation, before the parent is known.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildrenPlan<'a> {
    children: &'a Permitted<ListQuery>,
    /// Reference of the children to their parent.
    field: FieldIx,
    choice: Choice,
}

impl<'a> ReadPlan<'a> {
    /// The plan of a list.
    ///
    /// # Errors
    /// [`NoIndex`], naming the index to add.
    #[tracing::instrument(target = "holdfast::trace", level = "trace", name = "plan", skip_all)]
    pub fn of_list(model: &Model, states: &States, permitted: &'a Permitted<ListQuery>) -> Result<Self, NoIndex> {
        let includes = includes(model, states, permitted)?;
        Ok(Self { own: choose::plan(model, states, permitted)?, includes })
    }

    /// The plan of a single record.
    ///
    /// # Errors
    /// [`NoIndex`] of a relation that it embeds.
    #[tracing::instrument(target = "holdfast::trace", level = "trace", name = "plan", skip_all)]
    pub fn of_record(model: &Model, states: &States, permitted: &'a Permitted<ListQuery>) -> Result<Self, NoIndex> {
        Ok(Self { own: QueryPlan::of_record(permitted), includes: includes(model, states, permitted)? })
    }
}

fn includes<'a>(model: &Model, states: &States, permitted: &'a Permitted<ListQuery>) -> Result<Vec<IncludePlan<'a>>, NoIndex> {
    let entity = permitted.query().entity;
    if states.is_moving(entity) {
        return Err(help::moving(model, entity));
    }
    let plan = |include: &'a PermittedInclude| {
        let reads = match include.relation {
            Relation::One(position) => Reads::Target(position),
            Relation::Many(position) => {
                let field = model.entity(permitted.query().entity).to_many[usize::from(position)].field;
                Reads::Children(ChildrenPlan::new(model, states, &include.target, field)?)
            }
        };
        Ok(IncludePlan { include, reads, includes: includes(model, states, &include.target)? })
    };
    permitted.includes().iter().map(plan).collect()
}

impl<'a> ChildrenPlan<'a> {
    /// Any parent stands for all: which indexes serve its list does not depend on its id.
    fn new(model: &Model, states: &States, children: &'a Permitted<ListQuery>, field: FieldIx) -> Result<Self, NoIndex> {
        let choice = choose::choose(model, states, &children.of_parent(model, field, Value::Null))?;
        Ok(Self { children, field, choice })
    }

    /// The list of one parent, by its id, with its plan.
    ///
    /// # Errors
    /// [`NoIndex`] where its indexes do not serve this parent; they serve all or none.
    pub fn bind(&self, model: &Model, parent: Value) -> Result<(Permitted<ListQuery>, QueryPlan), NoIndex> {
        let list = self.children.of_parent(model, self.field, parent);
        let plan = self.choice.bind(model, &list)?;
        Ok((list, plan))
    }
}

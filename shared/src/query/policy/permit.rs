//! From a query to a permitted one. Mutations are permitted in [`super::write`](super::permit_update).

use super::Access;
use crate::identity::auth::Principal;
use crate::model::{Action, Entity, EntityIx, FieldIx, FieldMask, Model, Path};
use crate::query::{Include, ListQuery, Relation, Visibility};
use crate::store::write::Mutation;

/// Query or mutation that policy has examined. Only this room makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Permitted<T> {
    query: T,
    access: Access,
    related: Vec<(EntityIx, Access)>,
    includes: Vec<PermittedInclude>,
}

/// Embedded relation that policy has examined: its query has the relation's limit and sort.
#[derive(Debug, Clone, PartialEq)]
pub struct PermittedInclude {
    /// Relation.
    pub relation: Relation,
    /// What may be seen of its target.
    pub target: Permitted<ListQuery>,
}

impl<T> Permitted<T> {
    /// The query, or the mutation.
    pub fn query(&self) -> &T {
        &self.query
    }

    /// As [`Permitted::query`], without the permission.
    pub fn into_query(self) -> T {
        self.query
    }

    /// What may be seen.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// What may be seen of the entity that a filter over a to-one relation reads.
    pub fn related(&self, entity: EntityIx) -> Option<&Access> {
        self.related.iter().find(|(of, _)| *of == entity).map(|(_, access)| access)
    }

    /// What may be seen of all entities that filters over to-one relations read.
    pub fn all_related(&self) -> impl Iterator<Item = (EntityIx, &Access)> {
        self.related.iter().map(|(of, access)| (*of, access))
    }

    /// What is embedded.
    pub fn includes(&self) -> &[PermittedInclude] {
        &self.includes
    }
}

impl Permitted<Mutation> {
    /// The mutation that `access` was found to cover.
    pub(super) fn mutation(mutation: Mutation, access: Access) -> Self {
        Self { query: mutation, access, related: Vec::new(), includes: Vec::new() }
    }
}

impl Permitted<ListQuery> {
    /// A text that is equal for equal questions with equal effective access, and only then: what cache keys are made of.
    ///
    /// Everything is taken apart here without `..`, so that whoever adds something has to say what it means for the cache.
    pub fn fingerprint(&self) -> String {
        let Self { query, access, related, includes } = self;
        // Raw includes are the permitted ones once more.
        let ListQuery { entity, filters, fixed, sort, fields, includes: _, limit, cursor, count } = query;
        let question = format!("{entity:?} {filters:?} {fixed:?} {sort:?} {fields:?} {limit} {cursor:?} {count}");
        let mut parts = vec![question, access.fingerprint()];
        for (entity, access) in related {
            parts.push(format!("related {entity:?}"));
            parts.push(access.fingerprint());
        }
        for PermittedInclude { relation, target } in includes {
            parts.push(format!("include {relation:?}"));
            parts.push(target.fingerprint());
        }
        // With its length before each, no two lists of parts run together into one text.
        parts.iter().map(|part| format!("{}:{part}", part.len())).collect()
    }

    /// The records of this relation that belong to one parent: the same permission, one filter more.
    pub fn of_parent(&self, model: &Model, field: FieldIx, parent: serde_json::Value) -> Self {
        use crate::query::condition::Comparison;
        let mut child = self.clone();
        debug_assert!(usize::from(field.0) < model.entity(self.query.entity).fields.len());
        child.query.fixed.push(Comparison { path: Path::Own(field), op: crate::model::Op::Eq, operands: vec![parent] });
        child
    }
}

/// Reason why a query is not permitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The caller may not do this to any record of the entity.
    Action {
        /// Entity.
        entity: EntityIx,
        /// Action.
        action: Action,
    },
    /// The caller may not read this field of any record: for them it does not exist.
    Field {
        /// Entity.
        entity: EntityIx,
        /// Parameter that mentions it.
        parameter: String,
    },
}

/// What exists for a caller that asks for records of an entity: its query is parsed by this.
pub struct View<'a> {
    model: &'a Model,
    principal: &'a Principal,
    own: FieldMask,
}

impl Visibility for View<'_> {
    fn own(&self) -> FieldMask {
        self.own.clone()
    }

    fn reached(&self, entity: &Entity) -> Option<FieldMask> {
        let access = Access::of(self.model, self.principal, entity, Action::List);
        (!access.is_forbidden()).then(|| access.widest())
    }
}

/// What exists for this caller of an entity by an action, `list` or `read`.
///
/// # Errors
/// [`Denied::Action`]: nothing does. Whoever may not ask at all learns no more than that.
pub fn view<'a>(model: &'a Model, principal: &'a Principal, entity: EntityIx, action: Action) -> Result<View<'a>, Denied> {
    let access = Access::of(model, principal, model.entity(entity), action);
    match access.is_forbidden() {
        true => Err(Denied::Action { entity, action }),
        false => Ok(View { model, principal, own: access.widest() }),
    }
}

/// A list as this caller may have it.
///
/// # Errors
/// [`Denied`] for the action, for a relation's target, or for a field that the caller may never read.
#[tracing::instrument(target = "holdfast::trace", level = "trace", name = "permit", skip_all)]
pub fn permit_list(model: &Model, principal: &Principal, query: ListQuery) -> Result<Permitted<ListQuery>, Denied> {
    permit(model, principal, query, Action::List)
}

/// One record by id, with what is embedded in it, as this caller may have it. Filters and sort of `query` are empty.
///
/// # Errors
/// As [`permit_list`].
#[tracing::instrument(target = "holdfast::trace", level = "trace", name = "permit", skip_all)]
pub fn permit_get(model: &Model, principal: &Principal, query: ListQuery) -> Result<Permitted<ListQuery>, Denied> {
    permit(model, principal, query, Action::Read)
}

fn permit(model: &Model, principal: &Principal, query: ListQuery, action: Action) -> Result<Permitted<ListQuery>, Denied> {
    let entity = model.entity(query.entity);
    let access = Access::of(model, principal, entity, action);
    if access.is_forbidden() {
        return Err(Denied::Action { entity: entity.ix, action });
    }
    let related = mentioned(model, principal, entity, &query, &access)?;
    let includes =
        query.includes.iter().map(|include| permit_include(model, principal, entity, include)).collect::<Result<_, _>>()?;
    Ok(Permitted { query, access, related, includes })
}

fn permit_include(model: &Model, principal: &Principal, entity: &Entity, include: &Include) -> Result<PermittedInclude, Denied> {
    let target = permit(model, principal, include.target(entity), Action::List)?;
    Ok(PermittedInclude { relation: include.relation, target })
}

/// Every field that filters, sort and projection mention must be readable in some row; which rows is decided row by row.
fn mentioned(
    model: &Model,
    principal: &Principal,
    entity: &Entity,
    query: &ListQuery,
    access: &Access,
) -> Result<Vec<(EntityIx, Access)>, Denied> {
    let widest = access.widest();
    let denied = |entity: &Entity, parameter: String| Denied::Field { entity: entity.ix, parameter };
    let own = |field: FieldIx, parameter: &str| match widest.contains(field) {
        true => Ok(()),
        false => Err(denied(entity, format!("{parameter}{}", entity.field(field).name))),
    };
    let mut related = Vec::new();
    for filter in &query.filters {
        match filter.path {
            Path::Id => {}
            Path::Own(field) => own(field, "")?,
            Path::Via(via, field) => {
                own(via, "")?;
                if let crate::model::FieldType::Ref { target, .. } = entity.field(via).kind {
                    let target = model.entity(target);
                    let access = Access::of(model, principal, target, Action::List);
                    if !access.widest().contains(field) {
                        return Err(denied(target, target.field(field).name.clone()));
                    }
                    related.push((target.ix, access));
                }
            }
        }
    }
    for part in query.sort.iter().flatten() {
        if let Path::Own(field) = part.by {
            own(field, "sort=")?;
        }
    }
    let selected: FieldMask = query.fields.as_ref().map(|fields| fields.mask.clone()).unwrap_or_default();
    for field in selected.iter() {
        own(field, "fields=")?;
    }
    Ok(related)
}

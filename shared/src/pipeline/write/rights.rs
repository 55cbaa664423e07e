//! Rights of a caller to one record in one state.

use super::prepared::Prepared;
use crate::http::problem::Problem;
use crate::model::value::Record;
use crate::model::{Action, Entity, EntityIx, FieldIx, FieldMask, Model, Path};
use crate::pipeline::Context;
use crate::pipeline::permission::lacking;
use crate::pipeline::related::Related;
use crate::query::policy::Access;
use crate::store::write::Check;

/// A caller's access to an entity: to read, and to change it by one action.
pub(in crate::pipeline) struct Rights<'a> {
    entity: &'a Entity,
    action: Action,
    /// To read single records.
    pub(in crate::pipeline) read: Access,
    /// To do the action.
    pub(in crate::pipeline) write: Access,
    paths: Vec<Path>,
}

/// What rights come to for one state of a record.
pub(in crate::pipeline) struct EffectiveAccess {
    /// The fields that the caller sees; `None`: not even that there is such a record.
    pub(in crate::pipeline) readable: Option<FieldMask>,
    /// The fields that the caller may set; `None`: the action is not allowed.
    pub(in crate::pipeline) writable: Option<FieldMask>,
    /// The refs among them that may name records which the caller may not read.
    pub(super) links: FieldMask,
    /// Records that the decision depends on.
    pub(in crate::pipeline) checks: Vec<Check>,
    /// The records that conditions reached.
    pub(in crate::pipeline) related: Related,
}

/// Refuses whoever may do none of `actions` to any record, before the request's body or a record is looked at.
///
/// # Errors
/// 403.
pub(super) fn may(cx: &Context<'_>, entity: EntityIx, actions: &[Action]) -> Result<(), Problem> {
    let entity = cx.model().entity(entity);
    if actions.iter().any(|action| !Access::of(cx.model(), cx.principal, entity, *action).is_forbidden()) {
        return Ok(());
    }
    let lacks = actions.first().map(|action| lacking(cx, entity, *action));
    Err(lacks.unwrap_or_else(|| Problem::forbidden(format!("You may not change {}.", entity.plural))))
}

impl<'a> Rights<'a> {
    /// # Errors
    /// 403 where the action is forbidden for all records.
    pub(in crate::pipeline) fn of(cx: &Context<'a>, entity: &'a Entity, action: Action) -> Result<Self, Problem> {
        let rights = Self::any(cx.model(), cx, entity, action);
        if rights.write.is_forbidden() { Err(lacking(cx, entity, action)) } else { Ok(rights) }
    }

    /// As [`Rights::of`], of an action that may be forbidden.
    pub(in crate::pipeline) fn any(model: &Model, cx: &Context<'a>, entity: &'a Entity, action: Action) -> Self {
        let of = |action| Access::of(model, cx.principal, entity, action);
        let (read, write) = (of(Action::Read), of(action));
        let mut paths = Vec::new();
        for access in [&read, &write] {
            access.paths(&mut |path| {
                if matches!(path, Path::Via(..)) && !paths.contains(&path) {
                    paths.push(path);
                }
            });
        }
        Self { entity, action, read, write, paths }
    }

    /// What may be done to a record in this state; reads what the conditions reach through its refs.
    pub(in crate::pipeline) async fn look(&self, cx: &Context<'_>, record: &Record) -> Result<EffectiveAccess, Problem> {
        self.look_after(cx, &[], record).await
    }

    /// As [`Rights::look`], where what the conditions reach may be made by `earlier` operations of the same transaction.
    pub(super) async fn look_after(
        &self,
        cx: &Context<'_>,
        earlier: &[Prepared],
        record: &Record,
    ) -> Result<EffectiveAccess, Problem> {
        self.look_without(cx, earlier, record, &[]).await
    }

    /// As [`Rights::look_after`], as if there were no records that the refs `hidden` point to.
    pub(super) async fn look_without(
        &self,
        cx: &Context<'_>,
        earlier: &[Prepared],
        record: &Record,
        hidden: &[FieldIx],
    ) -> Result<EffectiveAccess, Problem> {
        let made = earlier.iter().filter(|_| !self.paths.is_empty()).filter_map(|one| {
            let after = one.mutation.after.clone()?;
            Some(((one.mutation.entity, after.id.clone()), after))
        });
        let mut related = Related::load_with(cx.app, self.entity, &[record], &self.paths, made.collect()).await?;
        hidden.iter().for_each(|via| related.hide(record, *via));
        let values = related.values(record);
        let readable = self.read.mask(cx.model(), self.entity, &values);
        let writable = self.write.mask(cx.model(), self.entity, &values);
        let links = self.write.links(cx.model(), self.entity, &values);
        drop(values);
        Ok(EffectiveAccess { readable, writable, links, checks: related.checks(), related })
    }

    /// Readable and writable fields of a stored record that is to be changed.
    ///
    /// # Errors
    /// 404 for a record that the caller may not see, 403 for one that may be seen and not changed. Who may read nothing of the
    /// entity at all, but change it, sees a record exactly if it may be changed.
    pub(in crate::pipeline) fn to_change(&self, effective: &EffectiveAccess) -> Result<(FieldMask, FieldMask), Problem> {
        match (&effective.readable, &effective.writable) {
            (Some(readable), Some(writable)) => Ok((readable.clone(), writable.clone())),
            (Some(_), None) => Err(self.forbidden()),
            (None, Some(writable)) if self.read.is_forbidden() => Ok((FieldMask::none(), writable.clone())),
            (None, _) => Err(Problem::not_found()),
        }
    }

    /// 403 for the action, or for this record.
    pub(in crate::pipeline) fn forbidden(&self) -> Problem {
        let verb = self.action.name();
        let plural = &self.entity.plural;
        Problem::forbidden(match self.write.is_forbidden() {
            true => format!("You may not {verb} {plural}."),
            false => {
                format!("You may {verb} only some of the {plural}, and this one, as it is or as it would be, is not among them.")
            }
        })
    }
}

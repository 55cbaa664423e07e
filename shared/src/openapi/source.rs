//! Source of a document: model, caller and address, and what the caller may do.

use crate::core::caller::Caller;
use crate::model::{Action, Entity, FieldMask, IdKind, Masks, Model};
use crate::query::policy::Access;
use crate::store::object as stored;

/// Address and environment of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site<'a> {
    /// Base address, `https://host`, without a slash at the end.
    pub url: &'a str,
    /// Name of the environment: `dev`, `staging`, `live`, `local`.
    pub environment: &'a str,
}

/// Source of all parts of a document.
pub(super) struct Source<'a> {
    pub(super) model: &'a Model,
    pub(super) caller: &'a Caller,
    pub(super) site: Site<'a>,
}

impl<'a> Source<'a> {
    /// Access of the caller to an entity. Whoever comes without credentials can only read, whatever the role may do: to a publishable
    /// key it is open.
    pub(super) fn access(&self, entity: &Entity, action: Action) -> Access {
        let reads = matches!(action, Action::List | Action::Read | Action::Download);
        match self.caller.anonymous && self.caller.key_id.is_none() && !reads {
            true => Access::default(),
            false => Access::of(self.model, self.caller, entity, action),
        }
    }

    /// Whether callers without credentials may do the action on some record.
    pub(super) fn is_open(&self, entity: &Entity, action: Action) -> bool {
        let role = self.model.auth.anonymous_role.clone();
        let anonymous = Caller { roles: role.into_iter().collect(), anonymous: true, ..Caller::default() };
        Source { caller: &anonymous, ..*self }.allows(entity, action)
    }

    /// Whether the caller may do the action on some record.
    pub(super) fn allows(&self, entity: &Entity, action: Action) -> bool {
        !self.access(entity, action).is_forbidden()
    }

    /// Fields that the caller may see of some record, in a list or by id.
    pub(super) fn readable(&self, entity: &Entity) -> FieldMask {
        let mut mask = self.access(entity, Action::List).widest();
        mask.union(&self.access(entity, Action::Read).widest());
        mask
    }

    /// Fields that the caller may read and, by a write of this action, set.
    pub(super) fn masks(&self, entity: &Entity, write: Action) -> Masks {
        Masks { readable: self.access(entity, Action::Read).widest(), writable: self.access(entity, write).widest() }
    }

    /// The action that permits a PUT: a change, or the creation of a record with an id that the client chooses.
    pub(super) fn replaces(&self, entity: &Entity) -> Option<Action> {
        let creates = || entity.id != IdKind::Uuid && self.allows(entity, Action::Create);
        if self.allows(entity, Action::Update) { Some(Action::Update) } else { creates().then_some(Action::Create) }
    }

    /// Entities on which the caller may do anything.
    pub(super) fn entities(&self) -> impl Iterator<Item = &'a Entity> + '_ {
        const SERVED: [Action; 5] = [Action::List, Action::Read, Action::Create, Action::Update, Action::Delete];
        let uploads = |entity: &Entity| {
            let access = self.access(entity, Action::Upload).widest();
            stored::fields(entity).any(|field| access.contains(field.ix))
        };
        let served = move |entity: &&Entity| SERVED.iter().any(|action| self.allows(entity, *action)) || uploads(entity);
        self.model.entities.iter().filter(served)
    }
}

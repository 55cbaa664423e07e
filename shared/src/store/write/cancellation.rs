//! What the reasons of a cancelled transaction mean.

use super::build::Purpose;
use super::guards::{Guard, RESTRICTING, Refused};
use super::{Batch, WriteError, Writer};
use crate::model::{FieldType, OnDelete};
use crate::store::items;
use crate::store::table::{Item, Reason, TableError};

impl Writer {
    /// The refusal, or `None` where only conflicts and throttling stood in the way.
    ///
    /// Several conditions may fail at once. The idempotency row goes first: where it exists, this request has had its effect,
    /// and all other conditions fail because of that. Then the record: what was computed from another state means nothing.
    pub(super) fn classify_cancellation(&self, batch: &Batch, purposes: &[Purpose], reasons: Vec<Reason>) -> Option<Refused> {
        let mut worst: Option<(u8, Refused)> = None;
        for (purpose, reason) in purposes.iter().zip(reasons) {
            let (rank, refused) = match reason {
                Reason::None | Reason::Conflict | Reason::Throttled => continue,
                Reason::ConditionFailed(old) => self.failed(batch, purpose, old),
                Reason::Other(text) => (0, WriteError::Store(TableError::Broken(text)).into()),
            };
            if worst.as_ref().is_none_or(|(worst, _)| rank < *worst) {
                worst = Some((rank, refused));
            }
        }
        worst.map(|(_, refused)| refused)
    }

    fn failed(&self, batch: &Batch, purpose: &Purpose, old: Option<Item>) -> (u8, Refused) {
        let (rank, error) = match purpose {
            Purpose::Idempotency => (1, WriteError::IdempotencyRow(old.map(Box::new))),
            Purpose::Conditioned => (2, WriteError::Rider(old.map(Box::new))),
            Purpose::Record(at) => (2, changed(batch, *at, old.as_ref())),
            Purpose::Check(check) => (3, WriteError::CheckFailed { check: *check }),
            Purpose::Guard(guard) => return self.guard_failed(guard, old.as_ref()),
            Purpose::Unique(who) => match who.first() {
                Some((mutation, field)) => (6, WriteError::Unique { mutation: *mutation, field: *field }),
                None => (6, damaged("a unique row belongs to nobody of this write")),
            },
            Purpose::Row | Purpose::Rider | Purpose::Tombstone | Purpose::Tag => {
                (7, damaged("a condition failed where none was set"))
            }
        };
        (rank, error.into())
    }

    fn guard_failed(&self, guard: &Guard, old: Option<&Item>) -> (u8, Refused) {
        if let Some(mutation) = guard.create {
            return (4, WriteError::BeingDeleted { mutation }.into());
        }
        if let Some(mutation) = guard.remove.or(guard.close) {
            let left = old.and_then(|old| old.n(RESTRICTING)).unwrap_or(0) + guard.restricting;
            let restricts = self.model.entity(guard.entity).referenced_by.iter().find(|(entity, field)| {
                let kind = &self.model.entity(*entity).field(*field).kind;
                matches!(kind, FieldType::Ref { on_delete: OnDelete::Restrict, .. })
            });
            return match restricts {
                Some((by, _)) if left > 0 => (4, WriteError::Restricted { mutation, by: *by }.into()),
                _ => (5, Refused::HasChildren { mutation }),
            };
        }
        match guard.gains.first() {
            Some((mutation, field)) => (4, WriteError::ReferenceMissing { mutation: *mutation, field: *field }.into()),
            None => (7, damaged("a guard is missing under a record that is referred to; `verify --repair` mends it").into()),
        }
    }
}

fn changed(batch: &Batch, at: usize, old: Option<&Item>) -> WriteError {
    match batch.mutations.get(at).map(|mutation| &mutation.before) {
        Some(None) => WriteError::Exists { mutation: at },
        _ => WriteError::Changed { mutation: at, current: old.and_then(items::decode).map(Box::new) },
    }
}

fn damaged(what: &str) -> WriteError {
    WriteError::Store(TableError::Broken(what.to_owned()))
}

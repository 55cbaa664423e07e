//! What the reasons of a cancelled transaction mean.

use super::attempt::Stop;
use super::build::Purpose;
use super::stale_rows::RefusedRow;
use super::{Batch, WriteError, Writer};
use crate::store::items;
use crate::store::table::{Item, Reason, TableError};

/// Why a transaction was cancelled for more than a conflict.
pub(super) enum Cancelled {
    /// Its fence is there already.
    Fenced(Option<Item>),
    /// The attempt ends.
    Stop(Stop),
}

impl Writer {
    /// The refusal, or `None` where only conflicts and throttling stood in the way.
    ///
    /// Several conditions may fail at once. The fence goes first: it says whether this very attempt is over. Then the idempotency
    /// row: where it exists, this request has had its effect, and all other conditions fail because of that. Then the record: what
    /// was computed from another state means nothing.
    pub(super) fn classify_cancellation(&self, batch: &Batch, purposes: &[Purpose], reasons: Vec<Reason>) -> Option<Cancelled> {
        let mut worst: Option<(u8, Cancelled)> = None;
        for (purpose, reason) in purposes.iter().zip(reasons) {
            let (rank, cancelled) = match reason {
                Reason::None | Reason::Conflict | Reason::Throttled => continue,
                Reason::ConditionFailed(old) if *purpose == Purpose::Fence => (1, Cancelled::Fenced(old)),
                Reason::ConditionFailed(old) => {
                    let (rank, stop) = failed(batch, purpose, old);
                    (rank, Cancelled::Stop(stop))
                }
                Reason::Other(text) => (0, Cancelled::Stop(WriteError::Store(TableError::Broken(text)).into())),
            };
            if worst.as_ref().is_none_or(|(worst, _)| rank < *worst) {
                worst = Some((rank, cancelled));
            }
        }
        worst.map(|(_, cancelled)| cancelled)
    }
}

fn failed(batch: &Batch, purpose: &Purpose, old: Option<Item>) -> (u8, Stop) {
    let (rank, error) = match purpose {
        Purpose::Idempotency => (2, WriteError::IdempotencyRow(old.map(Box::new))),
        Purpose::Conditioned => (3, WriteError::Rider(old.map(Box::new))),
        Purpose::Record(at) => (3, changed(batch, *at, old.as_ref())),
        Purpose::Check(check) => (4, WriteError::CheckFailed { check: *check }),
        Purpose::Parent(mutation, field) => (5, WriteError::ReferenceMissing { mutation: *mutation, field: *field }),
        Purpose::Unique(row) => {
            let who = (row.entity, row.field, row.mutation);
            return (6, Stop::Taken(RefusedRow::new(row.key.clone(), old.as_ref(), who, row.is_wanted)));
        }
        // A gate came, or was opened by somebody who did not wait; a record that had no such reference has changed.
        Purpose::Gate | Purpose::Leftover => return (5, Stop::Again),
        Purpose::Row | Purpose::Reference | Purpose::Rider | Purpose::Tombstone | Purpose::Fence | Purpose::Tag => {
            (7, damaged("a condition failed where none was set"))
        }
    };
    (rank, error.into())
}

fn changed(batch: &Batch, at: usize, old: Option<&Item>) -> WriteError {
    match batch.mutations.get(at).map(|mutation| &mutation.before) {
        Some(None) if old.is_some_and(items::is_tombstone) => WriteError::BeingDeleted { mutation: at },
        Some(None) => WriteError::Exists { mutation: at },
        _ => WriteError::Changed { mutation: at, current: old.and_then(items::decode).map(Box::new) },
    }
}

fn damaged(what: &str) -> WriteError {
    WriteError::Store(TableError::Broken(what.to_owned()))
}

//! A write as one transaction and nothing else, for a table that commits atomically ([`Table::commits_atomically`]): what is announced
//! elsewhere so that nobody acts on a half visible commit stands in the transaction itself.
//!
//! - Tags are counted in it. Who read a tag before the commit and the data after it has kept an answer under the old count.
//! - A reference that comes requires its record to exist and gate 0 to be open, and leaves the gate there. A deletion works as
//!   everywhere: it closes the gate, so that from then on nobody passes, and what has passed before can be read by its row.
//! - There is no fence: nobody meets an element of this attempt, and the row of an idempotency key is there with its effect.
//!
//! Both ways can be at work on one table.
//!
//! [`Table::commits_atomically`]: crate::store::table::Table::commits_atomically

use std::collections::HashSet;

use super::attempt::{Attempt, Stop};
use super::build::{Built, Purpose, TransactionPlan};
use super::{Batch, MAX_ACTIONS, MAX_BYTES, WriteError, Writer};
use crate::core::clock::{Env, Micros};
use crate::store::table::{Expr, Key, Write};
use crate::store::{gate, keys, tags};

/// Bytes that a fence may have.
const FENCE: usize = 4096;

impl TransactionPlan {
    /// The whole write as one transaction. `None` where something is deleted, where it does not fit, and where it would not fit with a
    /// fence, which DynamoDB needs: what one of the two refuses the other does too.
    pub(super) fn at_once(&self, env: &Env, attempt: &Attempt) -> Option<Built> {
        if !self.removals.is_empty() {
            return None;
        }
        let mut all = self.own_actions(env);
        let written: HashSet<Key> = all.iter().map(|(_, write)| write.key().clone()).collect();
        all.extend(self.references_that_come(&written));
        all.extend(self.tags.iter().map(|tag| (Purpose::Tag, tags::count(tag))));
        let built = Built::new(all, attempt);
        (built.purposes.len() < MAX_ACTIONS && built.bytes + FENCE <= MAX_BYTES).then_some(built)
    }

    /// What references need that come: their records, unless the write has a condition on them already, and open gates.
    fn references_that_come(&self, written: &HashSet<Key>) -> Vec<(Purpose, Write)> {
        let (mut actions, mut seen) = (Vec::new(), HashSet::new());
        for gain in self.gains.iter().filter(|gain| seen.insert(&gain.parent)) {
            if !written.contains(&gain.parent) {
                let (mutation, field) = gain.by;
                // A tombstone has no version.
                let condition = Expr::new("attribute_exists(#v)").name("#v", keys::VERSION);
                actions.push((Purpose::Parent(mutation, field), Write::Check { key: gain.parent.clone(), condition }));
            }
            actions.push((Purpose::Gate, gate::pass(&gate::first(&gain.gate))));
        }
        actions
    }
}

impl Writer {
    /// Sends it until its outcome is known. Without a fence nobody finds that out after the deadline.
    pub(super) async fn commit_at_once(
        &self,
        batch: &Batch,
        built: Built,
        attempt: &mut Attempt,
        deadline: Micros,
    ) -> Result<usize, Stop> {
        let sent = self.commit(batch, built, attempt, deadline).await;
        match sent {
            Err(_) if std::mem::take(&mut attempt.uncertain) => Err(WriteError::Unknown.into()),
            sent => sent,
        }
    }
}

//! Announcing an attempt at every tag that it touches and every gate of a record that it comes to refer to: plain calls, all at once.
//!
//! A gate that nobody has used before says nothing of its record. So whoever meets one without `ok` asks for the record by a
//! transaction which also sets `ok`: once in the life of a record, and behind the announcement, so that a deletion which has not seen
//! the gate cannot come in between.

use futures::future;

use super::attempt::{Attempt, Stop};
use super::build::{Gain, TransactionPlan, confirmations};
use super::commit::Pauses;
use super::{WriteError, Writer};
use crate::core::clock::Micros;
use crate::store::fence::Element;
use crate::store::gate::{self, Closed};
use crate::store::heat::{self, Heat};
use crate::store::table::{Expr, Item, Key, Reason, Returning, TableError, TableName, Transaction, Write};
use crate::store::{keys, settle, tags};

/// What is left of an announcement at a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    /// An element, to be settled.
    WithElement,
    /// Nothing: the tag is hot.
    Counted,
}

/// Elements of dead writers from which a gate is tidied, and of how many writers one does it.
const UNTIDY: usize = 8;
const UNTIDY_TURNS: u32 = 4;

/// References whose records one transaction looks for: three actions each at most.
const CONFIRMED_AT_ONCE: usize = 33;

impl Writer {
    /// Announces what of the plan is not announced yet.
    pub(super) async fn announce(&self, plan: &TransactionPlan, attempt: &mut Attempt, deadline: Micros) -> Result<(), Stop> {
        let new_tags: Vec<Key> = plan.tags.iter().filter(|tag| !attempt.tags.contains(tag)).cloned().collect();
        let new_gains: Vec<&Gain> = plan.gains.iter().filter(|gain| !attempt.gates.contains(&gain.gate)).collect();
        // Noted before they are sent: whatever becomes of them is taken back.
        attempt.tags.extend(new_tags.iter().cloned());
        attempt.gates.extend(new_gains.iter().map(|gain| gain.gate.clone()));
        let element = &attempt.element;
        let at_tags = new_tags.iter().map(|tag| self.announce_at(tag, element, deadline));
        let at_gates = new_gains.iter().map(|gain| self.patiently(gate::announce(&gain.gate, element), deadline));
        let (at_tags, at_gates) = future::join(future::join_all(at_tags), future::join_all(at_gates)).await;
        let mut counted = Vec::new();
        for (tag, announced) in new_tags.iter().zip(at_tags) {
            if announced? == Announced::Counted {
                counted.push(tag);
            }
        }
        attempt.tags.retain(|tag| !counted.contains(&tag));
        self.tidy_best_effort(at_gates.iter().flatten().flatten()).await;
        let mut unconfirmed = Vec::new();
        for (gain, announced) in new_gains.into_iter().zip(at_gates) {
            match announced {
                Ok(gate) if gate.as_ref().is_some_and(gate::is_ok) => {}
                Ok(_) => {
                    attempt.new_gates.push(gain.gate.clone());
                    unconfirmed.extend(gain.created_by.is_none().then_some(gain));
                }
                Err(TableError::ConditionFailed(gate)) => return Err(self.refused_by(gain, gate.as_deref()).await?),
                Err(error) => return Err(error.into()),
            }
        }
        for chunk in unconfirmed.chunks(CONFIRMED_AT_ONCE) {
            self.confirm(chunk, deadline).await?;
        }
        Ok(())
    }

    /// Announces at one tag; only counts where it is written all the time, see [`heat`]. What this remembers of tags saves a call and
    /// decides nothing.
    async fn announce_at(&self, tag: &Key, element: &Element, deadline: Micros) -> Result<Announced, TableError> {
        if self.hot.contains(tag) {
            match self.patiently(heat::count(tag), deadline).await {
                Ok(found) => {
                    self.heat(found.as_ref()).await;
                    return Ok(Announced::Counted);
                }
                Err(TableError::ConditionFailed(_)) => self.hot.remove(tag),
                Err(error) => return Err(error),
            }
        }
        let found = self.patiently(tags::announce(tag, element), deadline).await?;
        self.heat(found.as_ref()).await;
        Ok(Announced::WithElement)
    }

    /// Settles what many dead writers have left in gates: nobody else meets it until the record is deleted, and the item would grow. One
    /// of some writers does it.
    async fn tidy_best_effort(&self, gates: impl Iterator<Item = &Item>) {
        for gate in gates.filter(|gate| settle::overdue(&self.env, gate) >= UNTIDY && self.env.random.below(UNTIDY_TURNS) == 0) {
            if let Err(error) = settle::elements(self.table.as_ref(), &self.env, gate).await {
                tracing::debug!(%error, "a gate stays untidy");
            }
        }
    }

    /// Changes the heat of a tag where it is due; best effort, the next writer sees the same.
    async fn heat(&self, tag: Option<&Item>) {
        let Some(tag) = tag else { return };
        let now = self.env.now();
        if heat::of(tag, now) == Heat::Hot {
            self.hot.insert(&tag.key);
        }
        let Some(change) = heat::due(tag, now) else { return };
        if let Err(error) = settle::call(self.table.as_ref(), change).await {
            tracing::debug!(%error, "the heat of a tag is left for the next writer to change");
        }
    }

    /// Makes a call until it has gone through, within the deadline.
    pub(super) async fn patiently(&self, write: Write, deadline: Micros) -> Result<Option<Item>, TableError> {
        let mut pauses = Pauses::new(self, deadline);
        loop {
            match self.table.write(TableName::Data, write.clone(), Returning::New).await {
                Err(TableError::Busy(_) | TableError::Unknown(_)) if pauses.pause().await => {}
                other => return other,
            }
        }
    }

    /// What a closed gate means for a reference. A deletion that takes too long is settled; a young one is waited for.
    async fn refused_by(&self, gain: &Gain, gate: Option<&Item>) -> Result<Stop, TableError> {
        match gate.and_then(|gate| Some((gate, gate::closed(gate)?))) {
            Some((_, Closed::Gone)) => Ok(match gain.created_by {
                Some(mutation) => WriteError::BeingDeleted { mutation }.into(),
                None => missing(gain).into(),
            }),
            Some((gate, Closed::By(_))) => {
                settle::closed(self.table.as_ref(), &self.env, gate).await?;
                Ok(Stop::Again)
            }
            None => Ok(Stop::Again),
        }
    }

    /// Finds, by a transaction, that the records which these references name exist, and notes it at their gates.
    async fn confirm(&self, gains: &[&Gain], deadline: Micros) -> Result<(), Stop> {
        let mut pauses = Pauses::new(self, deadline);
        let mut left: Vec<&Gain> = gains.to_vec();
        loop {
            let (whose, writes) = confirming(&left);
            let token = self.env.uuid_v7().to_string();
            match self.table.transact(Transaction { token, writes }).await {
                Ok(()) => return Ok(()),
                Err(TableError::Cancelled(reasons)) => {
                    let failed = |reason: &Reason| matches!(reason, Reason::ConditionFailed(_));
                    let first = whose.iter().zip(&reasons).find(|(_, reason)| failed(reason));
                    match first {
                        Some((Some(at), _)) => return Err(missing(left[*at]).into()),
                        Some((None, reason)) => {
                            // The gate was settled away, or a deletion has closed gate 0, and may have died before it closed this one.
                            if let Reason::ConditionFailed(Some(gate)) = reason {
                                settle::closed(self.table.as_ref(), &self.env, gate).await?;
                            }
                            return Err(Stop::Again);
                        }
                        None => {}
                    }
                    if let Some(Reason::Other(text)) = reasons.iter().find(|reason| matches!(reason, Reason::Other(_))) {
                        return Err(WriteError::Store(TableError::Broken(text.clone())).into());
                    }
                }
                Err(TableError::Busy(_) | TableError::Unknown(_)) => {}
                Err(error) => return Err(error.into()),
            }
            if !pauses.pause().await {
                return Err(Stop::Again);
            }
            // Others that come to refer to the same record do the same; one of them is enough.
            left = self.unconfirmed(left).await?;
            if left.is_empty() {
                return Ok(());
            }
        }
    }

    async fn unconfirmed<'g>(&self, gains: Vec<&'g Gain>) -> Result<Vec<&'g Gain>, TableError> {
        let places: Vec<_> = gains.iter().map(|gain| (TableName::Data, gain.gate.clone())).collect();
        let found = self.table.get(&places, true).await?;
        let is_open = |gate: &Option<Item>| !gate.as_ref().is_some_and(gate::is_ok);
        Ok(gains.into_iter().zip(found).filter(|(_, gate)| is_open(gate)).map(|(gain, _)| gain).collect())
    }
}

/// The transaction that looks for the records, and of each action the reference whose record it looks for.
fn confirming(gains: &[&Gain]) -> (Vec<Option<usize>>, Vec<(TableName, Write)>) {
    let mut whose = Vec::new();
    let mut writes = Vec::new();
    let mut seen: Vec<&Key> = Vec::new();
    for (at, gain) in gains.iter().enumerate() {
        if !seen.contains(&&gain.parent) {
            seen.push(&gain.parent);
            // A tombstone has no version.
            let condition = Expr::new("attribute_exists(#v)").name("#v", keys::VERSION);
            writes.push((TableName::Data, Write::Check { key: gain.parent.clone(), condition }));
            whose.push(Some(at));
        }
    }
    for (_, write) in confirmations(gains.iter().copied()) {
        writes.push((TableName::Data, write));
        whose.push(None);
    }
    (whose, writes)
}

fn missing(gain: &Gain) -> WriteError {
    let (mutation, field) = gain.by;
    WriteError::ReferenceMissing { mutation, field }
}

//! A delete that brings more along than one transaction can hold.
//!
//! The first transaction deletes the record, leaves a tombstone in its place and an entry for the sweep, and marks its gates as those of
//! a record that is gone: no child can come any more, and no record of the id be made. Children follow by the rows of their
//! references; the last transaction removes gates, tombstone and entry when no row is left. Whoever finds an entry can go on where
//! another died, because each step asks the table what is left ([`Writer::sweep`]).
//!
//! A record that comes to restrict the deletion of one of the children after the first transaction loses against it: the
//! deletion had been acknowledged before, so it goes as if `cascade` were declared.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Attempt, GivenUp, Removal, Stop};
use super::build::{Leftover, TransactionPlan};
use super::building;
use super::commit::Pauses;
use super::stale_rows::StaleRows;
use super::{Batch, Mutation, WriteError, Writer, Written};
use crate::core::clock::{Env, Micros};
use crate::model::value::Record;
use crate::model::{Entity, EntityIx, FieldIx, OnDelete};
use crate::store::constraints::Constraints;
use crate::store::references::{self, Reference};
use crate::store::repeat::repeated;
use crate::store::table::{Attr, Expr, Item, Key, RangeQuery, Reason, TableError, TableName, Transaction, Write};
use crate::store::{gate, items, keys, settle};

/// Children that a step of a large cascade begins with; halved while they do not fit.
const STEP: usize = 8;
/// Entries younger than this are left to the writer that made them.
const ABANDONED: Duration = Duration::from_secs(60);

const ENTITY: &str = "e";
const ID: &str = "i";
const MADE: &str = "m";

/// What [`Writer::sweep`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Cascades that were abandoned and are complete now.
    pub finished: usize,
    /// Cascades that remain: young ones, and those that the time did not suffice for.
    pub remaining: usize,
}

/// Who is left to follow a record that is gone.
struct Followers {
    /// Of each field the records that refer by it.
    children: Vec<(EntityIx, FieldIx, Vec<Record>)>,
    /// Rows of references that are none.
    leftovers: Vec<Leftover>,
    /// Whether some refer by a field that this model does not know.
    unknown: bool,
}

/// What tells the sweep of a deletion.
pub(crate) fn entry(env: &Env, entity: &Entity, id: &str) -> Item {
    Item::new(keys::tombstone(entity, id))
        .with(ENTITY, Attr::S(entity.name.clone()))
        .with(ID, Attr::S(id.to_owned()))
        .with(MADE, Attr::N(env.now().millis()))
}

impl Writer {
    /// A delete beyond one transaction: the record goes at once, its children follow.
    pub(super) async fn delete_in_steps(&self, batch: &Batch, forced: bool, deadline: Micros) -> Result<Written, WriteError> {
        let mutation = &batch.mutations[0];
        let entity = self.model.entity(mutation.entity);
        if !forced {
            self.restricted_below(entity, mutation.id()).await?;
        }
        let mut written = self.delete_first(batch, forced, deadline).await?;
        // Its children take their time, and nothing of this transaction is half visible any more.
        self.settle(written.unsettled.clone()).await;
        written.unsettled.forget();
        written.cascading = match self.finish(entity, mutation.id(), deadline).await {
            Ok(finished) => !finished,
            Err(error) => {
                tracing::warn!(%error, "a cascade is left to the sweep");
                true
            }
        };
        Ok(written)
    }

    /// The first transaction.
    async fn delete_first(&self, batch: &Batch, forced: bool, deadline: Micros) -> Result<Written, WriteError> {
        let mut pauses = Pauses::new(self, deadline);
        let states = self.states(&batch.mutations, deadline).await?;
        building::check(&self.model, &states, &batch.mutations, 1)?;
        let mut stale = StaleRows::default();
        loop {
            let mut attempt = self.begin();
            let stop = match self.try_first(batch, forced, &mut attempt, &stale, deadline).await {
                Ok(actions) => return Ok(attempt.written(actions)),
                Err(stop) => stop,
            };
            match self.give_up(attempt, deadline).await {
                GivenUp::Committed(unsettled) => return Ok(Written { unsettled, actions: 0, cascading: false }),
                GivenUp::Unknown => return Err(WriteError::Unknown),
                GivenUp::Aborted => {}
            }
            match stop {
                Stop::Error(error) | Stop::Large(error) => return Err(error),
                Stop::Taken(refused) if self.look_at_owner(&refused, &mut stale).await? => {}
                Stop::Again | Stop::Taken(_) if pauses.pause().await => {}
                Stop::Again | Stop::Taken(_) => return Err(WriteError::Busy),
            }
        }
    }

    async fn try_first(
        &self,
        batch: &Batch,
        forced: bool,
        attempt: &mut Attempt,
        stale: &StaleRows,
        deadline: Micros,
    ) -> Result<usize, Stop> {
        let mutation = &batch.mutations[0];
        let entity = self.model.entity(mutation.entity);
        let entry = entry(&self.env, entity, mutation.id());
        let plan = TransactionPlan::in_steps(&self.model, batch, entry, attempt.element.token())?.past(stale);
        self.announce(&plan, attempt, deadline).await?;
        self.close_all(&[Removal::of(entity, mutation.id())], attempt, deadline).await?;
        // Behind the closed gate, this is the last word on who refers.
        self.restricts(entity, mutation.id(), forced).await?;
        let built = self.fitting(&plan, attempt)?;
        self.commit(batch, built, attempt, deadline).await
    }

    /// Refuses where somebody who refers to the record restricts its deletion, or refers by a field that this model does not know.
    /// Otherwise the entities whose records go with it.
    async fn restricts(&self, entity: &Entity, id: &str, forced: bool) -> Result<Vec<EntityIx>, WriteError> {
        let mut cascading = Vec::new();
        for reference in references::kinds(self.table.as_ref(), entity, id).await? {
            match self.known_field(entity.ix, &reference) {
                None if !self.is_stray(entity, id, &reference).await? => {
                    return Err(WriteError::Restricted { mutation: 0, by: None });
                }
                None => {}
                Some((child, _, OnDelete::Restrict)) if !forced => {
                    return Err(WriteError::Restricted { mutation: 0, by: Some(child) });
                }
                Some((child, _, OnDelete::Cascade)) => cascading.push(child),
                Some(_) => {}
            }
        }
        Ok(cascading)
    }

    /// Whether no record refers by the field of this row, which is no reference to the record in this model.
    async fn is_stray(&self, entity: &Entity, id: &str, kind: &Reference) -> Result<bool, TableError> {
        if self.has_field(kind) {
            return Ok(true);
        }
        let rows = references::under(self.table.as_ref(), entity, id, usize::MAX).await?;
        let rows: Vec<Reference> =
            rows.into_iter().filter(|row| (&row.entity, &row.field) == (&kind.entity, &kind.field)).collect();
        let places: Vec<_> = rows.iter().map(|row| (TableName::Data, row.record())).collect();
        let found = self.table.get(&places, true).await?;
        let refers = |(row, item): (&Reference, &Option<Item>)| {
            item.as_ref().and_then(items::decode).is_some_and(|record| row.is_of(&record, id))
        };
        Ok(!rows.iter().zip(&found).any(refers))
    }

    /// Refuses where something below restricts, before anything is done. Later ones lose, see above.
    async fn restricted_below(&self, entity: &Entity, id: &str) -> Result<(), WriteError> {
        let mut left = vec![(entity.ix, id.to_owned())];
        while let Some((ix, id)) = left.pop() {
            let entity = self.model.entity(ix);
            let cascading = self.restricts(entity, &id, false).await?;
            if !cascading.iter().any(|child| self.restricts_below(*child, &mut Vec::new())) {
                continue;
            }
            for reference in references::under(self.table.as_ref(), entity, &id, usize::MAX).await? {
                if let Some((child, _, OnDelete::Cascade)) = self.known_field(ix, &reference) {
                    left.push((child, reference.id));
                }
            }
        }
        Ok(())
    }

    /// Whether any reference below an entity can restrict a cascade: from the model alone.
    fn restricts_below(&self, ix: EntityIx, seen: &mut Vec<EntityIx>) -> bool {
        if seen.contains(&ix) {
            return false;
        }
        seen.push(ix);
        self.model.entity(ix).referenced_by.iter().any(|(child, field)| match self.on_delete(*child, *field) {
            OnDelete::Restrict => true,
            OnDelete::Cascade => self.restricts_below(*child, seen),
            OnDelete::SetNull => false,
        })
    }

    /// Takes the children of a record that is gone, then its gates and its tombstone. `false`: the time was up, or somebody refers
    /// by a field that this model does not know.
    async fn finish(&self, entity: &Entity, id: &str, deadline: Micros) -> Result<bool, WriteError> {
        let mut pauses = Pauses::new(self, deadline);
        loop {
            // Whose deletion this is: somebody else may have completed it, and another have begun, when it comes to the end.
            let place = [(TableName::Data, keys::record(entity, id))];
            let tombstone = self.table.get(&place, true).await?.into_iter().next().flatten();
            let Some(tombstone) = tombstone.filter(items::is_tombstone) else { return Ok(true) };
            let found = references::under(self.table.as_ref(), entity, id, STEP).await?;
            if found.is_empty() {
                match self.bury(entity, id, &tombstone).await? {
                    true => return Ok(true),
                    false if pauses.pause().await => continue,
                    false => return Ok(false),
                }
            }
            if self.env.now() >= deadline {
                return Ok(false);
            }
            let followers = self.followers(entity, id, found).await?;
            let moved = self.follow(&followers, deadline).await?;
            if (!moved && !pauses.pause().await) || (followers.unknown && followers.children.is_empty()) {
                return Ok(false);
            }
        }
    }

    /// The records that these rows name, as far as they refer to the record.
    async fn followers(&self, entity: &Entity, id: &str, found: Vec<Reference>) -> Result<Followers, WriteError> {
        let mut followers = Followers { children: Vec::new(), leftovers: Vec::new(), unknown: false };
        let places: Vec<_> = found.iter().map(|reference| (TableName::Data, reference.record())).collect();
        for (reference, item) in found.into_iter().zip(self.table.get(&places, true).await?) {
            let known = self.known_field(entity.ix, &reference);
            let record = items::stored(item.as_ref()).map_err(WriteError::Store)?;
            match (known, record) {
                (Some((child, field, _)), Some(record)) if reference.is_of(&record, id) => {
                    match followers.children.iter_mut().find(|(of, by, _)| (*of, *by) == (child, field)) {
                        Some((_, _, records)) => records.push(record),
                        None => followers.children.push((child, field, vec![record])),
                    }
                }
                (None, Some(record)) if !self.has_field(&reference) && reference.is_of(&record, id) => followers.unknown = true,
                (_, record) => followers.leftovers.push(Leftover::of(reference, record)),
            }
        }
        Ok(followers)
    }

    /// One step for each field. `false`: others changed them first.
    async fn follow(&self, followers: &Followers, deadline: Micros) -> Result<bool, WriteError> {
        let mut moved = true;
        for (child, field, records) in &followers.children {
            moved &= self.step(*child, *field, records.clone(), deadline).await?;
        }
        if !followers.leftovers.is_empty() {
            let mut plan = TransactionPlan::default();
            plan.leftovers(&followers.leftovers);
            moved &= self.maintain(plan.writes()).await?;
        }
        Ok(moved)
    }

    /// Some children at once; fewer where they do not fit. `false`: another changed them first.
    async fn step(
        &self,
        child: EntityIx,
        field: FieldIx,
        mut children: Vec<Record>,
        deadline: Micros,
    ) -> Result<bool, WriteError> {
        let goes = self.on_delete(child, field) != OnDelete::SetNull;
        loop {
            let mutations = children.iter().map(|record| {
                let mut mutation = Mutation { entity: child, before: Some(record.clone()), after: None };
                if !goes {
                    mutation.after = Some(record.clone());
                    self.set_null(&mut mutation, field);
                }
                mutation
            });
            let batch = Batch { mutations: mutations.collect(), ..Batch::default() };
            // A child with many children of its own is a large cascade itself: boxed, because it calls this again.
            match Box::pin(self.insist(&batch, true, &super::admitted(), deadline)).await {
                Ok(written) => {
                    self.settle(written.unsettled).await;
                    return Ok(true);
                }
                Err(WriteError::TooLarge { .. }) if children.len() > 1 => children.truncate(children.len() / 2),
                Err(WriteError::Changed { .. } | WriteError::Busy) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes gates, tombstone and entry of a record to which nobody refers any more. `false`: something stands in the way.
    async fn bury(&self, entity: &Entity, id: &str, tombstone: &Item) -> Result<bool, WriteError> {
        let first = keys::gate(entity, id, 0);
        let found = self.table.get(&[(TableName::Data, first.clone())], true).await?.into_iter().next().flatten();
        let gates = found.as_ref().map_or_else(|| vec![first], gate::all);
        let mut writes: Vec<Write> = gates.iter().map(gate::bury).collect();
        writes.push(Write::Delete { key: tombstone.key.clone(), condition: Some(items::still(tombstone)) });
        writes.push(Write::Delete { key: keys::tombstone(entity, id), condition: None });
        let buried = self.maintain(writes).await?;
        if !buried {
            // What died behind the gate before it closed.
            for gate in &gates {
                self.settle_gate(gate).await?;
            }
        }
        Ok(buried)
    }

    async fn settle_gate(&self, key: &Key) -> Result<(), TableError> {
        let found = self.table.get(&[(TableName::Data, key.clone())], true).await?;
        let Some(gate) = found.into_iter().next().flatten() else { return Ok(()) };
        let behind = gate::unsettled(&gate).to_vec();
        settle::remove(self.table.as_ref(), &self.env, key, behind).await.map(drop)
    }

    /// A transaction that announces nothing, because nobody reads what it removes. `false`: it was refused, or is not known to be done.
    async fn maintain(&self, writes: Vec<Write>) -> Result<bool, TableError> {
        let writes = writes.into_iter().map(|write| (TableName::Data, write)).collect();
        match self.table.transact(Transaction { token: self.env.uuid_v7().to_string(), writes }).await {
            Ok(()) => Ok(true),
            Err(TableError::Cancelled(reasons)) => match reasons.into_iter().find(|reason| matches!(reason, Reason::Other(_))) {
                Some(Reason::Other(why)) => Err(TableError::Broken(why)),
                _ => Ok(false),
            },
            Err(TableError::Busy(_) | TableError::Unknown(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes up cascades whose writers are gone. The reporter calls this; any number may run at a time.
    ///
    /// # Errors
    /// What the table says.
    pub async fn sweep(&self, deadline: Micros) -> Result<Swept, WriteError> {
        // What an earlier version has begun looks finished to this one.
        Constraints::new(Arc::clone(&self.table), Arc::clone(&self.model), self.env.clone()).check_protocol().await?;
        let mut swept = Swept::default();
        let mut query = RangeQuery::partition(TableName::Data, keys::TOMBSTONES.to_owned());
        loop {
            let page = self.table.query(query.clone()).await?;
            for tombstone in &page.items {
                let entity = tombstone.s(ENTITY).and_then(|name| self.model.by_name(name));
                let (Some(entity), Some(id), true) = (entity, tombstone.s(ID), Self::is_abandoned(&self.env, tombstone)) else {
                    swept.remaining += 1;
                    continue;
                };
                match self.finish(entity, id, deadline).await {
                    Ok(true) => {
                        swept.finished += 1;
                        self.forget(tombstone).await?;
                    }
                    Ok(false) => swept.remaining += 1,
                    Err(error) => {
                        tracing::error!(%error, entity = entity.name, "an abandoned cascade cannot be completed; `verify` tells why");
                        swept.remaining += 1;
                    }
                }
            }
            let Some(next) = page.next else { return Ok(swept) };
            query.after = Some(next);
        }
    }

    /// Removes an entry whose deletion is complete, if it is still that one's.
    async fn forget(&self, entry: &Item) -> Result<(), TableError> {
        let condition = Expr::new("#m = :m").name("#m", MADE).value(":m", Attr::N(entry.n(MADE).unwrap_or(0)));
        let write = Write::Delete { key: entry.key.clone(), condition: Some(condition) };
        repeated(&self.env, || settle::call(self.table.as_ref(), write.clone())).await
    }

    /// Whether a tombstone is older than its writer can be at work.
    pub(crate) fn is_abandoned(env: &Env, tombstone: &Item) -> bool {
        let age = env.now().millis().saturating_sub(tombstone.n(MADE).unwrap_or(0));
        age >= i64::try_from(ABANDONED.as_millis()).unwrap_or(i64::MAX)
    }
}

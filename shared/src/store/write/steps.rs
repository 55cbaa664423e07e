//! A delete that brings more along than one transaction can hold.
//!
//! The first transaction deletes the record, closes its guards (no child can come any more) and leaves a tombstone; children
//! follow in batches; the last transaction removes guards and tombstone on condition that nobody refers any more. Whoever finds
//! a tombstone can go on where another died, because each step asks the table what is left ([`Writer::sweep`]).
//!
//! A record that comes to restrict the deletion of one of the children after the first transaction loses against it: the
//! deletion had been acknowledged before, so it goes as if `cascade` were declared.

use std::time::Duration;

use super::build::{Closing, TransactionPlan};
use super::commit::Pauses;
use super::guards::{CLOSED, COUNT, RESTRICTING, Refused};
use super::{Batch, Mutation, WriteError, Writer, Written};
use crate::core::clock::{Env, Micros};
use crate::model::value::Record;
use crate::model::{Entity, EntityIx, FieldIx, OnDelete};
use crate::store::keys;
use crate::store::table::{Attr, Expr, Item, RangeQuery, TableError, TableName, Write};

/// Children that a step of a large cascade begins with; halved while they do not fit.
const STEP: usize = 8;
/// Tombstones younger than this are left to the writer that made them.
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

impl Writer {
    /// A delete beyond one transaction: the record goes at once, its children follow.
    pub(super) async fn delete_staged(&self, batch: &Batch, forced: bool, deadline: Micros) -> Result<Written, WriteError> {
        let mutation = &batch.mutations[0];
        let entity = self.model.entity(mutation.entity);
        if !forced {
            self.restricted_below(entity, mutation.id()).await?;
        }
        let tombstone = Item::new(keys::tombstone(entity, mutation.id()))
            .with(ENTITY, Attr::S(entity.name.clone()))
            .with(ID, Attr::S(mutation.id().to_owned()))
            .with(MADE, Attr::N(self.env.now().millis()));
        let plan = TransactionPlan::closing(&self.model, batch, Some(Closing { mutation: 0, forced, tombstone }))?;
        let mut written = match self.commit(batch, &plan, deadline).await {
            Ok(written) => written,
            Err(Refused::Error(error)) => return Err(error),
            Err(Refused::HasChildren { mutation }) => return Err(WriteError::Changed { mutation, current: None }),
        };
        written.cascading = match self.finish(entity, mutation.id(), deadline).await {
            Ok(finished) => !finished,
            Err(error) => {
                tracing::warn!(%error, "a cascade is left to the sweep");
                true
            }
        };
        Ok(written)
    }

    /// Refuses where something below restricts, before anything is done. Later ones lose, see above.
    async fn restricted_below(&self, entity: &Entity, id: &str) -> Result<(), WriteError> {
        let mut left = vec![(entity.ix, id.to_owned())];
        while let Some((ix, id)) = left.pop() {
            let entity = self.model.entity(ix);
            for (child, field) in &entity.referenced_by {
                match self.on_delete(*child, *field) {
                    OnDelete::Restrict if self.restricting(entity, &id).await? => {
                        return Err(WriteError::Restricted { mutation: 0, by: *child });
                    }
                    OnDelete::Cascade if self.restricts_below(*child, &mut Vec::new()) => {
                        let children = self.children(entity, &id, *child, *field, usize::MAX).await?;
                        left.extend(children.into_iter().map(|record| (*child, record.id)));
                    }
                    _ => {}
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

    async fn restricting(&self, entity: &Entity, id: &str) -> Result<bool, TableError> {
        let keys: Vec<_> = (0..entity.shards).map(|shard| (TableName::Data, keys::guard(entity, id, shard))).collect();
        let guards = self.table.get(&keys, true).await?;
        Ok(guards.iter().flatten().any(|guard| guard.n(RESTRICTING).unwrap_or(0) > 0))
    }

    /// Takes the children of a record that has a tombstone, then its guards and the tombstone. `false`: the time was up.
    async fn finish(&self, entity: &Entity, id: &str, deadline: Micros) -> Result<bool, WriteError> {
        let mut pauses = Pauses::new(self, deadline);
        loop {
            let mut found = false;
            for (child, field) in &entity.referenced_by {
                loop {
                    let children = self.children(entity, id, *child, *field, STEP).await?;
                    if children.is_empty() {
                        break;
                    }
                    found = true;
                    if self.env.now() >= deadline {
                        return Ok(false);
                    }
                    if !self.step(*child, *field, children, deadline).await? && !pauses.pause().await {
                        return Ok(false);
                    }
                }
            }
            if !found {
                match self.remove_tombstone(entity, id, deadline).await {
                    Ok(done) => return Ok(done),
                    // A reference of the last moment before the guards closed, or one that no index shows yet.
                    Err(WriteError::Busy) if pauses.pause().await => {}
                    Err(WriteError::Busy) => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
        }
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
            match Box::pin(self.write_as(&batch, true, deadline)).await {
                Ok(written) => {
                    self.clear(written.unsettled).await;
                    return Ok(true);
                }
                Err(WriteError::TooLarge { .. }) if children.len() > 1 => children.truncate(children.len() / 2),
                Err(WriteError::Changed { .. } | WriteError::Busy) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes guards and tombstone. `true` also where another has done so; [`WriteError::Busy`] where somebody still refers.
    async fn remove_tombstone(&self, entity: &Entity, id: &str, deadline: Micros) -> Result<bool, WriteError> {
        let mut plan = TransactionPlan::new(&self.model, &Batch::default())?;
        for shard in 0..entity.shards {
            let condition = Expr::new("attribute_not_exists(pk) OR #n = :zero").name("#n", COUNT).value(":zero", Attr::N(0));
            plan.add(Write::Delete { key: keys::guard(entity, id, shard), condition: Some(condition) });
        }
        plan.add(Write::Delete { key: keys::tombstone(entity, id), condition: Some(Expr::new("attribute_exists(pk)")) });
        match self.commit(&Batch::default(), &plan, deadline).await {
            Ok(_) => Ok(true),
            Err(Refused::Error(WriteError::Unknown)) => Ok(false),
            Err(Refused::Error(WriteError::Store(TableError::Broken(why)))) => {
                let key = [(TableName::Data, keys::tombstone(entity, id))];
                if self.table.get(&key, true).await?.iter().all(Option::is_none) {
                    return Ok(true);
                }
                tracing::debug!(why, "a cascade's last step waits for its children");
                Err(WriteError::Busy)
            }
            Err(Refused::Error(error)) => Err(error),
            Err(Refused::HasChildren { .. }) => Err(WriteError::Busy),
        }
    }

    /// Takes up cascades whose writers are gone. The reporter calls this; any number may run at a time.
    ///
    /// # Errors
    /// What the table says.
    pub async fn sweep(&self, deadline: Micros) -> Result<Swept, WriteError> {
        let mut swept = Swept::default();
        let mut query = RangeQuery {
            table: TableName::Data,
            pk: keys::TOMBSTONES.to_owned(),
            from: None,
            to: None,
            after: None,
            descending: false,
            limit: None,
            consistent: true,
            count_only: false,
        };
        loop {
            let page = self.table.query(query.clone()).await?;
            for tombstone in &page.items {
                let entity = tombstone.s(ENTITY).and_then(|name| self.model.by_name(name));
                let (Some(entity), Some(id), true) = (entity, tombstone.s(ID), Self::is_abandoned(&self.env, tombstone)) else {
                    swept.remaining += 1;
                    continue;
                };
                match self.finish(entity, id, deadline).await {
                    Ok(true) => swept.finished += 1,
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

    /// Whether a tombstone is older than its writer can be at work.
    pub(crate) fn is_abandoned(env: &Env, tombstone: &Item) -> bool {
        let age = env.now().millis().saturating_sub(tombstone.n(MADE).unwrap_or(0));
        age >= i64::try_from(ABANDONED.as_millis()).unwrap_or(i64::MAX)
    }

    /// Whether a record's guards say that it is being deleted: for messages and `verify`.
    pub(crate) fn is_closed(guard: &Item) -> bool {
        guard.attrs.get(CLOSED) == Some(&Attr::Bool(true))
    }
}

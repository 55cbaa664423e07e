//! What a delete brings along: children that go with it (`cascade`) or stay without it (`set_null`).
//!
//! Where all fits into one transaction, it is one. Otherwise the first transaction deletes the record, closes its guards (no
//! child can come any more) and leaves a tombstone; children follow in batches; the last transaction removes guards and
//! tombstone on condition that nobody refers any more. Whoever finds a tombstone can go on where another died, because each
//! step asks the table what is left ([`Writer::sweep`]).
//!
//! A record that comes to restrict the deletion of a *grandchild's* parent after the first transaction loses against it: its
//! parent's deletion had been acknowledged before, so it goes as if `cascade` were declared.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use super::build::{Closing, Plan};
use super::commit::Pauses;
use super::guards::{CLOSED, COUNT, RESTRICTING, Refused};
use super::{Batch, Mutation, WriteError, Writer, Written};
use crate::clock::{Env, Micros};
use crate::model::{Entity, EntityIx, FieldIx, FieldType, OnDelete, by_ref};
use crate::store::table::{Attr, Expr, Item, RangeQuery, TableError, TableName, Write};
use crate::store::{items, keys};
use crate::value::encode::{encode, order_at};
use crate::value::{Record, new_version};

/// Children that are looked at for one transaction: more could not fit, each takes two actions at least.
const MOST_CHILDREN: usize = 50;
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

/// What stands for the deletes of a batch.
enum Expanded {
    /// A batch with everything that they bring along.
    Small(Batch),
    /// More than could fit.
    Large,
}

impl Writer {
    /// A batch whose deletes bring children along, the first of which was noticed at `mutation`.
    pub(super) async fn with_children(
        &self,
        batch: &Batch,
        mutation: usize,
        forced: bool,
        deadline: Micros,
    ) -> Result<Written, WriteError> {
        let mut pauses = Pauses::new(self, deadline);
        loop {
            let expanded = self.expand(batch, forced).await.map_err(|error| of_caller(error, batch, mutation))?;
            let large = match expanded {
                Expanded::Large => WriteError::TooLarge { actions: super::MOST_ACTIONS + 1, bytes: 0 },
                Expanded::Small(expanded) => {
                    let refused = match self.attempt(&expanded, deadline).await {
                        Ok(written) => return Ok(written),
                        Err(refused) => refused.of_children(forced),
                    };
                    match refused {
                        Err(error @ WriteError::TooLarge { .. }) => error,
                        Err(error) if !is_of_meanwhile(&error, batch) => return Err(of_caller(error, batch, mutation)),
                        // A child came, went or changed meanwhile: what the caller asked for still stands.
                        _ if pauses.pause().await => continue,
                        _ => return Err(WriteError::Busy),
                    }
                }
            };
            return if batch.mutations.len() == 1 { self.in_steps(batch, forced, deadline).await } else { Err(large) };
        }
    }

    /// All that the deletes of the batch bring along, from lists that are strongly consistent; the guards decide whether they
    /// were complete.
    async fn expand(&self, batch: &Batch, forced: bool) -> Result<Expanded, WriteError> {
        let mut expanded = batch.clone();
        let mut known: HashMap<(EntityIx, String), usize> =
            batch.mutations.iter().enumerate().map(|(at, mutation)| ((mutation.entity, mutation.id().to_owned()), at)).collect();
        let own = batch.mutations.len();
        let mut at = 0;
        while at < expanded.mutations.len() {
            let Mutation { entity, before: Some(parent), after: None } = expanded.mutations[at].clone() else {
                at += 1;
                continue;
            };
            let parent_entity = self.model.entity(entity);
            let mut again = at + 1;
            for (child_entity, field) in &parent_entity.referenced_by {
                let children = self.children(parent_entity, &parent.id, *child_entity, *field, MOST_CHILDREN + 1).await?;
                for child in children {
                    let key = (*child_entity, child.id.clone());
                    let place = known.get(&key).copied();
                    // What the batch itself changes is settled by it, and what goes already is; the guards count.
                    if place.is_some_and(|place| place < own || expanded.mutations[place].after.is_none()) {
                        continue;
                    }
                    match (self.on_delete(*child_entity, *field), place) {
                        (OnDelete::Restrict, _) if !forced => {
                            return Err(WriteError::Restricted { mutation: at, by: *child_entity });
                        }
                        (OnDelete::SetNull, Some(place)) => self.set_null(&mut expanded.mutations[place], *field),
                        (OnDelete::SetNull, None) => {
                            let mut mutation =
                                Mutation { entity: *child_entity, before: Some(child.clone()), after: Some(child) };
                            self.set_null(&mut mutation, *field);
                            known.insert(key, expanded.mutations.len());
                            expanded.mutations.push(mutation);
                        }
                        (_, Some(place)) => {
                            // It was to stay without another parent and goes with this one: its own children are next.
                            expanded.mutations[place].after = None;
                            again = again.min(place);
                        }
                        (_, None) => {
                            known.insert(key, expanded.mutations.len());
                            expanded.mutations.push(Mutation { entity: *child_entity, before: Some(child), after: None });
                        }
                    }
                }
                if expanded.mutations.len() > own + MOST_CHILDREN {
                    return Ok(Expanded::Large);
                }
            }
            at = again;
        }
        Ok(Expanded::Small(expanded))
    }

    fn on_delete(&self, entity: EntityIx, field: FieldIx) -> OnDelete {
        match self.model.entity(entity).field(field).kind {
            FieldType::Ref { on_delete, .. } => on_delete,
            // The model makes `referenced_by` of refs alone; refusing is the harmless reading of anything else.
            _ => OnDelete::Restrict,
        }
    }

    fn set_null(&self, mutation: &mut Mutation, field: FieldIx) {
        let entity = self.model.entity(mutation.entity);
        if let Some(after) = &mut mutation.after {
            after.fields.insert(entity.field(field).name.clone(), Value::Null);
            if let Some(updated) = after.fields.get_mut("updated_at") {
                *updated = Value::String(self.env.now().rfc3339());
            }
            after.version = new_version(&self.env);
        }
    }

    /// Up to `most` records that refer to a parent by a field. Empty where no index can tell, which is so for some
    /// restricting references only: there the guard alone decides.
    async fn children(
        &self,
        parent: &Entity,
        parent_id: &str,
        child: EntityIx,
        field: FieldIx,
        most: usize,
    ) -> Result<Vec<Record>, TableError> {
        let entity = self.model.entity(child);
        let Some(index) = by_ref(entity, field).filter(|index| index.is_stored()) else { return Ok(Vec::new()) };
        let id = Record { id: parent_id.to_owned(), version: String::new(), fields: serde_json::Map::new() }.id_value(parent);
        let value = encode(&order_at(&self.model, entity, crate::model::Path::Own(field)), &id);
        let mut query = RangeQuery {
            table: TableName::Data,
            pk: keys::partition(entity, index, &[value]),
            from: None,
            to: None,
            after: None,
            descending: false,
            limit: Some(most),
            consistent: true,
            count_only: false,
        };
        let mut rows: Vec<Item> = Vec::new();
        while rows.len() < most {
            let page = self.table.query(query.clone()).await?;
            rows.extend(page.items);
            let Some(next) = page.next else { break };
            query.after = Some(next);
        }
        rows.truncate(most);
        if index.projection.is_some() {
            let keys: Vec<_> =
                rows.iter().filter_map(|row| Some((TableName::Data, keys::record(entity, row.s(keys::ID)?)))).collect();
            rows = self.table.get(&keys, true).await?.into_iter().flatten().collect();
        }
        Ok(rows.iter().filter_map(items::decode).collect())
    }

    /// A delete beyond one transaction: the record goes at once, its children follow.
    async fn in_steps(&self, batch: &Batch, forced: bool, deadline: Micros) -> Result<Written, WriteError> {
        let mutation = &batch.mutations[0];
        let entity = self.model.entity(mutation.entity);
        if !forced {
            self.restricted_below(entity, mutation.id()).await?;
        }
        let tombstone = Item::new(keys::tombstone(entity, mutation.id()))
            .with(ENTITY, Attr::S(entity.name.clone()))
            .with(ID, Attr::S(mutation.id().to_owned()))
            .with(MADE, Attr::N(self.env.now().millis()));
        let plan = Plan::closing(&self.model, batch, Some(Closing { mutation: 0, forced, tombstone }))?;
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
                match self.bury(entity, id, deadline).await {
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
    async fn bury(&self, entity: &Entity, id: &str, deadline: Micros) -> Result<bool, WriteError> {
        let mut plan = Plan::new(&self.model, &Batch::default())?;
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

/// Whether a record that a delete brings along has changed since its list was read.
fn is_of_meanwhile(error: &WriteError, batch: &Batch) -> bool {
    matches!(error, WriteError::Changed { mutation, .. } if *mutation >= batch.mutations.len())
}

/// Positions behind the caller's own mutations mean something that a delete brought along.
fn of_caller(error: WriteError, batch: &Batch, mutation: usize) -> WriteError {
    let own = batch.mutations.len();
    match error {
        WriteError::Restricted { mutation: at, by } if at >= own => WriteError::Restricted { mutation, by },
        WriteError::Unique { mutation: at, .. }
        | WriteError::ReferenceMissing { mutation: at, .. }
        | WriteError::Exists { mutation: at }
        | WriteError::BeingDeleted { mutation: at }
        | WriteError::Contradiction { mutation: at }
            if at >= own =>
        {
            WriteError::Changed { mutation, current: None }
        }
        other => other,
    }
}

//! From mutations to actions: one action per item, whatever number of mutations touches it.

use std::collections::{HashMap, HashSet};

use super::guards::{Guard, referred};
use super::unique::{self, UniqueClaim};
use super::{Batch, Mutation, WriteError};
use crate::core::clock::Env;
use crate::model::value::{Record, new_version};
use crate::model::{Entity, FieldIx, FieldType, Model, OnDelete};
use crate::store::object;
use crate::store::pending_deletion::PendingDeletion;
use crate::store::table::{Attr, Expr, Item, Key, TableName, Transaction, Write};
use crate::store::tags::{self, Unsettled};
use crate::store::{items, keys};

/// What an action is for: tells which constraint its failure means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Purpose {
    /// The record of a mutation.
    Record(usize),
    /// A check.
    Check(usize),
    /// An index row, without a condition.
    Row,
    /// A unique value of these mutations and fields, the one that takes it first.
    Unique(Vec<(usize, FieldIx)>),
    /// A guard.
    Guard(Guard),
    /// The tombstone of a cascade.
    Tombstone,
    /// The idempotency row.
    Idempotency,
    /// An audit or outbox entry, a further part of the idempotency row, or an object that is to vanish.
    Rider,
    /// A rider with a condition of its own.
    Conditioned,
    /// A tag.
    Tag,
}

/// All actions but those of the tags, which name the transaction's token.
#[derive(Default)]
pub(super) struct TransactionPlan {
    actions: Vec<(Purpose, Write)>,
    /// Records that change.
    records: HashSet<Key>,
    claims: Merged<(UniqueClaim, Vec<(usize, FieldIx)>)>,
    guards: Merged<Guard>,
    tags: Vec<(Key, Vec<String>)>,
    /// Keys of objects that nothing refers to any more.
    released: Vec<String>,
}

/// What several mutations do to one item, in the order of the first.
struct Merged<T> {
    places: HashMap<Key, usize>,
    items: Vec<(Key, T)>,
}

impl<T> Default for Merged<T> {
    fn default() -> Self {
        Self { places: HashMap::new(), items: Vec::new() }
    }
}

impl<T> Merged<T> {
    fn entry(&mut self, key: Key, new: impl FnOnce() -> T) -> &mut T {
        let items = &mut self.items;
        let place = *self.places.entry(key).or_insert_with_key(|key| {
            items.push((key.clone(), new()));
            items.len() - 1
        });
        &mut items[place].1
    }
}

/// A delete whose children follow in later transactions.
pub(super) struct Closing {
    /// Which mutation.
    pub(super) mutation: usize,
    /// Whether restricting references are no obstacle.
    pub(super) forced: bool,
    /// What tells the sweep.
    pub(super) tombstone: Item,
}

/// A transaction and what it means.
pub(super) struct Built {
    pub(super) transaction: Transaction,
    pub(super) purposes: Vec<Purpose>,
    pub(super) unsettled: Unsettled,
    pub(super) bytes: usize,
}

impl TransactionPlan {
    pub(super) fn new(model: &Model, batch: &Batch) -> Result<Self, WriteError> {
        Self::closing(model, batch, None)
    }

    /// As [`TransactionPlan::new`], but the delete that `closing` names leaves its guards, closed, and a tombstone.
    pub(super) fn closing(model: &Model, batch: &Batch, closing: Option<Closing>) -> Result<Self, WriteError> {
        let mut plan = Self::default();
        let mut touches = Vec::new();
        for (at, mutation) in batch.mutations.iter().enumerate() {
            let entity = model.entity(mutation.entity);
            plan.record(entity, at, mutation)?;
            plan.rows(model, entity, mutation);
            plan.unique(model, entity, at, mutation)?;
            plan.references(model, entity, at, mutation);
            plan.released.extend(object::released(entity, fields(&mutation.before), fields(&mutation.after)));
            plan.own_guards(entity, at, mutation, closing.as_ref().filter(|closing| closing.mutation == at));
            touches.extend(tags::touched(model, entity, mutation.before.as_ref(), mutation.after.as_ref()));
        }
        plan.no_dangling()?;
        for (at, check) in batch.checks.iter().enumerate() {
            let key = keys::record(model.entity(check.entity), &check.id);
            // A record that is changed as well is conditioned on a version already: it has to be the same.
            if plan.records.contains(&key) {
                if !batch.mutations.iter().any(|mutation| check.agrees_with(mutation)) {
                    return Err(WriteError::CheckFailed { check: at });
                }
            } else {
                let condition = of_version(&check.version);
                plan.actions.push((Purpose::Check(at), Write::Check { key, condition }));
            }
        }
        if let Some(Closing { tombstone, .. }) = closing {
            plan.put(Purpose::Tombstone, tombstone, None);
        }
        plan.riders(batch);
        plan.tags = tags::gather(touches);
        Ok(plan)
    }

    fn put(&mut self, purpose: Purpose, item: Item, condition: Option<Expr>) {
        self.actions.push((purpose, Write::Put { item, condition }));
    }

    /// One further action, for a transaction that is no change of a record.
    pub(super) fn add(&mut self, write: Write) {
        self.actions.push((Purpose::Rider, write));
    }

    fn record(&mut self, entity: &Entity, at: usize, mutation: &Mutation) -> Result<(), WriteError> {
        let key = keys::record(entity, mutation.id());
        if !self.records.insert(key.clone()) {
            return Err(WriteError::Contradiction { mutation: at });
        }
        let condition = mutation.before.as_ref().map_or_else(absent, |before| of_version(&before.version));
        let write = match &mutation.after {
            Some(after) => Write::Put { item: items::record(entity, after), condition: Some(condition) },
            None => Write::Delete { key, condition: Some(condition) },
        };
        self.actions.push((Purpose::Record(at), write));
        Ok(())
    }

    fn rows(&mut self, model: &Model, entity: &Entity, mutation: &Mutation) {
        for index in entity.indexes.iter().filter(|index| index.is_stored()) {
            let after = mutation.after.as_ref().map(|after| items::row(model, entity, index, after));
            if let Some(before) = &mutation.before {
                let key = keys::index_row(model, entity, index, before);
                if after.as_ref().is_none_or(|after| after.key != key) {
                    self.actions.push((Purpose::Row, Write::Delete { key, condition: None }));
                }
            }
            if let Some(after) = after {
                self.put(Purpose::Row, after, None);
            }
        }
    }

    fn unique(&mut self, model: &Model, entity: &Entity, at: usize, mutation: &Mutation) -> Result<(), WriteError> {
        for field in entity.fields.iter().filter(|field| field.unique) {
            let row_of = |record: &Option<Record>| {
                record.as_ref().and_then(|record| unique::row(model, entity, field, record.fields.get(&field.name)))
            };
            let (before, after) = (row_of(&mutation.before), row_of(&mutation.after));
            if before == after {
                continue;
            }
            for (key, takes) in [(before, false), (after, true)] {
                let Some(key) = key else { continue };
                let (claim, who) = self.claims.entry(key, Default::default);
                let place = if takes { &mut claim.taken } else { &mut claim.released };
                if place.is_some() {
                    return Err(WriteError::Unique { mutation: at, field: field.ix });
                }
                *place = Some(mutation.id().to_owned());
                if takes {
                    who.insert(0, (at, field.ix));
                } else {
                    who.push((at, field.ix));
                }
            }
        }
        Ok(())
    }

    fn guard(&mut self, entity: &Entity, id: &str, shard: u16) -> &mut Guard {
        self.guards.entry(keys::guard(entity, id, shard), || Guard::new(entity.ix))
    }

    fn references(&mut self, model: &Model, entity: &Entity, at: usize, mutation: &Mutation) {
        for field in &entity.fields {
            let FieldType::Ref { target, on_delete } = field.kind else { continue };
            let target = model.entity(target);
            let id_of = |record: &Option<Record>| record.as_ref().and_then(|record| referred(record.fields.get(&field.name)));
            let (before, after) = (id_of(&mutation.before), id_of(&mutation.after));
            if before == after {
                continue;
            }
            let shard = keys::shard(mutation.id(), target.shards);
            let restricting = i64::from(on_delete == OnDelete::Restrict);
            if let Some(id) = before {
                let guard = self.guard(target, &id, shard);
                guard.count -= 1;
                guard.restricting -= restricting;
                guard.loses = true;
            }
            if let Some(id) = after {
                let guard = self.guard(target, &id, shard);
                guard.count += 1;
                guard.restricting += restricting;
                guard.gains.push((at, field.ix));
            }
        }
    }

    fn own_guards(&mut self, entity: &Entity, at: usize, mutation: &Mutation, closing: Option<&Closing>) {
        if !entity.is_referenced() || mutation.before.is_some() == mutation.after.is_some() {
            return;
        }
        for shard in 0..entity.shards {
            let guard = self.guard(entity, mutation.id(), shard);
            match (&mutation.before, closing) {
                (None, _) => guard.create = Some(at),
                (Some(_), None) => guard.remove = Some(at),
                (Some(_), Some(closing)) => {
                    guard.close = Some(at);
                    guard.forced = closing.forced;
                }
            }
        }
    }

    /// Nothing may come to refer to what the same transaction deletes.
    fn no_dangling(&self) -> Result<(), WriteError> {
        for (_, guard) in &self.guards.items {
            if (guard.remove.is_some() || guard.close.is_some())
                && let Some((mutation, field)) = guard.gains.first()
            {
                return Err(WriteError::ReferenceMissing { mutation: *mutation, field: *field });
            }
        }
        Ok(())
    }

    fn riders(&mut self, batch: &Batch) {
        let mut purpose = Purpose::Idempotency;
        for item in &batch.riders.idempotency {
            // The row is free where there is none or an expired one; its parts follow it.
            let condition = (purpose == Purpose::Idempotency).then(|| items::is_free(item));
            self.put(std::mem::replace(&mut purpose, Purpose::Rider), item.clone(), condition);
        }
        for item in batch.riders.audit.iter().chain(&batch.riders.outbox) {
            self.put(Purpose::Rider, item.clone(), None);
        }
        let conditioned = batch.riders.conditioned.iter().cloned();
        self.actions.extend(conditioned.map(|write| (Purpose::Conditioned, write)));
    }

    /// The transaction with this token. The same plan and token at another time are another body: keep what was sent.
    pub(super) fn transaction(&self, env: &Env, token: String) -> Built {
        let actions = self.actions.iter().cloned();
        let claims = self.claims.items.iter().map(|(key, (claim, who))| (Purpose::Unique(who.clone()), claim.write(key)));
        let guards = self.guards.items.iter().map(|(key, guard)| (Purpose::Guard(guard.clone()), guard.write(key)));
        let (mut purposes, mut writes): (Vec<_>, Vec<_>) =
            actions.chain(claims).chain(guards).map(|(purpose, write)| (purpose, (TableName::Data, write))).unzip();
        let (version, now) = (new_version(env), env.now());
        for key in &self.released {
            let row = PendingDeletion::object(env, key, now).item();
            writes.push((TableName::Data, Write::Put { item: row, condition: None }));
            purposes.push(Purpose::Rider);
        }
        let mut elements = Vec::new();
        for (tag, parts) in &self.tags {
            let element = tags::element(&token, now, parts);
            writes.push((TableName::Data, tags::change(tag, &version, &element)));
            purposes.push(Purpose::Tag);
            elements.push((tag.clone(), element));
        }
        let bytes = writes.iter().map(|(_, write)| size(write)).sum();
        let unsettled = Unsettled { elements };
        Built { transaction: Transaction { token, writes }, purposes, unsettled, bytes }
    }
}

fn fields(record: &Option<Record>) -> Option<&serde_json::Map<String, serde_json::Value>> {
    record.as_ref().map(|record| &record.fields)
}

fn absent() -> Expr {
    Expr::new("attribute_not_exists(pk)")
}

fn of_version(version: &str) -> Expr {
    Expr::new("#v = :v").name("#v", keys::VERSION).value(":v", Attr::S(version.to_owned()))
}

/// Bytes that a write counts with.
fn size(write: &Write) -> usize {
    let of_key = |key: &Key| 4 + key.pk.len() + key.sk.len();
    let of_expr = |expr: &Expr| expr.values.values().map(items::size_of).sum::<usize>();
    match write {
        Write::Put { item, .. } => items::size(item),
        Write::Update { key, update, .. } => of_key(key) + of_expr(update),
        Write::Delete { key, .. } | Write::Check { key, .. } => of_key(key),
    }
}

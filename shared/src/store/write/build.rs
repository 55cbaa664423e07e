//! From mutations to actions: one action per item, whatever number of mutations touches it.

use std::collections::HashMap;

use super::guards::{Guard, referred};
use super::unique::{self, Claim};
use super::{Batch, Mutation, WriteError};
use crate::clock::Env;
use crate::model::{Entity, FieldIx, FieldType, Model, OnDelete};
use crate::store::table::{Attr, Expr, Item, Key, TableName, Transaction, Write};
use crate::store::tags::{self, Unsettled};
use crate::store::{items, keys};
use crate::value::{Record, new_version};

/// What an action is for: tells which constraint its failure means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Purpose {
    /// The record of a mutation.
    Record(usize),
    /// A check.
    Check(usize),
    /// An index row, without a condition.
    Row,
    /// A unique value of these mutations and fields.
    Unique(Claim, Vec<(usize, FieldIx)>),
    /// A guard.
    Guard(Guard),
    /// The tombstone of a cascade.
    Tombstone,
    /// The idempotency row.
    Idempotency,
    /// An audit or outbox entry, or a further part of the idempotency row.
    Rider,
    /// A tag.
    Tag,
}

/// All actions but those of the tags, which name the transaction's token.
pub(super) struct Plan {
    actions: Vec<(Key, Purpose, Option<Write>)>,
    places: HashMap<Key, usize>,
    tags: Vec<(Key, Vec<String>)>,
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

impl Plan {
    pub(super) fn new(model: &Model, batch: &Batch) -> Result<Self, WriteError> {
        Self::closing(model, batch, None)
    }

    /// As [`Plan::new`], but the delete that `closing` names leaves its guards, closed, and a tombstone.
    pub(super) fn closing(model: &Model, batch: &Batch, closing: Option<Closing>) -> Result<Self, WriteError> {
        let mut plan = Self { actions: Vec::new(), places: HashMap::new(), tags: Vec::new() };
        let mut touches = Vec::new();
        for (at, mutation) in batch.mutations.iter().enumerate() {
            let entity = model.entity(mutation.entity);
            plan.record(entity, at, mutation)?;
            plan.rows(model, entity, mutation);
            plan.unique(model, entity, at, mutation)?;
            plan.references(model, entity, at, mutation);
            plan.own_guards(entity, at, mutation, closing.as_ref().filter(|closing| closing.mutation == at));
            touches.extend(tags::touched(model, entity, mutation.before.as_ref(), mutation.after.as_ref()));
        }
        plan.no_dangling()?;
        for (at, check) in batch.checks.iter().enumerate() {
            let key = keys::record(model.entity(check.entity), &check.id);
            // A record that is changed as well is conditioned on a version already: it has to be the same.
            if plan.places.contains_key(&key) {
                if !batch.mutations.iter().any(|mutation| check.agrees_with(mutation)) {
                    return Err(WriteError::CheckFailed { check: at });
                }
            } else {
                let condition = of_version(&check.version);
                plan.push(key.clone(), Purpose::Check(at), Some(Write::Check { key, condition }));
            }
        }
        if let Some(Closing { tombstone, .. }) = closing {
            plan.put(Purpose::Tombstone, tombstone, None);
        }
        plan.riders(batch);
        plan.tags = tags::gather(touches);
        Ok(plan)
    }

    fn push(&mut self, key: Key, purpose: Purpose, write: Option<Write>) {
        self.places.insert(key.clone(), self.actions.len());
        self.actions.push((key, purpose, write));
    }

    fn put(&mut self, purpose: Purpose, item: Item, condition: Option<Expr>) {
        self.push(item.key.clone(), purpose, Some(Write::Put { item, condition }));
    }

    /// One further action, for a transaction that is no change of a record.
    pub(super) fn add(&mut self, write: Write) {
        self.push(write.key().clone(), Purpose::Rider, Some(write));
    }

    fn record(&mut self, entity: &Entity, at: usize, mutation: &Mutation) -> Result<(), WriteError> {
        let key = keys::record(entity, mutation.id());
        if self.places.contains_key(&key) {
            return Err(WriteError::Contradiction { mutation: at });
        }
        let condition = mutation.before.as_ref().map_or_else(absent, |before| of_version(&before.version));
        let write = match &mutation.after {
            Some(after) => Write::Put { item: items::record(entity, after), condition: Some(condition) },
            None => Write::Delete { key: key.clone(), condition: Some(condition) },
        };
        self.push(key, Purpose::Record(at), Some(write));
        Ok(())
    }

    fn rows(&mut self, model: &Model, entity: &Entity, mutation: &Mutation) {
        for index in entity.indexes.iter().filter(|index| index.is_stored()) {
            let after = mutation.after.as_ref().map(|after| items::row(model, entity, index, after));
            if let Some(before) = &mutation.before {
                let key = keys::index_row(model, entity, index, before);
                if after.as_ref().is_none_or(|after| after.key != key) {
                    self.push(key.clone(), Purpose::Row, Some(Write::Delete { key, condition: None }));
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
                let (claim, who) = self.claim(key);
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

    fn claim(&mut self, key: Key) -> (&mut Claim, &mut Vec<(usize, FieldIx)>) {
        let place = self.place(key, || Purpose::Unique(Claim::default(), Vec::new()));
        match &mut self.actions[place].1 {
            Purpose::Unique(claim, who) => (claim, who),
            other => unreachable_purpose(other),
        }
    }

    fn guard(&mut self, entity: &Entity, id: &str, shard: u16) -> &mut Guard {
        let place = self.place(keys::guard(entity, id, shard), || Purpose::Guard(Guard::new(entity.ix)));
        match &mut self.actions[place].1 {
            Purpose::Guard(guard) => guard,
            other => unreachable_purpose(other),
        }
    }

    fn place(&mut self, key: Key, purpose: impl FnOnce() -> Purpose) -> usize {
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        self.push(key, purpose(), None);
        self.actions.len() - 1
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
        for (_, purpose, _) in &self.actions {
            if let Purpose::Guard(guard) = purpose
                && (guard.remove.is_some() || guard.close.is_some())
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
            let condition = (purpose == Purpose::Idempotency).then(|| crate::idempotency::is_free(item));
            self.put(std::mem::replace(&mut purpose, Purpose::Rider), item.clone(), condition);
        }
        for item in batch.riders.audit.iter().chain(&batch.riders.outbox) {
            self.put(Purpose::Rider, item.clone(), None);
        }
    }

    /// The transaction with this token. The same plan and token at another time are another body: keep what was sent.
    pub(super) fn transaction(&self, env: &Env, token: String) -> Built {
        let (mut writes, mut purposes) = (Vec::new(), Vec::new());
        for (key, purpose, write) in &self.actions {
            let write = match (write, purpose) {
                (Some(write), _) => write.clone(),
                (None, Purpose::Unique(claim, _)) => claim.write(key),
                (None, Purpose::Guard(guard)) => guard.write(key),
                (None, _) => continue,
            };
            writes.push((TableName::Data, write));
            purposes.push(purpose.clone());
        }
        let (version, now) = (new_version(env), env.now());
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

/// A key is made for one purpose only, because every kind of item has its own prefix (`keys`).
#[expect(clippy::panic, reason = "two kinds of item with one key would corrupt the table; nothing sensible can follow")]
fn unreachable_purpose(other: &Purpose) -> ! {
    panic!("one key for two kinds of items: {other:?}")
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

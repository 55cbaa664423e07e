//! From mutations to actions: one action per item, whatever number of mutations touches it.

use std::collections::{HashMap, HashSet};

use super::attempt::{Attempt, Removal};
use super::stale_rows::{StaleRow, StaleRows};
use super::unique::{self, UniqueClaim};
use super::{Batch, Mutation, WriteError};
use crate::core::clock::Env;
use crate::model::value::Record;
use crate::model::{Entity, EntityIx, FieldIx, FieldType, Model};
use crate::store::pending_deletion::PendingDeletion;
use crate::store::references::{self, Reference, referred};
use crate::store::table::{Attr, Expr, Item, Key, TableName, Transaction, Write};
use crate::store::{fence, gate, idempotency, items, keys, object, tags};

/// What an action is for: tells which constraint its failure means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Purpose {
    /// The record of a mutation.
    Record(usize),
    /// A check.
    Check(usize),
    /// An index row, without a condition.
    Row,
    /// The row of a reference, without a condition.
    Reference,
    /// The row of a unique value.
    Unique(UniqueRow),
    /// A gate: what another attempt has done to it makes this one begin again.
    Gate,
    /// The record that a reference which comes names: the mutation and field.
    Parent(usize, FieldIx),
    /// A tag, without a condition.
    Tag,
    /// The fence.
    Fence,
    /// The entry of a deletion in steps.
    Tombstone,
    /// The idempotency row.
    Idempotency,
    /// An audit or outbox entry, a further part of the idempotency row, or an object that is to vanish.
    Rider,
    /// A rider with a condition of its own.
    Conditioned,
    /// A row whose record refers to something else: the record must still be so.
    Leftover,
}

/// Whose unique value a row stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct UniqueRow {
    pub(super) key: Key,
    pub(super) entity: EntityIx,
    pub(super) field: FieldIx,
    /// The mutation that takes the value, or that releases it.
    pub(super) mutation: usize,
    /// Whether one takes it.
    pub(super) is_wanted: bool,
}

/// A reference that comes, at the gate where it is announced.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gain {
    pub(super) gate: Key,
    /// The record that is referred to.
    pub(super) parent: Key,
    /// The mutation and field by which it comes, the first of them.
    pub(super) by: (usize, FieldIx),
    /// The mutation of this batch that creates the record.
    pub(super) created_by: Option<usize>,
}

/// The row of a reference that its record does not have: left by damage, or by a deletion that is becoming visible.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leftover {
    pub(super) row: Key,
    /// The record that it names.
    pub(super) record: Key,
    /// The version of the record as it was read; `None`: there is none.
    pub(super) version: Option<String>,
}

impl Leftover {
    /// The row of a reference that `record`, as it was read, does not have.
    pub(super) fn of(reference: Reference, record: Option<Record>) -> Self {
        let key = reference.record();
        Self { row: reference.key, record: key, version: record.map(|record| record.version) }
    }
}

/// What a batch comes to: what is announced, and the actions of its transaction but those that name the attempt.
#[derive(Default)]
pub(super) struct TransactionPlan {
    actions: Vec<(Purpose, Write)>,
    /// Records that change.
    records: HashSet<Key>,
    claims: Merged<(UniqueClaim, Vec<(usize, FieldIx)>)>,
    /// Entity of each mutation.
    entities: Vec<EntityIx>,
    /// Unique rows that say what is not so.
    stale: StaleRows,
    /// Tags at which the write is announced, each once.
    pub(super) tags: Vec<Key>,
    /// References that come, each gate once.
    pub(super) gains: Vec<Gain>,
    /// Records that go.
    pub(super) removals: Vec<Removal>,
    /// Keys of objects that nothing refers to any more.
    released: Vec<String>,
    /// Whether the record goes at once and what refers to it later.
    in_steps: bool,
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

/// A transaction and what its actions mean.
pub(super) struct Built {
    pub(super) transaction: Transaction,
    pub(super) purposes: Vec<Purpose>,
    pub(super) bytes: usize,
}

impl Built {
    pub(super) fn new(actions: Vec<(Purpose, Write)>, attempt: &Attempt) -> Self {
        let bytes = actions.iter().map(|(_, write)| size(write)).sum();
        let (purposes, writes) = actions.into_iter().map(|(purpose, write)| (purpose, (TableName::Data, write))).unzip();
        let transaction = Transaction { token: attempt.element.token().to_owned(), writes };
        Self { transaction, purposes, bytes }
    }
}

impl TransactionPlan {
    pub(super) fn new(model: &Model, batch: &Batch) -> Result<Self, WriteError> {
        let mut plan = Self::default();
        for (at, mutation) in batch.mutations.iter().enumerate() {
            let entity = model.entity(mutation.entity);
            plan.entities.push(entity.ix);
            plan.record(entity, at, mutation)?;
            plan.rows(model, entity, mutation);
            plan.unique(model, entity, at, mutation)?;
            plan.references(model, entity, at, mutation);
            plan.released.extend(object::released(fields(&mutation.before), fields(&mutation.after)));
            if mutation.before.is_some() && mutation.after.is_none() {
                plan.removals.push(Removal::of(entity, mutation.id()));
            }
            plan.tags.extend(tags::touched(model, entity, mutation.before.as_ref(), mutation.after.as_ref()));
        }
        plan.parents(model, batch)?;
        plan.checks(model, batch)?;
        plan.riders(batch);
        plan.tags.extend(batch.voids.iter().cloned());
        let mut seen = HashSet::new();
        plan.tags.retain(|tag| seen.insert(tag.clone()));
        Ok(plan)
    }

    /// The first transaction of a deletion in steps: the record leaves a tombstone in its place, and `entry` for the sweep.
    pub(super) fn in_steps(model: &Model, batch: &Batch, entry: Item, token: &str) -> Result<Self, WriteError> {
        let mut plan = Self { in_steps: true, ..Self::new(model, batch)? };
        for (purpose, write) in &mut plan.actions {
            if let (Purpose::Record(_), Write::Delete { key, condition }) = (&purpose, &write) {
                *write = Write::Put { item: items::tombstone(key.clone(), token), condition: condition.clone() };
            }
        }
        plan.put(Purpose::Tombstone, entry, None);
        Ok(plan)
    }

    fn checks(&mut self, model: &Model, batch: &Batch) -> Result<(), WriteError> {
        for (at, check) in batch.checks.iter().enumerate() {
            let key = keys::record(model.entity(check.entity), &check.id);
            // A record that is changed as well is conditioned on a version already: it has to be the same.
            if self.records.contains(&key) {
                if !batch.mutations.iter().any(|mutation| check.agrees_with(mutation)) {
                    return Err(WriteError::CheckFailed { check: at });
                }
            } else {
                let condition = of_version(&check.version);
                self.actions.push((Purpose::Check(at), Write::Check { key, condition }));
            }
        }
        Ok(())
    }

    /// Rows of references that are none: each goes if the record that it names is still as it was read.
    pub(super) fn leftovers(&mut self, leftovers: &[Leftover]) {
        let mut checked = HashSet::new();
        for leftover in leftovers {
            self.actions.push((Purpose::Leftover, Write::Delete { key: leftover.row.clone(), condition: None }));
            if !self.records.contains(&leftover.record) && checked.insert(&leftover.record) {
                let condition = leftover.version.as_deref().map_or_else(absent_or_tombstone, of_version);
                self.actions.push((Purpose::Leftover, Write::Check { key: leftover.record.clone(), condition }));
            }
        }
    }

    /// With what is known of unique rows.
    pub(super) fn past(mut self, stale: &StaleRows) -> Self {
        self.stale = stale.clone();
        self
    }

    /// The actions on unique rows, and the checks of the owners from whom a value is taken over.
    fn unique_rows(&self) -> Vec<(Purpose, Write)> {
        let mut writes = Vec::new();
        let mut owners: HashSet<&Key> = HashSet::new();
        for (key, (claim, who)) in &self.claims.items {
            let Some((mutation, field)) = who.first().copied() else { continue };
            let is_wanted = claim.taken.is_some();
            let void = match self.stale.get(key) {
                Some(StaleRow::OfAnother) if !is_wanted => continue,
                Some(StaleRow::Void { owner, record, version }) => {
                    if !self.is_checked(record) && owners.insert(record) {
                        let condition = version.as_deref().map_or_else(absent_or_tombstone, of_version);
                        writes.push((Purpose::Leftover, Write::Check { key: record.clone(), condition }));
                    }
                    Some(owner.as_str())
                }
                _ => None,
            };
            let row = UniqueRow { key: key.clone(), entity: self.entities[mutation], field, mutation, is_wanted };
            writes.push((Purpose::Unique(row), claim.write(key, void)));
        }
        writes
    }

    /// Whether the transaction has a condition on a record already.
    fn is_checked(&self, record: &Key) -> bool {
        self.records.contains(record) || self.actions.iter().any(|(_, write)| write.key() == record)
    }

    /// The actions alone, for a transaction that is no change of a record.
    pub(super) fn writes(self) -> Vec<Write> {
        self.actions.into_iter().map(|(_, write)| write).collect()
    }

    fn put(&mut self, purpose: Purpose, item: Item, condition: Option<Expr>) {
        self.actions.push((purpose, Write::Put { item, condition }));
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

    fn references(&mut self, model: &Model, entity: &Entity, at: usize, mutation: &Mutation) {
        for field in &entity.fields {
            let FieldType::Ref { target, on_delete } = field.kind else { continue };
            let target = model.entity(target);
            let id_of = |record: &Option<Record>| record.as_ref().and_then(|record| referred(record.fields.get(&field.name)));
            let (before, after) = (id_of(&mutation.before), id_of(&mutation.after));
            if before == after {
                continue;
            }
            if let Some(id) = before {
                let key = keys::reference(target, &id, &entity.name, &field.name, mutation.id());
                self.actions.push((Purpose::Reference, Write::Delete { key, condition: None }));
            }
            if let Some(id) = after {
                let row = references::row(target, &id, entity, field, on_delete, mutation.id());
                self.put(Purpose::Reference, row, None);
                self.gain(target, &id, mutation.id(), (at, field.ix));
            }
        }
    }

    fn gain(&mut self, target: &Entity, id: &str, child: &str, by: (usize, FieldIx)) {
        let gate = keys::gate(target, id, keys::shard(child, target.shards));
        if !self.gains.iter().any(|gain| gain.gate == gate) {
            self.gains.push(Gain { gate, parent: keys::record(target, id), by, created_by: None });
        }
    }

    /// References to records of the batch itself: nothing may come to refer to what goes, and the gates of what comes are made.
    fn parents(&mut self, model: &Model, batch: &Batch) -> Result<(), WriteError> {
        let place = |mutation: &Mutation| keys::record(model.entity(mutation.entity), mutation.id());
        let own: HashMap<Key, usize> = batch.mutations.iter().enumerate().map(|(at, mutation)| (place(mutation), at)).collect();
        for gain in &mut self.gains {
            let Some(at) = own.get(&gain.parent) else { continue };
            let parent = &batch.mutations[*at];
            if parent.after.is_none() {
                let (mutation, field) = gain.by;
                return Err(WriteError::ReferenceMissing { mutation, field });
            }
            gain.created_by = parent.before.is_none().then_some(*at);
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

    /// The transaction of an attempt. Another attempt's is another body: keep what was sent.
    pub(super) fn transaction(&self, env: &Env, attempt: &Attempt) -> Built {
        let mut all = self.own_actions(env);
        all.extend(confirmations(self.gains.iter().filter(|gain| gain.created_by.is_some())));
        all.extend(self.removals.iter().flat_map(|removal| self.of_removal(attempt, removal)));
        for (_, write) in &mut all {
            idempotency::name_attempt(write, attempt.element.token());
        }
        let written: Vec<Key> = all.iter().map(|(_, write)| write.key().clone()).collect();
        all.push((Purpose::Fence, fence::committed(attempt.element.token(), &written, env.now())));
        Built::new(all, attempt)
    }

    /// The actions without those of the protocol: fence and gates.
    pub(super) fn own_actions(&self, env: &Env) -> Vec<(Purpose, Write)> {
        let now = env.now();
        let released = self.released.iter().map(|key| PendingDeletion::object(env, key, now).item());
        let released = released.map(|item| (Purpose::Rider, Write::Put { item, condition: None }));
        self.actions.iter().cloned().chain(self.unique_rows()).chain(released).collect()
    }

    /// What a deletion needs of the gates of its record: those that it has closed, or that there are none.
    fn of_removal(&self, attempt: &Attempt, removal: &Removal) -> Vec<(Purpose, Write)> {
        let element = &attempt.element;
        let of_gate = if self.in_steps { gate::mark_gone } else { gate::remove };
        let writes = match attempt.closed.get(removal) {
            Some(closed) => closed.iter().map(|gate| of_gate(gate, element)).collect(),
            None => vec![gate::require_none(&removal.gate)],
        };
        writes.into_iter().map(|write| (Purpose::Gate, write)).collect()
    }
}

/// The parts of a transaction that confirm the gates of these references: one for each gate, and where others than gate 0 are in
/// use, what registers them.
pub(super) fn confirmations<'a>(gains: impl Iterator<Item = &'a Gain>) -> Vec<(Purpose, Write)> {
    let gates: Vec<&Key> = gains.map(|gain| &gain.gate).collect();
    let mut writes: Vec<Write> = Vec::new();
    for gate in gates.iter().filter(|gate| !gate::is_first(gate)) {
        writes.push(gate::confirm(gate));
    }
    let mut registered: Vec<Key> = Vec::new();
    for gate in &gates {
        let first = gate::first(gate);
        if registered.contains(&first) {
            continue;
        }
        let of_record = |other: &&&Key| other.pk == gate.pk;
        let others: Vec<&Key> = gates.iter().filter(of_record).filter(|other| !gate::is_first(other)).copied().collect();
        let confirmed = gates.iter().filter(of_record).any(|other| gate::is_first(other));
        writes.extend(gate::register(&others, confirmed).or_else(|| confirmed.then(|| gate::confirm(&first))));
        registered.push(first);
    }
    writes.into_iter().map(|write| (Purpose::Gate, write)).collect()
}

fn fields(record: &Option<Record>) -> Option<&serde_json::Map<String, serde_json::Value>> {
    record.as_ref().map(|record| &record.fields)
}

fn absent() -> Expr {
    Expr::new("attribute_not_exists(pk)")
}

pub(super) fn absent_or_tombstone() -> Expr {
    Expr::new("attribute_not_exists(#v)").name("#v", keys::VERSION)
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

//! What a delete brings along: children that go with it (`cascade`) or stay without it (`set_null`), found by the rows of their
//! references.
//!
//! Here, all of it in one transaction; `steps` does what does not fit.

use std::collections::{HashMap, HashSet};

use futures::future;
use serde_json::Value;

use super::attempt::{Attempt, Removal, Stop};
use super::build::Leftover;
use super::{Batch, Mutation, WriteError, Writer};
use crate::model::value::{Record, new_version};
use crate::model::{EntityIx, FieldIx, FieldType, OnDelete};
use crate::store::references::{self, Reference, referred};
use crate::store::table::{Item, TableError, TableName};
use crate::store::{items, keys};

/// Children that are looked at for one transaction: more could not fit, each takes two actions at least.
const MAX_CHILDREN: usize = 50;

/// A batch with everything that its deletes bring along.
pub(super) struct Expanded {
    pub(super) batch: Batch,
    /// Rows that go because they are of no reference.
    pub(super) leftovers: Vec<Leftover>,
    /// Records that go and have gates that are still open.
    pub(super) open: Vec<Removal>,
    /// How many of the mutations are the caller's own.
    own: usize,
    /// The first of them that deletes.
    first: usize,
}

/// What refers to a record that goes.
struct Referrers {
    /// Position of the deletion.
    at: usize,
    references: Vec<Reference>,
    has_open_gate: bool,
}

/// A row under a record that goes, by a field that is no reference to it in this model.
struct Stray {
    at: usize,
    reference: Reference,
    /// Whether it counts if its record has the value: this model does not know the field at all.
    counts: bool,
}

/// A record that refers to one that goes, by a field that the model knows.
struct Child {
    at: usize,
    entity: EntityIx,
    field: FieldIx,
    reference: Reference,
}

impl Writer {
    /// All that the deletes of the batch bring along, by what can be read now: it is complete for records whose gates this attempt
    /// has closed, and for those without a gate if they have none when it commits.
    pub(super) async fn expand(&self, batch: &Batch, forced: bool, attempt: &Attempt) -> Result<Expanded, Stop> {
        let own = batch.mutations.len();
        let first = batch.mutations.iter().position(|mutation| mutation.after.is_none()).unwrap_or(0);
        let mut expanded = Expanded { batch: batch.clone(), leftovers: Vec::new(), open: Vec::new(), own, first };
        let mut known: HashMap<(EntityIx, String), usize> =
            batch.mutations.iter().enumerate().map(|(at, mutation)| ((mutation.entity, mutation.id().to_owned()), at)).collect();
        let mut looked = HashSet::new();
        loop {
            let goes = |at: &usize| expanded.batch.mutations[*at].after.is_none() && looked.insert(*at);
            let wave: Vec<usize> = (0..expanded.batch.mutations.len()).filter(goes).collect();
            if wave.is_empty() {
                return Ok(expanded);
            }
            let found = wave.iter().map(|at| self.referrers(&expanded.batch.mutations[*at], *at, attempt));
            let (mut children, mut strays) = (Vec::new(), Vec::new());
            for referrers in future::join_all(found).await {
                let referrers = referrers?;
                children.extend(self.children_of(&mut expanded, referrers, &known, &mut strays, forced)?);
            }
            let places = children.iter().map(|child| keys::record(self.model.entity(child.entity), &child.reference.id));
            let of_strays = strays.iter().map(|stray| stray.reference.record());
            let places: Vec<_> = places.chain(of_strays).map(|key| (TableName::Data, key)).collect();
            let mut records = self.table.get(&places, true).await?;
            for (stray, item) in strays.into_iter().zip(records.split_off(children.len())) {
                self.leave_behind(&mut expanded, stray, item.as_ref())?;
            }
            for (child, record) in children.into_iter().zip(records) {
                self.bring_along(&mut expanded, &mut known, child, record.as_ref())?;
            }
            if expanded.batch.mutations.len() > own + MAX_CHILDREN {
                return Err(large());
            }
        }
    }

    /// Who refers to a record that goes, and whether it has a gate that this attempt has not closed.
    async fn referrers(&self, mutation: &Mutation, at: usize, attempt: &Attempt) -> Result<Referrers, TableError> {
        let entity = self.model.entity(mutation.entity);
        let removal = Removal::of(entity, mutation.id());
        let is_closed = attempt.closed.contains_key(&removal);
        let gate = async {
            match is_closed {
                true => Ok(Vec::new()),
                false => self.table.get(&[(TableName::Data, removal.gate.clone())], true).await,
            }
        };
        let rows = references::under(self.table.as_ref(), entity, mutation.id(), MAX_CHILDREN + 1);
        let (gate, references) = future::try_join(gate, rows).await?;
        Ok(Referrers { at, references, has_open_gate: gate.iter().any(Option::is_some) })
    }

    /// Those that go along or stay without it; refuses where one restricts, or is of a field that another version of the model knows.
    fn children_of(
        &self,
        expanded: &mut Expanded,
        referrers: Referrers,
        known: &HashMap<(EntityIx, String), usize>,
        strays: &mut Vec<Stray>,
        forced: bool,
    ) -> Result<Vec<Child>, Stop> {
        let Referrers { at, references, has_open_gate } = referrers;
        let mutation = at;
        let is_large = references.len() > MAX_CHILDREN;
        let parent = &expanded.batch.mutations[at];
        let (parent_entity, parent_id) = (parent.entity, parent.id().to_owned());
        let mut children = Vec::new();
        for reference in references {
            let Some((entity, field, on_delete)) = self.known_field(parent_entity, &reference) else {
                strays.push(Stray { at, counts: !self.has_field(&reference), reference });
                continue;
            };
            let place = known.get(&(entity, reference.id.clone())).copied().filter(|place| *place < expanded.own);
            let restricts = on_delete == OnDelete::Restrict && !forced;
            match place.map(|place| (place, &expanded.batch.mutations[place].after)) {
                // What the batch itself changes is settled by it.
                Some((place, Some(after))) => {
                    let field_name = &self.model.entity(entity).field(field).name;
                    if referred(after.fields.get(field_name)).as_ref() == Some(&parent_id) {
                        return Err(match restricts {
                            true => self.restricted(expanded, mutation, Some(entity)).into(),
                            false => WriteError::ReferenceMissing { mutation: place, field }.into(),
                        });
                    }
                }
                Some((_, None)) => {}
                None if restricts => return Err(self.restricted(expanded, mutation, Some(entity)).into()),
                None => children.push(Child { at, entity, field, reference }),
            }
        }
        if is_large {
            return Err(large());
        }
        if has_open_gate {
            expanded.open.push(Removal::of(self.model.entity(parent_entity), &parent_id));
        }
        Ok(children)
    }

    /// A row by a field that is no reference to the record in this model: it goes, unless its record has the value in a field that
    /// only another version of the model knows.
    fn leave_behind(&self, expanded: &mut Expanded, stray: Stray, item: Option<&Item>) -> Result<(), Stop> {
        let Stray { at, reference, counts } = stray;
        let parent_id = expanded.batch.mutations[at].id();
        let record = items::stored(item).map_err(WriteError::Store)?;
        if counts && record.as_ref().is_some_and(|record| reference.is_of(record, parent_id)) {
            return Err(self.restricted(expanded, at, None).into());
        }
        expanded.leftovers.push(Leftover::of(reference, record));
        Ok(())
    }

    /// Whether the model has the field of a reference, whatever it is there.
    pub(super) fn has_field(&self, reference: &Reference) -> bool {
        self.model.by_name(&reference.entity).is_some_and(|entity| entity.by_field(&reference.field).is_some())
    }

    fn restricted(&self, expanded: &Expanded, mutation: usize, by: Option<EntityIx>) -> WriteError {
        let mutation = if mutation < expanded.own { mutation } else { expanded.first };
        WriteError::Restricted { mutation, by }
    }

    /// One child: deleted or without its reference, unless it does not refer any more.
    fn bring_along(
        &self,
        expanded: &mut Expanded,
        known: &mut HashMap<(EntityIx, String), usize>,
        child: Child,
        item: Option<&Item>,
    ) -> Result<(), Stop> {
        let Child { at, entity, field, reference } = child;
        let parent_id = expanded.batch.mutations[at].id().to_owned();
        let name = &self.model.entity(entity).field(field).name;
        let record = items::stored(item).map_err(WriteError::Store)?;
        let refers = |record: &Record| referred(record.fields.get(name)).as_ref() == Some(&parent_id);
        let Some(record) = record.as_ref().filter(|record| refers(record)) else {
            expanded.leftovers.push(Leftover::of(reference, record));
            return Ok(());
        };
        let stays = self.on_delete(entity, field) == OnDelete::SetNull;
        let key = (entity, reference.id);
        match known.get(&key).copied() {
            // It goes already.
            Some(place) if expanded.batch.mutations[place].after.is_none() => {}
            Some(place) if stays => self.set_null(&mut expanded.batch.mutations[place], field),
            // It was to stay without another parent and goes with this one: its own children are next.
            Some(place) => expanded.batch.mutations[place].after = None,
            None => {
                let mut mutation = Mutation { entity, before: Some(record.clone()), after: None };
                if stays {
                    mutation.after = Some(record.clone());
                    self.set_null(&mut mutation, field);
                }
                known.insert(key, expanded.batch.mutations.len());
                expanded.batch.mutations.push(mutation);
            }
        }
        Ok(())
    }

    /// The field by which a reference to a record of `target` comes, with its rule, if this model has it.
    pub(super) fn known_field(&self, target: EntityIx, reference: &Reference) -> Option<(EntityIx, FieldIx, OnDelete)> {
        let entity = self.model.by_name(&reference.entity)?;
        let field = entity.by_field(&reference.field)?;
        match field.kind {
            FieldType::Ref { target: of, on_delete } if of == target => Some((entity.ix, field.ix, on_delete)),
            _ => None,
        }
    }

    pub(super) fn on_delete(&self, entity: EntityIx, field: FieldIx) -> OnDelete {
        match self.model.entity(entity).field(field).kind {
            FieldType::Ref { on_delete, .. } => on_delete,
            // Only refs are asked about; refusing is the harmless reading of anything else.
            _ => OnDelete::Restrict,
        }
    }

    pub(super) fn set_null(&self, mutation: &mut Mutation, field: FieldIx) {
        let entity = self.model.entity(mutation.entity);
        if let Some(after) = &mut mutation.after {
            after.fields.insert(entity.field(field).name.clone(), Value::Null);
            if let Some(updated) = after.fields.get_mut("updated_at") {
                *updated = Value::String(self.env.now().rfc3339());
            }
            after.version = new_version(&self.env);
        }
    }
}

impl Expanded {
    /// Positions behind the caller's own mutations mean something that a delete brought along: another attempt may see better.
    pub(super) fn stop_of_caller(&self, stop: Stop) -> Stop {
        match stop {
            Stop::Error(error) => self.of_caller(error),
            other => other,
        }
    }

    pub(super) fn of_caller(&self, error: WriteError) -> Stop {
        match error {
            WriteError::Changed { mutation: at, .. }
            | WriteError::Unique { mutation: at, .. }
            | WriteError::ReferenceMissing { mutation: at, .. }
            | WriteError::Exists { mutation: at }
            | WriteError::BeingDeleted { mutation: at }
            | WriteError::Contradiction { mutation: at }
                if at >= self.own =>
            {
                Stop::Again
            }
            other => other.into(),
        }
    }
}

fn large() -> Stop {
    Stop::Large(WriteError::TooLarge { actions: super::MAX_ACTIONS + 1, bytes: 0 })
}

//! What a delete brings along: children that go with it (`cascade`) or stay without it (`set_null`).
//!
//! Here, all of it in one transaction; `steps` does what does not fit.

use std::collections::HashMap;

use serde_json::Value;

use super::commit::Pauses;
use super::{Batch, Mutation, WriteError, Writer, Written};
use crate::core::clock::Micros;
use crate::model::value::encode::{encode, order_at};
use crate::model::value::{Record, new_version};
use crate::model::{Entity, EntityIx, FieldIx, FieldType, OnDelete, by_ref};
use crate::store::table::{Item, RangeQuery, TableError, TableName};
use crate::store::{items, keys};

/// Children that are looked at for one transaction: more could not fit, each takes two actions at least.
const MAX_CHILDREN: usize = 50;

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
                Expanded::Large => WriteError::TooLarge { actions: super::MAX_ACTIONS + 1, bytes: 0 },
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
            return if batch.mutations.len() == 1 { self.delete_staged(batch, forced, deadline).await } else { Err(large) };
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
                let children = self.children(parent_entity, &parent.id, *child_entity, *field, MAX_CHILDREN + 1).await?;
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
                if expanded.mutations.len() > own + MAX_CHILDREN {
                    return Ok(Expanded::Large);
                }
            }
            at = again;
        }
        Ok(Expanded::Small(expanded))
    }

    pub(super) fn on_delete(&self, entity: EntityIx, field: FieldIx) -> OnDelete {
        match self.model.entity(entity).field(field).kind {
            FieldType::Ref { on_delete, .. } => on_delete,
            // The model makes `referenced_by` of refs alone; refusing is the harmless reading of anything else.
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

    /// Up to `most` records that refer to a parent by a field. Empty where no index can tell, which is so for some
    /// restricting references only: there the guard alone decides.
    pub(super) async fn children(
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

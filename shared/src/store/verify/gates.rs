//! Gates, and references to nobody: what stands beside a record that others refer to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::report::named;
use super::{Kind, Problem, Report, Verifier, decoded};
use crate::model::value::{Record, new_version};
use crate::model::{Entity, Field, FieldType, OnDelete};
use crate::store::gate::{self, Closed};
use crate::store::references::Reference;
use crate::store::table::{Item, Key, TableError, TableName, Write};
use crate::store::write::{Batch, Mutation, WriteError, Writer};
use crate::store::{items, keys, settle};

/// How long a repair may wait for others.
const PATIENCE: Duration = Duration::from_secs(20);

impl Verifier {
    /// Gates need a record or a tombstone, and nobody dead behind them.
    pub(super) async fn gates(&self, gates: Vec<Item>, report: &mut Report) -> Result<(), TableError> {
        let mut asked = Vec::new();
        for gate in &gates {
            match self.entity_of(&gate.key) {
                Some((entity, id)) => asked.push((entity, id, gate)),
                None => report.foreign += 1,
            }
        }
        let places: Vec<_> = asked.iter().map(|(entity, id, _)| (TableName::Data, keys::record(entity, id))).collect();
        let found = self.table.get(&places, true).await?;
        for ((entity, id, gate), record) in asked.into_iter().zip(found) {
            self.behind(gate, report).await?;
            if record.is_none() {
                self.confirm_gate(entity, id, &gate.key, report).await?;
            }
        }
        Ok(())
    }

    /// Attempts and deletions that died behind a gate, and gates that an attempt left which nobody needs.
    async fn behind(&self, gate: &Item, report: &mut Report) -> Result<(), TableError> {
        let table = self.table.as_ref();
        let overdue = settle::overdue(&self.env, gate);
        let closed = settle::is_closed_too_long(&self.env, gate);
        let unused = gate::is_unused(gate);
        if overdue == 0 && !closed && !unused {
            return Ok(());
        }
        let mut repaired = false;
        if self.repair {
            repaired = settle::elements(table, &self.env, gate).await? == overdue;
            repaired &= !closed || settle::closed(table, &self.env, gate).await?;
            settle::call(table, gate::discard(&gate.key)).await?;
        }
        let detail = format!("{overdue} elements are overdue, closed too long: {closed}, unused: {unused}");
        self.unsettled(Kind::GateUnsettled, &gate.key, detail, repaired, report);
        Ok(())
    }

    async fn confirm_gate(&self, entity: &Entity, id: &str, key: &Key, report: &mut Report) -> Result<(), TableError> {
        let record = keys::record(entity, id);
        let found = self.at_once(vec![key.clone(), record.clone()]).await?;
        let (Some(gate), None) = (&found[0], &found[1]) else { return Ok(()) };
        // Somebody is behind it who will find that there is no such record, or it says nothing, or a request of the deletion that closed
        // it arrived late: see `behind`.
        let by_deletion = matches!(gate::closed(gate), Some(Closed::By(_)));
        if by_deletion || !gate::unsettled(gate).is_empty() || gate::is_unused(gate) {
            return Ok(());
        }
        let absent = crate::store::table::Expr::new("attribute_not_exists(pk)");
        let removal = vec![Write::Check { key: record, condition: absent }, gate::remove_orphan(key)];
        let repaired = self.repair && self.apply(removal).await?;
        let detail = match gate::closed(gate) {
            Some(Closed::Gone) => "closed by a cascade that left no tombstone",
            Some(Closed::By(_)) | None => "of no record",
        };
        let (record, detail) = (named(entity, id), detail.to_owned());
        report.add(Problem { kind: Kind::GateOrphan, key: key.clone(), record, detail, repaired });
        Ok(())
    }

    /// Rows under records that do not exist: whoever refers so refers to nobody.
    pub(super) async fn dangling(&self, rows: &[Item], report: &mut Report) -> Result<(), TableError> {
        let mut parents: HashMap<Key, Vec<&Item>> = HashMap::new();
        for row in rows {
            if let Some((entity, id)) = self.entity_of(&row.key) {
                parents.entry(keys::record(entity, id)).or_default().push(row);
            }
        }
        let places: Vec<_> = parents.keys().map(|key| (TableName::Data, key.clone())).collect();
        let found = self.table.get(&places, true).await?;
        for ((_, parent), _) in places.iter().zip(found).filter(|(_, item)| item.is_none()) {
            for row in &parents[parent] {
                self.confirm_dangling(row, parent, report).await?;
            }
        }
        Ok(())
    }

    async fn confirm_dangling(&self, row: &Item, parent: &Key, report: &mut Report) -> Result<(), TableError> {
        let Some(reference) = Reference::read(row) else { return Ok(()) };
        let Some(child) = self.model.by_name(&reference.entity) else { return Ok(()) };
        let found = self.at_once(vec![row.key.clone(), parent.clone(), keys::record(child, &reference.id)]).await?;
        let refers = decoded(found[2].as_ref()).is_some_and(|record| self.needs(child, &record, &row.key));
        if found[0].is_some() && found[1].is_none() && refers {
            let repaired = match decoded(found[2].as_ref()) {
                Some(record) if self.repair => self.forget_reference(child, record, &reference.field).await?,
                _ => false,
            };
            let detail = format!("refers by {} to {}, which does not exist", reference.field, parent.pk);
            let (key, record) = (row.key.clone(), named(child, &reference.id));
            report.add(Problem { kind: Kind::Dangling, key, record, detail, repaired });
        }
        Ok(())
    }

    /// Sets a reference to nobody to null where the rule says that it would have been; otherwise only a person can decide.
    async fn forget_reference(&self, entity: &Entity, before: Record, name: &str) -> Result<bool, TableError> {
        let sets_null = |field: &&Field| matches!(field.kind, FieldType::Ref { on_delete: OnDelete::SetNull, .. });
        let Some(field) = entity.by_field(name).filter(sets_null) else { return Ok(false) };
        let mut after = Record { version: new_version(&self.env), ..before.clone() };
        after.fields.insert(field.name.clone(), Value::Null);
        after.stamp(entity, &self.env, false);
        let batch = Batch { mutations: vec![Mutation::update(entity, before, after)], ..Batch::default() };
        let writer = Writer::new(Arc::clone(&self.table), Arc::clone(&self.model), self.env.clone());
        match writer.write(&batch, self.env.now().plus(PATIENCE)).await {
            Ok(written) => {
                writer.settle(written.unsettled).await;
                Ok(true)
            }
            Err(WriteError::Store(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Gives a tombstone without an entry one, so that the sweep finds it.
    pub(super) async fn take_up(&self, entity: &Entity, id: &str, tombstone: &Item) -> Result<bool, TableError> {
        let check = Write::Check { key: tombstone.key.clone(), condition: items::still(tombstone) };
        let item = crate::store::write::entry(&self.env, entity, id);
        self.apply(vec![check, Write::Put { item, condition: None }]).await
    }
}

//! What each kind of item must agree with.

use std::collections::HashMap;

use super::report::named;
use super::{Kind, Problem, Report, Verifier, decoded};
use crate::model::validate::forbidden;
use crate::model::value::Record;
use crate::model::{Entity, Field, FieldType};
use crate::store::references::{self, Reference, referred};
use crate::store::table::{Item, Key, TableError, TableName};
use crate::store::write::{OWNER, unique_hash};
use crate::store::{items, keys};

/// Records whose companions are read together.
const CHUNK: usize = 50;

/// What must stand at a key because of a record.
pub(super) enum Expected {
    Row(Item),
    Unique,
    /// The row of a reference to the record at this key.
    Reference(Item, Key),
}

impl Verifier {
    /// The items that a record needs beside itself.
    pub(super) fn expected(&self, entity: &Entity, record: &Record) -> Vec<(Key, Expected)> {
        let mut expected = Vec::new();
        for index in entity.indexes.iter().filter(|index| index.is_stored()) {
            let row = items::row(&self.model, entity, index, record);
            expected.push((row.key.clone(), Expected::Row(row)));
        }
        for field in entity.fields.iter().filter(|field| field.unique) {
            expected.extend(self.unique_key(entity, field, record).map(|key| (key, Expected::Unique)));
        }
        for field in &entity.fields {
            let FieldType::Ref { target, on_delete } = field.kind else { continue };
            if let Some(id) = referred(record.fields.get(&field.name)) {
                let target = self.model.entity(target);
                let row = references::row(target, &id, entity, field, on_delete, &record.id);
                expected.push((row.key.clone(), Expected::Reference(row, keys::record(target, &id))));
            }
        }
        expected
    }

    fn unique_key(&self, entity: &Entity, field: &Field, record: &Record) -> Option<Key> {
        let value = record.fields.get(&field.name).filter(|value| !value.is_null())?;
        Some(keys::unique(entity, &field.name, &unique_hash(&self.model, field, value)))
    }

    /// What is wrong with one companion of a record, if anything.
    pub(super) fn compare(
        &self,
        entity: &Entity,
        record: &Record,
        (key, expected): &(Key, Expected),
        found: Option<&Item>,
    ) -> Option<Problem> {
        let (kind, detail) = match (expected, found) {
            (Expected::Row(_), None) => (Kind::RowMissing, String::new()),
            (Expected::Row(row), Some(found)) if row.attrs != found.attrs => (Kind::RowWrong, String::new()),
            (Expected::Unique, None) => (Kind::UniqueMissing, String::new()),
            (Expected::Unique, Some(found)) if found.s(OWNER) != Some(&record.id) => {
                (Kind::UniqueTwice, format!("also of {}/{}", entity.name, found.s(OWNER).unwrap_or("?")))
            }
            (Expected::Reference(_, parent), None) => (Kind::ReferenceMissing, format!("under {}", parent.pk)),
            _ => return None,
        };
        Some(Problem { kind, key: key.clone(), record: named(entity, &record.id), detail, repaired: false })
    }

    pub(super) async fn records(&self, records: Vec<Item>, report: &mut Report) -> Result<(), TableError> {
        report.records += records.len() as u64;
        for chunk in records.chunks(CHUNK) {
            let mut needed = Vec::new();
            for item in chunk {
                let Some((entity, id)) = self.entity_of(&item.key) else {
                    report.foreign += 1;
                    continue;
                };
                match items::decode(item).filter(|record| record.id == id) {
                    Some(record) => {
                        for (field, why) in forbidden(&self.model, entity, &record) {
                            report.forbid(item.key.clone(), named(entity, id), format!("{field} {why}"));
                        }
                        let expected = self.expected(entity, &record);
                        needed.push((entity, record, expected));
                    }
                    None => report.add(Problem {
                        kind: Kind::Damaged,
                        key: item.key.clone(),
                        record: named(entity, id),
                        detail: "the record cannot be read".to_owned(),
                        repaired: false,
                    }),
                }
            }
            let keys: Vec<_> =
                needed.iter().flat_map(|(_, _, expected)| expected).map(|(key, _)| (TableName::Data, key.clone())).collect();
            let found = self.table.get(&keys, true).await?;
            let mut found = found.iter();
            for (entity, record, expected) in &needed {
                // All of them are taken from `found`, whatever the first shows.
                let wrong: Vec<_> = expected
                    .iter()
                    .map(|expected| self.compare(entity, record, expected, found.next().and_then(Option::as_ref)))
                    .collect();
                if wrong.iter().any(Option::is_some) {
                    self.confirm_record(entity, &record.id, report).await?;
                }
            }
        }
        Ok(())
    }

    /// Rows need a record that puts them there. What a row of the record's own carries is looked at with the record.
    pub(super) async fn rows(&self, rows: Vec<Item>, report: &mut Report) -> Result<(), TableError> {
        let mut suspects = Vec::new();
        let records = self.records_of(&rows, keys::ID).await?;
        for row in &rows {
            let Some((entity, rest)) = self.entity_of(&row.key) else {
                report.foreign += 1;
                continue;
            };
            // `i#entity#index` of an index without equality fields has no further part.
            let name = rest.split('#').next().unwrap_or(rest);
            let Some(index) = entity.by_index(name).filter(|index| index.is_stored()) else {
                report.foreign += 1;
                continue;
            };
            let record = row.s(keys::ID).and_then(|id| records.get(&keys::record(entity, id)));
            if record.is_none_or(|record| keys::index_row(&self.model, entity, index, record) != row.key) {
                suspects.push((entity, row));
            }
        }
        for (entity, row) in suspects {
            self.confirm_orphan(entity, row, row.s(keys::ID).unwrap_or_default(), Kind::RowOrphan, report).await?;
        }
        Ok(())
    }

    pub(super) async fn owned(&self, rows: Vec<Item>, report: &mut Report) -> Result<(), TableError> {
        let mut suspects = Vec::new();
        let records = self.records_of(&rows, OWNER).await?;
        for row in &rows {
            let Some((entity, rest)) = self.entity_of(&row.key) else {
                report.foreign += 1;
                continue;
            };
            let field = rest.split('#').next().and_then(|name| entity.by_field(name)).filter(|field| field.unique);
            let Some(field) = field else {
                report.foreign += 1;
                continue;
            };
            let record = row.s(OWNER).and_then(|id| records.get(&keys::record(entity, id)));
            if record.and_then(|record| self.unique_key(entity, field, record)).as_ref() != Some(&row.key) {
                suspects.push((entity, row));
            }
        }
        for (entity, row) in suspects {
            self.confirm_orphan(entity, row, row.s(OWNER).unwrap_or_default(), Kind::UniqueOrphan, report).await?;
        }
        Ok(())
    }

    /// Rows of references need a record that refers so.
    pub(super) async fn reference_rows(&self, rows: Vec<Item>, report: &mut Report) -> Result<(), TableError> {
        let mut asked = Vec::new();
        for row in &rows {
            match Reference::read(row).and_then(|reference| Some((self.model.by_name(&reference.entity)?, reference))) {
                // Of a field that only in another version is a reference to such a record: that one knows.
                Some((child, reference)) if self.is_reference(child, &reference.field, &row.key) => {
                    asked.push((child, reference, row));
                }
                _ => report.foreign += 1,
            }
        }
        let places: Vec<_> =
            asked.iter().map(|(child, reference, _)| (TableName::Data, keys::record(child, &reference.id))).collect();
        let found = self.table.get(&places, true).await?;
        for ((child, reference, row), item) in asked.into_iter().zip(found) {
            let record = decoded(item.as_ref());
            if !record.is_some_and(|record| self.needs(child, &record, &row.key)) {
                self.confirm_orphan(child, row, &reference.id, Kind::ReferenceOrphan, report).await?;
            }
        }
        self.dangling(&rows, report).await
    }

    /// Whether the model's field may refer to the record that a row lies under.
    fn is_reference(&self, child: &Entity, name: &str, row: &Key) -> bool {
        let parent = self.entity_of(row).map(|(parent, _)| parent.ix);
        let target = child.by_field(name).and_then(|field| match field.kind {
            FieldType::Ref { target, .. } => Some(target),
            _ => None,
        });
        target.is_some() && target == parent
    }

    pub(super) fn needs(&self, entity: &Entity, record: &Record, key: &Key) -> bool {
        self.expected(entity, record).iter().any(|(needed, _)| needed == key)
    }

    async fn records_of(&self, rows: &[Item], attribute: &str) -> Result<HashMap<Key, Record>, TableError> {
        let keys: Vec<_> = rows
            .iter()
            .filter_map(|row| {
                let (entity, _) = self.entity_of(&row.key)?;
                Some((TableName::Data, keys::record(entity, row.s(attribute)?)))
            })
            .collect();
        let found = self.table.get(&keys, true).await?;
        Ok(found.iter().flatten().filter_map(|item| Some((item.key.clone(), items::decode(item)?))).collect())
    }

    /// Reads a record and all that it needs at one moment.
    pub(super) async fn confirm_record(&self, entity: &Entity, id: &str, report: &mut Report) -> Result<(), TableError> {
        let key = keys::record(entity, id);
        loop {
            let Some(record) = decoded(self.one(key.clone()).await?.as_ref()) else { return Ok(()) };
            let expected = self.expected(entity, &record);
            let mut asked = vec![key.clone()];
            asked.extend(expected.iter().map(|(key, _)| key.clone()));
            let found = self.at_once(asked).await?;
            // It changed between the two reads: what it needs is another thing now.
            if decoded(found[0].as_ref()).is_none_or(|now| now.version != record.version) {
                continue;
            }
            for (expected, found) in expected.iter().zip(&found[1..]) {
                let problem = self.compare(entity, &record, expected, found.as_ref());
                if let Some(mut problem) = problem {
                    problem.repaired = self.repair && self.mend(entity, &record, expected, problem.kind).await?;
                    report.add(problem);
                }
            }
            return Ok(());
        }
    }

    /// Reads a row and the record that it names at one moment.
    async fn confirm_orphan(
        &self,
        entity: &Entity,
        row: &Item,
        id: &str,
        kind: Kind,
        report: &mut Report,
    ) -> Result<(), TableError> {
        let found = self.at_once(vec![row.key.clone(), keys::record(entity, id)]).await?;
        let record = decoded(found[1].as_ref());
        let belongs = record.as_ref().is_some_and(|record| self.needs(entity, record, &row.key));
        if found[0].is_none() || belongs {
            return Ok(());
        }
        let repaired = self.repair && self.remove_orphan(entity, row, id, record.as_ref()).await?;
        let (key, record) = (row.key.clone(), named(entity, id));
        report.add(Problem { kind, key, record, detail: String::new(), repaired });
        Ok(())
    }
}

//! What a build does with one page of its scan: the rows that records lack, and those that no record needs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Constraints;
use super::progress::{Finding, Progress};
use super::rule::{Rule, RuleKind};
use super::target::Target;
use crate::core::backoff::Backoff;
use crate::model::Entity;
use crate::model::value::Record;
use crate::store::table::{Attr, Expr, Item, Key, TableError, TableName, Transaction, Write};
use crate::store::verify::Verifier;
use crate::store::write::OWNER;
use crate::store::{items, keys, tags};

/// Actions of one transaction: more would conflict with writers more often.
const ACTIONS: usize = 60;

pub(super) struct Page<'a> {
    pub(super) constraints: &'a Constraints,
    pub(super) targets: &'a [Target],
    pub(super) done: &'a mut Progress,
}

/// A record and the rows that it lacks.
struct Lacking {
    record: Record,
    rows: Vec<Row>,
}

/// A row that is not as it must be.
struct Row {
    /// Position of its target.
    target: usize,
    item: Item,
    /// Whose the unique row is.
    owner: Option<String>,
}

impl Page<'_> {
    pub(super) async fn build(&mut self, page: Vec<Item>) -> Result<(), TableError> {
        let model = Arc::clone(&self.constraints.model);
        for entity in &model.entities {
            if self.of_entity(entity).next().is_some() {
                self.records(entity, &page).await?;
            }
        }
        let is_row = |item: &Item| self.targets.iter().any(|target| target.has_row(&model, item));
        let rows: Vec<Item> = page.into_iter().filter(is_row).collect();
        let verifier = Verifier::new(Arc::clone(&self.constraints.table), Arc::clone(&model), self.constraints.env.clone(), true);
        self.done.removed += verifier.remove_orphans(rows).await?;
        Ok(())
    }

    fn of_entity(&self, entity: &Entity) -> impl Iterator<Item = (usize, &Target)> {
        let ix = entity.ix;
        let model = &self.constraints.model;
        self.targets.iter().enumerate().filter(move |(_, target)| target.entity(model).ix == ix)
    }

    async fn records(&mut self, entity: &Entity, page: &[Item]) -> Result<(), TableError> {
        let prefix = format!("r#{}#", entity.name);
        let of_entity = page.iter().filter(|item| item.key.pk.starts_with(&prefix) && !items::is_tombstone(item));
        let records: Vec<Record> = of_entity.filter_map(items::decode).collect();
        self.done.records += records.len() as u64;
        self.dangling(entity, &records).await?;
        let lacking = self.lacking(entity, records).await?;
        let mut chunk: Vec<&Lacking> = Vec::new();
        let mut keys: BTreeSet<&Key> = BTreeSet::new();
        for one in &lacking {
            // Records with one unique value want one row, and a transaction changes each item once.
            let is_met = one.rows.iter().any(|row| keys.contains(&row.item.key));
            if is_met || keys.len() + chunk.len() + one.rows.len() + 1 > ACTIONS {
                self.put_all(entity, &std::mem::take(&mut chunk)).await?;
                keys.clear();
            }
            keys.extend(one.rows.iter().map(|row| &row.item.key));
            chunk.push(one);
        }
        self.put_all(entity, &chunk).await
    }

    /// The rows that records lack, by what can be read now.
    async fn lacking(&self, entity: &Entity, records: Vec<Record>) -> Result<Vec<Lacking>, TableError> {
        let model = &self.constraints.model;
        let wanted = |record: &Record| -> Vec<(usize, Item)> {
            self.of_entity(entity).filter_map(|(at, target)| Some((at, target.row(model, record)?))).collect()
        };
        let wanted: Vec<Vec<(usize, Item)>> = records.iter().map(wanted).collect();
        let places: Vec<_> = wanted.iter().flatten().map(|(_, row)| (TableName::Data, row.key.clone())).collect();
        let mut found = self.constraints.table.get(&places, true).await?.into_iter();
        let mut lacking = Vec::new();
        for (record, wanted) in records.into_iter().zip(wanted) {
            let with_found: Vec<_> = wanted.into_iter().map(|(target, item)| (target, item, found.next().flatten())).collect();
            let differs =
                |(_, item, found): &(usize, Item, Option<Item>)| found.as_ref().is_none_or(|found| found.attrs != item.attrs);
            let rows = with_found.into_iter().filter(differs).map(|(target, item, found)| {
                let owner = found.and_then(|found| found.s(OWNER).map(str::to_owned));
                Row { target, item, owner }
            });
            let rows: Vec<Row> = rows.collect();
            if !rows.is_empty() {
                lacking.push(Lacking { record, rows });
            }
        }
        Ok(lacking)
    }

    /// Puts what is free, in one transaction; where somebody was faster, or a value is taken, one record after the other.
    async fn put_all(&mut self, entity: &Entity, lacking: &[&Lacking]) -> Result<(), TableError> {
        if lacking.is_empty() {
            return Ok(());
        }
        let is_free = lacking.iter().flat_map(|one| &one.rows).all(|row| row.owner.is_none());
        if is_free {
            let pairs: Vec<(&Record, Vec<&Row>)> = lacking.iter().map(|one| (&one.record, one.rows.iter().collect())).collect();
            if self.put(entity, &pairs, None).await? {
                self.done.written += pairs.iter().map(|(_, rows)| rows.len() as u64).sum::<u64>();
                return Ok(());
            }
        }
        for one in lacking {
            self.again(entity, &one.record.id).await?;
        }
        Ok(())
    }

    /// Rows of records that are as they were read. `false`: at least one is not, and nothing was done. `void`: a record that has not the
    /// value which its unique row says that it has, as it was read.
    async fn put(
        &self,
        entity: &Entity,
        lacking: &[(&Record, Vec<&Row>)],
        void: Option<(&Key, Option<&Record>)>,
    ) -> Result<bool, TableError> {
        let env = &self.constraints.env;
        let table = self.constraints.table.as_ref();
        let mut writes = Vec::new();
        let mut voided: BTreeSet<Key> = BTreeSet::new();
        for (record, rows) in lacking {
            writes.push(Write::Check { key: keys::record(entity, &record.id), condition: is_still(Some(record)) });
            for row in rows {
                writes.push(Write::Put { item: row.item.clone(), condition: self.condition(row) });
                if let Target::Index(_, index) = &self.targets[row.target]
                    && tags::has_tags(entity.index(*index))
                {
                    voided.insert(keys::partition_tag(&row.item.key.pk, keys::shard(&record.id, entity.shards)));
                }
            }
        }
        if let Some((key, record)) = void {
            writes.push(Write::Check { key: key.clone(), condition: is_still(record) });
        }
        // What was cached by an earlier life of an index is void, before anything is done, so that no death comes in between.
        // Nobody reads the index now, so the tags need no elements.
        for tag in voided {
            tags::touch(table, env, tag).await?;
        }
        let token = uuid::Builder::from_random_bytes(env.bytes::<16>()).into_uuid().simple().to_string();
        let writes = writes.into_iter().map(|write| (TableName::Data, write)).collect();
        match table.transact(Transaction { token, writes }).await {
            Ok(()) => Ok(true),
            Err(TableError::Cancelled(_) | TableError::Busy(_) | TableError::Unknown(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A unique row is put where there is none, or in the place of that of the owner who was looked at.
    fn condition(&self, row: &Row) -> Option<Expr> {
        let Target::Rule(Rule { kind: RuleKind::Unique, .. }) = &self.targets[row.target] else { return None };
        Some(match &row.owner {
            None => Expr::new("attribute_not_exists(pk)"),
            Some(owner) => Expr::new("#id = :owner").name("#id", OWNER).value(":owner", Attr::S(owner.clone())),
        })
    }

    /// One record, looked at anew until its rows are right, or others have its values.
    async fn again(&mut self, entity: &Entity, id: &str) -> Result<(), TableError> {
        const ATTEMPTS: u32 = 30;
        let env = self.constraints.env.clone();
        let mut backoff = Backoff::new(&env, Duration::from_millis(2), Duration::from_millis(256));
        for _ in 0..ATTEMPTS {
            let found = self.read(keys::record(entity, id)).await?;
            let Some(record) = found.as_ref().and_then(items::decode) else { return Ok(()) };
            let Some(Lacking { record, rows }) = self.lacking(entity, vec![record]).await?.pop() else { return Ok(()) };
            if self.put_one(entity, &record, &rows).await? {
                return Ok(());
            }
            backoff.pause().await;
        }
        Err(TableError::Busy(format!("{}/{id} changes all the time", entity.name)))
    }

    /// The rows of one record; those of values that another has are told. `false`: something changed meanwhile.
    async fn put_one(&mut self, entity: &Entity, record: &Record, rows: &[Row]) -> Result<bool, TableError> {
        let free: Vec<&Row> = rows.iter().filter(|row| row.owner.is_none()).collect();
        let mut put = true;
        if !free.is_empty() {
            put &= self.count_put(entity, record, free, None).await?;
        }
        let mut taken = Vec::new();
        for row in rows {
            let Some(owner) = &row.owner else { continue };
            let key = keys::record(entity, owner);
            let other = self.read(key.clone()).await?.as_ref().and_then(items::decode);
            let model = &self.constraints.model;
            let target = &self.targets[row.target];
            let has_value = other.as_ref().and_then(|other| target.row(model, other)).is_some_and(|own| own.key == row.item.key);
            match has_value {
                true => taken.push((target.name(model), owner.clone())),
                false => put &= self.count_put(entity, record, vec![row], Some((&key, other.as_ref()))).await?,
            }
        }
        if put {
            for (rule, owner) in taken {
                self.done.duplicates += 1;
                self.done.blocked.insert(rule.clone());
                let name = |id: &str| format!("{}/{id}", entity.name);
                self.done.find(Finding { rule, record: name(&record.id), other: name(&owner) });
            }
        }
        Ok(put)
    }

    async fn count_put(
        &mut self,
        entity: &Entity,
        record: &Record,
        rows: Vec<&Row>,
        void: Option<(&Key, Option<&Record>)>,
    ) -> Result<bool, TableError> {
        let count = rows.len() as u64;
        let put = self.put(entity, &[(record, rows)], void).await?;
        self.done.written += if put { count } else { 0 };
        Ok(put)
    }

    /// References to nobody.
    async fn dangling(&mut self, entity: &Entity, records: &[Record]) -> Result<(), TableError> {
        let model = Arc::clone(&self.constraints.model);
        let references =
            self.of_entity(entity).filter(|(_, target)| matches!(target, Target::Rule(Rule { kind: RuleKind::Reference, .. })));
        let mut asked = Vec::new();
        for (_, target) in references {
            let rows = records.iter().filter_map(|record| Some((record, target.row(&model, record)?)));
            asked.extend(rows.map(|(record, row)| (target.name(&model), record, row.key.pk.replacen("f#", "r#", 1))));
        }
        let places: Vec<_> = asked.iter().map(|(_, _, pk)| (TableName::Data, Key::new(pk.clone(), keys::ONLY))).collect();
        let found = self.constraints.table.get(&places, true).await?;
        for ((rule, record, pk), found) in asked.into_iter().zip(found) {
            if found.is_none() {
                self.done.dangling += 1;
                let other = pk.trim_start_matches("r#").replacen('#', "/", 1);
                self.done.find(Finding { rule, record: format!("{}/{}", entity.name, record.id), other });
            }
        }
        Ok(())
    }

    async fn read(&self, key: Key) -> Result<Option<Item>, TableError> {
        Ok(self.constraints.table.get(&[(TableName::Data, key)], true).await?.into_iter().next().flatten())
    }
}

fn is_still(record: Option<&Record>) -> Expr {
    match record {
        Some(record) => Expr::new("#v = :v").name("#v", keys::VERSION).value(":v", Attr::S(record.version.clone())),
        None => Expr::new("attribute_not_exists(#v)").name("#v", keys::VERSION),
    }
}

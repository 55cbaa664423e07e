//! `migrate`, records of an entity that got another name: each is moved as it is, its rows go and are built anew under the new name.
//!
//! Nobody writes meanwhile: the new version is refused as `building`, and one that knows only the old name once it has met the mark.

use std::sync::Arc;
use std::time::Duration;

use super::{Evolution, Progress};
use crate::core::clock::Env;
use crate::model::Entity;
use crate::store::repeat::repeated;
use crate::store::table::{Expr, Item, Key, Reason, Returning, SharedTable, TableError, TableName, Transaction, Write};
use crate::store::{items, keys};

/// Records of one transaction.
const CHUNK: usize = 20;

/// Moves the records of one entity.
struct Move<'a> {
    table: &'a SharedTable,
    env: &'a Env,
    entity: &'a Entity,
    from: &'a str,
}

impl Move<'_> {
    /// Moves all of them. Cut short, another run goes on.
    async fn run(&self, done: &mut Progress, progress: &mut (dyn FnMut(&Progress) + Send)) -> Result<(), TableError> {
        let mut after: Option<Key> = None;
        loop {
            let (page, next) = repeated(self.env, || self.table.scan(TableName::Data, after.clone(), (0, 1))).await?;
            done.items += page.len() as u64;
            let prefix = format!("r#{}#", self.from);
            let records: Vec<&Item> = page.iter().filter(|item| item.key.pk.starts_with(&prefix)).collect();
            for chunk in records.chunks(CHUNK) {
                self.put(chunk).await?;
                done.records += chunk.len() as u64;
                done.changed += chunk.len() as u64;
                progress(done);
            }
            for row in page.iter().filter(|item| self.is_row(&item.key)) {
                let write = Write::Delete { key: row.key.clone(), condition: None };
                repeated(self.env, || self.table.write(TableName::Data, write.clone(), Returning::Nothing)).await?;
            }
            progress(done);
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn put(&self, records: &[&Item]) -> Result<(), TableError> {
        let mut writes = Vec::new();
        for record in records {
            let id = record.key.pk.splitn(3, '#').nth(2).unwrap_or_default();
            let there = Item { key: keys::record(self.entity, id), attrs: record.attrs.clone() };
            writes.push((TableName::Data, Write::Put { item: there, condition: Some(Expr::new("attribute_not_exists(pk)")) }));
            let condition = if items::is_tombstone(record) { items::still(record) } else { Expr::new("attribute_exists(pk)") };
            writes.push((TableName::Data, Write::Delete { key: record.key.clone(), condition: Some(condition) }));
        }
        let once = || async {
            let transaction = Transaction { token: self.env.uuid_v7().to_string(), writes: writes.clone() };
            match self.table.transact(transaction).await {
                // An earlier sending whose answer was lost has done it.
                Err(TableError::Cancelled(reasons)) if reasons.iter().all(|why| matches!(why, Reason::ConditionFailed(_))) => {
                    Ok(())
                }
                Err(TableError::Cancelled(reasons)) if reasons.iter().all(|why| !matches!(why, Reason::Other(_))) => {
                    Err(TableError::Busy("conflict".to_owned()))
                }
                other => other,
            }
        };
        repeated(self.env, once).await
    }

    /// Whether a key is of a row or gate of the entity under its old name, or of a reference by one of its records.
    fn is_row(&self, key: &Key) -> bool {
        let mut parts = key.pk.splitn(3, '#');
        let (kind, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let refers = || key.sk.starts_with(format!("{}#", self.from).as_bytes());
        (["i", "u", "f", "g"].contains(&kind) && name == self.from) || (kind == "f" && refers())
    }
}

impl Evolution {
    /// Moves what stands under another name, once `settle` is over.
    pub(super) async fn move_entities(
        &self,
        settle: Duration,
        done: &mut Progress,
        progress: &mut (dyn FnMut(&Progress) + Send),
    ) -> Result<(), TableError> {
        let moving = self.states().await?.moving().to_vec();
        if moving.is_empty() {
            return Ok(());
        }
        for (entity, from) in &moving {
            self.constraints.begin_move(self.model.entity(*entity), from).await?;
        }
        tokio::time::sleep(settle).await;
        let table = Arc::clone(&self.table);
        for (entity, from) in &moving {
            let entity = self.model.entity(*entity);
            Move { table: &table, env: &self.env, entity, from }.run(done, progress).await?;
            self.constraints.finish_move(entity, from).await?;
        }
        Ok(())
    }
}

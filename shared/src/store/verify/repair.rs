//! Repairs: each one transaction, conditioned on the state that was found wrong, so that a write in between wins.

use super::find::Expected;
use super::{Kind, Verifier};
use crate::model::Entity;
use crate::model::value::Record;
use crate::store::table::{Attr, Expr, Item, Key, TableError, TableName, Transaction, Write};
use crate::store::write::OWNER;
use crate::store::{keys, tags};

impl Verifier {
    /// Whether it went through. A condition that failed means that somebody else has changed things: nothing to repair.
    pub(super) async fn apply(&self, writes: Vec<Write>) -> Result<bool, TableError> {
        let token = uuid::Builder::from_random_bytes(self.env.bytes::<16>()).into_uuid().simple().to_string();
        let writes = writes.into_iter().map(|write| (TableName::Data, write)).collect();
        match self.table.transact(Transaction { token, writes }).await {
            Ok(()) => Ok(true),
            Err(TableError::Cancelled(_) | TableError::Busy(_) | TableError::Unknown(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Puts what a record lacks, as long as the record is as it was read.
    pub(super) async fn mend(
        &self,
        entity: &Entity,
        record: &Record,
        (key, expected): &(Key, Expected),
        kind: Kind,
    ) -> Result<bool, TableError> {
        let item = match (expected, kind) {
            (Expected::Row(row), _) => row.clone(),
            (Expected::Unique, Kind::UniqueMissing) => Item::new(key.clone()).with(OWNER, Attr::S(record.id.clone())),
            (Expected::Reference(row, _), _) => row.clone(),
            // Two records with one value: a person has to choose.
            (Expected::Unique, _) => return Ok(false),
        };
        let condition = match expected {
            Expected::Row(_) | Expected::Reference(..) => None,
            Expected::Unique => Some(Expr::new("attribute_not_exists(pk)")),
        };
        let repaired = self.apply(vec![check(entity, &record.id, Some(record)), Write::Put { item, condition }]).await?;
        self.announce(entity, &record.id, key).await?;
        Ok(repaired)
    }

    /// Removes a row that its record does not put there.
    pub(super) async fn remove_orphan(
        &self,
        entity: &Entity,
        row: &Item,
        id: &str,
        record: Option<&Record>,
    ) -> Result<bool, TableError> {
        let delete = Write::Delete { key: row.key.clone(), condition: None };
        let repaired = self.apply(vec![check(entity, id, record), delete]).await?;
        self.announce(entity, id, &row.key).await?;
        Ok(repaired)
    }

    /// Lists that were cached before the repair showed the fault.
    async fn announce(&self, entity: &Entity, id: &str, key: &Key) -> Result<(), TableError> {
        let table = self.table.as_ref();
        let shard = keys::shard(id, entity.shards);
        if key.pk.starts_with("i#") {
            tags::touch(table, &self.env, keys::partition_tag(&key.pk, shard)).await?;
        }
        tags::touch(table, &self.env, keys::entity_tag(entity, shard)).await
    }
}

fn check(entity: &Entity, id: &str, record: Option<&Record>) -> Write {
    let condition = match record {
        None => Expr::new("attribute_not_exists(pk)"),
        Some(record) => Expr::new("#v = :v").name("#v", keys::VERSION).value(":v", Attr::S(record.version.clone())),
    };
    Write::Check { key: keys::record(entity, id), condition }
}

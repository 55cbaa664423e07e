//! Looking at the owner of a unique row that stands in the way.

use super::Writer;
use super::stale_rows::{RefusedRow, StaleRow, StaleRows};
use super::unique;
use crate::store::table::{TableError, TableName};
use crate::store::{items, keys};

impl Writer {
    /// Looks at the owner of a row that refused an attempt. `true`: another attempt may go past it.
    pub(super) async fn look_at_owner(&self, refused: &RefusedRow, known: &mut StaleRows) -> Result<bool, TableError> {
        let Some(owner) = &refused.owner else { return Ok(false) };
        let entity = self.model.entity(refused.entity);
        let record = keys::record(entity, owner);
        let found = self.table.get(&[(TableName::Data, record.clone())], true).await?.into_iter().next().flatten();
        let stored = found.as_ref().and_then(items::decode);
        let field = entity.field(refused.field);
        let value = stored.as_ref().and_then(|stored| stored.fields.get(&field.name));
        let has_value = unique::row(&self.model, entity, field, value).as_ref() == Some(&refused.key);
        let stale = match has_value {
            true if refused.is_wanted => return Ok(false),
            true => StaleRow::OfAnother,
            false => StaleRow::Void { owner: owner.clone(), record, version: stored.map(|stored| stored.version) },
        };
        Ok(known.insert(refused.key.clone(), stale))
    }
}

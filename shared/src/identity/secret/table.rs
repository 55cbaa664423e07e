//! The master secret in the data table (encrypted at rest by DynamoDB): 32 random bytes, made by the first process that needs
//! them, so that nothing has to be set up.

use crate::core::clock::Env;
use crate::store::keys;
use crate::store::table::{Attr, Expr, Item, Key, Returning, SharedTable, TableError, TableName, Write};

/// Reads it, or makes it.
///
/// # Errors
/// Errors of the table.
pub async fn master_in_table(table: &SharedTable, env: &Env) -> Result<Vec<u8>, TableError> {
    let key = Key::new("s#master", keys::ONLY);
    let place = [(TableName::Data, key.clone())];
    if let Some(Some(item)) = table.get(&place, true).await?.into_iter().next()
        && let Some(master) = item.b("m")
    {
        return Ok(master.to_vec());
    }
    let fresh = Item::new(key).with("m", Attr::B(env.bytes::<32>().to_vec()));
    let absent = Some(Expr::new("attribute_not_exists(pk)"));
    match table.write(TableName::Data, Write::Put { item: fresh, condition: absent }, Returning::Nothing).await {
        // Another process was first: its key counts.
        Ok(_) | Err(TableError::ConditionFailed(_) | TableError::Unknown(_)) => {}
        Err(error) => return Err(error),
    }
    let found = table.get(&place, true).await?.into_iter().next().flatten();
    let master = found.as_ref().and_then(|item| item.b("m"));
    master.map(<[u8]>::to_vec).ok_or_else(|| TableError::Broken("the master key cannot be read".into()))
}

//! Rows of the keys of a consumer.

use super::error::ConsumerError;
use super::record::ApiKey;
use crate::store::keys as place;
use crate::store::table::{RangeQuery, Table, TableName, Write};

/// The writes that remove every key of a consumer.
pub(super) async fn delete_all(table: &dyn Table, id: &str) -> Result<Vec<Write>, ConsumerError> {
    let mut writes = Vec::new();
    for key in listed(table, id).await? {
        writes.push(Write::Delete { key: place::api_key_listed(id, &key.id), condition: None });
        if key.revoked.is_none() {
            writes.push(Write::Delete { key: place::api_key(&key.id), condition: None });
            writes.extend(limiter_of(&key));
        }
    }
    Ok(writes)
}

/// The write that removes what a publishable key has used up.
pub(super) fn limiter_of(key: &ApiKey) -> Option<Write> {
    key.publishable.then(|| Write::Delete { key: place::limiter(&place::account_of_key(&key.id)), condition: None })
}

/// All keys of a consumer, revoked ones too.
pub(super) async fn listed(table: &dyn Table, id: &str) -> Result<Vec<ApiKey>, ConsumerError> {
    let first = place::api_key_listed(id, "");
    let mut keys = Vec::new();
    let mut after = None;
    loop {
        let query = RangeQuery {
            from: after.is_none().then(|| first.sk.clone()),
            after,
            ..RangeQuery::partition(TableName::Data, first.pk.clone())
        };
        let page = table.query(query).await?;
        for item in &page.items {
            keys.push(ApiKey::from_item(item)?);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(keys),
        }
    }
}

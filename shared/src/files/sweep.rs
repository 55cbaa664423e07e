//! Deletes what is due to vanish: the reporter's part.

use futures::StreamExt as _;
use futures::stream;

use crate::app::App;
use crate::core::clock::Micros;
use crate::store::keys;
use crate::store::object::Objects;
use crate::store::pending_deletion::{OBJECT, PendingDeletion, SHARDS};
use crate::store::table::{Attr, Expr, Item, Key, RangePage, RangeQuery, Returning, Table, TableError, TableName, Write};

/// Rows that are worked on at a time.
const AT_ONCE: usize = 8;
/// Rows read at once.
const PAGE: usize = 100;

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Objects deleted.
    pub deleted: usize,
    /// Rows that ended without an object.
    pub ended: usize,
    /// Rows that could not be done; the next sweep tries again.
    pub failed: usize,
}

/// Deletes objects and rows that are due, until `deadline`. Any number of sweeps may run at a time.
///
/// # Errors
/// What the table says of reading. What fails for one row is logged, and left to the next sweep.
pub async fn sweep(app: &App, deadline: Micros) -> Result<Swept, TableError> {
    let mut swept = Swept::default();
    let Some(objects) = &app.objects else { return Ok(swept) };
    for shard in 0..SHARDS {
        let mut after = None;
        loop {
            let RangePage { items, next, .. } = app.table.query(due(app, shard, after)).await?;
            let done = stream::iter(items).map(|item| one(&*app.table, &**objects, item)).buffer_unordered(AT_ONCE);
            let outcomes: Vec<Result<bool, String>> = done.collect().await;
            for outcome in outcomes {
                match outcome {
                    Ok(true) => swept.deleted += 1,
                    Ok(false) => swept.ended += 1,
                    Err(why) => {
                        tracing::warn!(why, "a file could not be deleted yet");
                        swept.failed += 1;
                    }
                }
            }
            after = next;
            if app.env.now() >= deadline {
                return Ok(swept);
            }
            if after.is_none() {
                break;
            }
        }
    }
    Ok(swept)
}

/// The rows of a shard that are due, the oldest first.
fn due(app: &App, shard: u16, after: Option<Vec<u8>>) -> RangeQuery {
    let mut last = u64::try_from(app.env.now().0).unwrap_or(0).to_be_bytes().to_vec();
    last.extend([u8::MAX; 8]);
    RangeQuery {
        to: Some(last),
        after,
        limit: Some(PAGE),
        ..RangeQuery::partition(TableName::Data, keys::vanishing(shard, &[]).pk)
    }
}

/// Does one row; whether an object was deleted.
async fn one(table: &dyn Table, objects: &dyn Objects, item: Item) -> Result<bool, String> {
    let Some(row) = PendingDeletion::read(&item) else { return Err(format!("unreadable row in {}", item.key.pk)) };
    let deletes = !row.kept && taken(table, &row.key).await?;
    if deletes {
        objects.delete(&row.object).await.map_err(|error| error.to_string())?;
    }
    for key in &row.rows {
        end(table, key.clone(), &row.object).await?;
    }
    let write = Write::Delete { key: row.key, condition: None };
    table.write(TableName::Data, write, Returning::Nothing).await.map_err(|error| error.to_string())?;
    Ok(deletes)
}

/// Whether the object is ours to delete: not so if its upload was completed since the row was read, or another sweep has done it.
async fn taken(table: &dyn Table, key: &Key) -> Result<bool, String> {
    match table.write(TableName::Data, PendingDeletion::take(key.clone()), Returning::Nothing).await {
        Ok(_) => Ok(true),
        Err(TableError::ConditionFailed(_)) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

/// Removes a row that still names the object.
async fn end(table: &dyn Table, key: Key, object: &str) -> Result<(), String> {
    let condition = Expr::new("#o = :o").name("#o", OBJECT).value(":o", Attr::S(object.to_owned()));
    match table.write(TableName::Data, Write::Delete { key, condition: Some(condition) }, Returning::Nothing).await {
        Ok(_) | Err(TableError::ConditionFailed(_)) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

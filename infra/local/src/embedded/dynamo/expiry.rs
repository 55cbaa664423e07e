//! Removal of expired items. Nothing depends on it: expiry is checked in code, since DynamoDB lags by days.
//!
//! Upstream's own sweep reads and deletes under one lock. This one reads beside the writer, as any scan does, and deletes an item only
//! if it still says what was read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::engine::Engine;
use super::operation::Operation;
use crate::embedded::{DATA_TABLE, VOLATILE_TABLE};

/// How often the volatile table is gone through.
const SWEEP: Duration = Duration::from_secs(300);
/// Every how many sweeps the data table is gone through too: little in it expires, and that after a day.
const WITH_DATA: u32 = 12;
/// Items of a page.
const PAGE: u32 = 500;

/// Removes expired items for as long as it runs.
pub(super) async fn sweep(engine: Arc<Engine>) {
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.tick().await;
    for number in 1.. {
        ticks.tick().await;
        let tables = if number % WITH_DATA == 0 { &[VOLATILE_TABLE, DATA_TABLE][..] } else { &[VOLATILE_TABLE] };
        for table in tables {
            match remove_expired(&engine, table, unix_now()).await {
                Ok(removed) => tracing::debug!(table, removed, "expired items removed"),
                Err(error) => tracing::warn!(table, error, "expired items were not removed"),
            }
        }
    }
}

/// Removes the items of a table that expired before a second since 1970; how many.
///
/// # Errors
/// What the store says.
pub(super) async fn remove_expired(engine: &Arc<Engine>, table: &str, now: u64) -> Result<usize, String> {
    let (mut removed, mut after) = (0, Value::Null);
    loop {
        let mut scan = json!({
            "TableName": table,
            "FilterExpression": "#t < :now",
            "ProjectionExpression": "pk, sk, #t",
            "ExpressionAttributeNames": {"#t": "ttl"},
            "ExpressionAttributeValues": {":now": {"N": now.to_string()}},
            "Limit": PAGE,
        });
        if !after.is_null() {
            scan["ExclusiveStartKey"] = after;
        }
        let mut page = called(engine, Operation::Scan, &scan).await?;
        for item in page["Items"].as_array().into_iter().flatten() {
            removed += usize::from(removed_as_read(engine, table, item).await?);
        }
        after = page["LastEvaluatedKey"].take();
        if after.is_null() {
            return Ok(removed);
        }
        tokio::task::yield_now().await;
    }
}

pub(super) async fn removed_as_read(engine: &Arc<Engine>, table: &str, item: &Value) -> Result<bool, String> {
    let delete = json!({
        "TableName": table,
        "Key": {"pk": item["pk"], "sk": item["sk"]},
        "ConditionExpression": "#t = :t",
        "ExpressionAttributeNames": {"#t": "ttl"},
        "ExpressionAttributeValues": {":t": item["ttl"]},
    });
    match called(engine, Operation::DeleteItem, &delete).await {
        Ok(_) => Ok(true),
        Err(why) if why.contains("ConditionalCheckFailedException") => Ok(false),
        Err(why) => Err(why),
    }
}

async fn called(engine: &Arc<Engine>, operation: Operation, request: &Value) -> Result<Value, String> {
    let answer = engine.call(Some(operation), Bytes::from(request.to_string())).await;
    match (answer.is_success(), serde_json::from_slice(&answer.body)) {
        (true, Ok(answer)) => Ok(answer),
        _ => Err(String::from_utf8_lossy(&answer.body).into_owned()),
    }
}

fn unix_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

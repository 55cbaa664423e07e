//! Which writes may be lost with the power, and so wait for no fsync of their own: the volatile table, and in the data table the
//! counts of limits and the tags of the cache as far as they are changed outside of a transaction.
//!
//! The log is one and in order, so what is lost is always the end of it: whoever acted on a write that is lost had its own write
//! behind it, and lost that too. Disabling a consumer and revoking a key are transactions, and never lost.

use std::collections::HashMap;

use dynoxide::AttributeValue;
use dynoxide::actions::batch_write_item::{BatchWriteItemRequest, WriteRequest};
use dynoxide::actions::create_table::CreateTableRequest;
use dynoxide::actions::delete_item::DeleteItemRequest;
use dynoxide::actions::put_item::PutItemRequest;
use dynoxide::actions::transact_write_items::{TransactWriteItem, TransactWriteItemsRequest};
use dynoxide::actions::update_item::UpdateItemRequest;
use dynoxide::actions::update_time_to_live::UpdateTimeToLiveRequest;

use crate::embedded::VOLATILE_TABLE;

/// Partitions of the data table whose plain writes may be lost: limiters and tags.
const LOSABLE: [&str; 2] = ["l#", "t#"];

/// What a request to write can say of its worth.
pub(super) trait Loss {
    /// Whether the loss of power may take it although it was acknowledged.
    fn may_be_lost(&self) -> bool;
}

impl Loss for PutItemRequest {
    fn may_be_lost(&self) -> bool {
        is_losable(&self.table_name, &self.item)
    }
}

impl Loss for UpdateItemRequest {
    fn may_be_lost(&self) -> bool {
        is_losable(&self.table_name, &self.key)
    }
}

impl Loss for DeleteItemRequest {
    fn may_be_lost(&self) -> bool {
        is_losable(&self.table_name, &self.key)
    }
}

impl Loss for BatchWriteItemRequest {
    fn may_be_lost(&self) -> bool {
        let losable = |table: &str, write: &WriteRequest| match (&write.put_request, &write.delete_request) {
            (Some(put), None) => is_losable(table, &put.item),
            (None, Some(delete)) => is_losable(table, &delete.key),
            _ => false,
        };
        self.request_items.iter().all(|(table, writes)| writes.iter().all(|write| losable(table, write)))
    }
}

impl Loss for TransactWriteItemsRequest {
    fn may_be_lost(&self) -> bool {
        self.transact_items.iter().all(|action| table_written(action) == Some(VOLATILE_TABLE))
    }
}

impl Loss for CreateTableRequest {
    fn may_be_lost(&self) -> bool {
        false
    }
}

impl Loss for UpdateTimeToLiveRequest {
    fn may_be_lost(&self) -> bool {
        false
    }
}

fn table_written(action: &TransactWriteItem) -> Option<&str> {
    let put = action.put.as_ref().map(|put| put.table_name.as_str());
    let update = action.update.as_ref().map(|update| update.table_name.as_str());
    let delete = action.delete.as_ref().map(|delete| delete.table_name.as_str());
    put.or(update).or(delete)
}

fn is_losable(table: &str, item: &HashMap<String, AttributeValue>) -> bool {
    let of_losable = |pk: &AttributeValue| matches!(pk, AttributeValue::S(pk) if LOSABLE.iter().any(|kind| pk.starts_with(kind)));
    table == VOLATILE_TABLE || item.get("pk").is_some_and(of_losable)
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;
    use crate::embedded::DATA_TABLE;

    fn may_be_lost<Q: DeserializeOwned + Loss>(request: Value) -> bool {
        serde_json::from_value::<Q>(request).unwrap().may_be_lost()
    }

    fn key(pk: &str) -> Value {
        json!({"pk": {"S": pk}, "sk": {"B": "AA=="}})
    }

    #[test]
    fn counts_marks_and_the_volatile_table_may_be_lost_and_nothing_else() {
        for (table, pk, lost) in [
            (DATA_TABLE, "l#ada", true),
            (DATA_TABLE, "t#e#book", true),
            (DATA_TABLE, "r#book#1", false),
            (DATA_TABLE, "c#ada", false),
            (VOLATILE_TABLE, "z#9", true),
        ] {
            let update = json!({"TableName": table, "Key": key(pk), "UpdateExpression": "ADD n :n"});
            assert_eq!(may_be_lost::<UpdateItemRequest>(update), lost, "{pk}");
            assert_eq!(may_be_lost::<PutItemRequest>(json!({"TableName": table, "Item": key(pk)})), lost, "{pk}");
            assert_eq!(may_be_lost::<DeleteItemRequest>(json!({"TableName": table, "Key": key(pk)})), lost, "{pk}");
            let batch = json!({"RequestItems": {table: [{"PutRequest": {"Item": key(pk)}}]}});
            assert_eq!(may_be_lost::<BatchWriteItemRequest>(batch), lost, "{pk}");
        }
    }

    #[test]
    fn a_transaction_lasts_unless_all_of_it_is_volatile() {
        // A consumer is disabled by a transaction that changes its limiter.
        let action = |table: &str| json!({"Put": {"TableName": table, "Item": key("l#ada")}});
        let transaction =
            |tables: &[&str]| json!({"TransactItems": tables.iter().map(|table| action(table)).collect::<Vec<_>>()});
        assert!(!may_be_lost::<TransactWriteItemsRequest>(transaction(&[DATA_TABLE])));
        assert!(!may_be_lost::<TransactWriteItemsRequest>(transaction(&[VOLATILE_TABLE, DATA_TABLE])));
        assert!(may_be_lost::<TransactWriteItemsRequest>(transaction(&[VOLATILE_TABLE, VOLATILE_TABLE])));
    }
}

//! Which writes may be lost with the power, and so wait for no fsync of their own: the volatile table, and plain updates of three
//! kinds of items in the data table: what limits count, and what attempts to write announce and settle at tags and gates.
//!
//! The log is one and in order, so what is lost is always its end: whoever acted on a write that is lost had its own write behind it,
//! and lost that too. An announcement lasts as soon as the commit does that it stands before; what is not settled is settled by whoever
//! meets it. What is acknowledged by itself lasts: transactions (records, fences, disabling a consumer, revoking a key), the fence of an
//! attempt that was given up, and a purge, which gives a tag a new version.

use dynoxide::AttributeValue;
use dynoxide::actions::batch_write_item::BatchWriteItemRequest;
use dynoxide::actions::create_table::CreateTableRequest;
use dynoxide::actions::delete_item::DeleteItemRequest;
use dynoxide::actions::put_item::PutItemRequest;
use dynoxide::actions::transact_write_items::{TransactWriteItem, TransactWriteItemsRequest};
use dynoxide::actions::update_item::UpdateItemRequest;
use dynoxide::actions::update_time_to_live::UpdateTimeToLiveRequest;

use holdfast::store::tags;

use crate::embedded::VOLATILE_TABLE;

/// Partitions of the data table whose plain updates may be lost: limiters, tags and gates.
const LOSABLE: [&str; 3] = ["l#", "t#", "g#"];

/// What a request to write can say of its worth.
pub(super) trait Loss {
    /// Whether the loss of power may take it although it was acknowledged.
    fn may_be_lost(&self) -> bool;
}

impl Loss for PutItemRequest {
    fn may_be_lost(&self) -> bool {
        self.table_name == VOLATILE_TABLE
    }
}

impl Loss for UpdateItemRequest {
    fn may_be_lost(&self) -> bool {
        let of_losable =
            |pk: &AttributeValue| matches!(pk, AttributeValue::S(pk) if LOSABLE.iter().any(|kind| pk.starts_with(kind)));
        let purges = self.expression_attribute_names.iter().flatten().any(|(_, name)| name == tags::VERSION);
        self.table_name == VOLATILE_TABLE || (self.key.get("pk").is_some_and(of_losable) && !purges)
    }
}

impl Loss for DeleteItemRequest {
    fn may_be_lost(&self) -> bool {
        self.table_name == VOLATILE_TABLE
    }
}

impl Loss for BatchWriteItemRequest {
    fn may_be_lost(&self) -> bool {
        self.request_items.keys().all(|table| table == VOLATILE_TABLE)
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
    fn plain_updates_of_limits_tags_and_gates_and_the_volatile_table_may_be_lost_and_nothing_else() {
        for (table, pk, lost) in [
            (DATA_TABLE, "l#ada", true),
            (DATA_TABLE, "t#e#book", true),
            (DATA_TABLE, "g#book#1", true),
            (DATA_TABLE, "tf#token", false),
            (DATA_TABLE, "r#book#1", false),
            (DATA_TABLE, "c#ada", false),
            (VOLATILE_TABLE, "z#9", true),
        ] {
            let update = json!({"TableName": table, "Key": key(pk), "UpdateExpression": "ADD n :n"});
            assert_eq!(may_be_lost::<UpdateItemRequest>(update), lost, "{pk}");
            let whole = table == VOLATILE_TABLE;
            assert_eq!(may_be_lost::<PutItemRequest>(json!({"TableName": table, "Item": key(pk)})), whole, "{pk}");
            assert_eq!(may_be_lost::<DeleteItemRequest>(json!({"TableName": table, "Key": key(pk)})), whole, "{pk}");
            let batch = json!({"RequestItems": {table: [{"PutRequest": {"Item": key(pk)}}]}});
            assert_eq!(may_be_lost::<BatchWriteItemRequest>(batch), whole, "{pk}");
        }
    }

    #[test]
    fn a_purge_lasts() {
        let update = |names: Value| json!({"TableName": DATA_TABLE, "Key": key("t#*"), "UpdateExpression": "SET #v = :v ADD #c :one", "ExpressionAttributeNames": names});
        assert!(!may_be_lost::<UpdateItemRequest>(update(json!({"#v": tags::VERSION, "#c": tags::COUNT}))));
        assert!(may_be_lost::<UpdateItemRequest>(update(json!({"#u": "u", "#c": tags::COUNT}))));
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

//! DynamoDB's operations on one connection of the store: JSON in, JSON out, as upstream's own server answers.
//!
//! Only what Holdfast calls is served, and what shows a person the tables. A body that does not fit its operation is refused in
//! serde's words, where upstream finds those of AWS: no SDK can send one.

use std::future::Future;

use dynoxide::actions::vector_lifecycle::VectorIndexLifecycle;
use dynoxide::actions::{
    batch_get_item, batch_write_item, create_table, delete_item, describe_table, describe_time_to_live, get_item, list_tables,
    put_item, query, scan, transact_get_items, transact_write_items, update_item, update_time_to_live,
};
use dynoxide::storage::Storage;
use dynoxide::{DynoxideError, Result};
use futures::FutureExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::loss::Loss;

/// `X-Amz-Target` without the operation.
const TARGET: &str = "DynamoDB_20120810.";

/// An answer of DynamoDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: u16,
    /// JSON.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// A refusal, or a fault of the store.
    pub(super) fn failed(error: &DynoxideError) -> Self {
        Self { status: error.status_code(), body: error.to_json().into_bytes() }
    }

    /// A fault of the store, after which the outcome is unknown.
    pub(super) fn fault(why: impl Into<String>) -> Self {
        Self::failed(&DynoxideError::InternalServerError(why.into()))
    }

    /// The refusal of a target that is not served.
    pub(super) fn unknown_operation() -> Self {
        let body = r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;
        Self { status: 400, body: body.as_bytes().to_vec() }
    }

    /// Whether it was done.
    pub(super) fn is_success(&self) -> bool {
        self.status == 200
    }
}

/// An operation on items or tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    BatchGetItem,
    BatchWriteItem,
    CreateTable,
    DeleteItem,
    DescribeTable,
    DescribeTimeToLive,
    GetItem,
    ListTables,
    PutItem,
    Query,
    Scan,
    TransactGetItems,
    TransactWriteItems,
    UpdateItem,
    UpdateTimeToLive,
}

impl Operation {
    /// The operation of an `X-Amz-Target`, if it is served.
    pub(super) fn of_target(target: &str) -> Option<Self> {
        Some(match target.strip_prefix(TARGET)? {
            "BatchGetItem" => Self::BatchGetItem,
            "BatchWriteItem" => Self::BatchWriteItem,
            "CreateTable" => Self::CreateTable,
            "DeleteItem" => Self::DeleteItem,
            "DescribeTable" => Self::DescribeTable,
            "DescribeTimeToLive" => Self::DescribeTimeToLive,
            "GetItem" => Self::GetItem,
            "ListTables" => Self::ListTables,
            "PutItem" => Self::PutItem,
            "Query" => Self::Query,
            "Scan" => Self::Scan,
            "TransactGetItems" => Self::TransactGetItems,
            "TransactWriteItems" => Self::TransactWriteItems,
            "UpdateItem" => Self::UpdateItem,
            "UpdateTimeToLive" => Self::UpdateTimeToLive,
            _ => return None,
        })
    }

    /// Whether it changes nothing, so that any connection may do it.
    pub(super) fn is_read(self) -> bool {
        match self {
            Self::BatchGetItem
            | Self::DescribeTable
            | Self::DescribeTimeToLive
            | Self::GetItem
            | Self::ListTables
            | Self::Query
            | Self::Scan
            | Self::TransactGetItems => true,
            Self::BatchWriteItem
            | Self::CreateTable
            | Self::DeleteItem
            | Self::PutItem
            | Self::TransactWriteItems
            | Self::UpdateItem
            | Self::UpdateTimeToLive => false,
        }
    }

    /// Whether it may take longer than a worker of the runtime can spare: tenths of milliseconds.
    pub(super) fn is_long(self) -> bool {
        matches!(self, Self::BatchWriteItem | Self::DescribeTable | Self::Scan | Self::TransactWriteItems)
    }

    /// Does a read.
    pub(super) fn read(self, storage: &Storage, body: &[u8]) -> Answer {
        match self {
            Self::BatchGetItem => run(body, |request| batch_get_item::execute(storage, request)),
            Self::DescribeTable => {
                let lifecycle = VectorIndexLifecycle::new();
                run(body, |request| describe_table::execute(storage, request, &lifecycle))
            }
            Self::DescribeTimeToLive => run(body, |request| describe_time_to_live::execute(storage, request)),
            Self::GetItem => run(body, |request| get_item::execute(storage, request)),
            Self::ListTables => run(body, |request| list_tables::execute(storage, request)),
            Self::Query => run(body, |request| query::execute(storage, request)),
            Self::Scan => run(body, |request| scan::execute(storage, request)),
            Self::TransactGetItems => in_snapshot(storage, || run(body, |request| transact_get_items::execute(storage, request))),
            _ => Answer::unknown_operation(),
        }
    }

    /// Does a write; with it, whether it may be lost.
    pub(super) fn write(self, storage: &Storage, body: &[u8]) -> (Answer, bool) {
        match self {
            Self::BatchWriteItem => change(body, |request| batch_write_item::execute(storage, request)),
            Self::CreateTable => change(body, |request| create_table::execute(storage, request)),
            Self::DeleteItem => change(body, |request| delete_item::execute(storage, request)),
            Self::PutItem => change(body, |request| put_item::execute(storage, request)),
            Self::TransactWriteItems => change(body, |request| transact_write_items::execute(storage, request)),
            Self::UpdateItem => change(body, |request| update_item::execute(storage, request)),
            Self::UpdateTimeToLive => change(body, |request| update_time_to_live::execute(storage, request)),
            _ => (Answer::unknown_operation(), false),
        }
    }
}

/// All statements of a read on the same state of the store.
fn in_snapshot(storage: &Storage, read: impl FnOnce() -> Answer) -> Answer {
    if let Err(error) = storage.conn().execute_batch("BEGIN") {
        return Answer::fault(error.to_string());
    }
    let answer = read();
    match storage.conn().execute_batch("COMMIT") {
        Ok(()) => answer,
        Err(error) => Answer::fault(error.to_string()),
    }
}

fn run<Q, A, F>(body: &[u8], action: impl FnOnce(Q) -> F) -> Answer
where
    Q: DeserializeOwned,
    A: Serialize,
    F: Future<Output = Result<A>>,
{
    parsed(body).map_or_else(|error| Answer::failed(&error), |request| answered(action(request)))
}

fn change<Q, A, F>(body: &[u8], action: impl FnOnce(Q) -> F) -> (Answer, bool)
where
    Q: DeserializeOwned + Loss,
    A: Serialize,
    F: Future<Output = Result<A>>,
{
    match parsed::<Q>(body) {
        Ok(request) => {
            let may_be_lost = request.may_be_lost();
            (answered(action(request)), may_be_lost)
        }
        Err(error) => (Answer::failed(&error), true),
    }
}

fn parsed<Q: DeserializeOwned>(body: &[u8]) -> Result<Q> {
    serde_json::from_slice(body).map_err(|error| DynoxideError::SerializationException(error.to_string()))
}

fn answered<A: Serialize>(action: impl Future<Output = Result<A>>) -> Answer {
    // Over SQLite in this process an action is done when it is polled first, as upstream promises of its own facade.
    let done = action.now_or_never().unwrap_or_else(|| Err(DynoxideError::InternalServerError("the store is not done".into())));
    match done.map(|answer| serde_json::to_vec(&answer)) {
        Ok(Ok(body)) => Answer { status: 200, body },
        Ok(Err(error)) => Answer::fault(error.to_string()),
        Err(error) => Answer::failed(&error),
    }
}

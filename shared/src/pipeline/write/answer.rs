//! Answer to a write of records: a value until it is kept or sent.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::Value;

use super::idempotent::reply_of;
use crate::http::Reply;
use crate::http::problem::Problem;
use crate::store::idempotency::Answer;

/// Answer to a change of a record, or to a `_bulk` call.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::pipeline) struct RecordAnswer {
    /// Status of success.
    pub(in crate::pipeline) status: u16,
    /// Headers that are kept with it, by lower-case name.
    pub(in crate::pipeline) headers: BTreeMap<String, String>,
    /// What is shown; `None` where there is no body.
    pub(in crate::pipeline) body: Option<Value>,
}

impl RecordAnswer {
    /// Without a body and headers.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status: status.as_u16(), headers: BTreeMap::new(), body: None }
    }

    /// The answer to a `_bulk` call, from the results of its operations.
    pub(super) fn of_bulk(results: Vec<Value>) -> Self {
        Self { body: Some(serde_json::json!({ "results": results })), ..Self::empty(StatusCode::OK) }
    }

    /// The answer as it is kept under an `Idempotency-Key`.
    pub(super) fn kept(&self) -> Answer {
        let body = self.body.as_ref().map(|body| body.to_string().into_bytes()).unwrap_or_default();
        Answer { status: self.status, headers: self.headers.clone(), body }
    }

    /// The answer as it is sent.
    ///
    /// # Errors
    /// 500 for an answer that never was one.
    pub(in crate::pipeline) fn into_reply(self, replayed: bool) -> Result<Reply, Problem> {
        reply_of(self.kept(), replayed)
    }

    /// The result of an operation within the answer to a `_bulk` call.
    pub(super) fn into_result(self) -> Value {
        match self.body {
            Some(data) => serde_json::json!({"status": self.status, "data": data}),
            None => serde_json::json!({"status": self.status}),
        }
    }
}

//! The meaning of the SDK's errors for a caller: nothing was done, the outcome is unknown, or the call is wrong.

use std::fmt::Debug;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::CancellationReason;
use aws_smithy_runtime_api::http::Response;

use super::convert::{self, SdkItem};
use crate::store::table::{Item, Reason, TableError};

/// Details of an error beyond its code.
pub(super) trait Detail: ProvideErrorMetadata + std::error::Error + Debug + 'static {
    /// The item as it was, of a failed condition. Outer `None`: not that error.
    fn old_item(&mut self) -> Option<Option<SdkItem>> {
        None
    }

    /// One reason per action, of a cancelled transaction.
    fn reasons(&mut self) -> Option<Vec<CancellationReason>> {
        None
    }
}

macro_rules! conditional {
    ($($error:ident),*) => {$(
        impl Detail for $error {
            fn old_item(&mut self) -> Option<Option<SdkItem>> {
                if let Self::ConditionalCheckFailedException(error) = self { Some(error.item.take()) } else { None }
            }
        }
    )*};
}
conditional!(PutItemError, UpdateItemError, DeleteItemError);

impl Detail for TransactWriteItemsError {
    fn reasons(&mut self) -> Option<Vec<CancellationReason>> {
        if let Self::TransactionCanceledException(error) = self { error.cancellation_reasons.take() } else { None }
    }
}

impl Detail for aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError {
    fn reasons(&mut self) -> Option<Vec<CancellationReason>> {
        if let Self::TransactionCanceledException(error) = self { error.cancellation_reasons.take() } else { None }
    }
}

impl Detail for aws_sdk_dynamodb::operation::get_item::GetItemError {}
impl Detail for aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemError {}
impl Detail for aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemError {}
impl Detail for aws_sdk_dynamodb::operation::query::QueryError {}
impl Detail for aws_sdk_dynamodb::operation::scan::ScanError {}
impl Detail for aws_sdk_dynamodb::operation::create_table::CreateTableError {}
impl Detail for aws_sdk_dynamodb::operation::update_time_to_live::UpdateTimeToLiveError {}

/// The meaning of an SDK error. The text is for logs only.
pub(super) fn meaning<E: Detail>(error: SdkError<E, Response>) -> TableError {
    match error {
        SdkError::ConstructionFailure(_) => TableError::Broken(chain(&error)),
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            of_service(service.into_err(), status)
        }
        // Sent perhaps, answered not: also a connection that could not be made, which is rare enough to be treated alike.
        other => TableError::Unknown(chain(&other)),
    }
}

fn of_service<E: Detail>(mut error: E, status: u16) -> TableError {
    if let Some(old) = error.old_item() {
        return match old.filter(|item| !item.is_empty()).map(convert::item_back).transpose() {
            Ok(item) => TableError::ConditionFailed(item.map(Box::new)),
            Err(error) => error,
        };
    }
    if let Some(reasons) = error.reasons() {
        return match reasons.into_iter().map(reason).collect() {
            Ok(reasons) => TableError::Cancelled(reasons),
            Err(error) => error,
        };
    }
    let text = format!("{}: {}", error.code().unwrap_or("no code"), error.message().unwrap_or_default());
    match error.code().unwrap_or_default() {
        "ProvisionedThroughputExceededException"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "LimitExceededException"
        | "ReplicatedWriteConflictException"
        | "TransactionConflictException" => TableError::Busy(text),
        // An earlier sending of the same token is still at work: how it ends is not known yet.
        "TransactionInProgressException" | "InternalServerError" | "InternalFailure" => TableError::Unknown(text),
        _ if status >= 500 => TableError::Unknown(text),
        _ => TableError::Broken(text),
    }
}

fn reason(reason: CancellationReason) -> Result<Reason, TableError> {
    Ok(match reason.code.as_deref().unwrap_or("None") {
        "None" => Reason::None,
        "ConditionalCheckFailed" => Reason::ConditionFailed(old(reason.item)?),
        "TransactionConflict" => Reason::Conflict,
        "ThrottlingError" | "ProvisionedThroughputExceeded" | "RequestLimitExceeded" => Reason::Throttled,
        other => Reason::Other(format!("{other}: {}", reason.message.unwrap_or_default())),
    })
}

fn old(item: Option<SdkItem>) -> Result<Option<Item>, TableError> {
    item.filter(|item| !item.is_empty()).map(convert::item_back).transpose()
}

/// An error with all that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

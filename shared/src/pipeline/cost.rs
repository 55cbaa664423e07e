//! What a request asks of its caller's limits, before anything of it is done.

use super::write::bulk_cost;
use crate::http::ApiRequest;
use crate::http::route::Route;
use crate::limit::Call;
use crate::model::{Model, Operation};

/// The calls that a request stands for; several for a `_bulk`.
pub fn calls(route: &Route, request: &ApiRequest) -> Vec<Call> {
    let one = |entity, operation| vec![Call { entity, operation, count: 1 }];
    match route {
        Route::List(entity) => one(Some(*entity), Operation::List),
        Route::Create(entity) => one(Some(*entity), Operation::Create),
        Route::Bulk(entity) => {
            bulk_cost(request).into_iter().map(|(operation, count)| Call { entity: Some(*entity), operation, count }).collect()
        }
        Route::Get { entity, .. } => one(Some(*entity), Operation::Read),
        Route::Replace { entity, .. } | Route::Patch { entity, .. } => one(Some(*entity), Operation::Update),
        Route::Delete { entity, .. } => one(Some(*entity), Operation::Delete),
        Route::Upload { entity, .. } | Route::Complete { entity, .. } => one(Some(*entity), Operation::Upload),
        Route::Download { entity, .. }
        | Route::CreateShare { entity, .. }
        | Route::ListShares { entity, .. }
        | Route::DeleteShares { entity, .. }
        | Route::DeleteShare { entity, .. } => one(Some(*entity), Operation::Download),
        _ => one(None, Operation::System),
    }
}

/// What is deprecated of them: an entity as a whole, `voucher`, or the operation, `voucher.create`.
pub fn deprecated(model: &Model, calls: &[Call]) -> Vec<String> {
    let ended = |call: &Call| {
        let entity = model.entity(call.entity?);
        let deprecation = entity.deprecation(Some(call.operation))?;
        Some(match deprecation.operations.is_empty() {
            true => entity.name.clone(),
            false => format!("{}.{}", entity.name, call.operation.name()),
        })
    };
    calls.iter().filter_map(ended).collect()
}

/// Whether a request for a system resource only reads, so that it may begin before it is admitted. Writes of records wait for
/// themselves, as late as they can.
pub fn is_read(route: &Route) -> bool {
    matches!(
        route,
        Route::List(_)
            | Route::Get { .. }
            | Route::Consumers
            | Route::Consumer { .. }
            | Route::Me
            | Route::ListShares { .. }
            | Route::ConsumerShares { .. }
            | Route::Usage
            | Route::UsageDashboard
            | Route::UsageMetrics
            | Route::Notifications
            | Route::Audit
    )
}

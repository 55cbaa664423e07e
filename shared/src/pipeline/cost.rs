//! Cost of a request, before anything of it is done.

use super::write::bulk_cost;
use crate::http::body::Body;
use crate::http::route::Matched;
use crate::http::route::endpoint::Charge;
use crate::limit::Call;
use crate::model::{Model, Operation};

/// The calls that a request stands for; several for a `_bulk`.
pub fn calls(matched: &Matched, body: &Body<'_>) -> Vec<Call> {
    let call = |(operation, count)| Call { entity: matched.entity, operation, count };
    match matched.charge {
        Charge::Entity(operation) => vec![call((operation, 1))],
        Charge::System | Charge::Allowance => vec![call((Operation::System, 1))],
        Charge::Bulk => bulk_cost(body).into_iter().map(call).collect(),
        Charge::Free => Vec::new(),
    }
}

/// Names of the deprecated ones: an entity as a whole, `voucher`, or the operation, `voucher.create`.
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

//! Problems of refused reads.

use crate::http::problem::{Code, FieldError, Problem};
use crate::model::Model;
use crate::pipeline::Context;
use crate::pipeline::embed::ListError;
use crate::pipeline::permission::lacking;
use crate::pipeline::scan::ScanError;
use crate::query::plan::{self, NoIndex};
use crate::query::policy::{Denied, Permitted};
use crate::query::{BadParameter, ListQuery};

/// All parameters that are wrong: the first in the detail, each among the errors.
pub(super) fn bad_parameters(wrong: &[BadParameter]) -> Problem {
    let message = |bad: &BadParameter| format!("{}: {}", bad.name, bad.why);
    let code = Code::InvalidParameter.name();
    let errors = wrong.iter().map(|bad| FieldError::new(format!("/{}", bad.name), code, message(bad))).collect();
    let (name, detail) = wrong.first().map_or((String::new(), String::new()), |bad| (bad.name.clone(), message(bad)));
    Problem::invalid_parameter(&name, detail).with_errors(errors)
}

/// A cursor of another list.
pub(super) fn bad_cursor() -> Problem {
    Problem::invalid_parameter("cursor", "is not a cursor that this list gave; filters and sort must be those of the page before")
}

/// A count that would examine too much.
pub(super) fn too_many_to_count(model: &Model, permitted: &Permitted<ListQuery>) -> Problem {
    Problem::invalid_parameter("count", plan::to_count(model, permitted))
}

/// A list that no index serves, or none yet.
pub(super) fn no_index(none: &NoIndex) -> Problem {
    match none.is_building {
        true => Problem::new(Code::Building, none.help.clone()).retry_after(30).logged("an index of the model is not built"),
        false => Problem::invalid_parameter(&none.parameter, none.help.clone()),
    }
}

/// What the caller may not do.
pub(super) fn refused(cx: &Context<'_>, denied: &Denied) -> Problem {
    match denied {
        Denied::Action { entity, action } => lacking(cx, cx.model().entity(*entity), *action),
        // As if it did not exist: whether it does is not the caller's to know.
        Denied::Field { entity, parameter } => {
            let name = parameter.rsplit('=').next().unwrap_or(parameter);
            let parameter = parameter.split('=').next().unwrap_or(parameter);
            let why = format!("{} has no field \"{name}\"", cx.app.model.entity(*entity).name);
            Problem::invalid_parameter(parameter, why)
        }
    }
}

/// Rows that cannot be had.
pub(super) fn scan_failed(error: ScanError) -> Problem {
    match error {
        ScanError::TooManyParents => {
            let why = "a filter over a relation matches too many records on its other side; add a filter that an index serves";
            Problem::new(Code::InvalidParameter, why)
        }
        ScanError::Table(error) => error.into(),
    }
}

/// A list that cannot be had.
pub(super) fn list_failed(error: ListError) -> Problem {
    match error {
        ListError::NoIndex(none) => no_index(&none),
        ListError::Scan(error) => scan_failed(error),
    }
}

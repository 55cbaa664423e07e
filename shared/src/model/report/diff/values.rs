//! What records from before show, and what new ones begin with.

use super::changes::Changes;
use crate::model::evolution::{FillValue, fill, lacks_value};
use crate::model::schema::Field;

/// Adds what records show that have no value where the new model promises one.
pub(super) fn of_old_records(changes: &mut Changes, place: &str, before: Option<&Field>, field: &Field) {
    if !lacks_value(before, field) {
        return;
    }
    let what = if before.is_some() { "records that hold null" } else { "added; records from before" };
    match fill(field) {
        FillValue::Missing => changes.breaking(
            place,
            format!("{what} have no value"),
            "they answer null where the schema has none; add `fill: ...`, which a step gives them",
        ),
        value => changes.migration(place, format!("{what} are filled {value}"), "they answer null until that step is done"),
    }
}

/// Adds a change of the value that new records begin with.
pub(super) fn default(changes: &mut Changes, place: &str, before: &Field, after: &Field) {
    if before.default == after.default {
        return;
    }
    let shown = |field: &Field| field.default.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    let what = format!("default {} -> {}", shown(before), shown(after));
    changes.compatible(place, what, "a create, and a PUT, that contain none get the new one; stored values stay");
}

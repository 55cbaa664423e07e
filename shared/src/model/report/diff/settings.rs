//! What concerns the API as a whole: its documents, origins and limits.

use super::super::describe;
use super::changes::Changes;
use crate::model::schema::Model;

/// Name, description and version.
pub(super) fn documents(changes: &mut Changes, old: &Model, new: &Model) {
    changes.documented("model", "name", &old.name, &new.name);
    changes.documented("model", "description", &old.description, &new.description);
    changes.documented("model", "version", &old.version, &new.version);
}

/// `cors` and `limits`.
pub(super) fn settings(changes: &mut Changes, old: &Model, new: &Model) {
    origins(changes, &old.cors.origins, &new.cors.origins);
    let ages = (old.cors.max_age, new.cors.max_age);
    let what = format!("max_age {} -> {}", describe::duration(ages.0), describe::duration(ages.1));
    changes.either("cors", ages, false, what, ("", "browsers ask again after another time"));
    let rows = (old.limits.examine, new.limits.examine);
    let why = ("pages with residual filters get shorter, some counts are refused", "pages with residual filters get longer");
    changes.either("limits", rows, rows.1 < rows.0, format!("examine {} -> {}", rows.0, rows.1), why);
    let rates = (old.limits.per_address, new.limits.per_address);
    let why = ("anonymous callers are admitted less", "anonymous callers are admitted more");
    changes.either("limits", rates, rates.1 < rates.0, format!("per_address {} -> {}", rates.0, rates.1), why);
}

/// `*` accepts every origin, so that only its own loss takes something away.
fn origins(changes: &mut Changes, was: &[String], now: &[String]) {
    let any = |origins: &[String]| origins.iter().any(|origin| origin == "*");
    for gone in was.iter().filter(|origin| !now.contains(origin)) {
        match any(now) {
            true => changes.compatible("cors", format!("origin {gone} removed"), "`*` accepts it"),
            false => changes.breaking("cors", format!("origin {gone} removed"), "browsers refuse its pages the answers"),
        }
    }
    for added in now.iter().filter(|origin| !was.contains(origin)) {
        changes.compatible("cors", format!("origin {added} added"), "more pages may call");
    }
}

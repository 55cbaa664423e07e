//! Differences between two models: what breaks clients, what stored data needs, and what neither.
//!
//! Every key of the format has a decision here, by subject; a test goes through the keys of the format's own schema and fails where one
//! has none, so that nothing is compatible in silence.
//!
//! - Owns: the class of each change, and its words.
//! - May import: `describe` and `subjects` beside it, [`crate::model::schema`], [`crate::model::evolution`] for the steps.
//! - Never here: what has to be done over stored data; `evolution` alone knows.

mod auth;
mod cached;
mod changes;
mod condition;
mod deprecation;
mod entity;
mod field;
mod file;
mod index;
#[cfg(test)]
mod keys_tests;
mod plan;
mod relation;
mod role;
mod settings;
#[cfg(test)]
mod tests;
mod types;
mod values;

pub use changes::{Change, Class, Diff};

use crate::model::evolution::{Pairs, steps};
use crate::model::schema::{Model, Role};
use changes::Changes;

/// All that changes from `old` to `new`: changes, those that break clients first, and the steps over stored data.
pub fn diff(old: &Model, new: &Model) -> Diff {
    let pairs = Pairs { old, new };
    let mut changes = Changes::default();
    settings::documents(&mut changes, old, new);
    entity::entities(&mut changes, pairs);
    role::roles(&mut changes, pairs);
    role::exposed(&mut changes, pairs);
    condition::old_records(&mut changes, pairs);
    plan::plans(&mut changes, pairs);
    auth::auth(&mut changes, old, new);
    settings::settings(&mut changes, old, new);
    Diff { changes: changes.finish(), steps: steps(old, new), voids_cached_answers: old.hash != new.hash }
}

/// Changes for a caller whose role is replaced by another; both may be of the same model.
pub fn diff_roles(old: (&Model, &Role), new: (&Model, &Role)) -> Vec<Change> {
    let mut changes = Changes::default();
    let place = match old.1.name == new.1.name {
        true => format!("role {}", new.1.name),
        false => format!("role {} -> {}", old.1.name, new.1.name),
    };
    role::role(&mut changes, &place, old, new);
    changes.finish()
}

//! Allowed and valid changes, and the references that they set.

use http::StatusCode;
use serde_json::Value;

use super::answer::RecordAnswer;
use crate::http::VERSION;
use crate::model::{Action, EntityIx, FieldIx, FieldMask};
use crate::query::policy::Permitted;
use crate::store::write::{Check, Mutation};

/// A reference that a change sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// The ref field.
    pub(super) field: FieldIx,
    pub(super) target: EntityIx,
    pub(super) id: String,
}

/// A change that is allowed and valid, from the state that was read.
pub(super) struct Prepared {
    /// Change of the record.
    pub(super) mutation: Permitted<Mutation>,
    /// Records that the permission depends on besides.
    pub(super) checks: Vec<Check>,
    /// The status of success.
    pub(super) status: StatusCode,
    /// The new record as the caller may read it.
    pub(super) shown: Option<Value>,
    /// Action.
    pub(super) action: Action,
    /// Names of the fields that change.
    pub(super) changed: Vec<String>,
    /// Fields that the caller may know of.
    pub(super) known: FieldMask,
    /// References to records that are not there for the caller, unless an operation that follows makes them.
    pub(super) unseen: Vec<Reference>,
    /// Path of a record that was created.
    pub(super) location: Option<String>,
}

impl Prepared {
    /// What the client is told if this is done.
    pub(super) fn answer(&self) -> RecordAnswer {
        let mut headers = std::collections::BTreeMap::new();
        if let Some(location) = &self.location {
            headers.insert("location".to_owned(), location.clone());
        }
        if let (Some(_), Some(after)) = (&self.shown, &self.mutation.after) {
            headers.insert(VERSION.to_owned(), after.version.clone());
        }
        RecordAnswer { status: self.status.as_u16(), headers, body: self.shown.clone() }
    }
}

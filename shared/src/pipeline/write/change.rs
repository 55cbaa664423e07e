//! Change of one record, as a caller requests it.

use std::borrow::Cow;

use http::HeaderMap;
use serde_json::Value;

use crate::model::{Entity, Operation};

/// Requested change of one record.
pub(super) struct Change<'a> {
    /// Entity of the record.
    pub(super) entity: &'a Entity,
    /// Id of the record; `None` for a creation, whose body may have it.
    pub(super) id: Option<String>,
    /// Kind of change.
    pub(super) kind: ChangeKind<'a>,
    /// `If-Match` and `If-None-Match`, if any.
    pub(super) conditions: HeaderMap,
    /// JSON pointer to what stands for the change in the request's body; empty where that is the body itself.
    pub(super) place: String,
}

/// Kinds of changes, with the parts of the request's body that they are made of.
pub(super) enum ChangeKind<'a> {
    Create(Cow<'a, Value>),
    Replace(Cow<'a, Value>),
    Merge(Cow<'a, Value>),
    JsonPatch(json_patch::Patch),
    Delete,
}

impl ChangeKind<'_> {
    /// As plans and deprecations see it.
    pub(super) fn operation(&self) -> Operation {
        match self {
            Self::Create(_) => Operation::Create,
            Self::Delete => Operation::Delete,
            Self::Replace(_) | Self::Merge(_) | Self::JsonPatch(_) => Operation::Update,
        }
    }
}

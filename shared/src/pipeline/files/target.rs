//! The file that a call is about, and what is the same for all such calls.

use http::header::{CACHE_CONTROL, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use crate::http::Reply;
use crate::http::problem::Problem;
use crate::http::route::FileRef;
use crate::model::value::Record;
use crate::model::{Action, Entity, Field, FileLimits};
use crate::pipeline::Context;
use crate::pipeline::write::rights::{EffectiveAccess, Rights};
use crate::store::audit;
use crate::store::items;
use crate::store::object::{self, ObjectError, Objects};
use crate::store::table::Item;

/// What a call is about.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) entity: &'a Entity,
    pub(super) id: &'a str,
    pub(super) field: &'a Field,
    pub(super) limits: &'a FileLimits,
    pub(super) objects: &'a dyn Objects,
}

impl<'a> Target<'a> {
    /// # Errors
    /// 404 where the field is no file; 500 in a function without a store of files.
    pub(super) fn of(cx: &Context<'a>, file: &'a FileRef) -> Result<Self, Problem> {
        let entity = cx.model().entity(file.entity);
        let field = entity.field(file.field);
        let limits = object::limits(field).ok_or_else(Problem::not_found)?;
        let objects = cx.app.objects.as_deref().ok_or_else(|| Problem::internal("this function has no store of files"))?;
        Ok(Self { entity, id: &file.id, field, limits, objects })
    }

    /// The caller's rights to do something with the file of any record, as far as no record has to be read.
    ///
    /// # Errors
    /// 403; 404 where the field is one that the caller does not know of.
    pub(super) fn rights(&self, cx: &Context<'a>, action: Action) -> Result<Rights<'a>, Problem> {
        let rights = Rights::of(cx, self.entity, action)?;
        if rights.write.widest().contains(self.field.ix) {
            return Ok(rights);
        }
        Err(self.refused(rights.read.widest().contains(self.field.ix), action))
    }

    /// Holds the caller to the field of this record.
    ///
    /// # Errors
    /// As [`Target::rights`]; 404 for a record that the caller may not see.
    pub(super) fn permit(&self, rights: &Rights<'_>, effective: &EffectiveAccess, action: Action) -> Result<(), Problem> {
        let (readable, allowed) = rights.to_change(effective)?;
        let readable = readable.contains(self.field.ix);
        // A download shows what reading shows; an upload shows nothing.
        match allowed.contains(self.field.ix) && (readable || action == Action::Upload) {
            true => Ok(()),
            false => Err(self.refused(readable, action)),
        }
    }

    fn refused(&self, known: bool, action: Action) -> Problem {
        match known {
            true => Problem::forbidden(format!("You may not {} {} of {}.", action.name(), self.field.name, self.entity.plural)),
            false => Problem::not_found(),
        }
    }

    /// An entry of the audit trail: `book.cover.download`.
    pub(super) fn audit_entry(&self, cx: &Context<'_>, verb: &str, detail: Value) -> Item {
        let entry = audit::Entry {
            action: format!("{}.{}.{verb}", self.entity.name, self.field.name),
            resource: self.entity.name.clone(),
            id: Some(self.id.to_owned()),
            detail: Some(detail),
            ..audit::Entry::by(cx.principal, &cx.correlation)
        };
        audit::item(entry, &cx.app.env)
    }
}

/// The record of an item that was read, or 404.
pub(super) fn record_of(item: Option<Item>) -> Result<Record, Problem> {
    let item = item.ok_or_else(Problem::not_found)?;
    items::stored(Some(&item))?.ok_or_else(Problem::not_found)
}

/// A reply that holds a link: it is kept nowhere.
pub(super) fn secret(reply: Reply) -> Reply {
    reply
        .header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
}

pub(super) fn secret_json(status: StatusCode, document: &Value) -> Reply {
    secret(Reply::json(status, document))
}

impl From<ObjectError> for Problem {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Unavailable(_) => Self::unavailable(error),
            ObjectError::Broken(_) => Self::internal(error),
        }
    }
}

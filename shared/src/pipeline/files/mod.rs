//! Files: links for uploads and downloads, and shares.
//!
//! ```text
//! upload    announced -> permit -> rows (uploads, vanishing, audit: one batch) -> signed PUT
//! complete  what arrived is held against what was announced -> the record's transaction
//! download  record || limits || audit -> permit -> signed GET          one wait
//! shares    made, listed, revoked by somebody known; used by anybody: see `shared`
//! ```
//! Permission is that to read the field of the row (and to `download` or `upload`), judged at the moment of each call. A link is
//! bound to one object, one method and one window, and holds nothing of the caller's credentials.

mod announce;
mod complete;
mod download;
mod shared;
mod shares;
mod upload;

use http::header::{CACHE_CONTROL, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};
use serde_json::Value;

pub use complete::complete;
pub use download::download;
pub use shared::shared;
pub use shares::{create, list, list_of_consumer, revoke, revoke_all, revoke_of_consumer};
pub use upload::upload;

use super::Context;
use super::write::rights::{Rights, Sight};
use crate::audit;
use crate::http::Reply;
use crate::model::{Action, Entity, EntityIx, Field, FieldIx, FileLimits};
use crate::object::{self, ObjectError, Objects};
use crate::problem::Problem;
use crate::store::items;
use crate::store::table::{Item, TableError};
use crate::value::Record;

/// What a call is about.
#[derive(Clone, Copy)]
struct Target<'a> {
    entity: &'a Entity,
    id: &'a str,
    field: &'a Field,
    limits: &'a FileLimits,
    objects: &'a dyn Objects,
}

impl<'a> Target<'a> {
    /// # Errors
    /// 404 where the field is no file; 500 in a function without a store of files.
    fn of(cx: &Context<'a>, entity: EntityIx, id: &'a str, field: FieldIx) -> Result<Self, Problem> {
        let entity = cx.model().entity(entity);
        let field = entity.field(field);
        let limits = object::limits(field).ok_or_else(Problem::not_found)?;
        let objects = cx.app.objects.as_deref().ok_or_else(|| Problem::internal("this function has no store of files"))?;
        Ok(Self { entity, id, field, limits, objects })
    }

    /// The caller's rights to do something with the file of any record, as far as no record has to be read.
    ///
    /// # Errors
    /// 403; 404 where the field is one that the caller does not know of.
    fn rights(&self, cx: &Context<'a>, action: Action) -> Result<Rights<'a>, Problem> {
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
    fn permit(&self, rights: &Rights<'_>, sight: &Sight, action: Action) -> Result<(), Problem> {
        let (readable, allowed) = rights.to_change(sight)?;
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
    fn told(&self, cx: &Context<'_>, verb: &str, detail: Value) -> Item {
        let entry = audit::Entry {
            action: format!("{}.{}.{verb}", self.entity.name, self.field.name),
            resource: self.entity.name.clone(),
            id: Some(self.id.to_owned()),
            detail: Some(detail),
            ..audit::Entry::by(cx.principal, cx.correlation)
        };
        audit::item(entry, &cx.app.env)
    }
}

/// The record of an item that was read, or 404.
fn record_of(item: Option<Item>) -> Result<Record, Problem> {
    let item = item.ok_or_else(Problem::not_found)?;
    Ok(items::decode(&item).ok_or_else(|| TableError::Broken("a record cannot be read".into()))?)
}

/// A reply that holds a link: it is kept nowhere.
fn secret(reply: Reply) -> Reply {
    reply
        .header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
}

fn secret_json(status: StatusCode, document: &Value) -> Reply {
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

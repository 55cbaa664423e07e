//! Changes of what is no record (consumers, keys, shares, uploads, what is cached): with an `Idempotency-Key`, once.
//!
//! What is kept commits with the change: the answer without the secrets that only its first telling has, so a repetition shows a
//! key's id and not the key: whoever lost it revokes it and makes another.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::Value;

use crate::http::links;
use crate::http::problem::Problem;
use crate::http::{Reply, VERSION};
use crate::identity::consumer::{Change, ChangeKind};
use crate::pipeline::Context;
use crate::pipeline::write::idempotent::{KeyReservation, reply_of};
use crate::store::audit;
use crate::store::idempotency::{self, Answer};
use crate::store::items::is_free;
use crate::store::table::{Item, TableName, Write};

/// A change that is about to be made for the first time.
pub(in crate::pipeline) struct IdempotentChange<'a> {
    cx: &'a Context<'a>,
    claim: Option<KeyReservation>,
}

/// Attempt at a change.
pub(in crate::pipeline) enum Attempt<'a> {
    /// It is the first.
    First(IdempotentChange<'a>),
    /// The change was made before; this was its answer.
    Repeated(Reply),
}

impl<'a> IdempotentChange<'a> {
    /// Begins a change.
    ///
    /// # Errors
    /// 400 and 422 for a key that cannot be used, 503 without the store.
    pub(in crate::pipeline) async fn begin(cx: &'a Context<'a>, body: Option<&Value>) -> Result<Attempt<'a>, Problem> {
        let once = Self::of(cx, body).await?;
        Ok(match once.before().await? {
            Some(answer) => Attempt::Repeated(reply_of(answer, true)?),
            None => Attempt::First(once),
        })
    }

    /// The change of a request whose answer is not told again as it was kept: see [`IdempotentChange::before`].
    ///
    /// # Errors
    /// As [`KeyReservation::of`].
    pub(in crate::pipeline) async fn of(cx: &'a Context<'a>, body: Option<&Value>) -> Result<Self, Problem> {
        Ok(Self { cx, claim: KeyReservation::of(cx, body).await? })
    }

    /// What was kept, if the change was made before.
    ///
    /// # Errors
    /// As [`KeyReservation::found`].
    pub(in crate::pipeline) async fn before(&self) -> Result<Option<Answer>, Problem> {
        match &self.claim {
            Some(claim) => claim.found(self.cx).await,
            None => Ok(None),
        }
    }

    /// The rows that remember the answer, for the transaction of the change, which they let through once; none without a key.
    pub(in crate::pipeline) fn rows(&self, answer: &Answer) -> Vec<Write> {
        let Some(claim) = &self.claim else { return Vec::new() };
        match idempotency::items(&claim.scope, &claim.print, answer, self.cx.app.env.now()) {
            // The row alone is conditioned: its parts belong to it.
            Ok(items) => items.into_iter().enumerate().map(|(part, item)| put(part, item)).collect(),
            // Compressing into memory does not fail.
            Err(error) => {
                tracing::error!(%error, "an answer could not be kept");
                Vec::new()
            }
        }
    }

    /// What commits with the change of a consumer: an entry of the audit trail, and what remembers it.
    pub(super) fn riders(&self, change: &Change) -> Vec<(TableName, Write)> {
        let cx = self.cx;
        let entry = change.entry(audit::Entry::by(cx.principal, &cx.correlation));
        let entry = Write::Put { item: audit::item(entry, &cx.app.env), condition: None };
        std::iter::once(entry).chain(self.rows(&answer(change))).map(|write| (TableName::Data, write)).collect()
    }

    /// Ends it: where it failed, perhaps because a repetition of the same request was faster, whose answer this is then.
    ///
    /// # Errors
    /// Those of `outcome`.
    pub(in crate::pipeline) async fn end(&self, outcome: Result<Reply, Problem>) -> Result<Reply, Problem> {
        match outcome {
            Err(problem) => match self.before().await? {
                Some(answer) => reply_of(answer, true),
                None => Err(problem),
            },
            outcome => outcome,
        }
    }
}

/// One of the rows that remember an answer.
fn put(part: usize, item: Item) -> Write {
    Write::Put { condition: (part == 0).then(|| is_free(&item)), item }
}

/// An answer without headers; with a body, where there is one.
pub(in crate::pipeline) fn bare(status: StatusCode, body: Option<&Value>) -> Answer {
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    Answer { status: status.as_u16(), headers: BTreeMap::new(), body }
}

/// What is told again of a consumer: the answer without secrets.
fn answer(change: &Change) -> Answer {
    let (status, shown, location) = match change.kind {
        ChangeKind::Create => (StatusCode::CREATED, change.after.as_ref(), Some(links::consumer(&change.consumer))),
        ChangeKind::Update => (StatusCode::OK, change.after.as_ref(), None),
        ChangeKind::CreateKey => {
            let location = change.key_id.as_ref().map(|key_id| links::key(&change.consumer, key_id));
            (StatusCode::CREATED, change.key.as_ref(), location)
        }
        ChangeKind::Delete | ChangeKind::DeleteKey => (StatusCode::NO_CONTENT, None, None),
    };
    let mut answer = bare(status, shown);
    answer.headers.extend(location.map(|location| ("location".to_owned(), location)));
    answer.headers.extend(change.version.as_ref().map(|version| (VERSION.to_owned(), version.clone())));
    answer
}

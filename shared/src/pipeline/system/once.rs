//! Changes of consumers and keys: each with its entry in the audit trail and, with an `Idempotency-Key`, once.
//!
//! Both commit with the change. What is kept is the answer without the secrets that only its first telling has, so a repetition
//! shows a key's id and not the key: whoever lost it revokes it and makes another.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::Value;

use super::consumers::{key_path, path};
use crate::audit;
use crate::consumer::{Change, ChangeKind};
use crate::http::{Reply, VERSION};
use crate::idempotency::{self, Answer};
use crate::pipeline::Context;
use crate::pipeline::write::idempotent::{Claim, reply_of};
use crate::problem::Problem;
use crate::store::items::is_free;
use crate::store::table::{TableName, Write};

/// A change that is about to be made for the first time.
pub(super) struct Once<'a> {
    cx: &'a Context<'a>,
    claim: Option<Claim>,
}

impl<'a> Once<'a> {
    /// Begins a change; `Err(Ok(reply))`: it was made before, and this was its answer.
    ///
    /// # Errors
    /// Otherwise 400 and 422 for a key that cannot be used, 503 without the store.
    pub(super) async fn begin(cx: &'a Context<'a>, body: Option<&Value>) -> Result<Self, Result<Reply, Problem>> {
        let claim = Claim::of(cx, body).await.map_err(Err)?;
        if let Some(claim) = &claim
            && let Some(answer) = claim.found(cx).await.map_err(Err)?
        {
            return Err(reply_of(answer, true));
        }
        Ok(Self { cx, claim })
    }

    /// What commits with the change.
    pub(super) fn riders(&self, change: &Change) -> Vec<(TableName, Write)> {
        let cx = self.cx;
        let entry = change.entry(audit::Entry::by(cx.principal, cx.correlation));
        let mut writes = vec![(TableName::Data, Write::Put { item: audit::item(entry, &cx.app.env), condition: None })];
        if let Some(claim) = &self.claim {
            match idempotency::items(&claim.scope, &claim.print, &answer(change), cx.app.env.now()) {
                // The row alone is conditioned: its parts belong to it.
                Ok(items) => writes.extend(items.into_iter().enumerate().map(|(part, item)| {
                    let condition = (part == 0).then(|| is_free(&item));
                    (TableName::Data, Write::Put { item, condition })
                })),
                // Compressing into memory does not fail.
                Err(error) => tracing::error!(%error, "an answer could not be kept"),
            }
        }
        writes
    }

    /// Ends it: where it failed, perhaps because a repetition of the same request was faster, whose answer this is then.
    ///
    /// # Errors
    /// Those of `outcome`.
    pub(super) async fn end(&self, outcome: Result<Reply, Problem>) -> Result<Reply, Problem> {
        match (outcome, &self.claim) {
            (Err(problem), Some(claim)) => match claim.found(self.cx).await? {
                Some(answer) => reply_of(answer, true),
                None => Err(problem),
            },
            (outcome, _) => outcome,
        }
    }
}

/// What is told again: the answer without secrets.
fn answer(change: &Change) -> Answer {
    let (status, shown, location) = match change.kind {
        ChangeKind::Create => (StatusCode::CREATED, change.after.as_ref(), Some(path(&change.consumer))),
        ChangeKind::Update => (StatusCode::OK, change.after.as_ref(), None),
        ChangeKind::CreateKey => {
            let location = change.key_id.as_ref().map(|key_id| key_path(&change.consumer, key_id));
            (StatusCode::CREATED, change.key.as_ref(), location)
        }
        ChangeKind::Delete | ChangeKind::DeleteKey => (StatusCode::NO_CONTENT, None, None),
    };
    let mut headers = BTreeMap::new();
    headers.extend(location.map(|location| ("location".to_owned(), location)));
    headers.extend(change.version.as_ref().map(|version| (VERSION.as_str().to_owned(), version.clone())));
    Answer { status: status.as_u16(), headers, body: shown.map(|shown| shown.to_string().into_bytes()).unwrap_or_default() }
}

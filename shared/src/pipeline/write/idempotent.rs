//! `Idempotency-Key`: from the header to the row, and from a kept answer to a reply.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use crate::http::problem::{Code, Problem};
use crate::http::{JSON, Reply, VERSION, header_value, idempotency_key};
use crate::pipeline::Context;
use crate::store::idempotency::{self, Answer, Fingerprint, KeyScope, Match, complete, row_key};
use crate::store::items;
use crate::store::table::{Item, Write};

/// Marks an answer that was given before.
pub(in crate::pipeline) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The key of a request, and what the request is compared by.
pub(in crate::pipeline) struct KeyReservation {
    /// Key of its row.
    pub(in crate::pipeline) scope: KeyScope,
    /// Fingerprint of the request.
    pub(in crate::pipeline) print: Fingerprint,
    /// The call that it is an operation of, where that one does not take effect as a whole.
    pub(in crate::pipeline) call: Option<Arc<Call>>,
}

/// A call whose operations take effect each on its own. The first of them to do so writes a row for the call, in its own
/// transaction, where the row of any other request with the key would stand: from then on, and not before, the key is taken.
pub(in crate::pipeline) struct Call {
    claim: KeyReservation,
    /// Whether the row is there; held while an operation tries to write it, because two at once would only conflict.
    taken: Mutex<bool>,
}

impl Call {
    fn new(claim: KeyReservation) -> Arc<Self> {
        Arc::new(Self { claim, taken: Mutex::new(false) })
    }

    /// Key of its row.
    pub(super) const fn claim(&self) -> &KeyReservation {
        &self.claim
    }

    /// The turn to write the row; `None` where it is there. Whoever has written it says so in the guard.
    pub(in crate::pipeline) async fn lock(&self) -> Option<MutexGuard<'_, bool>> {
        let taken = self.taken.lock().await;
        (!*taken).then_some(taken)
    }

    /// The row, for the transaction of an operation: no other request may have one there; this call, sent twice, may.
    pub(in crate::pipeline) fn row(&self, cx: &Context<'_>) -> std::io::Result<Vec<Write>> {
        let nothing = Answer { status: StatusCode::OK.as_u16(), headers: BTreeMap::new(), body: Vec::new() };
        let rows = self.claim.items(cx, &nothing)?;
        Ok(rows.into_iter().map(|item| Write::Put { condition: Some(items::is_free_or_same(&item)), item }).collect())
    }
}

impl KeyReservation {
    /// The claim of the request as a whole; `None` without a key.
    ///
    /// # Errors
    /// 400 for a key that is none.
    pub(in crate::pipeline) async fn of(cx: &Context<'_>, body: Option<&Value>) -> Result<Option<Self>, Problem> {
        let Some(key) = key(cx)? else { return Ok(None) };
        let secrets = cx.app.secrets().await?;
        let scope = secrets.idempotency.scope(&cx.principal.consumer, &cx.principal.subject, &key);
        Ok(Some(Self { scope, print: print(&secrets.idempotency, cx, body), call: None }))
    }

    /// The claims of `count` operations that take effect each on its own; none without a key.
    ///
    /// # Errors
    /// As [`KeyReservation::of`].
    pub(in crate::pipeline) async fn of_operations(cx: &Context<'_>, body: &Value, count: usize) -> Result<Vec<Self>, Problem> {
        let Some(key) = key(cx)? else { return Ok(Vec::new()) };
        let secrets = cx.app.secrets().await?;
        let keys = &secrets.idempotency;
        let print = print(keys, cx, Some(body));
        let (consumer, subject) = (&cx.principal.consumer, &cx.principal.subject);
        let call = Call::new(Self { scope: keys.scope(consumer, subject, &key), print, call: None });
        let claim = |at| Self { scope: keys.operation_scope(consumer, subject, &key, at), print, call: Some(call.clone()) };
        Ok((0..count).map(claim).collect())
    }

    /// Refuses a call where another request has its key, and takes note if the call has been here before. All claims are those
    /// of one call.
    ///
    /// # Errors
    /// As [`KeyReservation::kept`].
    pub(super) async fn not_reused(cx: &Context<'_>, claims: &[Self]) -> Result<(), Problem> {
        let Some(call) = claims.first().and_then(|claim| claim.call.as_ref()) else { return Ok(()) };
        let all: Vec<&Self> = std::iter::once(&call.claim).chain(claims).collect();
        let places: Vec<_> = all.iter().map(|claim| row_key(&claim.scope)).collect();
        let rows = cx.app.table.get(&places, true).await?;
        let mut before = Vec::with_capacity(rows.len());
        for (claim, row) in all.into_iter().zip(rows) {
            before.push(claim.kept(cx, row.as_ref()).await?.is_some());
        }
        *call.taken.lock().await = before.first() == Some(&true);
        Ok(())
    }

    /// The answer that was given to this request before, if one was.
    ///
    /// # Errors
    /// As [`KeyReservation::kept`].
    pub(in crate::pipeline) async fn found(&self, cx: &Context<'_>) -> Result<Option<Answer>, Problem> {
        let row = self.row(cx).await?;
        self.kept(cx, row.as_ref()).await
    }

    /// The row under this key as it is, strongly consistent.
    ///
    /// # Errors
    /// 503 without the store.
    pub(in crate::pipeline) async fn row(&self, cx: &Context<'_>) -> Result<Option<Item>, Problem> {
        Ok(cx.app.table.get(&[row_key(&self.scope)], true).await?.pop().flatten())
    }

    /// The row that remembers an answer, and its further parts.
    ///
    /// # Errors
    /// Those of compression.
    pub(in crate::pipeline) fn items(&self, cx: &Context<'_>, answer: &Answer) -> std::io::Result<Vec<Item>> {
        idempotency::items(&self.scope, &self.print, answer, cx.app.env.now())
    }

    /// What the row under this key says, if there is one: the answer to give again.
    ///
    /// # Errors
    /// 422 where another request used the key.
    pub(in crate::pipeline) async fn kept(&self, cx: &Context<'_>, row: Option<&Item>) -> Result<Option<Answer>, Problem> {
        let Some(row) = row else { return Ok(None) };
        let stored = complete(cx.app.table.as_ref(), &cx.app.env, &self.scope, row).await?;
        match stored.compare(&self.print, cx.app.env.now()) {
            Match::Replay(answer) => Ok(Some(answer)),
            Match::Expired => Ok(None),
            Match::Reused => Err(Problem::new(
                Code::IdempotencyKeyReused,
                "This Idempotency-Key was used for another request within the last 24 hours; use a new key for a new request.",
            )),
        }
    }
}

fn print(keys: &crate::store::idempotency::Keys, cx: &Context<'_>, body: Option<&Value>) -> Fingerprint {
    keys.fingerprint(cx.request.method.as_str(), &cx.request.path, body)
}

fn key(cx: &Context<'_>) -> Result<Option<String>, Problem> {
    let Some(value) = cx.request.headers.get(idempotency_key::NAME) else { return Ok(None) };
    let key = idempotency_key::parse(value.as_bytes(), cx.principal.anonymous);
    key.map(Some).map_err(|rule| Problem::malformed(format!("Idempotency-Key must be {rule}.")))
}

/// The rows that remember an answer, for the transaction of the change, which they let through once; none without a key.
pub(in crate::pipeline) fn remembered(cx: &Context<'_>, claim: Option<&KeyReservation>, answer: &Answer) -> Vec<Write> {
    let Some(claim) = claim else { return Vec::new() };
    match claim.items(cx, answer) {
        // The row alone is conditioned: its parts belong to it.
        Ok(items) => items.into_iter().enumerate().map(|(part, item)| put(part, item)).collect(),
        // Compressing into memory does not fail.
        Err(error) => {
            tracing::error!(%error, "an answer could not be kept");
            Vec::new()
        }
    }
}

fn put(part: usize, item: Item) -> Write {
    Write::Put { condition: (part == 0).then(|| items::is_free(&item)), item }
}

/// An answer without headers; with a body, where there is one.
pub(in crate::pipeline) fn bare(status: StatusCode, body: Option<&Value>) -> Answer {
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    Answer { status: status.as_u16(), headers: BTreeMap::new(), body }
}

/// A reply from an answer.
///
/// # Errors
/// 500 for an answer that never was one.
pub(in crate::pipeline) fn reply_of(answer: Answer, replayed: bool) -> Result<Reply, Problem> {
    let status = StatusCode::from_u16(answer.status).map_err(Problem::internal)?;
    let mut reply = match answer.body.is_empty() {
        true => Reply::empty(status),
        false => Reply::of(status, HeaderValue::from_static(JSON), answer.body),
    };
    reply.version = answer.headers.get(VERSION).cloned();
    for (name, value) in answer.headers.iter().filter(|(name, _)| *name != VERSION) {
        let name = HeaderName::try_from(name.as_str()).map_err(Problem::internal)?;
        reply.headers.insert(name, header_value(value));
    }
    Ok(if replayed { reply.header(REPLAYED, HeaderValue::from_static("true")) } else { reply })
}

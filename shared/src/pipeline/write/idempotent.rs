//! `Idempotency-Key`: from the header to the row, and from a kept answer to a reply.

use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use crate::http::{JSON, Reply, header_value};
use crate::idempotency::{Answer, Fingerprint, Match, Scope, complete, row_key};
use crate::pipeline::Context;
use crate::problem::{Code, Problem};
use crate::store::table::Item;

const KEY: &str = "idempotency-key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key, characters.
const LONGEST: usize = 255;
/// Shortest key of anonymous callers, who share one scope, so that nobody can guess another's key: 22 characters of base64
/// carry 128 bits.
const SHORTEST_ANONYMOUS: usize = 22;

/// The key of a request, and what the request is compared by.
pub(in crate::pipeline) struct Claim {
    /// Where its row stands.
    pub(in crate::pipeline) scope: Scope,
    /// What the request is.
    pub(in crate::pipeline) print: Fingerprint,
}

impl Claim {
    /// The claim of the request as a whole; `None` without a key.
    ///
    /// # Errors
    /// 400 for a key that is none.
    pub(in crate::pipeline) async fn of(cx: &Context<'_>, body: Option<&Value>) -> Result<Option<Self>, Problem> {
        let Some(key) = key(cx)? else { return Ok(None) };
        let secrets = cx.app.secrets().await?;
        let scope = secrets.idempotency.scope(&cx.principal.consumer, &cx.principal.subject, &key);
        Ok(Some(Self { scope, print: print(&secrets.idempotency, cx, body) }))
    }

    /// The claims of `count` operations that take effect each on its own; none without a key.
    ///
    /// # Errors
    /// As [`Claim::of`].
    pub(in crate::pipeline) async fn of_operations(cx: &Context<'_>, body: &Value, count: usize) -> Result<Vec<Self>, Problem> {
        let Some(key) = key(cx)? else { return Ok(Vec::new()) };
        let secrets = cx.app.secrets().await?;
        let keys = &secrets.idempotency;
        let print = print(keys, cx, Some(body));
        let scope = |at| keys.operation_scope(&cx.principal.consumer, &cx.principal.subject, &key, at);
        Ok((0..count).map(|at| Self { scope: scope(at), print }).collect())
    }

    /// The answer that was given to this request before, if one was.
    ///
    /// # Errors
    /// As [`Claim::kept`].
    pub(in crate::pipeline) async fn found(&self, cx: &Context<'_>) -> Result<Option<Answer>, Problem> {
        let row = cx.app.table.get(&[row_key(&self.scope)], true).await?.pop().flatten();
        self.kept(cx, row.as_ref()).await
    }

    /// What the row under this key says, if there is one: the answer to give again.
    ///
    /// # Errors
    /// 422 where another request used the key.
    pub(in crate::pipeline) async fn kept(&self, cx: &Context<'_>, row: Option<&Item>) -> Result<Option<Answer>, Problem> {
        let Some(row) = row else { return Ok(None) };
        let stored = complete(cx.app.table.as_ref(), &self.scope, row).await?;
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

fn print(keys: &crate::idempotency::Keys, cx: &Context<'_>, body: Option<&Value>) -> Fingerprint {
    keys.fingerprint(cx.request.method.as_str(), &cx.request.path, body)
}

fn key(cx: &Context<'_>) -> Result<Option<String>, Problem> {
    let Some(value) = cx.request.headers.get(KEY) else { return Ok(None) };
    let wrong = |what: String| Problem::malformed(format!("Idempotency-Key must be {what}."));
    let text = value.to_str().map_err(|_| wrong("visible ASCII characters".to_owned()))?.trim();
    let key = unquoted(text).ok_or_else(|| wrong("one string, with or without double quotes".to_owned()))?;
    match key.chars().count() {
        1..SHORTEST_ANONYMOUS if cx.principal.anonymous => {
            Err(wrong(format!("at least {SHORTEST_ANONYMOUS} characters long without credentials, such as a UUID")))
        }
        1..=LONGEST => Ok(Some(key)),
        _ => Err(wrong(format!("1 to {LONGEST} characters long"))),
    }
}

/// A string of structured fields (RFC 9651, 3.3.3), or a bare text.
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else { return Some(text.to_owned()) };
    let (mut key, mut symbols) = (String::new(), rest.chars());
    loop {
        match symbols.next()? {
            '"' => return symbols.next().is_none().then_some(key),
            '\\' => key.push(symbols.next().filter(|symbol| matches!(symbol, '"' | '\\'))?),
            symbol => key.push(symbol),
        }
    }
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
    for (name, value) in &answer.headers {
        let name = HeaderName::try_from(name.as_str()).map_err(Problem::internal)?;
        reply.headers.insert(name, header_value(value));
    }
    Ok(if replayed { reply.header(REPLAYED, HeaderValue::from_static("true")) } else { reply })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_or_bare_is_one_key() {
        for (text, key) in [
            ("abc", Some("abc")),
            ("\"abc\"", Some("abc")),
            (r#""a\"b\\c""#, Some(r#"a"b\c"#)),
            ("\"abc", None),
            ("\"a\"b", None),
            (r#""a\b""#, None),
            ("\"\"", Some("")),
        ] {
            assert_eq!(unquoted(text).as_deref(), key, "{text}");
        }
    }
}

//! Idempotency keys: the answer of a write, kept for a day in the transaction of its effect, and given again to repetitions.
//!
//! The row commits with the effect or not at all, so a request that failed leaves its key free, and one whose function died
//! has either had its effect, with the answer to tell, or none. A key belongs to one consumer and subject. The row holds an
//! HMAC of method, path and canonical body, so that the same key with another request is noticed and the body is not kept.
//! A row can be read before all of its commit can, so an answer that is younger than [`UNPROVEN`] is given again only when the fence of
//! its attempt proves that the commit is over. What is stored is what the first caller saw; whoever replays it must mask it by the caller's present permissions.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::time::Duration;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::core::backoff::Backoff;
use crate::core::clock::{Env, Micros};
use crate::store::fence::{self, Outcome};
use crate::store::items::{ATTEMPT, EXPIRES, MADE, PRINT};
use crate::store::keys;
use crate::store::table::{Attr, Item, Table, TableError, TableName, Write};

/// How long an answer is kept.
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Age from which a row needs no proof: its request cannot be executed any more, and a minute is long for a commit to become visible.
pub const UNPROVEN: Duration = Duration::from_secs(fence::LATE.as_secs() + 60);
/// How long a replay waits for a commit to be over.
const PATIENCE: Duration = Duration::from_secs(3);
/// Most bytes of a compressed answer in one item: DynamoDB takes 400 KB.
const PART: usize = 350_000;
/// Most bytes of a stored answer, unpacked: what the API sends at most, with room for what compression hid.
const MAX_UNPACKED: u64 = 64 << 20;

const STATUS: &str = "s";
const HEADERS: &str = "h";
const BODY: &str = "b";
const PARTS: &str = "p";

/// Makes scopes and fingerprints with the deployment's secret.
#[derive(Clone)]
pub struct Keys {
    secret: Vec<u8>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

/// Key of the row of one idempotency key of one caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyScope {
    hash: String,
}

/// What a request is compared by.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprint([u8; 32]);

/// What a client was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers that belong to the answer (`location`, `etag`), by lower-case name; not those of a single exchange.
    pub headers: BTreeMap<String, String>,
    /// The body, uncompressed. Never with a secret or a signed address in it.
    pub body: Vec<u8>,
}

/// What stands in the table under a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    fingerprint: Vec<u8>,
    expires: i64,
    answer: Answer,
}

/// What a stored answer is to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Match {
    /// The same request: this is its answer.
    Replay(Answer),
    /// Another request used the key (422).
    Reused,
    /// It has expired: as if it were not there.
    Expired,
}

impl Keys {
    /// With a secret that all instances share.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self { secret: secret.into() }
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        // An HMAC takes keys of any length; the type says otherwise for other constructions.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else { return [0; 32] };
        for part in parts {
            // Lengths keep ("ab", "c") and ("a", "bc") apart.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The place of a caller's key.
    pub fn scope(&self, consumer: &str, subject: &str, key: &str) -> KeyScope {
        let mac = self.mac(&[b"scope", consumer.as_bytes(), subject.as_bytes(), key.as_bytes()]);
        KeyScope { hash: hex::encode(mac) }
    }

    /// The place of one operation of a `_bulk` call that is not atomic.
    pub fn operation_scope(&self, consumer: &str, subject: &str, key: &str, operation: usize) -> KeyScope {
        let number = (operation as u64).to_be_bytes();
        let mac = self.mac(&[b"operation", consumer.as_bytes(), subject.as_bytes(), key.as_bytes(), &number]);
        KeyScope { hash: hex::encode(mac) }
    }

    /// The fingerprint of a request. Members of objects in another order, or other white space, make no other request.
    pub fn fingerprint(&self, method: &str, path: &str, body: Option<&Value>) -> Fingerprint {
        let mut canonical = String::new();
        if let Some(body) = body {
            canonicalise(body, &mut canonical);
        }
        Fingerprint(self.mac(&[b"request", method.as_bytes(), path.as_bytes(), canonical.as_bytes()]))
    }
}

/// JSON with the members of every object in the order of their names.
fn canonicalise(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by_key(|(name, _)| name.as_str());
            out.push('{');
            for (name, value) in members {
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                canonicalise(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for value in values {
                canonicalise(value, out);
                out.push(',');
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// The items that keep an answer: the row, then its parts. They ride in the transaction of the effect
/// ([`crate::store::write::AttachedWrites::idempotency`]), whose size limits them.
///
/// # Errors
/// Where the answer cannot be compressed.
pub fn items(scope: &KeyScope, fingerprint: &Fingerprint, answer: &Answer, now: Micros) -> std::io::Result<Vec<Item>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&answer.body)?;
    let packed = encoder.finish()?;
    let mut chunks = packed.chunks(PART);
    let first = chunks.next().unwrap_or_default().to_vec();
    let headers = answer.headers.iter().map(|(name, value)| (name.clone(), Attr::S(value.clone()))).collect();
    let expires = now.plus(LIFETIME).seconds();
    let part = |number: usize, bytes: Vec<u8>| {
        Item::new(keys::idempotency(&scope.hash, u16::try_from(number).unwrap_or(u16::MAX)))
            .with(BODY, Attr::B(bytes))
            .with("ttl", Attr::N(expires + 3600))
    };
    let rest: Vec<Item> = chunks.enumerate().map(|(at, bytes)| part(at + 1, bytes.to_vec())).collect();
    let row = part(0, first)
        .with(PRINT, Attr::B(fingerprint.0.to_vec()))
        .with(STATUS, Attr::N(i64::from(answer.status)))
        .with(HEADERS, Attr::M(headers))
        .with(PARTS, Attr::N(i64::try_from(rest.len()).unwrap_or(i64::MAX)))
        .with(MADE, Attr::N(now.seconds()))
        .with(EXPIRES, Attr::N(expires));
    Ok([vec![row], rest].concat())
}

/// Reads what stands under a key, strongly consistent: one call, and a second for an answer in parts.
///
/// # Errors
/// Errors of the table.
pub async fn load(table: &dyn Table, env: &Env, scope: &KeyScope) -> Result<Option<Stored>, TableError> {
    let row = table.get(&[(TableName::Data, keys::idempotency(&scope.hash, 0))], true).await?.into_iter().next().flatten();
    match row {
        Some(row) => complete(table, env, scope, &row).await.map(Some),
        None => Ok(None),
    }
}

/// The key under which [`load`] begins, for callers who read it together with other items; see [`complete`].
pub fn row_key(scope: &KeyScope) -> (TableName, crate::store::table::Key) {
    (TableName::Data, keys::idempotency(&scope.hash, 0))
}

/// Writes into the row of an idempotency key, if this is one, which attempt writes it.
pub(super) fn name_attempt(write: &mut Write, token: &str) {
    if let Write::Put { item, .. } = write
        && item.attrs.contains_key(PRINT)
    {
        item.attrs.insert(ATTEMPT.to_owned(), Attr::S(token.to_owned()));
    }
}

/// For a transaction that belongs to no record: gives the row of an idempotency key, if there is one among these, a fence beside it, by
/// which a repetition can prove that all of it is there.
pub fn fenced(env: &Env, mut writes: Vec<Write>) -> Vec<Write> {
    let element = fence::Element::new(env);
    let is_row = |write: &Write| matches!(write, Write::Put { item, .. } if item.attrs.contains_key(PRINT));
    if writes.iter().any(is_row) {
        writes.iter_mut().for_each(|write| name_attempt(write, element.token()));
        let written: Vec<_> = writes.iter().map(|write| write.key().clone()).collect();
        writes.push(fence::committed(element.token(), &written, env.now()));
    }
    writes
}

/// Waits until the commit of a young row is over. A row without an attempt belongs to nothing else that anybody reads.
async fn prove(table: &dyn Table, env: &Env, row: &Item) -> Result<(), TableError> {
    let age = env.now().seconds().saturating_sub(row.n(MADE).unwrap_or(0));
    let Some(token) = row.s(ATTEMPT).filter(|_| age < i64::try_from(UNPROVEN.as_secs()).unwrap_or(i64::MAX)) else {
        return Ok(());
    };
    let deadline = env.now().plus(PATIENCE);
    let mut backoff = Backoff::new(env, Duration::from_millis(8), Duration::from_millis(250));
    loop {
        match fence::look_up(table, token).await {
            Ok(Some(Outcome::Committed)) => return Ok(()),
            Ok(Some(Outcome::Aborted)) => return Err(broken("belongs to an attempt that was aborted")),
            // The fence is the last to become visible.
            Ok(Some(Outcome::Pending) | None) | Err(TableError::Busy(_) | TableError::Unknown(_)) => {}
            Err(error) => return Err(error),
        }
        if !backoff.pause_before(deadline).await {
            return Err(TableError::Busy("an effect is still being committed".to_owned()));
        }
    }
}

/// What a row holds, with its parts read where it has some; of a young row only when all of its effect can be read.
///
/// # Errors
/// What the table says; [`TableError::Broken`] for a row that cannot be read, [`TableError::Busy`] for an effect that is being committed.
pub async fn complete(table: &dyn Table, env: &Env, scope: &KeyScope, row: &Item) -> Result<Stored, TableError> {
    prove(table, env, row).await?;
    let parts = u16::try_from(row.n(PARTS).unwrap_or(0)).unwrap_or(0);
    let keys: Vec<_> = (1..=parts).map(|part| (TableName::Data, keys::idempotency(&scope.hash, part))).collect();
    let mut packed = row.b(BODY).unwrap_or_default().to_vec();
    for part in table.get(&keys, true).await? {
        let part = part.as_ref().and_then(|part| part.b(BODY)).ok_or_else(|| broken("lacks a part"))?;
        packed.extend_from_slice(part);
    }
    let mut body = Vec::new();
    ZlibDecoder::new(packed.as_slice()).take(MAX_UNPACKED).read_to_end(&mut body).map_err(|_| broken("cannot be unpacked"))?;
    let headers = match row.attrs.get(HEADERS) {
        Some(Attr::M(headers)) => headers.iter().filter_map(|(name, value)| Some((name.clone(), value.as_s()?.to_owned()))),
        _ => return Err(broken("has no headers")),
    };
    let status = row.n(STATUS).and_then(|status| u16::try_from(status).ok()).ok_or_else(|| broken("has no status"))?;
    let answer = Answer { status, headers: headers.collect(), body };
    let fingerprint = row.b(PRINT).ok_or_else(|| broken("has no fingerprint"))?.to_vec();
    Ok(Stored { fingerprint, expires: row.n(EXPIRES).unwrap_or(0), answer })
}

fn broken(reason: &str) -> TableError {
    TableError::Broken(format!("an idempotency row {reason}"))
}

impl Stored {
    /// What this is to a request with that fingerprint.
    pub fn compare(self, fingerprint: &Fingerprint, now: Micros) -> Match {
        if self.expires <= now.seconds() {
            return Match::Expired;
        }
        if bool::from(self.fingerprint.ct_eq(&fingerprint.0)) { Match::Replay(self.answer) } else { Match::Reused }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::testing::Fixture;
    use crate::store::write::{AttachedWrites, Batch, Mutation, WriteError};

    fn answer(body: Vec<u8>) -> Answer {
        let headers = [("location".to_owned(), "/v1/notes/n".to_owned())].into();
        Answer { status: 201, headers, body }
    }

    #[test]
    fn a_fingerprint_sees_the_request_and_not_its_spelling() {
        let keys = Keys::new(*b"secret");
        let print = |method, path, body: &str| keys.fingerprint(method, path, Some(&serde_json::from_str(body).unwrap())).0;
        let first = print("POST", "/v1/a", r#"{"a": 1, "b": [{"c": "x", "d": null}]}"#);
        assert_eq!(first, print("POST", "/v1/a", r#"{"b":[{"d":null,"c":"x"}],"a":1}"#));
        for (method, path, body) in [
            ("PUT", "/v1/a", r#"{"a": 1, "b": [{"c": "x", "d": null}]}"#),
            ("POST", "/v1/b", r#"{"a": 1, "b": [{"c": "x", "d": null}]}"#),
            ("POST", "/v1/a", r#"{"a": "1", "b": [{"c": "x", "d": null}]}"#),
            ("POST", "/v1/a", r#"{"a": 1, "b": [{"c": "x"}]}"#),
            ("POST", "/v1/a", r#"{"a": 1, "b": [{"c": "x"}, {"d": null}]}"#),
        ] {
            assert_ne!(first, print(method, path, body), "{method} {path} {body}");
        }
        assert_ne!(first, Keys::new(*b"other").fingerprint("POST", "/v1/a", None).0);
    }

    #[test]
    fn scopes_do_not_meet() {
        let keys = Keys::new(*b"secret");
        let mut all = vec![
            keys.scope("a", "b", "c"),
            keys.scope("ab", "", "c"),
            keys.scope("a", "bc", ""),
            keys.scope("b", "a", "c"),
            keys.operation_scope("a", "b", "c", 0),
            keys.operation_scope("a", "b", "c", 1),
        ];
        all.sort_by(|left, right| left.hash.cmp(&right.hash));
        all.dedup();
        assert_eq!(all.len(), 6);
    }

    #[tokio::test]
    async fn an_answer_commits_with_its_effect_and_comes_back_until_it_expires() {
        let fix = Fixture::new().await;
        let keys = Keys::new(*b"secret");
        let (scope, print) = (keys.scope("c", "s", "k"), keys.fingerprint("POST", "/v1/notes", Some(&json!({}))));
        // Noise, so that it cannot be compressed into one part.
        let mut body = vec![0; 900_000];
        fix.env.random.fill(&mut body);
        let now = fix.env.now();
        let batch = |id: &str| Batch {
            mutations: vec![Mutation::create(fix.entity("note"), fix.record(id, json!({})))],
            riders: AttachedWrites {
                idempotency: items(&scope, &print, &answer(body.clone()), now).unwrap(),
                ..AttachedWrites::default()
            },
            ..Batch::default()
        };
        let table = &fix.dynamo.table;
        assert_eq!(load(table, &fix.env, &scope).await.unwrap(), None);
        fix.writer.write(&batch("n"), fix.deadline()).await.unwrap().unsettled.settle(table).await;
        let stored = load(table, &fix.env, &scope).await.unwrap().unwrap();
        assert_eq!(stored.clone().compare(&print, now), Match::Replay(answer(body.clone())));
        let other = keys.fingerprint("POST", "/v1/notes", Some(&json!({"a": 1})));
        assert_eq!(stored.clone().compare(&other, now), Match::Reused);
        assert_eq!(stored.compare(&print, now.plus(LIFETIME)), Match::Expired);
        // A second effect under the same key is refused, and the row that stands in its way tells the answer.
        let Err(WriteError::IdempotencyRow(Some(row))) = fix.writer.write(&batch("m"), fix.deadline()).await else {
            panic!("the key is taken")
        };
        let stored = complete(table, &fix.env, &scope, &row).await.unwrap();
        assert_eq!(stored.compare(&print, now), Match::Replay(answer(body.clone())));
        assert_eq!(fix.read("note", "m").await, None);
        // The same request again with its own id: the key's row is what counts, not the record.
        assert!(matches!(fix.writer.write(&batch("n"), fix.deadline()).await, Err(WriteError::IdempotencyRow(_))));
    }

    #[tokio::test]
    async fn an_expired_row_gives_way() {
        let fix = Fixture::new().await;
        let keys = Keys::new(*b"secret");
        let (scope, print) = (keys.scope("c", "s", "k"), keys.fingerprint("POST", "/", None));
        let write = async |id: &str, now: Micros| {
            let batch = Batch {
                mutations: vec![Mutation::create(fix.entity("note"), fix.record(id, json!({})))],
                riders: AttachedWrites {
                    idempotency: items(&scope, &print, &answer(vec![]), now).unwrap(),
                    ..AttachedWrites::default()
                },
                ..Batch::default()
            };
            fix.writer.write(&batch, fix.deadline()).await.map(drop)
        };
        let now = fix.env.now();
        write("a", now).await.unwrap();
        let almost = Micros(now.plus(LIFETIME).0 - 1_000_000);
        assert!(matches!(write("b", almost).await, Err(WriteError::IdempotencyRow(_))));
        write("b", now.plus(LIFETIME)).await.unwrap();
    }
}

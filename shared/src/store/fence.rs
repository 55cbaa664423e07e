//! Fences: whether an attempt to write has committed or never will, known to everybody who meets what it left.
//!
//! An attempt has a random token. Its transaction puts the fence `F(token)`, `committed`, with the keys that it writes, on condition
//! that there is none; whoever must not wait for the attempt puts it `aborted` on the same condition. So one of the two happens, and
//! once. Nobody else puts a fence or deletes one, however late a request arrives: it lives [`LIFETIME`], longer than any signature.
//!
//! A commit becomes visible item by item, so `committed` alone does not say that all of it can be read. `TransactGetItems` over its
//! keys does: an item that is still being committed answers with a conflict ([`proven`]). docs/writes.md has the whole protocol.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::keys;
use super::table::{Attr, Expr, Item, Key, Returning, Table, TableError, TableName, Write};
use crate::core::clock::{Env, Micros};

/// How long a fence stands.
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How long after a request was signed it may still be executed: DynamoDB accepts a signature for 15 minutes, and clocks differ. Whoever
/// changes what writers must do, and cannot fence those that do not know it, waits this long.
pub const LATE: Duration = Duration::from_secs(16 * 60);
/// An element older than this belongs to a writer that died or could not remove it.
pub const OVERDUE: Duration = Duration::from_secs(2);

const STATE: &str = "s";
const KEYS: &str = "k";
const COMMITTED: &str = "committed";
const ABORTED: &str = "aborted";
/// Characters of a token: 16 random bytes, base64url.
const TOKEN: usize = 22;
/// Most items of a `TransactGetItems`.
const MAX_READ: usize = 100;
/// Bytes of keys up to which packing them would save no unit.
const PACKED_FROM: usize = 700;

/// What an attempt leaves in the sets of tags and gates until it is settled: its token and when it began. At most 31 bytes, so that
/// 29 of them fit into an item of 1 KB.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Element {
    token: String,
    made: i64,
}

impl Element {
    /// A new attempt's.
    pub fn new(env: &Env) -> Self {
        Self { token: URL_SAFE_NO_PAD.encode(env.bytes::<16>()), made: env.now().millis() }
    }

    /// Its form in a set.
    pub fn text(&self) -> String {
        format!("{}{}", self.token, base36(self.made))
    }

    /// Reads [`Self::text`]; `None` for what is no element.
    pub fn parse(text: &str) -> Option<Self> {
        let (token, made) = text.split_at_checked(TOKEN)?;
        Some(Self { token: token.to_owned(), made: i64::from_str_radix(made, 36).ok()? })
    }

    /// The token that names the fence.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Whether its writer is dead, or might as well be.
    pub fn is_overdue(&self, now: Micros) -> bool {
        now.millis().saturating_sub(self.made) >= i64::try_from(OVERDUE.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Digits that [`i64::from_str_radix`] reads.
fn base36(number: i64) -> String {
    let mut left = number.unsigned_abs();
    let mut digits = Vec::with_capacity(9);
    while left > 0 || digits.is_empty() {
        digits.push(char::from_digit(u32::try_from(left % 36).unwrap_or(0), 36).unwrap_or('0'));
        left /= 36;
    }
    digits.iter().rev().collect()
}

/// What has become of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has had no effect and never will.
    Aborted,
    /// It has had its effect, and all of it can be read.
    Committed,
    /// It is being committed, or something else holds what it writes: look again later.
    Pending,
}

/// The fence in the transaction that writes these keys.
pub fn committed(token: &str, written: &[Key], now: Micros) -> Write {
    put(item(token, COMMITTED, now).with(KEYS, Attr::B(pack(written))))
}

/// The fence of whoever does not wait for the attempt.
pub fn aborted(token: &str, now: Micros) -> Write {
    put(item(token, ABORTED, now))
}

fn item(token: &str, state: &str, now: Micros) -> Item {
    Item::new(keys::fence(token)).with(STATE, Attr::S(state.to_owned())).with("ttl", Attr::N(now.plus(LIFETIME).seconds()))
}

fn put(item: Item) -> Write {
    Write::Put { item, condition: Some(Expr::new("attribute_not_exists(pk)")) }
}

/// Whether a fence says that its attempt has committed.
pub fn is_committed(fence: &Item) -> bool {
    fence.s(STATE) == Some(COMMITTED)
}

/// Ends the uncertainty: aborts the attempt, unless it has committed. Doing it twice, or late, is harmless.
///
/// # Errors
/// What the table says; [`TableError::Unknown`] where the answer was lost.
pub async fn decide(table: &dyn Table, token: &str, now: Micros) -> Result<Outcome, TableError> {
    match table.write(TableName::Data, aborted(token, now), Returning::Nothing).await {
        Ok(_) => Ok(Outcome::Aborted),
        Err(TableError::ConditionFailed(Some(fence))) => outcome(table, &fence).await,
        // Its transaction holds it.
        Err(TableError::Busy(_) | TableError::ConditionFailed(None)) => Ok(Outcome::Pending),
        Err(error) => Err(error),
    }
}

/// What has become of the attempt of this fence.
///
/// # Errors
/// Errors of the table.
pub async fn outcome(table: &dyn Table, fence: &Item) -> Result<Outcome, TableError> {
    if !is_committed(fence) {
        return Ok(Outcome::Aborted);
    }
    let keys = fence.b(KEYS).and_then(unpack);
    let keys = keys.ok_or_else(|| TableError::Broken("a fence does not say what its transaction wrote".to_owned()))?;
    Ok(if proven(table, &keys).await? { Outcome::Committed } else { Outcome::Pending })
}

/// Whether no transaction holds one of these items: a commit that wrote them is over then.
async fn proven(table: &dyn Table, keys: &[Key]) -> Result<bool, TableError> {
    let keys: Vec<_> = keys.iter().map(|key| (TableName::Data, key.clone())).collect();
    for keys in keys.chunks(MAX_READ) {
        match table.get_transaction(keys).await {
            Ok(_) => {}
            Err(TableError::Busy(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// The state of the attempt with this token, without aborting it; `None` where it has no fence (yet, or any more).
///
/// # Errors
/// Errors of the table.
pub async fn look_up(table: &dyn Table, token: &str) -> Result<Option<Outcome>, TableError> {
    let fence = table.get(&[(TableName::Data, keys::fence(token))], true).await?.into_iter().next().flatten();
    match fence {
        Some(fence) => outcome(table, &fence).await.map(Some),
        None => Ok(None),
    }
}

/// The keys, each with its lengths before it; deflated where there are many, because they repeat names and ids.
fn pack(keys: &[Key]) -> Vec<u8> {
    let mut plain = vec![0];
    for key in keys {
        for part in [key.pk.as_bytes(), &key.sk] {
            // A key has at most 2 KB.
            plain.extend(u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
            plain.extend(part);
        }
    }
    if plain.len() <= PACKED_FROM {
        return plain;
    }
    let mut encoder = DeflateEncoder::new(vec![1], Compression::default());
    match encoder.write_all(&plain[1..]).and_then(|()| encoder.finish()) {
        Ok(packed) => packed,
        // Writing to memory does not fail.
        Err(_) => plain,
    }
}

fn unpack(bytes: &[u8]) -> Option<Vec<Key>> {
    let (form, rest) = bytes.split_first()?;
    let mut plain = Vec::new();
    match form {
        0 => plain.extend(rest),
        _ => drop(DeflateDecoder::new(rest).take(1 << 20).read_to_end(&mut plain).ok()?),
    }
    let mut rest = &plain[..];
    let mut keys = Vec::new();
    while !rest.is_empty() {
        let pk = String::from_utf8(part(&mut rest)?).ok()?;
        keys.push(Key { pk, sk: part(&mut rest)? });
    }
    Some(keys)
}

fn part(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (part, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    *bytes = rest;
    Some(part.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_has_at_most_31_bytes_and_comes_back() {
        // The year 2400.
        let late = Env::still(Micros(13_569_465_600_000_000));
        for env in [Env::system(), late] {
            let element = Element::new(&env);
            assert!(element.text().len() <= 31, "{}", element.text());
            assert_eq!(Element::parse(&element.text()), Some(element));
        }
        for wrong in ["", "short", "no-time-behind-its-tok", "of-an-older-version-16~1732~"] {
            assert_eq!(Element::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_element_is_overdue_after_two_seconds() {
        let element = Element { token: String::new(), made: 10_000 };
        assert!(!element.is_overdue(Micros(11_999_000)));
        assert!(element.is_overdue(Micros(12_000_000)));
    }

    #[test]
    fn a_fence_says_what_its_transaction_wrote() {
        let key = |number: usize| Key::new(format!("r#book#{number:036}"), vec![0, 255, u8::try_from(number).unwrap_or(0)]);
        for count in [0, 1, 10, 99] {
            let written: Vec<Key> = (0..count).map(key).collect();
            let Write::Put { item, condition: Some(_) } = committed("token", &written, Micros(0)) else { panic!("a put") };
            assert!(is_committed(&item));
            assert_eq!(item.b(KEYS).and_then(unpack), Some(written));
            assert!(crate::store::items::size(&item) < 1024, "{count} keys in {}", crate::store::items::size(&item));
        }
        assert_eq!(unpack(&[0, 0, 9, 1]), None);
    }
}

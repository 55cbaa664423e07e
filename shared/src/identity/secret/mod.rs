//! The deployment's own secrets: what it encrypts and hashes with, alike on all instances and after a restart.
//!
//! Everything is derived, by purpose, from a master secret. On AWS that is a secret of Secrets Manager with two versions that
//! count, the current and the previous; a rotation moves the one to the other. Instances make with the current version, accept
//! both, and look again when they are shown a key id that they do not know (at most once a minute, however many are forged).
//! On one machine it is an item of the data table, which the first process that needs it makes.
//!
//! Idempotency keys and webhooks' do not rotate with it: they come from the item of the table everywhere. An instance that has not heard of a rotation
//! yet would look for a repeated request elsewhere than where the first one wrote its row, and the write would happen twice.

mod cursor_keys;
mod keyring;
mod table;
#[cfg(test)]
mod tests;

use futures::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::store::idempotency;
use crate::store::table::TableError;

pub use cursor_keys::{CursorKey, CursorKeys, KeyId};
pub use keyring::Keyring;
pub use table::master_in_table;

/// The versions of a master secret that count.
#[derive(Clone, PartialEq, Eq)]
pub struct Versions {
    /// What is made is made with this one.
    pub current: Vec<u8>,
    /// What was made with this one is still accepted.
    pub previous: Option<Vec<u8>>,
}

impl std::fmt::Debug for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Versions")
    }
}

/// Where a master secret that rotates is kept.
pub trait SecretSource: Send + Sync {
    /// Its versions as they are now. The error is for the log.
    fn fetch(&self) -> BoxFuture<'_, Result<Versions, String>>;
}

/// A place for one secret that somebody else will fetch.
pub trait SecretSlot: Send + Sync {
    /// Whether nothing was put there yet. The error is for the log.
    fn is_empty(&self) -> BoxFuture<'_, Result<bool, String>>;

    /// Puts a secret there. The error is for the log.
    fn fill(&self, text: String) -> BoxFuture<'_, Result<(), String>>;
}

/// Keys for each purpose.
pub struct Secrets {
    /// Encrypt cursors.
    pub cursor: CursorKeys,
    /// Hash idempotency scopes and requests.
    pub idempotency: idempotency::Keys,
    /// The secrets of consumers' webhooks derive from it, which the consumers keep: it does not rotate.
    pub webhook: [u8; 32],
}

impl Secrets {
    /// `fixed` is the master of the data table, `rotating` what stands in its place for all that may rotate.
    fn derive(fixed: &[u8], rotating: Option<&Versions>) -> Self {
        let (current, previous) = match rotating {
            Some(versions) => (versions.current.as_slice(), versions.previous.as_deref()),
            None => (fixed, None),
        };
        Self {
            cursor: CursorKeys { current: cursor_key(current), previous: previous.map(cursor_key) },
            idempotency: idempotency::Keys::new(derived(fixed, b"idempotency")),
            webhook: derived(fixed, b"webhook"),
        }
    }
}

fn cursor_key(master: &[u8]) -> CursorKey {
    let [a, b, c, d, ..] = derived(master, b"cursor id");
    CursorKey { id: [a, b, c, d], key: derived(master, b"cursor") }
}

/// A key for one purpose: HMAC-SHA-256 of the purpose under the master secret, a pseudo-random function of it.
///
/// # Panics
/// Never: HMAC takes keys of any length.
#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn derived(master: &[u8], purpose: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(master).expect("a key of any length");
    mac.update(purpose);
    mac.finalize().into_bytes().into()
}

/// A failure to get at a secret, in the terms of whoever needs it: nothing was done, and it may work later.
fn unreachable(why: &str) -> TableError {
    TableError::Unknown(format!("secrets: {why}"))
}

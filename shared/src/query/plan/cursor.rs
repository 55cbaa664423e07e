//! Where a list goes on: opaque and tamper-evident (XChaCha20-Poly1305), bound to the query that it continues.
//!
//! It carries the sort key of the last row, so a page costs the same wherever it is, and a record that did not move is neither
//! repeated nor skipped. It is encrypted because the sort key of an index chosen by policy may hold fields that the caller may
//! not read. It permits nothing: whoever presents it is checked like everybody else.
//!
//! The nonce is made of what the cursor holds (as AES-SIV does it): one position has one text, so a page that has not changed
//! keeps its `ETag`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, KeyInit as _, Mac};
use sha2::{Digest, Sha256};

use super::QueryPlan;
use crate::identity::secret::{CursorKey, CursorKeys, KeyId};
use crate::query::ListQuery;

/// First byte of what a cursor holds: the version of its form.
const VERSION: u8 = 2;
/// Bytes of the nonce.
const NONCE: usize = 24;

/// A position in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Sort key of the last row that was looked at.
    pub position: Vec<u8>,
}

/// A cursor that this list did not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadCursor;

impl Cursor {
    /// The text that a client gets.
    pub fn seal(&self, keys: &CursorKeys, query: &ListQuery, plan: &QueryPlan) -> String {
        let CursorKey { id, key } = &keys.current;
        let binding = binding(query, plan);
        let nonce = nonce(key, &binding, &self.position);
        let cipher = XChaCha20Poly1305::new(key.into());
        let payload = Payload { msg: &self.position, aad: &binding };
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([&[VERSION][..], id, &nonce, &sealed].concat())
    }

    /// The name of the key that a text was sealed with, if it is a cursor at all.
    pub fn key_id(text: &str) -> Option<KeyId> {
        take_apart(&URL_SAFE_NO_PAD.decode(text).ok()?).map(|(id, ..)| id)
    }

    /// The position that a text made by [`Cursor::seal`] for the same query and order holds.
    ///
    /// # Errors
    /// [`BadCursor`] for anything else.
    pub fn open(text: &str, keys: &CursorKeys, query: &ListQuery, plan: &QueryPlan) -> Result<Self, BadCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadCursor)?;
        let (id, nonce, sealed) = take_apart(&bytes).ok_or(BadCursor)?;
        let cipher = XChaCha20Poly1305::new((&keys.find(id).ok_or(BadCursor)?.key).into());
        let payload = Payload { msg: sealed, aad: &binding(query, plan) };
        let position = cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| BadCursor)?;
        Ok(Self { position })
    }
}

/// A nonce that no other content has: HMAC-SHA-256 over all that is sealed.
///
/// # Panics
/// Never: HMAC takes keys of any length.
#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn nonce(key: &[u8; 32], binding: &[u8; 32], position: &[u8]) -> [u8; NONCE] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(b"nonce of a cursor");
    mac.update(binding);
    mac.update(position);
    let digest: [u8; 32] = mac.finalize().into_bytes().into();
    let mut nonce = [0; NONCE];
    nonce.copy_from_slice(&digest[..NONCE]);
    nonce
}

/// Version, name of the key, nonce, what is sealed.
fn take_apart(bytes: &[u8]) -> Option<(KeyId, [u8; NONCE], &[u8])> {
    let (&VERSION, rest) = bytes.split_first()? else { return None };
    let (id, rest) = rest.split_first_chunk()?;
    let (nonce, sealed) = rest.split_first_chunk()?;
    Some((*id, *nonce, sealed))
}

/// What must be the same for a cursor to make sense: entity, filters and order. Limit, fields and includes may change.
fn binding(query: &ListQuery, plan: &QueryPlan) -> [u8; 32] {
    let text =
        format!("{:?}|{:?}|{:?}|{:?}|{:?}|{}", query.entity, query.filters, query.fixed, query.sort, plan.order, plan.reverse);
    Sha256::digest(text.as_bytes()).into()
}

//! Where a list goes on: opaque and tamper-evident (XChaCha20-Poly1305), bound to the query that it continues.
//!
//! It carries the sort key of the last row, so a page costs the same wherever it is, and a record that did not move is neither
//! repeated nor skipped. It is encrypted because the sort key of an index chosen by policy may hold fields that the caller may
//! not read. It permits nothing: whoever presents it is checked like everybody else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use super::Plan;
use crate::clock::Env;
use crate::query::ListQuery;

/// First byte of what a cursor holds: the version of its form.
const VERSION: u8 = 1;
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
    pub fn seal(&self, key: &[u8; 32], env: &Env, query: &ListQuery, plan: &Plan) -> String {
        let nonce = env.bytes::<NONCE>();
        let cipher = XChaCha20Poly1305::new(key.into());
        let payload = Payload { msg: &self.position, aad: &binding(query, plan) };
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([&[VERSION][..], &nonce, &sealed].concat())
    }

    /// The position that a text made by [`Cursor::seal`] for the same query and order holds.
    ///
    /// # Errors
    /// [`BadCursor`] for anything else.
    pub fn open(text: &str, key: &[u8; 32], query: &ListQuery, plan: &Plan) -> Result<Self, BadCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadCursor)?;
        let Some((&VERSION, rest)) = bytes.split_first() else { return Err(BadCursor) };
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>().ok_or(BadCursor)?;
        let cipher = XChaCha20Poly1305::new(key.into());
        let payload = Payload { msg: sealed, aad: &binding(query, plan) };
        let position = cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| BadCursor)?;
        Ok(Self { position })
    }
}

/// What must be the same for a cursor to make sense: entity, filters and order. Limit, fields and includes may change.
fn binding(query: &ListQuery, plan: &Plan) -> [u8; 32] {
    let text =
        format!("{:?}|{:?}|{:?}|{:?}|{:?}|{}", query.entity, query.filters, query.fixed, query.sort, plan.order, plan.reverse);
    Sha256::digest(text.as_bytes()).into()
}

//! Credentials that were verified a short while ago, for routes without an authorizer: what API Gateway does for the others.
//!
//! Only good ones are remembered, by a hash: a bad one is refused without I/O or tells nothing about the next. What may end one before
//! its time is looked at with every request anyway: its expiry by whoever makes a principal of it, revocation and changes of its consumer by
//! the limiter's item.

use std::time::Duration;

use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use crate::core::caller::Caller;
use crate::core::clock::Micros;

/// How long a credential is remembered: as long as the gateway remembers an authorizer's answer.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Most credentials that one instance remembers.
const MOST: usize = 4_096;

type Digest = [u8; 32];

/// Remembered credentials of one process.
pub(super) struct Remembered {
    kept: Cache<Digest, (Micros, Box<Caller>)>,
}

impl Remembered {
    pub(super) fn new() -> Self {
        Self { kept: Cache::new(MOST) }
    }

    /// The caller of a header that was verified less than five minutes ago.
    pub(super) fn get(&self, header: &str, now: Micros) -> Option<Box<Caller>> {
        let (until, caller) = self.kept.get(&digest(header))?;
        (now < until).then_some(caller)
    }

    /// Remembers the caller of a header that was verified just now.
    pub(super) fn put(&self, header: &str, caller: &Caller, now: Micros) {
        self.kept.insert(digest(header), (now.plus(REMEMBERED), Box::new(caller.clone())));
    }

    /// Forgets a header that was refused just now.
    pub(super) fn forget(&self, header: &str) {
        self.kept.remove(&digest(header));
    }
}

/// The header itself is never kept.
fn digest(header: &str) -> Digest {
    Sha256::digest(header).into()
}

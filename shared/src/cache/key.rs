//! What an answer is called.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::snapshot::Stamp;
use crate::model::Model;
use crate::query::ListQuery;
use crate::query::policy::Permitted;
use crate::store::constraints::States;
use crate::store::keys;
use crate::store::table::Key;

/// Hash of this crate's sources (`build.rs`): entries of another version of the code have other names.
const CODE: &str = env!("HOLDFAST_CODE");

/// Hash of everything that can change an answer and is no data: code, model, index states, question and effective access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// The name of what a permitted query answers; with `record`, of that record alone.
    ///
    /// Index states belong to it because they decide how a list is read, and so in which order where none is asked for.
    pub fn new(model: &Model, states: &States, permitted: &Permitted<ListQuery>, record: Option<&str>) -> Self {
        let mut text = String::with_capacity(1024);
        for part in [CODE, &model.hash, &format!("{:?}", states.not_ready()), &format!("{record:?}"), &permitted.fingerprint()] {
            let _infallible = write!(text, "{}:{part}", part.len());
        }
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Key of the entry.
    pub(super) fn item(&self) -> Key {
        keys::cached(&URL_SAFE_NO_PAD.encode(self.0))
    }

    /// Where the lease on reading it stands, while its tags say this.
    pub(super) fn lease(&self, stamp: &Stamp) -> Key {
        keys::cache_lease(&URL_SAFE_NO_PAD.encode(self.0), &stamp.0)
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

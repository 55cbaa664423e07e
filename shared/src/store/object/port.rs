//! The port to the store of objects: what Holdfast needs of S3, without an SDK type in it. `crate::aws::s3` implements it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use crate::core::clock::Micros;

/// What an upload's link admits: exactly this.
#[derive(Debug, Clone, Copy)]
pub struct Upload<'a> {
    /// Key of the object.
    pub key: &'a str,
    /// Media type, as the header has to say it.
    pub content_type: &'a str,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content.
    pub sha256: &'a [u8],
}

/// What a download's link gives.
#[derive(Debug, Clone, Copy)]
pub struct Download<'a> {
    /// Key of the object.
    pub key: &'a str,
    /// `Content-Type` of the answer.
    pub content_type: &'a str,
    /// `Content-Disposition` of the answer.
    pub disposition: &'a str,
}

/// A signed link.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// The address. Whoever has it may use it until it ends, so it is never logged.
    pub url: String,
    /// Headers that have to be sent with these values, names in lower case.
    pub headers: Vec<(String, String)>,
}

/// An object as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Bytes.
    pub size: u64,
    /// Media type.
    pub content_type: Option<String>,
    /// SHA-256 that the store computed.
    pub sha256: Option<Vec<u8>>,
}

/// Cause of a failed call, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectError {
    /// It may go through later.
    Unavailable(String),
    /// The call is wrong or not allowed: a fault of ours or of the deployment.
    Broken(String),
}

impl std::fmt::Display for ObjectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "objects: {why}"),
            Self::Broken(why) => write!(f, "objects: refused: {why}"),
        }
    }
}

impl std::error::Error for ObjectError {}

/// Calls that Holdfast makes. Links are signed in this process, without a call; they hold from `now` on for `window`.
pub trait Objects: Send + Sync {
    /// A link for one PUT, refused where the object is there already. The object is marked as pending until [`Objects::keep`].
    fn sign_upload<'a>(&'a self, upload: Upload<'a>, now: Micros, window: Duration)
    -> BoxFuture<'a, Result<Signed, ObjectError>>;

    /// A link for GET (and HEAD is another method: refused).
    fn sign_download<'a>(
        &'a self,
        download: Download<'a>,
        now: Micros,
        window: Duration,
    ) -> BoxFuture<'a, Result<Signed, ObjectError>>;

    /// What arrived under a key, if anything did.
    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Stored>, ObjectError>>;

    /// Takes the mark of a pending upload off, by which the bucket itself lets what was never completed vanish.
    fn keep<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), ObjectError>>;

    /// Deletes an object; fine where there is none.
    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), ObjectError>>;
}

/// A store of objects shared by many.
pub type SharedObjects = Arc<dyn Objects>;

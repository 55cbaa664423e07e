//! Uploads, as any client makes them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The body that announces an upload.
pub fn announced(name: &str, kind: &str, content: &[u8]) -> Value {
    json!({ "filename": name, "content_type": kind, "size": content.len(), "sha256": sha256(content) })
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

/// Headers of an upload's link.
///
/// # Panics
/// If the link has none.
pub fn headers(link: &Value) -> Vec<(&str, &str)> {
    let headers = link["headers"].as_object().unwrap();
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect()
}

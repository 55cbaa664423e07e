//! The discovery document of an issuer (OpenID Connect Discovery 1.0, 3): where its keys are.

use std::time::Duration;

use serde_json::Value;

use crate::core::json::strict_object;
use crate::model::Issuer;

/// Largest accepted document, bytes.
pub(super) const MAX_DOCUMENT: usize = 64 * 1024;
/// Longest fetch.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);

/// Address of the key set that a document names.
///
/// # Errors
/// A sentence for the operator: it is no such document, or that of another issuer (4.3).
pub(super) fn jwks_uri(issuer: &Issuer, document: &str) -> Result<String, String> {
    if document.len() > MAX_DOCUMENT {
        return Err(format!("the discovery document has more than {MAX_DOCUMENT} bytes"));
    }
    let document = strict_object(document.as_bytes()).ok_or("the discovery document is not a JSON object with unique members")?;
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    match text("issuer") {
        Some(named) if named == issuer.issuer => {}
        Some(named) => {
            return Err(format!("the discovery document is that of `{named}`, and the model says `{}`", issuer.issuer));
        }
        None => return Err("the discovery document names no `issuer`".to_owned()),
    }
    text("jwks_uri").map(str::to_owned).ok_or_else(|| "the discovery document names no `jwks_uri`".to_owned())
}

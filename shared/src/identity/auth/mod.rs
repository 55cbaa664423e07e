//! Who is calling: a credential becomes an [`AuthOutcome`], and an outcome `ok` becomes a [`Principal`]. Nothing else makes one.
//!
//! ```text
//! Authorization -> Authenticator -> Outcome -> authorizer context -> principal() -> Principal
//!                   |        |                                          |
//!                   |        +- api_key: checksum, one get, SHA-256     +- checks exp again, since the gateway caches the
//!                   +- jws, jwks, claims: signature, keys, RFC 7519        context, and verifies itself where the authorizer
//!                                                                          could not, or refused for a while only
//! ```
//! The rules follow RFC 7515, 7517, 7519 and the best current practice of RFC 8725; whatever is refused has a [`AuthRefusal`].

mod authenticator;
mod claims;
mod discovery;
pub mod jwks;
mod jws;
mod keys;
pub mod local;
mod outcome;
mod principal;
mod remembered;
mod resolve;
pub mod scopes;
mod sharer;

#[cfg(test)]
pub(crate) mod tests;

pub use crate::core::api_key;
pub use crate::core::caller::ANONYMOUS;
pub use authenticator::Authenticator;
pub use claims::consumer_id;
pub use keys::{JwksError, JwksSource, KeyStore, StaticJwks};
pub use outcome::{AuthOutcome, AuthRefusal, ContextError};
pub use principal::Principal;
pub use resolve::{AuthFailure, Evidence, anonymous, principal, principal_from_context};
pub use sharer::Sharer;

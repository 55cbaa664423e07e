//! Attacks on tokens and keys, and what must keep working.

mod context;
mod credentials;
mod discovery;
mod key_sets;
mod local;
mod providers;
mod rotation;
pub(crate) mod support;
mod times;
mod tokens;
mod wycheproof;

//! Attacks on tokens and keys, and what must keep working.

pub(crate) mod support;
mod tokens;

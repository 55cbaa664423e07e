//! Settings of the API as a whole: cross-origin requests and limits.

use std::time::Duration;

/// Settings of cross-origin requests.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cors {
    /// Accepted origins; `*` accepts any, an empty list none.
    pub origins: Vec<String>,
    /// Time that a browser may cache a preflight.
    pub max_age: Duration,
}

/// Limits of the API as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Rows that a request may examine beyond those that it returns.
    pub examine: usize,
    /// Requests per minute and client address, on open routes and with invalid credentials.
    pub per_address: u64,
}

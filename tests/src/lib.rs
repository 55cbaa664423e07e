//! What the tests of the whole system stand on.

pub mod crash;
pub mod proxy;

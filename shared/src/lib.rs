//! Holdfast: what the handlers have in common.

pub mod clock;
pub mod model;
pub mod principal;
pub mod store;
pub mod value;

//! The whole system, tested from outside and at its seams.

mod store;

//! From a request to an answer: the stages in order.

pub mod related;

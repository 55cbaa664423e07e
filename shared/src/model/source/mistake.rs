//! Mistakes of a model file: each with its place and what would be right.

use std::fmt;

/// One mistake in a model file. All mistakes of a file are reported at once, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Name of the file, as the caller gave it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The fault.
    pub message: String,
    /// Correction; empty if the message says it.
    pub help: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        if self.help.is_empty() { Ok(()) } else { write!(out, "; {}", self.help) }
    }
}

impl std::error::Error for Mistake {}

/// Place in the file: line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::model) struct Spot {
    pub line: usize,
    pub column: usize,
}

/// A value and its place in the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::model) struct At<T> {
    pub spot: Spot,
    pub value: T,
}

//! What is wrong with a model file, where, and what would be right.

use std::fmt;

/// One mistake in a model file. All mistakes of a file are reported at once, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The file as the caller named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right; empty where the message says it already.
    pub help: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        if self.help.is_empty() { Ok(()) } else { write!(out, "; {}", self.help) }
    }
}

impl std::error::Error for Mistake {}

/// A place in the file: line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub line: usize,
    pub column: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct At<T> {
    pub spot: Spot,
    pub value: T,
}

/// `did you mean ...` with the nearest of the known names, or all of them when none is near.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let best = known.iter().map(|other| (strsim::damerau_levenshtein(name, other), *other)).min();
    match best {
        Some((distance, other)) if distance <= (name.chars().count() / 2).clamp(1, 3) => format!("did you mean `{other}`?"),
        Some(_) => format!("known here: {}", list(known)),
        None => "there is none yet".to_owned(),
    }
}

/// `` `a`, `b`, `c` ``.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

//! Attributes of the items that keep merges apart: the state, and a marker for each instance.

/// Attribute of the state: its version.
pub(super) const STATE_VERSION: &str = "v";
/// Attribute of the state: merges that are not published yet.
pub(super) const UNPUBLISHED: &str = "u";
/// Attribute of a marker: the last sequence that was merged.
pub(super) const SEQUENCE: &str = "n";

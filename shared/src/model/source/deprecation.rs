//! Deprecations as the file states them.

use super::keys;
use super::reader::Reader;
use super::tree::Node;
use crate::model::schema::{Deprecation, Operation};

impl Reader<'_> {
    /// `{since: 2026-01-01, sunset: 2026-12-31, replacement: "..."}`; that of an entity may have `operations: [delete]`.
    pub fn deprecation(&mut self, node: &Node, of_entity: bool) -> Option<Deprecation> {
        let known = &keys::DEPRECATION[..if of_entity { 4 } else { 3 }];
        let keys = self.keys(node, "`deprecated`", known)?;
        if keys.get("since").is_none() {
            self.mistake(node.spot, "`deprecated` needs `since`", "for example `deprecated: {since: 2026-01-01}`");
        }
        let since = keys.get("since").and_then(|node| self.day(node, "`since`"));
        let sunset = keys.get("sunset").and_then(|node| self.day(node, "`sunset`"));
        if sunset.zip(since).is_some_and(|(sunset, since)| sunset < since) {
            self.mistake(keys.spot("sunset"), "`sunset` lies before `since`", "");
        }
        let replacement = keys.get("replacement").and_then(|node| self.text(node, "`replacement`")).map(|text| text.value);
        let operations = keys.get("operations").map(|node| self.operations(node)).unwrap_or_default();
        Some(Deprecation { since: since?, sunset, replacement, operations })
    }

    /// `[create, delete]`.
    fn operations(&mut self, node: &Node) -> Vec<Operation> {
        let known: Vec<(&str, Operation)> =
            Operation::ALL.into_iter().filter(|one| *one != Operation::System).map(|one| (one.name(), one)).collect();
        self.items(node).iter().filter_map(|node| self.word(node, "operation", &known)).collect()
    }
}

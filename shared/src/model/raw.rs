//! The low form of an entity: what the file says, with places, before names are looked up.

use super::mistake::{At, Spot, list};
use super::raw_field::RawField;
use super::reader::Reader;
use super::schema::{CacheMode, Deprecation, Operation};
use super::tree::{Data, Node};

/// An entity as it stands in the file.
pub(super) struct RawEntity<'n> {
    pub name: At<String>,
    pub plural: At<String>,
    pub description: Option<String>,
    pub id: At<RawId>,
    pub fields: Vec<RawField<'n>>,
    pub indexes: Vec<RawIndex>,
    pub cache: CacheMode,
    pub contention: Option<u32>,
    pub require_if_match: bool,
    pub deprecated: Option<Deprecation>,
    pub max_bytes: usize,
    pub timestamps: bool,
}

/// Where ids come from.
pub(super) enum RawId {
    Uuid,
    String,
    Integer,
    Composite(Vec<At<String>>),
}

/// An index as it stands in the file.
pub(super) struct RawIndex {
    pub name: At<String>,
    pub equality: Vec<At<String>>,
    /// Field and whether it descends.
    pub sort: Vec<(At<String>, bool)>,
    pub projection: Option<Vec<At<String>>>,
}

/// Plurals that paths of Holdfast itself need.
pub(super) const RESERVED_PLURALS: [&str; 3] = ["docs", "openapi.json", "openapi.yaml"];
/// Parameters of a list: a field of that name could not be filtered by.
pub(super) const RESERVED_FIELDS: [&str; 7] = ["id", "limit", "cursor", "sort", "fields", "include", "count"];

pub(super) const KEYS: [&str; 11] = [
    "plural",
    "description",
    "id",
    "fields",
    "indexes",
    "cache",
    "contention",
    "require_if_match",
    "deprecated",
    "max_bytes",
    "timestamps",
];

/// A record of 400 KB is the most that DynamoDB stores; the rest of the item needs room too.
const MAX_BYTES: u64 = 350 * 1024;

/// `[a-z][a-z0-9_]*`, at most `max` characters: what keys of the table, query strings and JSON pointers all take unescaped.
pub(super) fn is_name(name: &str, max: usize) -> bool {
    name.len() <= max
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

impl Reader<'_> {
    pub fn name(&mut self, spot: Spot, what: &str, name: &str) -> Option<At<String>> {
        if is_name(name, 63) {
            return Some(At { spot, value: name.to_owned() });
        }
        let help = "a name begins with a lower case letter and goes on with lower case letters, digits and `_`, at most 63";
        self.mistake(spot, format!("`{name}` cannot name {what}"), help);
        None
    }

    pub fn entities<'n>(&mut self, node: &'n Node) -> Vec<RawEntity<'n>> {
        let named = self.named(node, "`entities`");
        if named.is_empty() {
            self.mistake(node.spot, "there is no entity", "a model needs at least one: `book: {fields: {title: string}}`");
        }
        named.into_iter().filter_map(|(key, body)| self.entity(key, body)).collect()
    }

    fn entity<'n>(&mut self, key: At<&str>, body: &'n Node) -> Option<RawEntity<'n>> {
        let name = self.name(key.spot, "an entity", key.value);
        let keys = self.keys(body, "an entity", &KEYS)?;
        let name = name?;
        let plural = match keys.get("plural") {
            Some(node) => self.text(node, "`plural`")?,
            None => At { spot: name.spot, value: format!("{}s", name.value) },
        };
        self.plural(&plural);
        let fields = match keys.get("fields") {
            Some(node) => self.fields(node),
            None => {
                self.mistake(name.spot, format!("entity `{}` has no fields", name.value), "add `fields: {title: string}`");
                Vec::new()
            }
        };
        let id = match keys.get("id") {
            Some(node) => At { spot: node.spot, value: self.id(node)? },
            None => At { spot: name.spot, value: RawId::Uuid },
        };
        Some(RawEntity {
            description: keys.get("description").and_then(|node| self.text(node, "`description`")).map(|text| text.value),
            indexes: keys.get("indexes").map(|node| self.indexes(node)).unwrap_or_default(),
            cache: keys.get("cache").and_then(|node| self.cache(node)).unwrap_or(CacheMode::Strict),
            contention: keys
                .get("contention")
                .and_then(|node| self.integer(node, "`contention` (writes per second)", 1, 2500))
                .and_then(|number| u32::try_from(number).ok()),
            require_if_match: self.flag(keys.get("require_if_match"), "`require_if_match`", false),
            deprecated: keys.get("deprecated").and_then(|node| self.deprecation(node, true)),
            max_bytes: keys
                .get("max_bytes")
                .and_then(|node| self.bytes(node, "`max_bytes`", MAX_BYTES))
                .and_then(|number| usize::try_from(number).ok())
                .unwrap_or(64 * 1024),
            timestamps: self.flag(keys.get("timestamps"), "`timestamps`", true),
            name,
            plural,
            id,
            fields,
        })
    }

    /// `true` or `false`, or what counts where nothing is said.
    pub fn flag(&mut self, node: Option<&Node>, what: &str, otherwise: bool) -> bool {
        node.and_then(|node| self.boolean(node, what)).unwrap_or(otherwise)
    }

    fn plural(&mut self, plural: &At<String>) {
        let text = plural.value.as_str();
        if RESERVED_PLURALS.contains(&text) || text.starts_with('_') {
            let help = format!("reserved are {} and names that start with `_`", list(RESERVED_PLURALS));
            self.mistake(plural.spot, format!("the plural `{text}` is reserved"), help);
        } else if !is_name(&text.replace('-', "_"), 63) {
            let help = "a path segment of lower case letters, digits, `-` and `_` that begins with a letter";
            self.mistake(plural.spot, format!("`{text}` cannot be a plural"), help);
        }
    }

    fn id(&mut self, node: &Node) -> Option<RawId> {
        if let Data::Sequence(parts) = &node.data {
            let parts: Vec<_> = parts.iter().filter_map(|part| self.text(part, "a part of the id")).collect();
            if parts.len() < 2 {
                self.mistake(node.spot, "a composite id needs at least two fields", "for example `id: [order, product]`");
                return None;
            }
            return Some(RawId::Composite(parts));
        }
        match self.word(node, "kind of id", &[("uuid", 0), ("string", 1), ("integer", 2)])? {
            0 => Some(RawId::Uuid),
            1 => Some(RawId::String),
            _ => Some(RawId::Integer),
        }
    }

    fn indexes(&mut self, node: &Node) -> Vec<RawIndex> {
        self.named(node, "`indexes`").into_iter().filter_map(|(key, body)| self.index(key, body)).collect()
    }

    fn index(&mut self, key: At<&str>, body: &Node) -> Option<RawIndex> {
        let name = self.name(key.spot, "an index", key.value);
        let keys = self.keys(body, "an index", &["equality", "sort", "fields"])?;
        let equality = keys.get("equality").map(|node| self.texts(node, "a field of `equality`")).unwrap_or_default();
        let sort = keys.get("sort").map(|node| self.texts(node, "a field of `sort`")).unwrap_or_default();
        if equality.is_empty() && sort.is_empty() {
            self.mistake(
                key.spot,
                format!("index `{}` says nothing", key.value),
                "add `equality: [..]`, `sort: [-placed_at]` or both",
            );
        }
        let sort = sort.into_iter().map(|field| {
            let descending = field.value.starts_with('-');
            let value = field.value.trim_start_matches('-').to_owned();
            (At { spot: field.spot, value }, descending)
        });
        Some(RawIndex {
            name: name?,
            equality,
            sort: sort.collect(),
            projection: keys.get("fields").map(|node| self.texts(node, "a field of `fields`")),
        })
    }

    fn cache(&mut self, node: &Node) -> Option<CacheMode> {
        if matches!(node.data, Data::Mapping(_)) {
            let keys = self.keys(node, "`cache`", &["bounded"])?;
            let age = self.duration(keys.get("bounded")?, "`bounded`")?;
            return Some(CacheMode::Bounded(age));
        }
        self.word(node, "cache mode (or `{bounded: 30s}`)", &[("off", CacheMode::Off), ("strict", CacheMode::Strict)])
    }

    /// `{since: 2026-01-01, sunset: 2026-12-31, replacement: "..."}`; of an entity perhaps with `operations: [delete]`.
    pub fn deprecation(&mut self, node: &Node, of_entity: bool) -> Option<Deprecation> {
        let known = &["since", "sunset", "replacement", "operations"][..if of_entity { 4 } else { 3 }];
        let keys = self.keys(node, "`deprecated`", known)?;
        let Some(since) = keys.get("since") else {
            self.mistake(node.spot, "`deprecated` needs `since`", "for example `deprecated: {since: 2026-01-01}`");
            return None;
        };
        let since = self.day(since, "`since`")?;
        let sunset = keys.get("sunset").and_then(|node| self.day(node, "`sunset`"));
        if sunset.is_some_and(|sunset| sunset < since) {
            self.mistake(keys.spot("sunset"), "`sunset` lies before `since`", "");
        }
        let replacement = keys.get("replacement").and_then(|node| self.text(node, "`replacement`")).map(|text| text.value);
        let operations = keys.get("operations").map(|node| self.operations(node)).unwrap_or_default();
        Some(Deprecation { since, sunset, replacement, operations })
    }

    /// `[create, delete]`.
    fn operations(&mut self, node: &Node) -> Vec<Operation> {
        let known: Vec<(&str, Operation)> =
            Operation::ALL.into_iter().filter(|one| *one != Operation::System).map(|one| (one.name(), one)).collect();
        self.items(node).iter().filter_map(|node| self.word(node, "operation", &known)).collect()
    }
}

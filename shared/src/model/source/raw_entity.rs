//! Raw form of an entity: what the file says, with places, before names are resolved.

use std::time::Duration;

use super::keys;
use super::mistake::At;
use super::raw_field::RawField;
use super::reader::{Reader, is_name};
use super::tree::{Data, Node};
use crate::model::schema::{CacheMode, Deprecation};
use crate::model::suggest::list;

/// An entity as the file states it.
pub(in crate::model) struct RawEntity<'n> {
    pub name: At<String>,
    pub was: Option<At<String>>,
    pub plural: At<String>,
    pub description: Option<String>,
    pub id: At<RawId>,
    pub fields: Vec<RawField<'n>>,
    pub indexes: Vec<RawIndex>,
    pub cache: CacheMode,
    pub public: Option<Duration>,
    pub contention: Option<u32>,
    pub require_if_match: bool,
    pub deprecated: Option<Deprecation>,
    pub max_bytes: usize,
    pub timestamps: bool,
}

/// Kind of ids; the parts of a composite one are still names.
pub(in crate::model) enum RawId {
    Uuid,
    String,
    Integer,
    Composite(Vec<At<String>>),
}

/// An index as the file states it.
pub(in crate::model) struct RawIndex {
    pub name: At<String>,
    pub equality: Vec<At<String>>,
    /// Fields, each with whether it descends.
    pub sort: Vec<(At<String>, bool)>,
    pub projection: Option<Vec<At<String>>>,
}

/// Plurals that are reserved for paths of Holdfast.
const RESERVED_PLURALS: [&str; 3] = ["docs", "openapi.json", "openapi.yaml"];
/// Field names that are reserved: `id` and the parameters of a list, which would hide a filter by that field.
pub(in crate::model) const RESERVED_FIELDS: [&str; 7] = ["id", "limit", "cursor", "sort", "fields", "include", "count"];

/// Maximum of `public`.
const MAX_PUBLIC: Duration = Duration::from_secs(86_400);

/// Maximum of `max_bytes`: DynamoDB stores items of up to 400 KB, and the rest of the item needs room too.
const MAX_BYTES: u64 = 350 * 1024;

impl Reader<'_> {
    /// All entities.
    pub fn entities<'n>(&mut self, node: &'n Node) -> Vec<RawEntity<'n>> {
        let named = self.named(node, "`entities`");
        if named.is_empty() && !self.has_broken("entities") {
            self.mistake(node.spot, "there is no entity", "a model needs at least one: `book: {fields: {title: string}}`");
        }
        named.into_iter().filter_map(|(key, body)| self.entity(key, body)).collect()
    }

    fn entity<'n>(&mut self, key: At<&str>, body: &'n Node) -> Option<RawEntity<'n>> {
        let name = self.name(key.spot, "an entity", key.value);
        let Some(keys) = self.keys(body, "an entity", &keys::ENTITY) else {
            self.broken("entities", key.value);
            return None;
        };
        // One whose name is wrong is still read, for what else is.
        let name_is_right = name.is_some();
        let name = name.unwrap_or_else(|| At { spot: key.spot, value: key.value.to_owned() });
        let plural = keys.get("plural").and_then(|node| self.text(node, "`plural`"));
        let plural = match plural {
            Some(plural) => {
                self.plural(&plural);
                plural
            }
            None => At { spot: name.spot, value: format!("{}s", name.value) },
        };
        let fields = match keys.get("fields") {
            Some(node) => self.fields(node, &name.value),
            None => {
                self.mistake(name.spot, format!("entity `{}` has no fields", name.value), "add `fields: {title: string}`");
                Vec::new()
            }
        };
        let id = match keys.get("id") {
            // After a mistake any id will do.
            Some(node) => At { spot: node.spot, value: self.id(node).unwrap_or(RawId::String) },
            None => At { spot: name.spot, value: RawId::Uuid },
        };
        let entity = RawEntity {
            description: keys.get("description").and_then(|node| self.text(node, "`description`")).map(|text| text.value),
            indexes: keys.get("indexes").map(|node| self.indexes(node)).unwrap_or_default(),
            cache: keys.get("cache").and_then(|node| self.cache(node)).unwrap_or(CacheMode::Strict),
            public: keys.get("public").and_then(|node| self.public(node)),
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
            was: keys.get("was").and_then(|node| self.was(node, "an entity")),
            timestamps: self.flag(keys.get("timestamps"), "`timestamps`", true),
            name,
            plural,
            id,
            fields,
        };
        if !name_is_right {
            self.broken("entities", key.value);
        }
        name_is_right.then_some(entity)
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
        let keys = self.keys(body, "an index", &keys::INDEX)?;
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

    /// Whole seconds, because `max-age` has nothing shorter.
    fn public(&mut self, node: &Node) -> Option<Duration> {
        let value = self.duration(node, "`public`")?;
        if value.subsec_nanos() != 0 || value > MAX_PUBLIC {
            self.mistake(node.spot, "`public` must be whole seconds, at most a day", "for example `public: 60s`");
            return None;
        }
        Some(value)
    }

    fn cache(&mut self, node: &Node) -> Option<CacheMode> {
        if matches!(node.data, Data::Mapping(_)) {
            let keys = self.keys(node, "`cache`", &keys::CACHE)?;
            let Some(bounded) = keys.get("bounded") else {
                self.mistake(node.spot, "`cache` says nothing", "write `{bounded: 30s}`, `strict` or `off`");
                return None;
            };
            return self.duration(bounded, "`bounded`").map(CacheMode::Bounded);
        }
        self.word(node, "cache mode (or `{bounded: 30s}`)", &[("off", CacheMode::Off), ("strict", CacheMode::Strict)])
    }
}

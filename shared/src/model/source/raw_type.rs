//! Raw form of a type: its name and limits; the target of a ref is still a name.

use std::time::Duration;

use rust_decimal::Decimal;

use super::json::to_json;
use super::mistake::At;
use super::reader::{Keys, Reader};
use super::tree::{Data, Node};
use crate::core::id::MAX_SAFE_INTEGER;
use crate::model::schema::{FORMATS, FieldType, FileLimits, OnDelete, TextLimits, anchored, compile};
use crate::model::suggest::{list, nearest, synonym};

/// A type whose target is still a name.
pub(in crate::model) enum RawKind {
    Plain(FieldType),
    Ref { target: At<String>, on_delete: OnDelete, inverse: Option<At<String>> },
}

/// Types of scalars by name and the keys that each takes beyond the common ones; [`FORMATS`] have none.
const SCALARS: [(&str, &[&str]); 9] = [
    ("string", &["min", "max", "pattern"]),
    ("text", &["min", "max", "pattern"]),
    ("integer", &["min", "max"]),
    ("decimal", &["scale", "min", "max"]),
    ("number", &["min", "max"]),
    ("boolean", &[]),
    ("date", &[]),
    ("timestamp", &[]),
    ("enum", &[]),
];

/// The other types, alike.
const OTHERS: [(&str, &[&str]); 4] = [
    ("json", &["schema"]),
    ("ref", &["on_delete", "inverse"]),
    ("file", &["max_size", "content_types", "inline", "link_expiry", "share_expiry"]),
    ("list", &["max_items"]),
];

/// All types by name, with the keys that each takes beyond the common ones.
pub(in crate::model) fn types() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    SCALARS.into_iter().chain(FORMATS.iter().map(|format| (format.name, [].as_slice()))).chain(OTHERS)
}

fn type_names() -> Vec<&'static str> {
    types().map(|(name, _)| name).collect()
}

/// Types of other formats, and what they are called here.
const TYPE_SYNONYMS: [(&str, &[&str]); 12] = [
    ("string", &["str", "varchar", "char"]),
    ("text", &["longtext", "markdown"]),
    ("integer", &["int", "bigint", "long", "smallint"]),
    ("decimal", &["money", "numeric", "currency"]),
    ("number", &["float", "double", "real"]),
    ("boolean", &["bool"]),
    ("timestamp", &["datetime", "date_time", "time", "timestamptz"]),
    ("url", &["uri", "link"]),
    ("uuid", &["guid"]),
    ("json", &["object", "map", "dict", "any"]),
    ("ref", &["reference", "relation", "foreign_key"]),
    ("list", &["array", "set"]),
];

fn type_synonym(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    TYPE_SYNONYMS.iter().find(|(_, words)| words.contains(&lower.as_str())).map(|(right, _)| *right)
}

const GIGABYTE: u64 = 1 << 30;

impl Reader<'_> {
    /// A type, and the keys beside it. `None` if nothing could be read; the type is `None` if it is wrong.
    pub(super) fn typed<'n>(&mut self, body: &'n Node, common: &[&str]) -> Option<(Option<RawKind>, Option<Keys<'n>>)> {
        if let Data::Scalar { text, .. } = &body.data {
            if body.is_null() {
                return None;
            }
            let kind = self.type_name(body, text).and_then(|name| self.kind(name, None, body));
            return Some((kind, None));
        }
        let Some(name) = self.type_of(body) else {
            self.keys_of_any_type(body, common);
            return None;
        };
        let own = types().find(|(known, _)| *known == name).map(|(_, keys)| keys).unwrap_or_default();
        let mut known: Vec<&str> = vec!["type"];
        known.extend(own);
        known.extend(common);
        if matches!(name, "ref" | "enum" | "list") {
            known.push(name);
        }
        let keys = self.keys(body, &format!("a field of type {name}"), &known)?;
        let kind = self.kind(name, Some(&keys), body);
        Some((kind, Some(keys)))
    }

    /// Adds a mistake for each key that no type takes, where the type itself is wrong.
    fn keys_of_any_type(&mut self, body: &Node, common: &[&str]) {
        let own = types().flat_map(|(name, keys)| keys.iter().copied().chain([name]));
        let known: Vec<&str> = ["type"].into_iter().chain(own).chain(common.iter().copied()).collect();
        for (key, _) in self.named(body, "a field") {
            if !known.contains(&key.value) {
                let right = synonym(key.value, &known).map(|right| format!("here it is `{right}`"));
                self.mistake(
                    key.spot,
                    format!("unknown key `{}`", key.value),
                    right.unwrap_or_else(|| "no type takes it".to_owned()),
                );
            }
        }
    }

    /// `type: decimal`, or one of the short forms `ref: customer`, `enum: [a, b]`, `list: string`.
    fn type_of(&mut self, body: &Node) -> Option<&'static str> {
        let Data::Mapping(entries) = &body.data else {
            self.mistake(body.spot, "a field must be a type or a mapping", "write `title: string` or `title: {type: string}`");
            return None;
        };
        let find = |wanted: &str| {
            entries
                .iter()
                .find(|(key, _)| matches!(&key.data, Data::Scalar { text, .. } if text == wanted))
                .map(|(_, value)| value)
        };
        if let Some(node) = find("type") {
            let Data::Scalar { text, .. } = &node.data else {
                self.mistake(node.spot, "`type` must be a word", list(type_names()));
                return None;
            };
            return self.type_name(node, text);
        }
        if let Some(name) = ["ref", "enum", "list"].into_iter().find(|name| find(name).is_some()) {
            return Some(name);
        }
        let help = format!("add `type: ...`, one of {}", list(type_names()));
        self.mistake(body.spot, "the field has no type", help);
        None
    }

    fn type_name(&mut self, node: &Node, text: &str) -> Option<&'static str> {
        let found = types().map(|(name, _)| name).find(|name| *name == text);
        if found.is_none() {
            let help = type_synonym(text).map_or_else(|| nearest(text, type_names()), |right| format!("here it is `{right}`"));
            self.mistake(node.spot, format!("unknown type `{text}`"), help);
        }
        found
    }

    fn kind(&mut self, name: &str, keys: Option<&Keys<'_>>, body: &Node) -> Option<RawKind> {
        let get = |key: &str| keys.and_then(|keys| keys.get(key));
        let plain = match name {
            "string" => FieldType::String(self.text_limits(keys)),
            "text" => FieldType::Text(self.text_limits(keys)),
            "integer" => {
                let (least, most) = (-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER);
                let min = get("min").and_then(|node| self.integer(node, "`min`", least, most)).unwrap_or(least);
                let max = get("max").and_then(|node| self.integer(node, "`max`", least, most)).unwrap_or(most);
                self.in_order(keys, min <= max);
                FieldType::Integer { min, max }
            }
            "decimal" => {
                let scale = get("scale").and_then(|node| self.integer(node, "`scale`", 0, 20)).unwrap_or(2);
                let min = get("min").and_then(|node| self.decimal(node, "`min`"));
                let max = get("max").and_then(|node| self.decimal(node, "`max`"));
                self.in_order(keys, min.zip(max).is_none_or(|(min, max)| min <= max));
                FieldType::Decimal { scale: u32::try_from(scale).unwrap_or(2), min, max }
            }
            "number" => {
                let min = get("min").and_then(|node| self.number(node, "`min`"));
                let max = get("max").and_then(|node| self.number(node, "`max`"));
                self.in_order(keys, min.zip(max).is_none_or(|(min, max)| min <= max));
                FieldType::Number { min, max }
            }
            "boolean" => FieldType::Boolean,
            "date" => FieldType::Date,
            "timestamp" => FieldType::Timestamp,
            "enum" => FieldType::Enum(self.enum_words(get("enum"), body)?),
            "json" => FieldType::Json { schema: get("schema").and_then(|node| self.json_schema(node)) },
            "file" => FieldType::File(self.file_limits(keys)),
            "list" => self.list_of(keys, body)?,
            _ => match FORMATS.into_iter().find(|format| format.name == name) {
                Some(format) => FieldType::Formatted(format),
                None => return self.reference(keys, body),
            },
        };
        Some(RawKind::Plain(plain))
    }

    fn in_order(&mut self, keys: Option<&Keys<'_>>, fine: bool) {
        if let (false, Some(keys)) = (fine, keys) {
            self.mistake(keys.spot("min"), "`min` is greater than `max`", "nothing could be valid");
        }
    }

    fn text_limits(&mut self, keys: Option<&Keys<'_>>) -> TextLimits {
        let Some(keys) = keys else { return TextLimits::default() };
        let mut length = |key: &str| {
            let number = self.integer(keys.get(key)?, &format!("`{key}` (code points)"), 0, 1_000_000)?;
            usize::try_from(number).ok()
        };
        let (min, max) = (length("min"), length("max"));
        self.in_order(Some(keys), min.zip(max).is_none_or(|(min, max)| min <= max));
        TextLimits { min, max, pattern: keys.get("pattern").and_then(|node| self.pattern(node)) }
    }

    fn pattern(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node, "`pattern`")?;
        match regex::Regex::new(&anchored(&text.value)) {
            Ok(_) => Some(text.value),
            Err(error) => {
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.mistake(
                    text.spot,
                    format!("`{}` is no regular expression: {reason}", text.value),
                    "it must match the whole value",
                );
                None
            }
        }
    }

    fn decimal(&mut self, node: &Node, label: &str) -> Option<Decimal> {
        let parsed = match &node.data {
            Data::Scalar { text, .. } => Decimal::from_str_exact(text).ok(),
            _ => None,
        };
        if parsed.is_none() {
            self.mistake(node.spot, format!("{label} must be a decimal"), "for example `0.01`");
        }
        parsed
    }

    fn number(&mut self, node: &Node, label: &str) -> Option<f64> {
        let parsed = match &node.data {
            Data::Scalar { text, plain: true } => text.parse::<f64>().ok().filter(|number| number.is_finite()),
            _ => None,
        };
        if parsed.is_none() {
            self.mistake(node.spot, format!("{label} must be a number"), "");
        }
        parsed
    }

    fn enum_words(&mut self, node: Option<&Node>, body: &Node) -> Option<Vec<String>> {
        let Some(node) = node else {
            self.mistake(body.spot, "an enum needs its words", "write `enum: [open, paid]`");
            return None;
        };
        let words = self.texts(node, "a word of the enum");
        for (at, word) in words.iter().enumerate() {
            if words[..at].iter().any(|other| other.value == word.value) {
                self.mistake(word.spot, format!("`{}` is there twice", word.value), "");
            } else if word.value.is_empty() || word.value.len() > 128 {
                self.mistake(word.spot, "a word of an enum has 1 to 128 characters", "");
            }
        }
        if words.is_empty() {
            self.mistake(node.spot, "an enum needs at least one word", "write `enum: [open, paid]`");
            return None;
        }
        Some(words.into_iter().map(|word| word.value).collect())
    }

    fn json_schema(&mut self, node: &Node) -> Option<serde_json::Value> {
        let schema = to_json(node);
        if let Err(error) = compile(&schema) {
            self.mistake(
                node.spot,
                format!("not a JSON Schema (2020-12): {error}"),
                "`$ref` may point into the schema itself only",
            );
            return None;
        }
        Some(schema)
    }

    fn file_limits(&mut self, keys: Option<&Keys<'_>>) -> FileLimits {
        let mut limits = FileLimits {
            max_size: 10 << 20,
            content_types: Vec::new(),
            inline: Vec::new(),
            link_expiry: Duration::from_secs(300),
            share_expiry: None,
        };
        let Some(keys) = keys else { return limits };
        if let Some(size) = keys.get("max_size").and_then(|node| self.bytes(node, "`max_size`", 5 * GIGABYTE)) {
            limits.max_size = size;
        }
        if let Some(age) = keys.get("link_expiry").and_then(|node| self.duration(node, "`link_expiry`")) {
            // Longer than the credentials of a function live, a signature would promise what it cannot keep.
            if age > Duration::from_secs(3600) {
                self.mistake(keys.spot("link_expiry"), "a link lives at most one hour", "write `link_expiry: 1h` or less");
            }
            limits.link_expiry = age;
        }
        limits.share_expiry = keys.get("share_expiry").and_then(|node| self.duration(node, "`share_expiry`"));
        limits.content_types = self.media_types(keys.get("content_types"));
        limits.inline = self.media_types(keys.get("inline"));
        limits
    }

    fn media_types(&mut self, node: Option<&Node>) -> Vec<String> {
        let Some(node) = node else { return Vec::new() };
        let types = self.texts(node, "a media type");
        for media in &types {
            let valid = media.value.split_once('/').is_some_and(|(kind, sub)| {
                let token =
                    |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
                token(kind) && (sub == "*" || token(sub))
            });
            if !valid {
                self.mistake(media.spot, format!("`{}` is no media type", media.value), "for example `image/png` or `image/*`");
            }
        }
        types.into_iter().map(|media| media.value.to_ascii_lowercase()).collect()
    }

    fn list_of(&mut self, keys: Option<&Keys<'_>>, body: &Node) -> Option<FieldType> {
        let item = keys.and_then(|keys| keys.get("list"));
        let Some(item) = item else {
            self.mistake(body.spot, "a list needs the type of its elements", "write `list: string`");
            return None;
        };
        let (kind, _) = self.typed(item, &[])?;
        let kind = match kind? {
            RawKind::Plain(kind) if !matches!(kind, FieldType::Json { .. } | FieldType::File(_) | FieldType::List { .. }) => kind,
            _ => {
                self.mistake(item.spot, "a list holds scalars only", "a type other than list, json, ref and file");
                return None;
            }
        };
        let max_items = keys
            .and_then(|keys| keys.get("max_items"))
            .and_then(|node| self.integer(node, "`max_items`", 1, 1000))
            .unwrap_or(100);
        Some(FieldType::List { item: Box::new(kind), max_items: usize::try_from(max_items).unwrap_or(100) })
    }

    fn reference(&mut self, keys: Option<&Keys<'_>>, body: &Node) -> Option<RawKind> {
        const ON_DELETE: [(&str, OnDelete); 3] =
            [("restrict", OnDelete::Restrict), ("cascade", OnDelete::Cascade), ("set_null", OnDelete::SetNull)];
        let target = keys.and_then(|keys| keys.get("ref"));
        let (Some(keys), Some(target)) = (keys, target) else {
            self.mistake(body.spot, "a ref needs the entity that it refers to", "write `customer: {ref: customer}`");
            return None;
        };
        let target = self.text(target, "the entity referred to")?;
        let on_delete = keys.get("on_delete").and_then(|node| self.word(node, "rule for `on_delete`", &ON_DELETE));
        let inverse = keys.get("inverse").and_then(|node| self.text(node, "`inverse`"));
        let inverse = inverse.and_then(|text| self.name(text.spot, "a relation", &text.value));
        Some(RawKind::Ref { target, on_delete: on_delete.unwrap_or(OnDelete::Restrict), inverse })
    }
}

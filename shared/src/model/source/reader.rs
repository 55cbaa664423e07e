//! Reading of nodes. Every method notes mistakes and goes on, so that all mistakes of a file are reported at once.

use std::collections::{HashMap, HashSet};

use super::mistake::{At, Mistake, Spot};
use super::tree::{Data, Node};
use crate::model::suggest::{list, nearest, synonym};

/// Reads nodes and collects mistakes.
pub(in crate::model) struct Reader<'f> {
    file: &'f str,
    mistakes: Vec<Mistake>,
    /// Sections with names in them that could not be read; `*` stands for all names of a section.
    broken: HashSet<(String, String)>,
}

/// A mapping with fixed keys.
pub(in crate::model) struct Keys<'n> {
    pub spot: Spot,
    entries: Vec<(&'n str, Spot, &'n Node)>,
}

impl<'n> Keys<'n> {
    /// The value of a key; `null` is treated as absent.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(name, ..)| *name == key).map(|(.., node)| *node).filter(|node| !node.is_null())
    }

    /// Place of a key; of the whole mapping if the key is absent.
    pub fn spot(&self, key: &str) -> Spot {
        self.entries.iter().find(|(name, ..)| *name == key).map_or(self.spot, |(_, spot, _)| *spot)
    }
}

impl<'f> Reader<'f> {
    /// `file` is named in the mistakes.
    pub fn new(file: &'f str) -> Self {
        Self { file, mistakes: Vec::new(), broken: HashSet::new() }
    }

    /// All mistakes in the order of the file, each once.
    pub fn finish(mut self) -> Vec<Mistake> {
        self.mistakes.sort_by(|a, b| (a.line, a.column, &a.message).cmp(&(b.line, b.column, &b.message)));
        self.mistakes.dedup();
        self.mistakes
    }

    /// Whether there is a mistake so far.
    pub fn failed(&self) -> bool {
        !self.mistakes.is_empty()
    }

    /// Adds mistakes that were found elsewhere.
    pub fn adopt(&mut self, mistakes: Vec<Mistake>) {
        self.mistakes.extend(mistakes);
    }

    /// Notes that something cannot be read, so that nobody calls it unknown who refers to it. `section` is `entities`, `roles`, ... or
    /// [`fields_of`] an entity.
    pub fn broken(&mut self, section: impl Into<String>, name: impl Into<String>) {
        self.broken.insert((section.into(), name.into()));
    }

    /// Whether something of this name stands there and cannot be read.
    pub fn is_broken(&self, section: &str, name: &str) -> bool {
        [name, "*"].into_iter().any(|name| self.broken.contains(&(section.to_owned(), name.to_owned())))
    }

    /// Whether anything of a section cannot be read.
    pub fn has_broken(&self, section: &str) -> bool {
        self.broken.iter().any(|(broken, _)| broken == section)
    }

    /// Adds a mistake.
    pub fn mistake(&mut self, spot: Spot, message: impl Into<String>, help: impl Into<String>) {
        self.mistakes.push(Mistake {
            file: self.file.to_owned(),
            line: spot.line,
            column: spot.column,
            message: message.into(),
            help: help.into(),
        });
    }

    /// A mapping with the known keys only; `label` names it in messages (`a field`).
    pub fn keys<'n>(&mut self, node: &'n Node, label: &str, known: &[&str]) -> Option<Keys<'n>> {
        let Data::Mapping(_) = &node.data else {
            self.mistake(
                node.spot,
                format!("{label} must be a mapping"),
                format!("its keys are {}", list(known.iter().copied())),
            );
            return None;
        };
        let mut entries = Vec::new();
        for (key, value) in self.named(node, label) {
            if known.contains(&key.value) {
                entries.push((key.value, key.spot, value));
            } else {
                self.mistake(key.spot, format!("unknown key `{}`", key.value), in_place_of(key.value, known));
            }
        }
        Some(Keys { spot: node.spot, entries })
    }

    /// A mapping whose keys are names that the file chooses, each once.
    pub fn named<'n>(&mut self, node: &'n Node, label: &str) -> Vec<(At<&'n str>, &'n Node)> {
        let Data::Mapping(entries) = &node.data else {
            if !node.is_null() {
                self.mistake(node.spot, format!("{label} must be a mapping"), "write `name: ...` lines");
            }
            return Vec::new();
        };
        let mut read: Vec<(At<&str>, &Node)> = Vec::new();
        for (key, value) in entries {
            let Data::Scalar { text, .. } = &key.data else {
                self.mistake(key.spot, "a key must be a word", "");
                continue;
            };
            if !read.iter().any(|(other, _)| other.value == text) {
                read.push((At { spot: key.spot, value: text }, value));
            }
        }
        read
    }

    /// Adds a mistake for every repeated key of the whole tree.
    pub fn duplicates(&mut self, node: &Node) {
        match &node.data {
            Data::Scalar { .. } => {}
            Data::Sequence(items) => items.iter().for_each(|item| self.duplicates(item)),
            Data::Mapping(entries) => {
                let mut seen: HashMap<&str, usize> = HashMap::new();
                for (key, value) in entries {
                    if let Data::Scalar { text, .. } = &key.data {
                        match seen.get(text.as_str()) {
                            Some(line) => self.mistake(
                                key.spot,
                                format!("key `{text}` is there twice"),
                                format!("it stands in line {line} already"),
                            ),
                            None => _ = seen.insert(text, key.spot.line),
                        }
                    }
                    self.duplicates(value);
                }
            }
        }
    }

    /// A sequence, or one value in its place.
    pub fn items<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        match &node.data {
            Data::Sequence(items) => items,
            _ if node.is_null() => &[],
            _ => std::slice::from_ref(node),
        }
    }

    /// A text. A number or a boolean without quotes is refused, because YAML reads it as something else.
    pub fn text(&mut self, node: &Node, label: &str) -> Option<At<String>> {
        match &node.data {
            Data::Scalar { text, plain } if !(node.is_null() || *plain && is_other_than_text(text)) => {
                Some(At { spot: node.spot, value: text.clone() })
            }
            Data::Scalar { text, .. } if !node.is_null() => {
                self.mistake(node.spot, format!("{label} must be a text"), format!("put it in quotes: \"{text}\""));
                None
            }
            _ => {
                self.mistake(node.spot, format!("{label} must be a text"), "");
                None
            }
        }
    }

    /// A list of texts; a single text is a list of one.
    pub fn texts(&mut self, node: &Node, label: &str) -> Vec<At<String>> {
        self.items(node).iter().filter_map(|item| self.text(item, label)).collect()
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, node: &Node, label: &str) -> Option<bool> {
        match &node.data {
            Data::Scalar { text, plain: true } if text == "true" => Some(true),
            Data::Scalar { text, plain: true } if text == "false" => Some(false),
            _ => {
                self.mistake(node.spot, format!("{label} must be true or false"), truth(node));
                None
            }
        }
    }

    /// `true` or `false`; `otherwise` is the default.
    pub fn flag(&mut self, node: Option<&Node>, label: &str, otherwise: bool) -> bool {
        node.and_then(|node| self.boolean(node, label)).unwrap_or(otherwise)
    }

    /// A name that the file gives to something; `label` says to what (`a field`).
    pub fn name(&mut self, spot: Spot, label: &str, name: &str) -> Option<At<String>> {
        if is_name(name, 63) {
            return Some(At { spot, value: name.to_owned() });
        }
        let help = "a name begins with a lower case letter and goes on with lower case letters, digits and `_`, at most 63";
        self.mistake(spot, format!("`{name}` cannot name {label}"), help);
        None
    }

    /// The name that something had before; `what` says what (`a field`).
    pub fn was(&mut self, node: &Node, what: &str) -> Option<At<String>> {
        let text = self.text(node, "`was`")?;
        self.name(text.spot, what, &text.value)
    }

    /// A whole number within limits.
    pub fn integer(&mut self, node: &Node, label: &str, min: i64, max: i64) -> Option<i64> {
        let number = match &node.data {
            Data::Scalar { text, plain: true } => text.replace('_', "").parse::<i64>().ok(),
            _ => None,
        };
        match number {
            Some(number) if (min..=max).contains(&number) => Some(number),
            _ => {
                self.mistake(node.spot, format!("{label} must be a whole number from {min} to {max}"), "");
                None
            }
        }
    }

    /// The value of one of the known words.
    pub fn word<T: Copy>(&mut self, node: &Node, label: &str, known: &[(&str, T)]) -> Option<T> {
        let text = match &node.data {
            Data::Scalar { text, .. } => text.as_str(),
            _ => "",
        };
        let found = known.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            self.mistake(node.spot, format!("`{text}` is no {label}"), nearest(text, known.iter().map(|(name, _)| *name)));
        }
        found
    }
}

/// Section of the fields of an entity, for [`Reader::broken`].
pub(in crate::model) fn fields_of(entity: &str) -> String {
    format!("entities.{entity}")
}

/// What is right in place of an unknown key.
fn in_place_of(key: &str, known: &[&str]) -> String {
    if key == "<<" {
        return "YAML 1.2 has no merge keys: repeat the members, or use an alias as a whole value".to_owned();
    }
    synonym(key, known).map_or_else(|| nearest(key, known.iter().copied()), |right| format!("here it is `{right}`"))
}

/// What is right in place of something that is no boolean.
fn truth(node: &Node) -> String {
    let Data::Scalar { text, plain } = &node.data else { return String::new() };
    match text.to_ascii_lowercase().as_str() {
        word @ ("true" | "false") if !plain => format!("without quotes: `{word}`"),
        "yes" | "on" | "y" | "true" | "1" => format!("write `true`: YAML 1.2 reads `{text}` as something else"),
        "no" | "off" | "n" | "false" | "0" => format!("write `false`: YAML 1.2 reads `{text}` as something else"),
        _ => String::new(),
    }
}

/// `[a-z][a-z0-9_]*`, at most `max` characters: what keys of the table, query strings and JSON pointers all take unescaped.
pub(in crate::model) fn is_name(name: &str, max: usize) -> bool {
    name.len() <= max
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether an unquoted scalar is a number, a boolean or null in YAML 1.2.
pub(in crate::model) fn is_other_than_text(text: &str) -> bool {
    matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE" | "null" | "Null" | "NULL" | "~" | "")
        || text.parse::<i64>().is_ok()
        || is_float(text)
}

fn is_float(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit()) && text.parse::<f64>().is_ok()
}

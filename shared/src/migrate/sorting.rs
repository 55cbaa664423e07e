//! What of a page of the table belongs to what is dropped.

use serde_json::Value;

use crate::model::value::Record;
use crate::model::{Entity, FieldType, Model};
use crate::store::constraints::{Leftover, LeftoverKind};
use crate::store::items;
use crate::store::keys;
use crate::store::object;
use crate::store::table::{Item, Key};

/// The items of a page that a removal touches.
#[derive(Debug, Default)]
pub(super) struct Sorted<'m> {
    /// Those that go as they are.
    pub(super) plain: Vec<Item>,
    /// Rows that go unless a record needs them: of a rule that the model has in another form.
    pub(super) suspects: Vec<Item>,
    /// Records that go, with files.
    pub(super) records: Vec<Item>,
    /// Records that lose values.
    pub(super) rewritten: Vec<(&'m Entity, Vec<Record>)>,
}

/// What becomes of an item.
enum Fate {
    Stays,
    Goes,
    Suspect,
}

pub(super) struct Sorting<'a, 'm> {
    model: &'m Model,
    left: &'a [Leftover],
}

impl<'a, 'm> Sorting<'a, 'm> {
    pub(super) fn new(model: &'m Model, left: &'a [Leftover]) -> Self {
        Self { model, left }
    }

    pub(super) fn sort(&self, page: Vec<Item>) -> Sorted<'m> {
        let mut sorted = Sorted { rewritten: self.rewritten(&page), ..Sorted::default() };
        for item in page {
            match self.fate(&item) {
                Fate::Stays => {}
                Fate::Suspect => sorted.suspects.push(item),
                Fate::Goes if has_files(&item) => sorted.records.push(item),
                Fate::Goes => sorted.plain.push(item),
            }
        }
        sorted
    }

    fn rewritten(&self, page: &[Item]) -> Vec<(&'m Entity, Vec<Record>)> {
        let mut found = Vec::new();
        for entity in &self.model.entities {
            let gone: Vec<&str> =
                self.of(LeftoverKind::Values).filter(|one| one.entity() == entity.name).map(Leftover::name).collect();
            let prefix = format!("r#{}#", entity.name);
            let has_one = |record: &Record| {
                gone.iter().any(|name| record.fields.contains_key(*name) || record.fields.contains_key(&object::member(name)))
            };
            let of_entity = page.iter().filter(|item| !gone.is_empty() && item.key.pk.starts_with(&prefix));
            let records: Vec<Record> = of_entity.filter_map(items::decode).filter(has_one).collect();
            if !records.is_empty() {
                found.push((entity, records));
            }
        }
        found
    }

    fn of(&self, kind: LeftoverKind) -> impl Iterator<Item = &'a Leftover> {
        self.left.iter().filter(move |one| one.kind() == kind)
    }

    fn fate(&self, item: &Item) -> Fate {
        let key = &item.key;
        let is_of_entity = |one: &Leftover| is_of_entity(item, one.entity());
        let is_of_values = |one: &Leftover| is_of_field(item, one.entity(), one.name());
        let is_of_index = |one: &Leftover| is_of_index(key, one.entity(), one.name());
        let goes = self.of(LeftoverKind::Entity).any(is_of_entity)
            || self.of(LeftoverKind::Values).any(is_of_values)
            || self.of(LeftoverKind::Index).any(is_of_index);
        if goes {
            return Fate::Goes;
        }
        let unique = self.of(LeftoverKind::Unique).find(|one| key.pk.starts_with(&format!("u#{}#{}#", one.entity(), one.name())));
        if let Some(one) = unique {
            let is_unique =
                self.model.by_name(one.entity()).and_then(|entity| entity.by_field(one.name())).is_some_and(|field| field.unique);
            return if is_unique { Fate::Suspect } else { Fate::Goes };
        }
        let refers = |one: &&Leftover| key.sk.starts_with(format!("{}#{}#", one.entity(), one.name()).as_bytes());
        match self.of(LeftoverKind::Reference).find(refers).filter(|_| key.pk.starts_with("f#")) {
            Some(one) if self.target(one) == key.pk.split('#').nth(1) => Fate::Suspect,
            Some(_) => Fate::Goes,
            None => Fate::Stays,
        }
    }

    /// The entity that a field refers to now.
    fn target(&self, one: &Leftover) -> Option<&'m str> {
        match self.model.by_name(one.entity())?.by_field(one.name())?.kind {
            FieldType::Ref { target, .. } => Some(&self.model.entity(target).name),
            _ => None,
        }
    }
}

/// Whether an item is a record, or belongs to one, of an entity.
fn is_of_entity(item: &Item, entity: &str) -> bool {
    let key = &item.key;
    let mut parts = key.pk.split('#');
    let (kind, name) = (parts.next().unwrap_or_default(), parts.next());
    let refers = || key.sk.starts_with(format!("{entity}#").as_bytes());
    match kind {
        "r" | "i" | "u" | "g" | "w" | "hf" => name == Some(entity),
        "f" => name == Some(entity) || refers(),
        // Of the entity, or of a partition of one of its indexes.
        "t" => matches!(name, Some("e" | "i")) && parts.next() == Some(entity),
        "h" => share_of(item).is_some_and(|(of, _)| of == entity),
        keys::TOMBSTONES => refers(),
        _ => false,
    }
}

/// Whether an item is an upload or a share of a field.
fn is_of_field(item: &Item, entity: &str, field: &str) -> bool {
    let parts: Vec<&str> = item.key.pk.split('#').collect();
    match parts[..] {
        ["w" | "hf", of, _, name] => (of, name) == (entity, field),
        ["h", _] => share_of(item).is_some_and(|(of, name)| of == entity && name == field),
        _ => false,
    }
}

/// Whether an item is a row or tag of an index.
fn is_of_index(key: &Key, entity: &str, index: &str) -> bool {
    let row = key.pk.strip_prefix("t#").unwrap_or(&key.pk);
    let rest = row.strip_prefix("i#").and_then(|rest| rest.strip_prefix(entity)).and_then(|rest| rest.strip_prefix('#'));
    rest.and_then(|rest| rest.strip_prefix(index)).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
}

/// Entity and field of a share.
fn share_of(item: &Item) -> Option<(String, String)> {
    let terms: Value = serde_json::from_str(item.s(keys::DOCUMENT)?).ok()?;
    Some((terms["entity"].as_str()?.to_owned(), terms["field"].as_str()?.to_owned()))
}

fn has_files(item: &Item) -> bool {
    item.key.pk.starts_with("r#")
        && items::decode(item).is_some_and(|record| !object::released(Some(&record.fields), None).is_empty())
}

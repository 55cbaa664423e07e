//! Reference rows: who refers to a record, as rows under that record.
//!
//! A row is put by the transaction in which a reference comes and deleted by the one in which it goes; no other change touches it. It
//! names its `on_delete`, so that a version of the model which does not know the field refuses to delete the record.

use serde_json::Value;

use super::keys;
use super::table::{Attr, Item, Key, RangeQuery, Table, TableError, TableName};
use crate::core::id::is_id;
use crate::model::value::Record;
use crate::model::{Entity, Field, OnDelete};

const ON_DELETE: &str = "o";

/// One reference to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The row.
    pub key: Key,
    /// Name of the entity that refers.
    pub entity: String,
    /// Name of the field that refers.
    pub field: String,
    /// Id of the record that refers.
    pub id: String,
    /// What the record's deletion means for it; `None` for a word of another version.
    pub on_delete: Option<OnDelete>,
}

/// The id that a ref field's value names; `None` for null, and for what is no id: a field may have held other values before it became
/// a ref, and those refer to nothing.
pub(crate) fn referred(value: Option<&Value>) -> Option<String> {
    let id = match value? {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        _ => return None,
    };
    is_id(&id).then_some(id)
}

/// The row of a reference to the record `parent_id`.
pub fn row(parent: &Entity, parent_id: &str, child: &Entity, field: &Field, on_delete: OnDelete, child_id: &str) -> Item {
    let key = keys::reference(parent, parent_id, &child.name, &field.name, child_id);
    Item::new(key).with(ON_DELETE, Attr::S(on_delete.name().to_owned()))
}

impl Reference {
    /// Reads a row; `None` for what is none.
    pub fn read(row: &Item) -> Option<Self> {
        let text = std::str::from_utf8(&row.key.sk).ok()?;
        let mut parts = text.splitn(3, '#').map(str::to_owned);
        Some(Self {
            key: row.key.clone(),
            entity: parts.next()?,
            field: parts.next()?,
            id: parts.next()?,
            on_delete: row.s(ON_DELETE).and_then(OnDelete::parse),
        })
    }
}

impl Reference {
    /// Where the record stands that refers.
    pub fn record(&self) -> Key {
        keys::record_of(&self.entity, &self.id)
    }

    /// Whether this record, the one that the row names, refers to `parent` by the row's field.
    pub(crate) fn is_of(&self, record: &Record, parent: &str) -> bool {
        referred(record.fields.get(&self.field)).as_deref() == Some(parent)
    }
}

/// Up to `most` references to a record, strongly consistent.
///
/// # Errors
/// Errors of the table.
pub async fn under(table: &dyn Table, parent: &Entity, id: &str, most: usize) -> Result<Vec<Reference>, TableError> {
    let mut query = of(parent, id, Some(most));
    let mut found = Vec::new();
    loop {
        let page = table.query(query.clone()).await?;
        found.extend(page.items.iter().filter_map(Reference::read));
        match page.next {
            Some(next) if found.len() < most => query.after = Some(next),
            _ => break,
        }
    }
    found.truncate(most);
    Ok(found)
}

/// One reference of each field that refers to a record, however many there are.
///
/// # Errors
/// Errors of the table.
pub async fn kinds(table: &dyn Table, parent: &Entity, id: &str) -> Result<Vec<Reference>, TableError> {
    let mut query = of(parent, id, Some(1));
    let mut found = Vec::new();
    loop {
        let page = table.query(query.clone()).await?;
        let Some(row) = page.items.first() else { return Ok(found) };
        let reference = Reference::read(row);
        query.after = Some(match &reference {
            // Behind all of this field: no id holds a byte like that.
            Some(reference) => [format!("{}#{}#", reference.entity, reference.field).as_bytes(), &[0xff]].concat(),
            None => row.key.sk.clone(),
        });
        found.extend(reference);
    }
}

fn of(parent: &Entity, id: &str, limit: Option<usize>) -> RangeQuery {
    RangeQuery {
        table: TableName::Data,
        pk: keys::references(parent, id),
        from: None,
        to: None,
        after: None,
        descending: false,
        limit,
        consistent: true,
        count_only: false,
    }
}

//! Guards: items beside a record that count who refers to it, so that a reference and the deletion of its target meet in one
//! item and one of them fails.
//!
//! A guard holds `n`, the references counted there, and `r`, those of them whose `on_delete` is `restrict`. A child counts at
//! shard hash(child id) mod K. `closed` is set by a cascade that needs several transactions: nobody can refer any more.

use serde_json::Value;

use super::WriteError;
use crate::model::{EntityIx, FieldIx};
use crate::store::table::{Attr, Expr, Item, Key, Write};

/// Attribute of a guard: references counted here.
pub const COUNT: &str = "n";
/// Attribute of a guard: references counted here that forbid a deletion.
pub const RESTRICTING: &str = "r";
/// Attribute of a guard: there are to be no new references.
pub const CLOSED: &str = "closed";

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Refused {
    /// For good.
    Error(WriteError),
    /// Records that are to go or change with it refer to the record that this mutation deletes.
    HasChildren { mutation: usize },
}

impl Refused {
    /// The delete for which a look at its children may help, because they are to go along or must (`forced`); else the error.
    pub(super) fn of_children(self, forced: bool) -> Result<usize, WriteError> {
        match self {
            Self::HasChildren { mutation } => Ok(mutation),
            Self::Error(WriteError::Restricted { mutation, .. }) if forced => Ok(mutation),
            Self::Error(error) => Err(error),
        }
    }
}

impl From<WriteError> for Refused {
    fn from(error: WriteError) -> Self {
        Self::Error(error)
    }
}

/// What a transaction does to one guard.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Guard {
    /// Of which entity the guarded record is.
    pub(super) entity: EntityIx,
    /// The mutation that creates the record.
    pub(super) create: Option<usize>,
    /// The mutation that deletes the record.
    pub(super) remove: Option<usize>,
    /// The mutation that closes it.
    pub(super) close: Option<usize>,
    /// Whether it closes even though references restrict.
    pub(super) forced: bool,
    /// References that come: which mutation, by which field.
    pub(super) gains: Vec<(usize, FieldIx)>,
    /// Change of `n` and of `r`.
    pub(super) count: i64,
    pub(super) restricting: i64,
    /// Whether references go.
    pub(super) loses: bool,
}

impl Guard {
    pub(super) fn new(entity: EntityIx) -> Self {
        Self {
            entity,
            create: None,
            remove: None,
            close: None,
            forced: false,
            gains: Vec::new(),
            count: 0,
            restricting: 0,
            loses: false,
        }
    }

    /// One action. Where a guard is missing under a record that has one, the condition fails: `verify --repair` mends that.
    pub(super) fn write(&self, key: &Key) -> Write {
        let key = key.clone();
        if self.create.is_some() {
            let item = Item::new(key).with(COUNT, Attr::N(self.count)).with(RESTRICTING, Attr::N(self.restricting));
            return Write::Put { item, condition: Some(Expr::new("attribute_not_exists(pk)")) };
        }
        if self.remove.is_some() {
            // Records older than the first reference to their entity have no guard, and nobody can have referred to them.
            let text = if self.count == 0 { "attribute_not_exists(pk) OR #n = :n" } else { "#n = :n" };
            let condition = Expr::new(text).name("#n", COUNT).value(":n", Attr::N(-self.count));
            return Write::Delete { key, condition: Some(condition) };
        }
        let changed = Expr::new("")
            .name("#n", COUNT)
            .name("#r", RESTRICTING)
            .value(":n", Attr::N(self.count))
            .value(":r", Attr::N(self.restricting));
        if self.close.is_some() {
            // Restricting references that go in this very transaction do not count.
            let text = "SET #c = :true ADD #n :n, #r :r".to_owned();
            let update = Expr { text, ..changed.name("#c", CLOSED).value(":true", Attr::Bool(true)) };
            let condition = Expr::new("attribute_not_exists(#r) OR #r = :left").value(":left", Attr::N(-self.restricting));
            return Write::Update { key, update, condition: Some(condition).filter(|_| !self.forced) };
        }
        let condition = if self.gains.is_empty() {
            Expr::new("attribute_exists(pk)")
        } else {
            Expr::new("attribute_exists(pk) AND attribute_not_exists(#c)").name("#c", CLOSED)
        };
        if self.count == 0 && self.restricting == 0 {
            return Write::Check { key, condition };
        }
        Write::Update { key, update: Expr { text: "ADD #n :n, #r :r".to_owned(), ..changed }, condition: Some(condition) }
    }
}

/// The id that a ref field's value names; `None` for null.
pub(crate) fn referred(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

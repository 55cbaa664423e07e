//! Where an interrupted run stands: the position of its scan, kept beside the data.

use std::collections::BTreeSet;

use crate::core::clock::Env;
use crate::store::keys;
use crate::store::repeat::repeated;
use crate::store::table::{Attr, Item, Key, Returning, SharedTable, TableError, TableName, Write};

/// What the run is about.
const PLAN: &str = "p";
const COUNT: &str = "n";
const NAMES: &str = "s";
const CURSOR_PK: &str = "pk0";
const CURSOR_SK: &str = "sk0";

/// Where a run was, and what it had found until then.
#[derive(Debug, Default)]
pub(super) struct Resumed {
    pub(super) after: Option<Key>,
    pub(super) count: u64,
    pub(super) names: BTreeSet<String>,
}

/// The place of one kind of run.
pub(super) struct Place<'a> {
    table: &'a SharedTable,
    env: &'a Env,
    name: &'static str,
    plan: String,
}

impl<'a> Place<'a> {
    /// `plan`: what has to be the same for a run to go on where another was.
    pub(super) fn new(table: &'a SharedTable, env: &'a Env, name: &'static str, plan: String) -> Self {
        Self { table, env, name, plan }
    }

    /// Where an interrupted run of the same plan was.
    pub(super) async fn read(&self) -> Result<Resumed, TableError> {
        let key = [(TableName::Data, keys::migration(self.name))];
        let found = repeated(self.env, || self.table.get(&key, true)).await?.into_iter().next().flatten();
        let Some(place) = found.filter(|place| place.s(PLAN) == Some(&self.plan)) else { return Ok(Resumed::default()) };
        let count = place.n(COUNT).and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        let names = place.attrs.get(NAMES).and_then(Attr::as_ss).unwrap_or_default().iter().cloned().collect();
        let after = place.s(CURSOR_PK).zip(place.b(CURSOR_SK)).map(|(pk, sk)| Key::new(pk, sk));
        Ok(Resumed { after, count, names })
    }

    pub(super) async fn keep(&self, next: &Key, count: u64, names: &BTreeSet<String>) -> Result<(), TableError> {
        let mut item = Item::new(keys::migration(self.name))
            .with(PLAN, Attr::S(self.plan.clone()))
            .with(COUNT, Attr::N(i64::try_from(count).unwrap_or(i64::MAX)))
            .with(CURSOR_PK, Attr::S(next.pk.clone()))
            .with(CURSOR_SK, Attr::B(next.sk.clone()));
        if !names.is_empty() {
            item = item.with(NAMES, Attr::Ss(names.iter().cloned().collect()));
        }
        self.write(Write::Put { item, condition: None }).await
    }

    pub(super) async fn remove(&self) -> Result<(), TableError> {
        self.write(Write::Delete { key: keys::migration(self.name), condition: None }).await
    }

    async fn write(&self, write: Write) -> Result<(), TableError> {
        repeated(self.env, || self.table.write(TableName::Data, write.clone(), Returning::Nothing)).await.map(drop)
    }
}

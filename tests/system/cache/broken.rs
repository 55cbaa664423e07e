//! The protocol, broken on purpose, so that the suites can show that they notice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use holdfast::store::double::{Double, FoundItems, Intercept, Keys};
use holdfast::store::table::{Attr, Item, Key, RangePage, RangeQuery, Returning, SharedTable, TableError, TableName, Write};
use holdfast::store::tags;

/// A part of the protocol that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// Tags are read after the data, not before.
    TagsAfterData,
    /// Writers do not say which of their writes may be half visible.
    NoUnsettledSet,
    /// Answers do not depend on this entity.
    LeftOut(&'static str),
}

/// The table as it is, or with a part of the protocol left out by whoever uses it.
pub fn perhaps_broken(table: &SharedTable, breach: Option<Breach>) -> SharedTable {
    let table = Arc::clone(table);
    match breach {
        None => table,
        Some(Breach::TagsAfterData) => Arc::new(Double::<TagsLast>::new(table, Arc::default())),
        Some(Breach::NoUnsettledSet) => Arc::new(Double::new(table, NeverUnsettled)),
        Some(Breach::LeftOut(entity)) => Arc::new(Double::new(table, Deaf { tag: format!("t#e#{entity}") })),
    }
}

fn is_tag((table, key): &(TableName, Key)) -> bool {
    *table == TableName::Data && key.pk.starts_with("t#")
}

/// Reads what was queried last time before the tags, and gives that to the query that follows: as if the tags were last.
#[derive(Default)]
struct TagsLast {
    known: Mutex<Vec<RangeQuery>>,
    ahead: Mutex<HashMap<String, RangePage>>,
}

impl Intercept for TagsLast {
    fn get<'a>(&'a self, table: &'a SharedTable, keys: Keys<'a>, consistent: bool) -> FoundItems<'a> {
        async move {
            if keys.iter().any(is_tag) {
                let known = self.known.lock().unwrap().clone();
                for query in known {
                    let page = table.query(query.clone()).await?;
                    self.ahead.lock().unwrap().insert(format!("{query:?}"), page);
                }
            }
            table.get(keys, consistent).await
        }
        .boxed()
    }

    fn query<'a>(&'a self, table: &'a SharedTable, query: RangeQuery) -> BoxFuture<'a, Result<RangePage, TableError>> {
        async move {
            if let Some(page) = self.ahead.lock().unwrap().remove(&format!("{query:?}")) {
                return Ok(page);
            }
            let mut known = self.known.lock().unwrap().clone();
            if !known.contains(&query) && known.len() < 8 {
                known.push(query.clone());
                *self.known.lock().unwrap() = known;
            }
            table.query(query).await
        }
        .boxed()
    }
}

/// Takes the elements out of announcements at tags.
struct NeverUnsettled;

impl Intercept for NeverUnsettled {
    fn write<'a>(
        &'a self,
        table: &'a SharedTable,
        name: TableName,
        mut write: Write,
        returning: Returning,
    ) -> BoxFuture<'a, Result<Option<Item>, TableError>> {
        if let Write::Update { key, update, .. } = &mut write
            && key.pk.starts_with("t#")
            && update.text.contains("ADD")
        {
            update.text = "ADD #c :one".to_owned();
            update.names.retain(|name, _| name == "#c");
            update.values.retain(|name, _| name == ":one");
        }
        table.write(name, write, returning)
    }
}

/// Always sees the same in the tags of one entity.
struct Deaf {
    tag: String,
}

impl Intercept for Deaf {
    fn get<'a>(&'a self, table: &'a SharedTable, keys: Keys<'a>, consistent: bool) -> FoundItems<'a> {
        async move {
            let mut found = table.get(keys, consistent).await?;
            for ((_, key), item) in keys.iter().zip(&mut found) {
                if key.pk == self.tag {
                    *item = Some(Item::new(key.clone()).with(tags::VERSION, Attr::S("always".to_owned())));
                }
            }
            Ok(found)
        }
        .boxed()
    }
}

//! `migrate --protocol-2`: the one-way step from a table of the landed version to one of this.
//!
//! ```text
//! mark every entity -> wait, so that every landed writer has met the mark -> is it untouched? -> convert -> untouched still? -> set
//! ```
//! A landed writer marks what it does not know `stale` before it writes ([`crate::store::constraints::protocol`]): so a mark that does not stay
//! as it was tells of one, and nothing is converted beside it. This version does not write before the mark is set. So nobody writes
//! meanwhile, and everything here may be done again: an interrupted run goes on where it was.
//!
//! What changes: every reference gets its row under the record that it refers to, guards go, and a deletion in steps that the landed
//! version had begun gets a tombstone in the place of its record.

use std::time::Duration;

use crate::core::clock::Env;
use crate::model::{FieldType, Model};
use crate::store::constraints::protocol::Mark;
use crate::store::constraints::{self, Constraints};
use crate::store::references::{self, referred};
use crate::store::repeat::repeated;
use crate::store::table::{Attr, Item, Key, Returning, SharedTable, TableError, TableName, Write};
use crate::store::{gate, items, keys};

/// How long every landed writer needs to meet the mark, and what it has sent to be executed or never.
pub const SETTLE: Duration = constraints::SETTLE;
/// Name of its place.
const NAME: &str = "protocol-2";
/// What every guard has: the references counted in it.
const GUARD: &str = "n";

/// How far a conversion has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Items looked at.
    pub items: u64,
    /// Records among them.
    pub records: u64,
    /// References that got a row.
    pub references: u64,
    /// Guards removed.
    pub guards: u64,
    /// Whether it went on where an earlier run was interrupted.
    pub resumed: bool,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrated {
    /// There was nothing to do: the table is new, or of this protocol.
    Already,
    /// It is of this protocol now.
    Done(Progress),
}

/// Why a conversion was refused or ended.
#[derive(Debug, Clone, PartialEq)]
pub enum MigrateError {
    /// The landed version is writing to this entity.
    Landed(String),
    /// The table.
    Table(TableError),
}

impl std::fmt::Display for MigrateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Landed(entity) => write!(
                f,
                "a version before protocol 2 is writing to this table (it has marked entity `{entity}`); stop it, then run this again: \
                 the step is one-way, and nothing may write meanwhile"
            ),
            Self::Table(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for MigrateError {}

impl From<TableError> for MigrateError {
    fn from(error: TableError) -> Self {
        Self::Table(error)
    }
}

/// Converts a table. `settle` is [`SETTLE`] wherever other processes may be writing; 0 where none can.
///
/// # Errors
/// A [`MigrateError`]; the table stays refused to this version's writers, and a further run goes on.
pub async fn convert(
    table: SharedTable,
    model: std::sync::Arc<Model>,
    env: Env,
    settle: Duration,
    mut progress: impl FnMut(&Progress) + Send,
) -> Result<Migrated, MigrateError> {
    let migration = Migration { indexes: Constraints::new(table.clone(), model.clone(), env.clone()), table, model, env };
    let marks = migration.indexes.marks().await?;
    if marks.iter().all(|(_, mark)| *mark == Mark::Set) {
        return Ok(Migrated::Already);
    }
    if marks.iter().any(|(_, mark)| *mark == Mark::Broken) {
        // What was converted before, the landed version has changed since.
        migration.forget_place().await?;
    }
    migration.indexes.set_marks(Mark::Begun).await?;
    tokio::time::sleep(settle).await;
    migration.untouched().await?;
    let mut after = migration.place().await?;
    let mut done = Progress { resumed: after.is_some(), ..Progress::default() };
    loop {
        let (page, next) = migration.table.scan(TableName::Data, after, (0, 1)).await?;
        migration.page(page, &mut done).await?;
        progress(&done);
        let Some(next) = next else { break };
        migration.keep_place(&next).await?;
        after = Some(next);
    }
    migration.untouched().await?;
    migration.forget_place().await?;
    migration.indexes.set_marks(Mark::Set).await?;
    Ok(Migrated::Done(done))
}

struct Migration {
    table: SharedTable,
    model: std::sync::Arc<Model>,
    env: Env,
    indexes: Constraints,
}

impl Migration {
    /// Refuses where a landed writer has met a mark.
    async fn untouched(&self) -> Result<(), MigrateError> {
        let marks = self.indexes.marks().await?;
        match marks.into_iter().find(|(_, mark)| *mark != Mark::Begun && *mark != Mark::Set) {
            Some((entity, _)) => {
                self.forget_place().await?;
                Err(MigrateError::Landed(entity))
            }
            None => Ok(()),
        }
    }

    async fn page(&self, page: Vec<Item>, done: &mut Progress) -> Result<(), TableError> {
        done.items += page.len() as u64;
        let mut writes = Vec::new();
        // Guards first: a gate may come to stand in the place of one.
        for item in page.iter().filter(|item| item.key.pk.starts_with("g#") && item.attrs.contains_key(GUARD)) {
            done.guards += 1;
            writes.push(Write::Delete { key: item.key.clone(), condition: None });
        }
        self.write_all(std::mem::take(&mut writes)).await?;
        for item in &page {
            if item.key.pk == keys::TOMBSTONES {
                writes.extend(self.deletion(item).await?);
            } else if let Some(rows) = self.references(item) {
                done.records += 1;
                done.references += rows.len() as u64;
                writes.extend(rows.into_iter().map(|item| Write::Put { item, condition: None }));
            }
        }
        self.write_all(writes).await
    }

    async fn write_all(&self, writes: Vec<Write>) -> Result<(), TableError> {
        let writes: Vec<_> = writes.into_iter().map(|write| (TableName::Data, write)).collect();
        match writes.is_empty() {
            true => Ok(()),
            false => self.table.write_batch(writes).await,
        }
    }

    /// The rows of a record's references; `None` for what is no record of this model.
    fn references(&self, item: &Item) -> Option<Vec<Item>> {
        let (entity, _) = item.key.pk.strip_prefix("r#")?.split_once('#')?;
        let entity = self.model.by_name(entity)?;
        let record = items::decode(item)?;
        let row = |field: &crate::model::Field| {
            let FieldType::Ref { target, on_delete } = field.kind else { return None };
            let id = referred(record.fields.get(&field.name))?;
            Some(references::row(self.model.entity(target), &id, entity, field, on_delete, &record.id))
        };
        Some(entity.fields.iter().filter_map(row).collect())
    }

    /// What a deletion in steps needs that the landed version began.
    async fn deletion(&self, entry: &Item) -> Result<Vec<Write>, TableError> {
        let text = String::from_utf8_lossy(&entry.key.sk).into_owned();
        let Some((entity, id)) = text.split_once('#').and_then(|(name, id)| Some((self.model.by_name(name)?, id))) else {
            return Ok(Vec::new());
        };
        let record = keys::record(entity, id);
        if self.table.get(&[(TableName::Data, record.clone())], true).await?.iter().any(Option::is_some) {
            return Ok(Vec::new());
        }
        let puts = [items::tombstone(record, "before protocol 2"), gate::of_gone(entity, id)];
        Ok(puts.into_iter().map(|item| Write::Put { item, condition: None }).collect())
    }

    /// Where an interrupted run stands.
    async fn place(&self) -> Result<Option<Key>, TableError> {
        let found = self.table.get(&[(TableName::Data, keys::migration(NAME))], true).await?.into_iter().next().flatten();
        Ok(found.and_then(|item| Some(Key::new(item.s("next_pk")?, item.b("next_sk")?))))
    }

    async fn keep_place(&self, next: &Key) -> Result<(), TableError> {
        let item =
            Item::new(keys::migration(NAME)).with("next_pk", Attr::S(next.pk.clone())).with("next_sk", Attr::B(next.sk.clone()));
        self.put_or_delete(Write::Put { item, condition: None }).await
    }

    async fn forget_place(&self) -> Result<(), TableError> {
        self.put_or_delete(Write::Delete { key: keys::migration(NAME), condition: None }).await
    }

    async fn put_or_delete(&self, write: Write) -> Result<(), TableError> {
        repeated(&self.env, || self.table.write(TableName::Data, write.clone(), Returning::Nothing)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::store::constraints::protocol;
    use crate::store::table::{Expr, Table};
    use crate::store::testing::Fixture;
    use crate::store::verify::Verifier;
    use crate::store::write::{Mutation, WriteError};

    fn indexes(fix: &Fixture) -> Constraints {
        Constraints::new(Arc::new(fix.dynamo.table.clone()), fix.model.clone(), fix.env.clone())
    }

    async fn migrated(fix: &Fixture, settle: Duration) -> Result<Migrated, MigrateError> {
        let table = Arc::new(fix.dynamo.table.clone());
        convert(table, fix.model.clone(), fix.env.clone(), settle, |_| {}).await
    }

    async fn put(fix: &Fixture, item: Item) {
        fix.dynamo.table.write(TableName::Data, Write::Put { item, condition: None }, Returning::Nothing).await.unwrap();
    }

    /// A table as the landed version leaves it: no marks, guards in place of gates and rows, a deletion in steps under way.
    async fn landed() -> Fixture {
        let fix = Fixture::new().await;
        indexes(&fix).before_write(fix.deadline()).await.unwrap();
        fix.create("author", "ann", json!({})).await;
        fix.create("series", "s", json!({})).await;
        for id in ["a", "b"] {
            fix.create("book", id, json!({"title": id, "author_id": "ann", "series_id": "s"})).await;
        }
        for mut item in fix.all().await {
            let delete = Write::Delete { key: item.key.clone(), condition: None };
            if ["f#", "g#", "tf#"].iter().any(|kind| item.key.pk.starts_with(kind)) {
                fix.dynamo.table.write(TableName::Data, delete, Returning::Nothing).await.unwrap();
            } else if item.key.pk.starts_with("x#") && item.attrs.remove("i_!protocol").is_some() {
                put(&fix, item).await;
            }
        }
        for (entity, id) in [("author", "ann"), ("series", "s"), ("book", "a"), ("book", "b")] {
            put(&fix, Item::new(keys::gate(fix.entity(entity), id, 0)).with("n", Attr::N(0)).with("r", Attr::N(0))).await;
        }
        // The series is gone and its books are to follow.
        let series = fix.read("series", "s").await.unwrap();
        for key in [keys::record(fix.entity("series"), "s"), row_key(&fix, &series)] {
            let delete = Write::Delete { key, condition: None };
            fix.dynamo.table.write(TableName::Data, delete, Returning::Nothing).await.unwrap();
        }
        let entry = crate::store::write::entry(&fix.env, fix.entity("series"), "s").with("m", Attr::N(0));
        put(&fix, entry).await;
        fix
    }

    fn row_key(fix: &Fixture, record: &crate::model::value::Record) -> Key {
        let entity = fix.entity("series");
        keys::index_row(&fix.model, entity, entity.by_index("id").unwrap(), record)
    }

    #[tokio::test]
    async fn a_landed_table_is_refused_until_it_is_converted_and_keeps_its_constraints() {
        let fix = landed().await;
        let refused = indexes(&fix).before_write(fix.deadline()).await;
        assert!(matches!(&refused, Err(TableError::Broken(why)) if why.contains("migrate --protocol-2")), "{refused:?}");
        assert!(indexes(&fix).states().await.is_err() && indexes(&fix).check_protocol().await.is_err());
        // The books of the series are still to follow; neither may take the entry for one of its own.
        assert!(fix.writer.sweep(fix.deadline()).await.is_err());
        for repair in [false, true] {
            let verifier = Verifier::new(Arc::new(fix.dynamo.table.clone()), fix.model.clone(), fix.env.clone(), repair);
            assert!(verifier.run(fix.deadline(), |_| {}).await.is_err());
        }
        assert!(indexes(&fix).reindex("book", "id", Duration::ZERO, |_| {}).await.is_err());
        let Ok(Migrated::Done(done)) = migrated(&fix, Duration::ZERO).await else { panic!("it is converted") };
        assert_eq!((done.records, done.references, done.guards, done.resumed), (3, 4, 4, false));
        indexes(&fix).before_write(fix.deadline()).await.unwrap();
        assert_eq!(migrated(&fix, Duration::ZERO).await, Ok(Migrated::Already));
        let ann = fix.read("author", "ann").await.unwrap();
        assert!(matches!(fix.delete("author", &ann).await, Err(WriteError::Restricted { .. })));
        let again = fix.write(vec![Mutation::create(fix.entity("series"), fix.record("s", json!({})))]).await;
        assert_eq!(again, Err(WriteError::BeingDeleted { mutation: 0 }));
        assert_eq!(fix.writer.sweep(fix.deadline()).await.unwrap().finished, 1);
        assert_eq!((fix.read("book", "a").await, fix.read("book", "b").await), (None, None));
        let verifier = Verifier::new(Arc::new(fix.dynamo.table.clone()), fix.model.clone(), fix.env.clone(), false);
        let report = verifier.strict().run(fix.deadline(), |_| {}).await.unwrap();
        assert_eq!(report.problems, 0, "{:#?}", report.listed);
        fix.delete("author", &ann).await.unwrap();
    }

    #[tokio::test]
    async fn a_new_table_needs_nothing() {
        let fix = Fixture::new().await;
        assert_eq!(migrated(&fix, Duration::ZERO).await, Ok(Migrated::Already));
    }

    #[tokio::test]
    async fn an_interrupted_run_goes_on_where_it_was() {
        let fix = landed().await;
        put(&fix, Item::new(keys::migration(NAME)).with("next_pk", Attr::S("a".to_owned())).with("next_sk", Attr::B(vec![0])))
            .await;
        assert!(matches!(migrated(&fix, Duration::ZERO).await, Ok(Migrated::Done(Progress { resumed: true, .. }))));
        assert!(fix.dynamo.table.get(&[(TableName::Data, keys::migration(NAME))], true).await.unwrap()[0].is_none());
    }

    #[tokio::test]
    async fn beside_a_landed_writer_it_refuses_and_says_so() {
        let fix = landed().await;
        // The landed writer meets the mark while the run waits, and marks it stale as it marks every index that it does not know.
        let landed_writer = async {
            let states = [(TableName::Data, keys::index_states(fix.entity("book")))];
            let is_marked = |item: &Item| item.attrs.contains_key("i_!protocol");
            while !fix.dynamo.table.get(&states, true).await.unwrap()[0].as_ref().is_some_and(is_marked) {
                tokio::task::yield_now().await;
            }
            let update = Expr::new("SET #i.#s = :stale").name("#i", "i_!protocol").name("#s", "s");
            let update = update.value(":stale", Attr::S("stale".to_owned()));
            let write = Write::Update { key: keys::index_states(fix.entity("book")), update, condition: None };
            fix.dynamo.table.write(TableName::Data, write, Returning::Nothing).await.unwrap();
        };
        let (refused, ()) = futures::join!(migrated(&fix, Duration::from_secs(3)), landed_writer);
        assert_eq!(refused, Err(MigrateError::Landed("book".to_owned())));
        assert!(fix.all().await.iter().all(|item| !item.key.pk.starts_with("f#")), "nothing was converted");
        let why = indexes(&fix).before_write(fix.deadline()).await;
        assert!(matches!(&why, Err(TableError::Broken(why)) if why.contains("stop that version")), "{why:?}");
        assert_eq!(protocol::MARK, "!protocol");
        assert!(matches!(migrated(&fix, Duration::ZERO).await, Ok(Migrated::Done(_))), "it is stopped");
    }
}

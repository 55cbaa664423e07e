//! The states of indexes, so that only what is complete is read, also while two versions of the model are at work.
//!
//! ```text
//! (absent) -> writing -> backfilling -> ready      by `reindex`
//!             any of these -> stale                by an instance whose model does not keep the index
//! ```
//! Every instance writes all indexes of its own model in the transactions of its writes, whatever their state. What it does not
//! know it cannot keep, so it marks that stale before it writes for the first time, and whenever it meets it again. States are
//! remembered for [`REFRESH`] at most, by readers as by writers; an instance that has marked something waits that long before
//! it writes, so that nobody still reads there. `reindex` waits until every writer has seen that it began.
//!
//! The first writer of an entity finds no states: there are no records either, so all indexes are ready.
//!
//! Beside them stand the *tag policy*: which tags writers keep, see [`tag_policy`], and the mark of the protocol, see [`protocol`].

mod backfill;
mod entry;
mod marks;
pub mod protocol;
mod tag_policy;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::keys;
use super::repeat::repeated;
use super::table::{Attr, Expr, Item, Returning, SharedTable, TableError, TableName, Write};
use crate::core::clock::{Env, Micros};
use crate::model::{Entity, EntityIx, FieldType, Index, IndexIx, Model, Path};

use entry::{Entry, FINGERPRINT, RUN, STATE, attribute};

pub use backfill::{Progress, ReindexError, SETTLE};
pub use entry::State;

/// How long states are remembered.
pub const REFRESH: Duration = Duration::from_secs(5);

/// The states of all indexes of a model at some moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct States {
    not_ready: Vec<(EntityIx, IndexIx)>,
    /// Whether the last writer kept other tags than this model names.
    other_tags: bool,
}

impl States {
    /// States in which these indexes are not complete.
    #[cfg(test)]
    pub(crate) fn without(not_ready: Vec<(EntityIx, IndexIx)>) -> Self {
        Self { not_ready, other_tags: false }
    }

    /// Whether an index may be read. One that stores no rows always may.
    pub fn is_ready(&self, entity: EntityIx, index: IndexIx) -> bool {
        !self.not_ready.contains(&(entity, index))
    }

    /// Whether writers keep the tags that this model names, so that answers can depend on them.
    pub fn tags_are_kept(&self) -> bool {
        !self.other_tags
    }

    /// Indexes that need `reindex` before they can be read.
    pub fn not_ready(&self) -> &[(EntityIx, IndexIx)] {
        &self.not_ready
    }
}

/// What an instance remembers.
#[derive(Default)]
struct Memory {
    read: Option<(Micros, Arc<States>)>,
    /// No write before this moment.
    hold: Option<Micros>,
}

/// Knows, for one instance, which indexes may be read.
pub struct Indexes {
    table: SharedTable,
    model: Arc<Model>,
    env: Env,
    memory: Mutex<Memory>,
}

impl Indexes {
    /// Once per process.
    pub fn new(table: SharedTable, model: Arc<Model>, env: Env) -> Self {
        Self { table, model, env, memory: Mutex::default() }
    }

    /// The states, at most [`REFRESH`] old: a call once in that time.
    ///
    /// # Errors
    /// What the table says.
    pub async fn states(&self) -> Result<Arc<States>, TableError> {
        let now = self.env.now();
        let known = self.memory().read.clone();
        match known {
            Some((read, states)) if now >= read && now < read.plus(REFRESH) => Ok(states),
            _ => {
                let items = self.load().await?;
                protocol::check(&items)?;
                let states = Arc::new(self.known(&items));
                self.memory().read = Some((now, Arc::clone(&states)));
                Ok(states)
            }
        }
    }

    /// The states as they were last read, however long ago, or as they are in a new table: a guess that costs nothing, for what is
    /// looked at while [`Indexes::states`] reads them.
    pub fn last_known(&self) -> Arc<States> {
        self.memory().read.as_ref().map_or_else(Arc::default, |(_, states)| Arc::clone(states))
    }

    /// To be called before every write: a call of its own once in [`REFRESH`]. Marks stale what this model does not keep, and
    /// then lets writes wait until no reader remembers it as ready.
    ///
    /// # Errors
    /// [`TableError::Busy`] where the waiting would pass `deadline`; what the table says.
    pub async fn before_write(&self, deadline: Micros) -> Result<(), TableError> {
        let now = self.env.now();
        let is_fresh = self.memory().read.as_ref().is_some_and(|(read, _)| now >= *read && now < read.plus(REFRESH));
        let enrolled = self.memory().hold.is_some();
        if !is_fresh || !enrolled {
            self.enroll().await?;
        }
        let hold = self.memory().hold.unwrap_or(now);
        if hold <= now {
            return Ok(());
        }
        if hold >= deadline {
            return Err(TableError::Busy("an index is being taken out of use".to_owned()));
        }
        tokio::time::sleep(Duration::from_micros(u64::try_from(hold.0 - now.0).unwrap_or(0))).await;
        Ok(())
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The states of all entities in the model's order, then the regime.
    async fn load(&self) -> Result<Vec<Option<Item>>, TableError> {
        let entities = self.model.entities.iter().map(keys::index_states);
        let keys: Vec<_> = entities.chain([keys::tag_policy()]).map(|key| (TableName::Data, key)).collect();
        self.table.get(&keys, true).await
    }

    fn known(&self, items: &[Option<Item>]) -> States {
        let mut not_ready = Vec::new();
        for (entity, item) in self.model.entities.iter().zip(items) {
            let Some(item) = item else { continue };
            for index in entity.indexes.iter().filter(|index| index.is_stored()) {
                let entry = Entry::of(item, &index.name);
                let own = fingerprint(&self.model, entity, index);
                if !entry.is_some_and(|entry| entry.state == State::Ready && entry.fingerprint == own) {
                    not_ready.push((entity.ix, index.ix));
                }
            }
        }
        let recorded = items.last().and_then(Option::as_ref);
        States { not_ready, other_tags: recorded.is_some_and(|recorded| !tag_policy::is_own(&self.model, recorded)) }
    }

    async fn enroll(&self) -> Result<(), TableError> {
        let mut items = self.load().await?;
        protocol::check(&items)?;
        let (mut marked, mut created) =
            (false, tag_policy::announce(&*self.table, &self.env, &self.model, items.last().and_then(Option::as_ref)).await?);
        for (entity, item) in self.model.entities.iter().zip(&items) {
            match item {
                None => created |= self.found(entity).await?,
                Some(item) => marked |= self.mark(entity, item).await?,
            }
        }
        if marked || created {
            items = self.load().await?;
        }
        let now = self.env.now();
        let states = Arc::new(self.known(&items));
        let mut memory = self.memory();
        memory.read = Some((now, states));
        memory.hold = Some(if marked { now.plus(REFRESH) } else { memory.hold.unwrap_or(now) });
        Ok(())
    }

    /// The first writer of an entity: nothing is stored, so everything is complete.
    async fn found(&self, entity: &Entity) -> Result<bool, TableError> {
        let mut item = Item::new(keys::index_states(entity));
        for index in entity.indexes.iter().filter(|index| index.is_stored()) {
            let entry = Entry { fingerprint: fingerprint(&self.model, entity, index), state: State::Ready, run: String::new() };
            item = item.with(attribute(&index.name), entry.attr());
        }
        item = protocol::marked(item);
        let write = Write::Put { item, condition: Some(Expr::new("attribute_not_exists(pk)")) };
        match repeated(&self.env, || self.table.write(TableName::Data, write.clone(), Returning::Nothing)).await {
            Ok(_) | Err(TableError::ConditionFailed(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Marks what this model does not keep. Whether there was something.
    async fn mark(&self, entity: &Entity, item: &Item) -> Result<bool, TableError> {
        let mut marked = false;
        for (name, entry) in Entry::all(item).into_iter().filter(|(name, _)| name != protocol::MARK) {
            let own = entity.by_index(&name).filter(|index| index.is_stored());
            let keeps = own.is_some_and(|index| fingerprint(&self.model, entity, index) == entry.fingerprint);
            if keeps || entry.state == State::Stale {
                continue;
            }
            let stale = Entry { state: State::Stale, run: String::new(), ..entry.clone() };
            marked = true;
            // Where another has changed the entry meanwhile, the next look decides.
            self.replace(entity, &name, Some(&entry), stale.attr()).await?;
            tracing::warn!(entity = entity.name, index = name, "an index of another version of the model is stale from now on");
        }
        Ok(marked)
    }

    /// Replaces an entry if it still is what it was. Whether it was.
    async fn replace(&self, entity: &Entity, name: &str, before: Option<&Entry>, after: Attr) -> Result<bool, TableError> {
        let mut update = Expr::new("SET #i = :after").name("#i", attribute(name)).value(":after", after.clone());
        let condition = match before {
            None => Expr::new("attribute_not_exists(#i)"),
            Some(before) => {
                for (placeholder, part) in [("#f", FINGERPRINT), ("#s", STATE), ("#r", RUN)] {
                    update = update.name(placeholder, part);
                }
                Expr::new("#i.#f = :f AND #i.#s = :s AND #i.#r = :r")
                    .value(":f", Attr::S(before.fingerprint.clone()))
                    .value(":s", Attr::S(before.state.name().to_owned()))
                    .value(":r", Attr::S(before.run.clone()))
            }
        };
        let write = Write::Update { key: keys::index_states(entity), update, condition: Some(condition) };
        match repeated(&self.env, || self.table.write(TableName::Data, write.clone(), Returning::Nothing)).await {
            Ok(_) => Ok(true),
            // An earlier sending whose answer was lost may have done it.
            Err(TableError::ConditionFailed(now)) => Ok(now.is_some_and(|now| now.attrs.get(&attribute(name)) == Some(&after))),
            Err(error) => Err(error),
        }
    }
}

/// Whether two definitions put the same bytes at the same places: 16 hex digits over all that decides that.
pub fn fingerprint(model: &Model, entity: &Entity, index: &Index) -> String {
    let kind = |path: &Path| match path {
        Path::Id => format!("id {:?}", std::mem::discriminant(&entity.id)),
        Path::Own(field) | Path::Via(field, _) => {
            let field = entity.field(*field);
            match &field.kind {
                // The order of the words is the order of the rows.
                FieldType::Enum(words) => format!("{} {words:?}", field.name),
                FieldType::Ref { target, .. } => format!("{} {}", field.name, model.entity(*target).name),
                other => format!("{} {:?}", field.name, std::mem::discriminant(other)),
            }
        }
    };
    let mut text = index.name.clone();
    for path in &index.equality {
        let _infallible = write!(text, "\n= {}", kind(path));
    }
    for part in &index.sort {
        let _infallible = write!(text, "\n{} {}", if part.descending { "-" } else { "+" }, kind(&part.by));
    }
    if let Some(fields) = &index.projection {
        for field in fields {
            let _infallible = write!(text, "\n> {}", entity.field(*field).name);
        }
    }
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}

//! The states of indexes, so that only what is complete is read, also while two versions of the model are at work.
//!
//! ```text
//! (absent) -> writing -> building -> ready      by `reindex`
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

mod build;
mod entry;
mod marks;
mod page;
pub mod protocol;
mod rule;
#[cfg(test)]
mod rule_tests;
mod state_item;
mod tag_policy;
mod target;
#[cfg(test)]
mod tests;
mod values;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::keys;
use super::repeat::repeated;
use super::table::{Attr, Expr, Item, Returning, SharedTable, TableError, TableName, Write};
use crate::core::clock::{Env, Micros};
use crate::model::evolution::{Form, index_form};
use crate::model::{Entity, EntityIx, FieldType, Index, IndexIx, Model};

use entry::{Entry, FINGERPRINT, RUN, STATE, attribute};
use state_item::StateItem;

pub use build::{BuildError, Finding, Progress, SETTLE};
pub use entry::State;
pub use rule::{Rule, RuleKind, class};
pub use target::Target;
pub use values::{Lack, Lacking};

/// How long states are remembered.
pub const REFRESH: Duration = Duration::from_secs(5);

/// The states of all indexes of a model at some moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct States {
    not_ready: Vec<(EntityIx, IndexIx)>,
    /// Rules that cannot be relied on, and whether they were prepared for.
    pending: Vec<(Rule, bool)>,
    /// What stored values lack.
    lacking: Vec<Lacking>,
    /// Whether the last writer kept other tags than this model names.
    other_tags: bool,
}

impl States {
    /// States in which these indexes are not complete.
    #[cfg(test)]
    pub(crate) fn without(not_ready: Vec<(EntityIx, IndexIx)>) -> Self {
        Self { not_ready, ..Self::default() }
    }

    /// Whether an index may be read. One that stores no rows always may.
    pub fn is_ready(&self, entity: EntityIx, index: IndexIx) -> bool {
        !self.not_ready.contains(&(entity, index))
    }

    /// Whether writers keep the tags that this model names, so that answers can depend on them.
    pub fn tags_are_kept(&self) -> bool {
        !self.other_tags
    }

    /// Indexes that need a build before they can be read.
    pub fn not_ready(&self) -> &[(EntityIx, IndexIx)] {
        &self.not_ready
    }

    /// Rules that are not complete: older records may have values without a row.
    pub fn pending(&self) -> impl Iterator<Item = &Rule> {
        self.pending.iter().map(|(rule, _)| rule)
    }

    /// Rules of unique fields that nothing was prepared for: whoever took a value could not know that another has it.
    pub fn unprepared(&self) -> impl Iterator<Item = &Rule> {
        let is_unprepared = |(rule, prepared): &&(Rule, bool)| rule.kind == RuleKind::Unique && !prepared;
        self.pending.iter().filter(is_unprepared).map(|(rule, _)| rule)
    }

    /// What would make this model refuse valid requests, as `unique order.number`; `None`: nothing that can be prepared.
    pub fn unprepared_for(&self, model: &Model) -> Option<String> {
        let unique = self.unprepared().next().map(|rule| Target::Rule(rule.clone()).name(model));
        let moving =
            || model.entities.iter().find(|entity| self.is_moving(entity.ix)).map(|entity| format!("entity {}", entity.name));
        unique.or_else(moving)
    }

    /// What stored values lack for the model.
    pub fn lacking(&self) -> &[Lacking] {
        &self.lacking
    }

    /// Whether records of an entity cannot be read as the model says, because values stand under another name still.
    pub fn is_moving(&self, entity: EntityIx) -> bool {
        self.lacking.iter().any(|lacking| lacking.entity == entity && matches!(lacking.lack, Lack::Name(_)))
    }

    /// The rule, not complete yet, of a field by which records may refer to those of an entity: it is not known who does.
    pub fn unknown_references(&self, model: &Model, to: EntityIx) -> Option<&Rule> {
        self.pending().find(|rule| {
            let kind = &model.entity(rule.entity).field(rule.field).kind;
            rule.kind == RuleKind::Reference && matches!(kind, FieldType::Ref { target, .. } if *target == to)
        })
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
pub struct Constraints {
    table: SharedTable,
    model: Arc<Model>,
    env: Env,
    memory: Mutex<Memory>,
}

impl Constraints {
    /// Once per process.
    pub fn new(table: SharedTable, model: Arc<Model>, env: Env) -> Self {
        Self { table, model, env, memory: Mutex::default() }
    }

    /// The states, at most [`REFRESH`] old: a call once in that time.
    ///
    /// # Errors
    /// Errors of the table.
    pub async fn states(&self) -> Result<Arc<States>, TableError> {
        let now = self.env.now();
        let known = self.memory().read.clone();
        match known {
            Some((read, states)) if now >= read && now < read.plus(REFRESH) => Ok(states),
            _ => {
                let items = self.load().await?;
                self.check(&items)?;
                let states = Arc::new(self.known(&items));
                self.memory().read = Some((now, Arc::clone(&states)));
                Ok(states)
            }
        }
    }

    /// The states as they were last read, however long ago, or as they are in a new table: a guess that costs nothing, for what is
    /// looked at while [`Constraints::states`] reads them.
    pub fn last_known(&self) -> Arc<States> {
        self.memory().read.as_ref().map_or_else(Arc::default, |(_, states)| Arc::clone(states))
    }

    /// To be called before every write: a call of its own once in [`REFRESH`]. Marks stale what this model does not keep, and
    /// then lets writes wait until no reader remembers it as ready.
    ///
    /// # Errors
    /// [`TableError::Busy`] where the waiting would pass `deadline`; what the table says.
    pub async fn before_write(&self, deadline: Micros) -> Result<Arc<States>, TableError> {
        let now = self.env.now();
        let is_fresh = self.memory().read.as_ref().is_some_and(|(read, _)| now >= *read && now < read.plus(REFRESH));
        let enrolled = self.memory().hold.is_some();
        if !is_fresh || !enrolled {
            self.enroll().await?;
        }
        let hold = self.memory().hold.unwrap_or(now);
        if hold <= now {
            return Ok(self.last_known());
        }
        if hold >= deadline {
            return Err(TableError::Busy("an index is being taken out of use".to_owned()));
        }
        tokio::time::sleep(Duration::from_micros(u64::try_from(hold.0 - now.0).unwrap_or(0))).await;
        Ok(self.last_known())
    }

    /// Forgets what was read: the next question asks the table.
    pub(crate) fn forget(&self) {
        self.memory().read = None;
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

    /// Refuses a table that this version must not touch.
    fn check(&self, items: &[Option<Item>]) -> Result<(), TableError> {
        protocol::check(items)?;
        values::check_names(&self.model, items)
    }

    fn known(&self, items: &[Option<Item>]) -> States {
        let (mut not_ready, mut pending, mut lacking) = (Vec::new(), Vec::new(), Vec::new());
        for (entity, item) in self.model.entities.iter().zip(items) {
            let Some(item) = item else { continue };
            let state = StateItem::read(item);
            pending.extend(pending_rules(&self.model, entity, &state));
            lacking.extend(values::lacking(&self.model, entity, &state));
            for index in entity.indexes.iter().filter(|index| index.is_stored()) {
                let entry = Entry::of(item, &index.name);
                let is_own = |entry: &Entry| is_form(&self.model, entity, index, &entry.fingerprint);
                if !entry.is_some_and(|entry| entry.state == State::Ready && is_own(&entry)) {
                    not_ready.push((entity.ix, index.ix));
                }
            }
        }
        let recorded = items.last().and_then(Option::as_ref);
        States {
            not_ready,
            pending,
            lacking,
            other_tags: recorded.is_some_and(|recorded| !tag_policy::is_own(&self.model, recorded)),
        }
    }

    async fn enroll(&self) -> Result<(), TableError> {
        let mut items = self.load().await?;
        self.check(&items)?;
        let (mut marked, mut created) =
            (false, tag_policy::announce(&*self.table, &self.env, &self.model, items.last().and_then(Option::as_ref)).await?);
        for (entity, item) in self.model.entities.iter().zip(&items) {
            let (changed, demoted) = self.enroll_entity(entity, item.clone()).await?;
            created |= changed;
            marked |= demoted;
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

    /// Takes up this model's writers in the state of an entity. Whether something has changed, and whether anything is complete no longer.
    async fn enroll_entity(&self, entity: &Entity, mut item: Option<Item>) -> Result<(bool, bool), TableError> {
        loop {
            let before = item.as_ref().map(StateItem::read);
            let (after, demoted) = match &before {
                None => (StateItem::of_new(&self.model, entity), false),
                Some(before) => {
                    let mut after = before.clone();
                    let demoted = after.enroll(&self.model, entity);
                    (after, demoted)
                }
            };
            if before.as_ref() == Some(&after) {
                return Ok((false, false));
            }
            if self.save(before.as_ref(), after).await? {
                return Ok((true, demoted));
            }
            item = self.state_item(entity).await?;
        }
    }

    async fn state_item(&self, entity: &Entity) -> Result<Option<Item>, TableError> {
        let place = [(TableName::Data, keys::index_states(entity))];
        Ok(self.table.get(&place, true).await?.into_iter().next().flatten())
    }

    /// Whether it still was as it was read.
    async fn save(&self, before: Option<&StateItem>, after: StateItem) -> Result<bool, TableError> {
        let write = after.replacing(before);
        match repeated(&self.env, || self.table.write(TableName::Data, write.clone(), Returning::Nothing)).await {
            Ok(_) => Ok(true),
            Err(TableError::ConditionFailed(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Replaces the entry of an index, or of the mark of the protocol, if it still is what it was. Whether it was.
    async fn replace(&self, entity: &Entity, name: &str, before: Option<&Entry>, after: Attr) -> Result<bool, TableError> {
        self.replace_at(entity, &attribute(name), before, after).await
    }

    /// Replaces what stands at an attribute of the state item if it still is what it was. Whether it was.
    async fn replace_at(&self, entity: &Entity, place: &str, before: Option<&Entry>, after: Attr) -> Result<bool, TableError> {
        let update = Expr::new("SET #i = :after ADD #n :one").name("#n", state_item::REVISION).value(":one", Attr::N(1));
        let mut update = update.name("#i", place).value(":after", after.clone());
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
            Err(TableError::ConditionFailed(now)) => Ok(now.is_some_and(|now| now.attrs.get(place) == Some(&after))),
            Err(error) => Err(error),
        }
    }
}

/// The rules of an entity that are not complete, and whether something was prepared for them. Those of fields that were never stored
/// are: whoever writes first says so.
fn pending_rules(model: &Model, entity: &Entity, state: &StateItem) -> Vec<(Rule, bool)> {
    let known = state.known();
    let is_new = |rule: &Rule| known.as_ref().is_some_and(|known| !known.contains_key(&entity.field(rule.field).name));
    let rules = Rule::of_entity(entity).filter(|rule| !is_new(rule));
    let entries = rules.map(|rule| (state.entry(&rule.attribute(model)).map(|entry| entry.state), rule));
    entries.filter(|(state, _)| *state != Some(State::Ready)).map(|(state, rule)| (rule, state.is_some())).collect()
}

/// All that decides which bytes an index puts at which places.
pub fn fingerprint(model: &Model, entity: &Entity, index: &Index) -> String {
    index_form(model, entity, index).as_str().to_owned()
}

/// Whether rows of a form are those of an index: a word that came to the end of an enum changes no row.
fn is_form(model: &Model, entity: &Entity, index: &Index, form: &str) -> bool {
    Form::new(form).keeps(&index_form(model, entity, index))
}

//! The states of what a model promises over stored data: indexes, unique fields, references, and the values of fields, so that only what
//! is complete is relied on, also while two versions of the model are at work.
//!
//! ```text
//! index:             (absent) -> writing -> building -> ready   by a build; any of these -> stale   by a version that does not keep it
//! unique, reference: (absent) -> writing -> building -> ready   by a build; any of these -> writing by a version that does not keep it
//! ```
//! Every instance writes all rows of its own model in the transactions of its writes, whatever their state. What it does not keep it
//! marks before it writes for the first time, and whenever it meets it again. States are remembered for [`REFRESH`] at most, by readers
//! as by writers; an instance that has marked something waits that long before it writes, so that nobody still relies on it. A build
//! waits until every writer has seen that it began.
//!
//! The first writer of an entity finds no states: there are no records either, so everything is complete. So is every rule of a field
//! that no version ever stored: the state item names the fields that were, with the form of their values.
//!
//! What is not complete is served as far as it can be decided: no list reads an index that is not ready; deletions of what a reference
//! may point to are refused, creations never; a unique field is kept from the moment that it is `writing`, and refused only while nothing
//! was prepared for it.
//!
//! Beside them stand the *tag policy*: which tags writers keep, see [`tag_policy`], and the mark of the protocol, see [`protocol`].

mod build;
mod entry;
mod form;
mod lacking;
mod leftover;
mod marks;
mod moves;
mod page;
mod progress;
pub mod protocol;
mod rule;
#[cfg(test)]
mod rule_tests;
mod run_mark;
mod runs;
mod state_item;
mod states;
mod surplus;
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
use crate::model::{Entity, Model};

use entry::{Entry, FINGERPRINT, RUN, STATE, attribute};
use lacking::{check_names, name_of_entity_before};
use state_item::StateItem;

pub use build::{BuildError, SETTLE};
pub use entry::State;
pub use form::fingerprint;
pub use lacking::{Lack, Lacking};
pub use leftover::{Leftover, LeftoverKind};
pub use progress::{Finding, Progress};
pub use rule::{Rule, RuleKind, class};
pub(crate) use run_mark::Mark;
pub use states::States;
pub use target::Target;

/// How long states are remembered.
pub const REFRESH: Duration = Duration::from_secs(5);

/// What an instance remembers.
#[derive(Default)]
struct Memory {
    read: Option<(Micros, Arc<States>)>,
    /// No write before this moment.
    hold: Option<Micros>,
}

/// The states as one instance knows them.
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
                let mut items = self.load().await?;
                self.check(&items)?;
                // What is going to be removed and this model has, is in use.
                if self.claim(&items).await? {
                    items = self.load().await?;
                }
                let states = Arc::new(self.known(&items));
                let is_first = self.memory().read.replace((now, Arc::clone(&states))).is_none();
                if is_first {
                    states.tell_other_forms(&self.model);
                }
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

    /// The state items of all entities in the model's order, those under names that entities had before, and the tag policy.
    async fn load(&self) -> Result<Vec<Option<Item>>, TableError> {
        let entities = self.model.entities.iter().map(keys::index_states);
        let before =
            self.model.entities.iter().filter_map(|entity| Some(keys::states_of(name_of_entity_before(&self.model, entity)?)));
        let keys: Vec<_> = entities.chain(before).chain([keys::tag_policy()]).map(|key| (TableName::Data, key)).collect();
        self.table.get(&keys, true).await
    }

    /// Refuses a table that this version must not touch.
    fn check(&self, items: &[Option<Item>]) -> Result<(), TableError> {
        protocol::check(items)?;
        check_names(&self.model, items)
    }

    fn known(&self, items: &[Option<Item>]) -> States {
        States::of(&self.model, items)
    }

    async fn enroll(&self) -> Result<(), TableError> {
        let mut items = self.load().await?;
        self.check(&items)?;
        self.list_new(&items).await?;
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
        let until = if marked { now.plus(REFRESH) } else { self.relied_on_until(&items, now) };
        let mut memory = self.memory();
        memory.read = Some((now, states));
        memory.hold = Some(memory.hold.map_or(until, |hold| hold.max(until)));
        Ok(())
    }

    /// Until when readers may rely on something that this model does not keep and another instance has marked.
    fn relied_on_until(&self, items: &[Option<Item>], now: Micros) -> Micros {
        let of_entity = |(entity, item): (&Entity, &Option<Item>)| {
            let state = StateItem::read(item.as_ref()?);
            // Another's clock may be ahead.
            state.demoted().filter(|_| state.is_broken_by(&self.model, entity)).map(|at| at.min(now).plus(REFRESH))
        };
        self.model.entities.iter().zip(items).filter_map(of_entity).max().unwrap_or(now)
    }

    /// Lists the names of entities that are about to be written for the first time, so that they are known once no model has them.
    async fn list_new(&self, items: &[Option<Item>]) -> Result<(), TableError> {
        let new = self.model.entities.iter().zip(items).filter(|(_, item)| item.is_none());
        let names: Vec<String> = new.map(|(entity, _)| entity.name.clone()).collect();
        if names.is_empty() { Ok(()) } else { self.list_names(names).await }
    }

    /// Takes up this model's writers in the state of an entity. Whether something has changed, and whether anything is complete no longer.
    async fn enroll_entity(&self, entity: &Entity, mut item: Option<Item>) -> Result<(bool, bool), TableError> {
        let (mut tried, mut demoted) = (false, false);
        loop {
            let before = item.as_ref().map(StateItem::read);
            let after = match &before {
                None => StateItem::of_new(&self.model, entity),
                Some(before) => {
                    let mut after = before.clone();
                    if after.enroll(&self.model, entity) {
                        after.set_demoted(self.env.now());
                        demoted = true;
                    }
                    after
                }
            };
            // Where it is so after a try that was refused, an earlier sending whose answer was lost has done it: that counts as well.
            if before.as_ref() == Some(&after) {
                return Ok((tried, demoted));
            }
            if self.save(before.as_ref(), after).await? {
                return Ok((true, demoted));
            }
            tried = true;
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

//! Building: bringing indexes and rules into the state `ready` while the service runs, all in one scan, resumably.
//!
//! ```text
//! prepare: writing -> wait until every writer keeps the rows -> building: rows of older records are put, rows of none removed -> ready
//! ```
//! What a version of the model that does not keep it has changed meanwhile is not `building` any more, and does not become ready.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Constraints;
use super::entry::{Entry, State};
use super::page::Page;
use super::progress::Progress;
use super::state_item::StateItem;
use super::target::Target;
use crate::model::Entity;
use crate::store::repeat::repeated;
use crate::store::table::{Attr, Expr, Item, Key, Returning, TableError, TableName, Write};
use crate::store::{fence, keys};

/// Time after which every write is of a writer that knows that a run has begun: what an instance remembers is [`super::REFRESH`] old at
/// most, and what it has sent may be executed for [`fence::LATE`].
pub const SETTLE: Duration = Duration::from_secs(fence::LATE.as_secs() + super::REFRESH.as_secs());

/// Name of the place of an interrupted run.
const NAME: &str = "build";
const RUN: &str = "r";
const TARGETS: &str = "t";
const BLOCKED: &str = "d";
const CURSOR_PK: &str = "pk0";
const CURSOR_SK: &str = "sk0";

/// Why a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum BuildError {
    /// There is no such entity, or no such index of it.
    Unknown(String),
    /// The index stores nothing.
    NotStored,
    /// An instance with another version of the model is writing, or another run has taken over.
    Overtaken,
    /// The table.
    Table(TableError),
}

impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "there is no {name} in the model"),
            Self::NotStored => f.write_str("this index joins two others and stores nothing: there is nothing to do"),
            Self::Overtaken => f.write_str(
                "its state changed meanwhile: an older version of the model is still writing, or another run is at work; try again when \
                 only this version is deployed",
            ),
            Self::Table(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BuildError {}

impl From<TableError> for BuildError {
    fn from(error: TableError) -> Self {
        Self::Table(error)
    }
}

/// A run under way.
struct Run {
    id: String,
    /// What it still builds.
    targets: Vec<Target>,
    after: Option<Key>,
}

/// Where a run was that did not end.
struct Interrupted {
    run: String,
    after: Option<Key>,
    blocked: BTreeSet<String>,
}

impl Constraints {
    /// Makes one index complete and ready, whatever its state. `settle` as in [`Constraints::build`].
    ///
    /// # Errors
    /// A [`BuildError`]; the index stays unread and a further run goes on.
    pub async fn reindex(
        &self,
        entity: &str,
        index: &str,
        settle: Duration,
        progress: impl FnMut(&Progress) + Send,
    ) -> Result<Progress, BuildError> {
        let entity = self.model.by_name(entity).ok_or_else(|| BuildError::Unknown(format!("entity `{entity}`")))?;
        let index = entity.by_index(index).ok_or_else(|| BuildError::Unknown(format!("index `{index}`")))?;
        if !index.is_stored() {
            return Err(BuildError::NotStored);
        }
        let done = self.build(&[Target::Index(entity.ix, index.ix)], settle, progress).await?;
        if done.overtaken.is_empty() { Ok(done) } else { Err(BuildError::Overtaken) }
    }

    /// Marks what is to be built, so that this model's writers keep its rows and are not refused. To be done before a version of the
    /// model is deployed: no other version is hindered.
    ///
    /// # Errors
    /// What the table says.
    pub async fn prepare(&self, targets: &[Target]) -> Result<(), TableError> {
        for target in targets {
            let (entity, place) = (target.entity(&self.model), target.attribute(&self.model));
            let before = self.state_item(entity).await?.as_ref().and_then(|item| Entry::at(item, &place));
            // An index of another form is in use by the version that is deployed.
            if matches!(target, Target::Rule(_)) && before.is_none() {
                self.replace_at(entity, &place, None, self.entry(target, State::Writing, "").attr()).await?;
            }
        }
        self.memory().read = None;
        Ok(())
    }

    /// Makes these complete and ready, in one scan. Interrupted, it goes on where it was. `settle` is [`SETTLE`] wherever other processes
    /// may be writing; 0 where none can.
    ///
    /// # Errors
    /// A [`BuildError`]; nothing becomes ready, and a further run goes on.
    pub async fn build(
        &self,
        targets: &[Target],
        settle: Duration,
        mut progress: impl FnMut(&Progress) + Send,
    ) -> Result<Progress, BuildError> {
        self.check_protocol().await?;
        let mut done = Progress::default();
        let mut run = self.begin(targets, settle, &mut done).await?;
        done.resumed = run.after.is_some();
        while !run.targets.is_empty() {
            let (page, next) = repeated(&self.env, || self.table.scan(TableName::Data, run.after.clone(), (0, 1))).await?;
            done.items += page.len() as u64;
            Page { constraints: self, targets: &run.targets, done: &mut done }.build(page).await?;
            progress(&done);
            let Some(next) = next else { break };
            self.put_place(&run, Some(&next), &done, Some(&run.id)).await?;
            run.after = Some(next);
            self.drop_overtaken(&mut run, &mut done).await?;
        }
        self.finish(&run, &mut done).await?;
        self.memory().read = None;
        Ok(done)
    }

    pub(super) fn entry(&self, target: &Target, state: State, run: &str) -> Entry {
        Entry { fingerprint: target.fingerprint(&self.model), state, run: run.to_owned() }
    }

    /// Takes the targets into a run, and finds where an earlier one of the same was.
    async fn begin(&self, targets: &[Target], settle: Duration, done: &mut Progress) -> Result<Run, BuildError> {
        let id = uuid::Builder::from_random_bytes(self.env.bytes::<16>()).into_uuid().simple().to_string();
        if let Some(Interrupted { run: before, after, blocked }) = self.interrupted(targets).await? {
            done.blocked = blocked;
            let run = Run { id, targets: targets.to_vec(), after };
            let run = self.change_state(run, (State::Building, &before), State::Building, done).await?;
            self.put_place(&run, run.after.as_ref(), done, Some(&before)).await?;
            return Ok(run);
        }
        for target in targets {
            let (entity, place) = (target.entity(&self.model), target.attribute(&self.model));
            let before = self.state_item(entity).await?.as_ref().and_then(|item| Entry::at(item, &place));
            if !self.replace_at(entity, &place, before.as_ref(), self.entry(target, State::Writing, &id).attr()).await? {
                return Err(BuildError::Overtaken);
            }
        }
        tokio::time::sleep(settle).await;
        let run = Run { id: id.clone(), targets: targets.to_vec(), after: None };
        let run = self.change_state(run, (State::Writing, &id), State::Building, done).await?;
        self.put_place(&run, None, done, None).await?;
        Ok(run)
    }

    /// Changes the state of all targets of a run; those that somebody else has changed are no longer of it.
    async fn change_state(
        &self,
        mut run: Run,
        (before, of): (State, &str),
        after: State,
        done: &mut Progress,
    ) -> Result<Run, TableError> {
        for target in std::mem::take(&mut run.targets) {
            let (entity, place) = (target.entity(&self.model), target.attribute(&self.model));
            let (from, to) = (self.entry(&target, before, of), self.entry(&target, after, &run.id));
            match self.replace_at(entity, &place, Some(&from), to.attr()).await? {
                true => run.targets.push(target),
                false => done.overtaken.push(target.name(&self.model)),
            }
        }
        Ok(run)
    }

    /// The run that built exactly these and did not end, and where it was.
    async fn interrupted(&self, targets: &[Target]) -> Result<Option<Interrupted>, TableError> {
        let place = [(TableName::Data, keys::migration(NAME))];
        let Some(place) = self.table.get(&place, true).await?.into_iter().next().flatten() else { return Ok(None) };
        let (Some(run), Some(Attr::Ss(names))) = (place.s(RUN), place.attrs.get(TARGETS)) else { return Ok(None) };
        let mut names = names.clone();
        names.sort();
        if names != self.names(targets) {
            return Ok(None);
        }
        for target in targets {
            let item = self.state_item(target.entity(&self.model)).await?;
            let entry = item.as_ref().and_then(|item| Entry::at(item, &target.attribute(&self.model)));
            if entry != Some(self.entry(target, State::Building, run)) {
                return Ok(None);
            }
        }
        let after = place.s(CURSOR_PK).zip(place.b(CURSOR_SK)).map(|(pk, sk)| Key::new(pk, sk));
        let blocked = place.attrs.get(BLOCKED).and_then(Attr::as_ss).unwrap_or_default().iter().cloned().collect();
        Ok(Some(Interrupted { run: run.to_owned(), after, blocked }))
    }

    fn names(&self, targets: &[Target]) -> Vec<String> {
        let mut names: Vec<String> = targets.iter().map(|target| target.name(&self.model)).collect();
        names.sort();
        names
    }

    /// Puts the place, if it is that of the run `before`; `None`: whatever is there is of a run that is over.
    async fn put_place(&self, run: &Run, next: Option<&Key>, done: &Progress, before: Option<&str>) -> Result<(), BuildError> {
        let mut item = Item::new(keys::migration(NAME)).with(RUN, Attr::S(run.id.clone()));
        if !run.targets.is_empty() {
            item = item.with(TARGETS, Attr::Ss(self.names(&run.targets)));
        }
        if !done.blocked.is_empty() {
            item = item.with(BLOCKED, Attr::Ss(done.blocked.iter().cloned().collect()));
        }
        if let Some(next) = next {
            item = item.with(CURSOR_PK, Attr::S(next.pk.clone())).with(CURSOR_SK, Attr::B(next.sk.clone()));
        }
        // A repetition whose first sending was executed finds its own.
        let of_run = |before: &str| {
            let condition = Expr::new("#r = :before OR #r = :own").name("#r", RUN);
            condition.value(":before", Attr::S(before.to_owned())).value(":own", Attr::S(run.id.clone()))
        };
        let write = Write::Put { item, condition: before.map(of_run) };
        match repeated(&self.env, || self.table.write(TableName::Data, write.clone(), Returning::Nothing)).await {
            Ok(_) => Ok(()),
            Err(TableError::ConditionFailed(_)) => Err(BuildError::Overtaken),
            Err(error) => Err(error.into()),
        }
    }

    /// Leaves out what somebody else has changed.
    async fn drop_overtaken(&self, run: &mut Run, done: &mut Progress) -> Result<(), TableError> {
        let items = self.load().await?;
        for target in std::mem::take(&mut run.targets) {
            let entity = target.entity(&self.model);
            let item = items.iter().flatten().find(|item| item.key == keys::index_states(entity));
            let entry = item.and_then(|item| StateItem::read(item).entry(&target.attribute(&self.model)));
            match entry == Some(self.entry(&target, State::Building, &run.id)) {
                true => run.targets.push(target),
                false => done.overtaken.push(target.name(&self.model)),
            }
        }
        Ok(())
    }

    /// What is complete becomes ready; a unique field of which two records have one value does not.
    async fn finish(&self, run: &Run, done: &mut Progress) -> Result<(), BuildError> {
        let mut overtaken = Vec::new();
        for target in &run.targets {
            let (entity, name): (&Entity, String) = (target.entity(&self.model), target.name(&self.model));
            let state = if done.blocked.contains(&name) { State::Writing } else { State::Ready };
            let (from, to) = (self.entry(target, State::Building, &run.id), self.entry(target, state, ""));
            if !self.replace_at(entity, &target.attribute(&self.model), Some(&from), to.attr()).await? {
                overtaken.push(name);
            }
        }
        done.overtaken.extend(overtaken);
        let condition = Expr::new("attribute_not_exists(pk) OR #r = :r").name("#r", RUN).value(":r", Attr::S(run.id.clone()));
        let write = Write::Delete { key: keys::migration(NAME), condition: Some(condition) };
        match repeated(&self.env, || self.table.write(TableName::Data, write.clone(), Returning::Nothing)).await {
            Ok(_) | Err(TableError::ConditionFailed(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

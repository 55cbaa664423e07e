//! Marks of runs: what a run is about to make so, or to remove, while other versions of the model may be at work.
//!
//! ```text
//! (none) -> waiting: every writer comes by within the time that a run waits -> running: the scan -> (none): done, or contradicted
//! ```
//! A version that contradicts a mark takes it away when it meets it, before it writes; of what is going to be removed, also before it
//! reads. So a mark that still stands at the end tells that nobody came in between, and one that is `running` at the beginning that an
//! interrupted run may go on where it was.

use super::Constraints;
use super::entry;
use super::rule::{self, Rule, class, is_kept};
use super::state_item::StateItem;
use crate::model::{Entity, Model};
use crate::store::table::{Item, TableError};

/// The mark of a whole entity that is removed.
pub(super) const ENTITY: &str = "*";
/// Begins the mark of values that are removed.
pub(super) const VALUES: &str = "v_";
/// Begins the mark of a field that every record is going to have.
pub(super) const COMPLETE: &str = "c_";
/// Begins the mark of a field whose values are going to have another form: `t_pages.integer`.
pub(super) const FORM: &str = "t_";
/// Begins the mark of a rule whose rows too many are removed.
pub(super) const SURPLUS: &str = "o_";

/// A mark in the state item of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) entity: String,
    pub(crate) text: String,
}

impl Mark {
    /// The field that a mark of values is about, as `order.status`.
    pub(crate) fn field(&self) -> String {
        let name = self.text.split_once('_').map_or("", |(_, name)| name);
        format!("{}.{}", self.entity, name.split('.').next().unwrap_or_default())
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Whoever contradicts it may still say so.
    Waiting,
    /// The scan is under way.
    Running,
}

impl Phase {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        [Self::Waiting, Self::Running].into_iter().find(|phase| phase.name() == name)
    }
}

/// Whether a version of the model has what is going to be removed.
pub(super) fn is_had_by(model: &Model, entity: &Entity, mark: &str) -> bool {
    match rule::parse(mark) {
        _ if mark == ENTITY => true,
        Some(_) => Rule::of_entity(entity).any(|rule| rule.attribute(model) == mark),
        None => match mark.strip_prefix(VALUES) {
            Some(field) => entity.by_field(field).is_some(),
            None => entity.indexes.iter().any(|index| index.is_stored() && entry::attribute(&index.name) == mark),
        },
    }
}

/// Whether writes of a version of the model may undo what a run is about to make so.
fn is_undone_by(model: &Model, entity: &Entity, mark: &str) -> bool {
    if let Some(name) = mark.strip_prefix(COMPLETE) {
        return entity.by_field(name).is_none_or(|field| field.nullable);
    }
    if let Some((name, form)) = mark.strip_prefix(FORM).and_then(|mark| mark.split_once('.')) {
        return entity.by_field(name).is_some_and(|field| !is_kept(&class(model, &field.kind), form));
    }
    let rule = mark.strip_prefix(SURPLUS).and_then(rule::parse);
    rule.is_some_and(|(_, field)| entity.by_field(field).is_none())
}

impl Constraints {
    /// Marks what a run is about. Whether all of it is of a run that was interrupted in its scan: then nobody has to be waited for.
    ///
    /// # Errors
    /// What the table says.
    pub(crate) async fn begin_run(&self, marks: &[Mark]) -> Result<bool, TableError> {
        let mut all = true;
        for mark in marks {
            all &= self.phase(mark).await? == Some(Phase::Running);
            self.edit_under(&mark.entity, |state| {
                if !state.marks().contains_key(&mark.text) {
                    state.set_mark(&mark.text, Some(Phase::Waiting));
                }
            })
            .await?;
        }
        Ok(all)
    }

    /// Begins the scan for those that nobody has contradicted; they are returned. What is going to be removed promises nothing from now on.
    ///
    /// # Errors
    /// What the table says.
    pub(crate) async fn start_run(&self, marks: &[Mark]) -> Result<Vec<Mark>, TableError> {
        for mark in marks {
            self.edit_under(&mark.entity, |state| {
                if state.marks().contains_key(&mark.text) {
                    state.set_mark(&mark.text, Some(Phase::Running));
                    state.withdraw(&mark.text);
                }
            })
            .await?;
        }
        self.standing(marks).await
    }

    /// Those of these that nobody has contradicted.
    ///
    /// # Errors
    /// What the table says.
    pub(crate) async fn standing(&self, marks: &[Mark]) -> Result<Vec<Mark>, TableError> {
        let mut left = Vec::new();
        for mark in marks {
            if self.phase(mark).await?.is_some() {
                left.push(mark.clone());
            }
        }
        Ok(left)
    }

    /// Takes away the marks of removals of what this model has. Whether there were any.
    pub(super) async fn claim(&self, items: &[Option<Item>]) -> Result<bool, TableError> {
        let mut claimed = false;
        for (entity, item) in self.model.entities.iter().zip(items) {
            if item.as_ref().is_some_and(|item| StateItem::read(item).claim(&self.model, entity)) {
                self.edit_under(&entity.name, |state| _ = state.claim(&self.model, entity)).await?;
                claimed = true;
            }
        }
        Ok(claimed)
    }

    async fn phase(&self, mark: &Mark) -> Result<Option<Phase>, TableError> {
        let item = self.states_item(&mark.entity).await?;
        Ok(item.and_then(|item| StateItem::read(&item).marks().get(&mark.text).copied()))
    }
}

impl StateItem {
    /// Takes away the marks of removals of what a version of the model has. Whether there were any.
    fn claim(&mut self, model: &Model, entity: &Entity) -> bool {
        self.unmark(|mark| is_had_by(model, entity, mark))
    }

    /// Takes away the marks that writes of a version of the model contradict.
    pub(super) fn contradict(&mut self, model: &Model, entity: &Entity) {
        self.unmark(|mark| is_had_by(model, entity, mark) || is_undone_by(model, entity, mark));
    }

    fn unmark(&mut self, is_contradicted: impl Fn(&str) -> bool) -> bool {
        let marks: Vec<String> = self.marks().into_keys().filter(|mark| is_contradicted(mark)).collect();
        for mark in &marks {
            self.set_mark(mark, None);
        }
        !marks.is_empty()
    }

    /// Ends what a thing promises that is going to be removed.
    fn withdraw(&mut self, mark: &str) {
        match mark.strip_prefix(VALUES) {
            Some(field) => self.remove_complete(field),
            None if mark == ENTITY => self.end_promises(),
            None => self.demote(mark),
        }
    }
}

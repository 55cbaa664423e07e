//! Marks of runs: what a run is about to make so, or to remove, while other versions of the model may be at work.
//!
//! ```text
//! (none) -> waiting: every writer comes by within the time that a run waits -> running: the scan -> (none): done, or contradicted
//! ```
//! A version that contradicts a mark takes it away when it meets it, before it writes; of what is going to be removed, also before it
//! reads. So a mark that still stands at the end tells that nobody came in between, and one that is `running` at the beginning that an
//! interrupted run may go on where it was.

use super::Constraints;
use super::run_mark::{ENTITY, Mark, Phase, VALUES, is_had_by, is_undone_by};
use super::state_item::StateItem;
use crate::model::{Entity, Model};
use crate::store::table::{Item, TableError};

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

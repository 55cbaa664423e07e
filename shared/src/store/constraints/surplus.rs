//! Rows too many: a version that does not know a field keeps the field's rules, but leaves rows behind when it deletes records. They
//! hinder nobody, because whoever meets one looks for its record; `migrate` removes them all the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Constraints;
use super::rule::{self, Rule};
use super::runs::{Mark, SURPLUS};
use super::state_item::StateItem;
use super::target::Target;
use crate::model::{Entity, Model};
use crate::store::table::{Item, TableError};
use crate::store::verify::Verifier;

/// The rules of a model's entity that may have rows too many.
pub(super) fn surplus(model: &Model, entity: &Entity, state: &StateItem) -> Vec<Rule> {
    let left = state.surplus();
    Rule::of_entity(entity).filter(|rule| left.contains(&rule.attribute(model))).collect()
}

impl StateItem {
    /// Notes that a version which is about to write may leave rows of rules whose fields it does not know.
    pub(super) fn note_surplus(&mut self, entity: &Entity) {
        let rules = self.rules().into_iter().map(|(attribute, _)| attribute);
        let unknown = rules.filter(|attribute| rule::parse(attribute).is_some_and(|(_, name)| entity.by_field(name).is_none()));
        let all: BTreeSet<String> = self.surplus().into_iter().chain(unknown).collect();
        self.set_surplus(all);
    }
}

impl Constraints {
    pub(crate) fn surplus_marks(&self, rules: &[Rule]) -> Vec<Mark> {
        let mark = |rule: &Rule| Mark {
            entity: self.model.entity(rule.entity).name.clone(),
            text: format!("{SURPLUS}{}", rule.attribute(&self.model)),
        };
        rules.iter().map(mark).collect()
    }

    /// Removes those rows of a page that no record needs; how many.
    ///
    /// # Errors
    /// What the table says.
    pub(crate) async fn remove_surplus(&self, rules: &[Rule], page: Vec<Item>) -> Result<u64, TableError> {
        let targets: Vec<Target> = rules.iter().cloned().map(Target::Rule).collect();
        let is_row = |item: &Item| targets.iter().any(|target| target.has_row(&self.model, item));
        let rows: Vec<Item> = page.into_iter().filter(is_row).collect();
        let verifier = Verifier::new(Arc::clone(&self.table), Arc::clone(&self.model), self.env.clone(), true);
        verifier.remove_orphans(rows).await
    }

    /// Notes that there are none any more, unless a version that leaves some has come by.
    ///
    /// # Errors
    /// What the table says.
    pub(crate) async fn finish_surplus(&self, marks: &[Mark]) -> Result<(), TableError> {
        for mark in marks {
            self.edit_under(&mark.entity, |state| {
                if state.marks().contains_key(&mark.text) {
                    state.set_mark(&mark.text, None);
                    let mut left = state.surplus();
                    left.remove(mark.text.trim_start_matches(SURPLUS));
                    state.set_surplus(left);
                }
            })
            .await?;
        }
        self.forget();
        Ok(())
    }
}

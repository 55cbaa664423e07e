//! Rows too many: a version that does not know a field keeps the field's rules, but leaves rows behind when it deletes records. They
//! hinder nobody, because whoever meets one looks for its record; `migrate` removes them all the same.

use std::sync::Arc;

use super::Constraints;
use super::rule::Rule;
use super::run_mark::{Mark, SURPLUS};
use super::target::Target;
use crate::store::table::{Item, TableError};
use crate::store::verify::Verifier;

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

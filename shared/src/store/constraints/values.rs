//! Noting that stored values are about to get what they lack, and that they have it.

use super::Constraints;
use super::lacking::{Lack, Lacking};
use super::rule::class;
use super::run_mark::{COMPLETE, FORM, Mark};
use crate::model::Entity;
use crate::store::table::TableError;

impl Constraints {
    /// Marks, before values get another name, that whoever knows only the old one must not go on.
    ///
    /// # Errors
    /// What the table says.
    pub(crate) async fn begin_values(&self, lacking: &[Lacking]) -> Result<(), TableError> {
        for entity in self.entities_of(lacking) {
            let own: Vec<&Lacking> = lacking.iter().filter(|lacking| lacking.entity == entity.ix).collect();
            self.edit_under(&entity.name, |state| {
                for lacking in &own {
                    if let Lack::Name(before) = &lacking.lack {
                        state.set_renamed(before, &entity.field(lacking.field).name);
                    }
                }
            })
            .await?;
        }
        Ok(())
    }

    /// The marks of what lacks a value or a form; a name is moved while nobody may write.
    pub(crate) fn value_marks(&self, lacking: &[Lacking]) -> Vec<Mark> {
        lacking.iter().filter_map(|lacking| self.value_mark(lacking)).collect()
    }

    fn value_mark(&self, lacking: &Lacking) -> Option<Mark> {
        let entity = self.model.entity(lacking.entity);
        let field = entity.field(lacking.field);
        let text = match &lacking.lack {
            Lack::Name(_) => return None,
            Lack::Value => format!("{COMPLETE}{}", field.name),
            Lack::Form(_) => format!("{FORM}{}.{}", field.name, class(&self.model, &field.kind)),
        };
        Some(Mark { entity: entity.name.clone(), text })
    }

    /// Takes away the marks of these.
    ///
    /// # Errors
    /// What the table says.
    pub(crate) async fn unmark(&self, marks: &[Mark]) -> Result<(), TableError> {
        for mark in marks {
            self.edit_under(&mark.entity, |state| state.set_mark(&mark.text, None)).await?;
        }
        Ok(())
    }

    /// Notes that the values of these lack nothing any more, but for those to whose marks a version has objected.
    ///
    /// # Errors
    /// What the table says.
    pub(crate) async fn finish_values(&self, lacking: &[Lacking]) -> Result<(), TableError> {
        for entity in self.entities_of(lacking) {
            let own: Vec<&Lacking> = lacking.iter().filter(|lacking| lacking.entity == entity.ix).collect();
            self.edit_under(&entity.name, |state| {
                for lacking in &own {
                    let field = entity.field(lacking.field);
                    let mark = self.value_mark(lacking);
                    if mark.as_ref().is_some_and(|mark| !state.marks().contains_key(&mark.text)) {
                        continue;
                    }
                    if let Some(mark) = mark {
                        state.set_mark(&mark.text, None);
                    }
                    match &lacking.lack {
                        Lack::Name(before) => state.rename(before, &field.name, class(&self.model, &field.kind)),
                        Lack::Form(_) => state.set_form(&field.name, class(&self.model, &field.kind)),
                        Lack::Value => state.add_complete(&field.name),
                    }
                }
            })
            .await?;
        }
        self.memory().read = None;
        Ok(())
    }

    fn entities_of<'a>(&'a self, lacking: &'a [Lacking]) -> impl Iterator<Item = &'a Entity> {
        self.model.entities.iter().filter(|entity| lacking.iter().any(|lacking| lacking.entity == entity.ix))
    }
}

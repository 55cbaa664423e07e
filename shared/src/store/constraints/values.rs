//! Noting that stored values are about to get what they lack, and that they have it.

use super::Constraints;
use super::lacking::{Lack, Lacking};
use super::rule::class;
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

    /// Notes that the values of these lack nothing any more.
    ///
    /// # Errors
    /// What the table says.
    pub(crate) async fn finish_values(&self, lacking: &[Lacking]) -> Result<(), TableError> {
        for entity in self.entities_of(lacking) {
            let own: Vec<&Lacking> = lacking.iter().filter(|lacking| lacking.entity == entity.ix).collect();
            self.edit_under(&entity.name, |state| {
                for lacking in &own {
                    let field = entity.field(lacking.field);
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

//! Noting that the records of an entity are about to stand under another name, and that they do.

use super::Constraints;
use super::state_item::StateItem;
use crate::model::Entity;
use crate::store::keys;
use crate::store::table::{TableError, TableName};

impl Constraints {
    /// Marks that whoever knows an entity by the name of before only must not go on.
    ///
    /// # Errors
    /// What the table says.
    pub(crate) async fn begin_move(&self, entity: &Entity, from: &str) -> Result<(), TableError> {
        self.edit_under(from, |state| state.set_moving(&entity.name)).await
    }

    /// Notes that all records stand under the new name, and none has a row yet.
    ///
    /// # Errors
    /// What the table says.
    pub(crate) async fn finish_move(&self, entity: &Entity, from: &str) -> Result<(), TableError> {
        loop {
            let places = [keys::states_of(from), keys::index_states(entity)].map(|key| (TableName::Data, key));
            let found = self.table.get(&places, true).await?;
            let Some(old) = found[0].as_ref().map(StateItem::read) else { return Ok(()) };
            let before = found[1].as_ref().map(StateItem::read);
            if self.save(before.as_ref(), StateItem::moved(entity, &old, before.as_ref())).await? {
                break;
            }
        }
        self.edit_under(from, StateItem::set_moved).await?;
        self.forget();
        Ok(())
    }

    /// Changes the state of the entity of a name, if it has been written.
    pub(super) async fn edit_under(&self, name: &str, change: impl Fn(&mut StateItem)) -> Result<(), TableError> {
        loop {
            let place = [(TableName::Data, keys::states_of(name))];
            let Some(item) = self.table.get(&place, true).await?.into_iter().next().flatten() else { return Ok(()) };
            let before = StateItem::read(&item);
            let mut after = before.clone();
            change(&mut after);
            if before == after || self.save(Some(&before), after).await? {
                return Ok(());
            }
        }
    }
}

//! Reading and setting the mark of the protocol ([`super::protocol`]).

use super::Constraints;
use super::entry::{Entry, State};
use super::protocol::{self, MARK, Mark};
use crate::store::table::TableError;

impl Constraints {
    /// Whether the table is of this protocol, as it is now.
    ///
    /// # Errors
    /// [`TableError::Broken`] where it is not, with what to do; what the table says.
    pub async fn check_protocol(&self) -> Result<(), TableError> {
        protocol::check(&self.load().await?)
    }

    /// The marks of those entities that have been written.
    pub(crate) async fn marks(&self) -> Result<Vec<(String, Mark)>, TableError> {
        let items = self.load().await?;
        let entities = self.model.entities.iter().zip(&items);
        Ok(entities.filter_map(|(entity, item)| Some((entity.name.clone(), protocol::of(item.as_ref()?)))).collect())
    }

    /// Sets the marks of those entities that have been written, unless a landed writer has met one since it was read.
    pub(crate) async fn set_marks(&self, mark: Mark) -> Result<(), TableError> {
        let items = self.load().await?;
        for (entity, item) in self.model.entities.iter().zip(&items) {
            let Some(item) = item else { continue };
            let state = if mark == Mark::Set { State::Ready } else { State::Writing };
            let before = Entry::of(item, MARK);
            self.replace(entity, MARK, before.as_ref(), protocol::entry(state).attr()).await?;
        }
        self.memory().read = None;
        Ok(())
    }
}

//! Closing the gates of a record that is to go, so that nobody comes to refer to it while it is looked at who does.
//!
//! Gate 0 first: it names the others. Behind a closed gate only those are left who announced themselves before. They are ended one by
//! one, without regard to their age: a fence either aborts them, and they try again and find the gate closed, or shows that they have
//! committed, so that their reference rows can be read.

use futures::future;

use super::Writer;
use super::attempt::{Attempt, Removal, Stop};
use super::commit::Pauses;
use crate::core::clock::Micros;
use crate::store::gate::{self, Closed};
use crate::store::settle;
use crate::store::table::{Item, Key, TableError, TableName};

impl Writer {
    /// Closes all gates of these records, and waits until nobody is behind them.
    pub(super) async fn close_all(&self, removals: &[Removal], attempt: &mut Attempt, deadline: Micros) -> Result<(), Stop> {
        for removal in removals {
            attempt.closed.insert(removal.clone(), vec![removal.gate.clone()]);
        }
        let firsts = removals.iter().map(|removal| self.close(&removal.gate, attempt, deadline));
        let firsts = future::join_all(firsts).await.into_iter().collect::<Result<Vec<Item>, Stop>>()?;
        let mut others = Vec::new();
        for (removal, first) in removals.iter().zip(&firsts) {
            let all = gate::all(first);
            others.extend(all.iter().skip(1).cloned());
            attempt.closed.insert(removal.clone(), all);
        }
        let others = others.iter().map(|gate| self.close(gate, attempt, deadline));
        let others = future::join_all(others).await.into_iter().collect::<Result<Vec<Item>, Stop>>()?;
        let drained = firsts.into_iter().chain(others).map(|gate| self.drain(gate, deadline));
        future::join_all(drained).await.into_iter().collect()
    }

    /// Closes one gate; as it is then.
    async fn close(&self, gate: &Key, attempt: &Attempt, deadline: Micros) -> Result<Item, Stop> {
        match self.patiently(gate::close(gate, &attempt.element), deadline).await {
            Ok(closed) => Ok(closed.unwrap_or_else(|| Item::new(gate.clone()))),
            Err(TableError::ConditionFailed(Some(other))) => {
                if let Some(Closed::By(_)) = gate::closed(&other) {
                    settle::closed(self.table.as_ref(), &self.env, &other).await?;
                }
                Err(Stop::Again)
            }
            Err(TableError::ConditionFailed(None)) => Err(Stop::Again),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends everybody who is behind a closed gate.
    async fn drain(&self, mut gate: Item, deadline: Micros) -> Result<(), Stop> {
        let mut pauses = Pauses::new(self, deadline);
        loop {
            let behind = gate::unsettled(&gate).to_vec();
            if behind.is_empty() {
                return Ok(());
            }
            let left = behind.len();
            let ended = settle::remove(self.table.as_ref(), &self.env, &gate.key, behind).await?;
            if ended < left && !pauses.pause().await {
                return Err(Stop::Again);
            }
            let found = self.table.get(&[(TableName::Data, gate.key.clone())], true).await?;
            gate = found.into_iter().next().flatten().unwrap_or_else(|| Item::new(gate.key));
        }
    }
}

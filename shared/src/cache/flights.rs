//! One reading for many who want the same answer at the same time.
//!
//! A reading is shared only by requests that each looked at the tags themselves and found what its reader had found: so a write
//! that was acknowledged before a request began has changed the tags that this request saw, and it shares nothing older.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OnceCell;

use super::entry::Answer;
use super::key::CacheKey;
use super::snapshot::Stamp;

type Flight = OnceCell<Arc<Answer>>;

#[derive(Default)]
pub(super) struct SingleFlight(Mutex<HashMap<(CacheKey, Stamp), Weak<Flight>>>);

impl SingleFlight {
    /// The reading of this answer that is under way, or a new one. If its reader gives up, the next takes over.
    pub(super) fn join(&self, key: CacheKey, stamp: Stamp) -> Arc<Flight> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&(key, stamp)).and_then(Weak::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::default();
        flights.insert((key, stamp), Arc::downgrade(&flight));
        flight
    }
}

//! The mark of protocol 2 on a table, and what follows where it is missing.
//!
//! The landed version counted references in guards and changed tags within transactions; this one has reference rows, gates and
//! announcements. Both at work on one table would break every promise, so each entity's state item carries a mark in the form of an
//! index that nobody's model has. A landed writer marks what it does not know `stale` before it writes and every [`super::REFRESH`]
//! from then on: so a mark that is stale tells that one is at work, and this version refuses to read or write from then on. A table
//! without the mark is a landed one, until `holdfast migrate --protocol-2` has converted it.

use super::entry::{Entry, State, attribute};
use crate::store::keys;
use crate::store::table::{Item, TableError};

/// Name of the mark among the indexes of an entity; no index can have it.
pub(crate) const MARK: &str = "!protocol";
/// What the mark says.
const PROTOCOL: &str = "2";

/// State of the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// The landed version has written since.
    Broken,
    /// There is none: the entity was written by the landed version.
    Missing,
    /// A conversion has begun.
    Begun,
    /// This protocol.
    Set,
}

/// The mark of an entity's state item.
pub(crate) fn of(states: &Item) -> Mark {
    match Entry::of(states, MARK).map(|entry| entry.state) {
        None => Mark::Missing,
        Some(State::Ready) => Mark::Set,
        Some(State::Stale) => Mark::Broken,
        Some(State::Writing | State::Building) => Mark::Begun,
    }
}

/// The entry that says so.
pub(super) fn entry(state: State) -> Entry {
    Entry { fingerprint: PROTOCOL.to_owned(), state, run: String::new() }
}

/// A new entity's state item, with the mark.
pub(super) fn marked(states: Item) -> Item {
    states.with(attribute(MARK), entry(State::Ready).attr())
}

/// Refuses a table that is not of this protocol. `items`: the states of entities; those that there are must have the mark.
pub(super) fn check(items: &[Option<Item>]) -> Result<(), TableError> {
    let of_entities = items.iter().flatten().filter(|item| item.key != keys::tag_policy());
    // The worst first.
    let worst =
        of_entities.map(|states| (of(states), states)).filter(|(mark, _)| *mark != Mark::Set).min_by_key(|(mark, _)| *mark);
    let Some((mark, states)) = worst else { return Ok(()) };
    let why = match mark {
        Mark::Broken => {
            "was written by a version before protocol 2 after its conversion; stop that version, then run `holdfast migrate --protocol-2` and `holdfast verify --repair`"
        }
        Mark::Missing => {
            "was written by a version before protocol 2; run `holdfast migrate --protocol-2` once, with no instance running"
        }
        Mark::Begun | Mark::Set => {
            "is being converted to protocol 2; wait for `holdfast migrate --protocol-2`, or run it again where it was interrupted"
        }
    };
    let entity = states.key.pk.trim_start_matches("x#");
    Err(TableError::Broken(format!("entity `{entity}` of this table {why}")))
}

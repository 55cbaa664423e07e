//! Settling: taking the elements of an attempt that is over out of tags and gates.
//!
//! A writer settles what it announced before it answers, all at once. What a dead or hindered writer leaves is settled by whoever
//! meets it: the attempt's fence decides whether it is over ([`super::fence::decide`]), and only then its element goes, or the mark
//! of a deletion that has failed. Nothing counts elements, so to settle twice, or late, is harmless.

use futures::future;

use super::fence::{self, Element, Outcome};
use super::gate::{self, Closed};
use super::repeat::repeated;
use super::table::{Item, Key, Returning, Table, TableError, TableName, Write};
use crate::core::clock::{Env, Micros};

/// What an attempt has announced and not yet settled.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "until it is settled nothing under these tags is served from the cache"]
pub struct Unsettled {
    pub(super) element: Element,
    pub(super) tags: Vec<Key>,
    pub(super) gates: Vec<Key>,
}

impl Unsettled {
    /// Notes that it is settled.
    pub(super) fn forget(&mut self) {
        self.tags.clear();
        self.gates.clear();
    }

    /// Takes its element out everywhere, one call for each item, all at a time. Best effort: what fails is left to others.
    pub async fn settle(self, table: &dyn Table) {
        let items = self.tags.iter().chain(&self.gates);
        let removals = items.map(|item| call(table, gate::settle(item, vec![self.element.text()])));
        for outcome in future::join_all(removals).await {
            if let Err(error) = outcome {
                tracing::debug!(%error, "an element stays until somebody settles it");
            }
        }
    }
}

/// Makes a call whose condition says that there is something to do.
///
/// # Errors
/// Other errors of the table.
pub(crate) async fn call(table: &dyn Table, write: Write) -> Result<(), TableError> {
    match table.write(TableName::Data, write, Returning::Nothing).await {
        Err(TableError::ConditionFailed(_)) => Ok(()),
        other => other.map(drop),
    }
}

/// How many elements of a tag or gate are older than a writer needs.
pub fn overdue(env: &Env, item: &Item) -> usize {
    let now = env.now();
    gate::unsettled(item).iter().filter(|text| Element::parse(text).is_none_or(|element| element.is_overdue(now))).count()
}

/// Whether the deletion that has closed a gate is older than a writer needs.
pub fn is_closed_too_long(env: &Env, gate: &Item) -> bool {
    matches!(gate::closed(gate), Some(Closed::By(element)) if element.is_overdue(env.now()))
}

/// Removes the overdue elements of a tag or gate whose attempts are over. Gives back how many were removed.
///
/// An element that cannot be read is removed too, because nothing could ever settle it: the count of a tag has grown already.
///
/// # Errors
/// What the table says; a commit that is still under way is no error.
pub async fn elements(table: &dyn Table, env: &Env, item: &Item) -> Result<usize, TableError> {
    let now = env.now();
    let is_due = |text: &&String| Element::parse(text).is_none_or(|element| element.is_overdue(now));
    remove(table, env, &item.key, gate::unsettled(item).iter().filter(is_due).cloned().collect()).await
}

/// Removes those of these elements whose attempts are over, and ends those that could be ended. How many were removed.
///
/// # Errors
/// Errors of the table.
pub(super) async fn remove(table: &dyn Table, env: &Env, item: &Key, elements: Vec<String>) -> Result<usize, TableError> {
    let over = elements.iter().map(|text| is_over(table, env.now(), text));
    let over = future::join_all(over).await.into_iter().collect::<Result<Vec<bool>, _>>()?;
    let gone: Vec<String> = elements.into_iter().zip(over).filter_map(|(text, over)| over.then_some(text)).collect();
    let count = gone.len();
    if count > 0 {
        repeated(env, || call(table, gate::settle(item, gone.clone()))).await?;
    }
    Ok(count)
}

async fn is_over(table: &dyn Table, now: Micros, text: &str) -> Result<bool, TableError> {
    let Some(element) = Element::parse(text) else { return Ok(true) };
    match fence::decide(table, element.token(), now).await {
        Ok(outcome) => Ok(outcome != Outcome::Pending),
        Err(TableError::Unknown(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens a gate that a deletion has closed which is overdue, unless that is still committing. Whether the gate is open now, as far
/// as that deletion is concerned.
///
/// # Errors
/// Errors of the table.
pub async fn closed(table: &dyn Table, env: &Env, item: &Item) -> Result<bool, TableError> {
    let Some(Closed::By(deleter)) = gate::closed(item).filter(|_| is_closed_too_long(env, item)) else { return Ok(false) };
    if !is_over(table, env.now(), &deleter.text()).await? {
        return Ok(false);
    }
    repeated(env, || call(table, gate::reopen(&item.key, &deleter))).await?;
    Ok(true)
}

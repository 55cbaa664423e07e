//! The reporter's part: what happens once a minute.

use super::level::Level;
use super::merge::{self, Merged};
use super::publish::{self, Metrics};
use super::read;
use super::state::UNPUBLISHED;
use crate::core::clock::{Env, Micros};
use crate::store::keys;
use crate::store::table::{Attr, Expr, Returning, Table, TableError, TableName, Write};

/// What a tick did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ticked {
    /// Flushes that were merged.
    pub flushes: usize,
    /// Requests in them.
    pub requests: u64,
    /// Merges of earlier ticks that were never published.
    pub gaps: u64,
}

/// Merges what was flushed and publishes what that added. Each merge is published by the reporter that made it, at most once; one
/// that dies in between leaves a gap, which the next one publishes as the metric `PublishGaps`. `until`: deadline.
///
/// # Errors
/// The store's; the next tick tries again.
pub async fn tick(table: &dyn Table, env: &Env, metrics: Option<&dyn Metrics>, until: Micros) -> Result<Ticked, TableError> {
    let before = unpublished(table).await?;
    let merged = merge::merge(table, env, until.seconds()).await?;
    let requests = merged.added.values().map(super::UsageCounts::requests).sum();
    let gaps = u64::try_from(before).unwrap_or(0);
    if let Some(metrics) = metrics {
        publish_best_effort(table, env, metrics, &merged, gaps).await?;
    }
    settle(table, before + merged.transactions).await?;
    Ok(Ticked { flushes: merged.flushes, requests, gaps })
}

/// Best effort: metrics that are lost are lost, because twice would be wrong.
async fn publish_best_effort(
    table: &dyn Table,
    env: &Env,
    metrics: &dyn Metrics,
    merged: &Merged,
    gaps: u64,
) -> Result<(), TableError> {
    let now = env.now().seconds();
    // The hours of what was merged: at the beginning of an hour that is still the one before.
    let first = merged.added.keys().next().map_or(now, |minute| minute * 60).min(now);
    let hours = read::series(table, env, Level::Hour, None, (first, now + 1)).await?;
    let top = publish::top(hours.values());
    if let Err(why) = metrics.publish(publish::data(&merged.added, &top, gaps, now)).await {
        tracing::error!(why, "metrics could not be published");
    }
    Ok(())
}

/// Merges whose publication is not confirmed.
async fn unpublished(table: &dyn Table) -> Result<i64, TableError> {
    let state = table.get(&[(TableName::Volatile, keys::usage_state())], true).await?;
    Ok(state.into_iter().next().flatten().and_then(|item| item.n(UNPUBLISHED)).unwrap_or(0).max(0))
}

async fn settle(table: &dyn Table, merges: i64) -> Result<(), TableError> {
    if merges == 0 {
        return Ok(());
    }
    let update = Expr::new("ADD #u :less").name("#u", UNPUBLISHED).value(":less", Attr::N(-merges));
    let write = Write::Update { key: keys::usage_state(), update, condition: None };
    table.write(TableName::Volatile, write, Returning::Nothing).await.map(|_| ())
}

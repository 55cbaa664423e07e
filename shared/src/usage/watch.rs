//! Input of the search for anomalies: once an hour, for every consumer that calls or usually does.

use std::collections::{BTreeMap, BTreeSet};

use super::anomaly::{Anomaly, History, Hour, find, looked_at};
use super::counts::{OTHERS, UsageCounts};
use super::finished::NOBODY;
use super::level::Level;
use super::{pack, read};
use crate::core::clock::{Env, Micros};
use crate::store::keys;
use crate::store::table::{Attr, Expr, Returning, Table, TableError, TableName, Write};

/// Seconds after its end at which an hour is examined: by then all but frozen instances have flushed.
const GRACE: i64 = 180;
/// Maximum number of consumers examined.
const MAX_CONSUMERS: usize = 500;
/// Attribute of the state: the last hour that was examined, seconds since 1970.
const JUDGED: &str = "a";
/// Hours in which a consumer that is silent now would have called.
const BEFORE: [i64; 3] = [3_600, 86_400, 7 * 86_400];

/// A finding: whose, in which hour (seconds since 1970), what.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The consumer.
    pub consumer: String,
    /// Start of the hour.
    pub hour: i64,
    /// Anomaly.
    pub anomaly: Anomaly,
}

/// The hour that is to be examined now, if there is one.
///
/// # Errors
/// The store's.
pub async fn due(table: &dyn Table, now: Micros) -> Result<Option<i64>, TableError> {
    let hour = Level::Hour.start(now.seconds() - GRACE) - 3_600;
    let state = table.get(&[(TableName::Volatile, keys::usage_state())], true).await?;
    let judged = state.into_iter().next().flatten().and_then(|item| item.n(JUDGED));
    Ok((judged.is_none_or(|judged| judged < hour)).then_some(hour))
}

/// Records that an hour was examined and its notices enqueued.
///
/// # Errors
/// The store's.
pub async fn done(table: &dyn Table, hour: i64) -> Result<(), TableError> {
    let update = Expr::new("SET #a = :hour").name("#a", JUDGED).value(":hour", Attr::N(hour));
    let write = Write::Update { key: keys::usage_state(), update, condition: None };
    table.write(TableName::Volatile, write, Returning::Nothing).await.map(|_| ())
}

/// Examines an hour.
///
/// # Errors
/// The store's.
pub async fn find_anomalies(table: &dyn Table, env: &Env, hour: i64) -> Result<Vec<Finding>, TableError> {
    let mut found = Vec::new();
    for consumer in consumers(table, env, hour).await? {
        let history = history(table, env, &consumer, hour).await?;
        let now = history.1;
        found.extend(find(&now, &history.0).into_iter().map(|anomaly| Finding { consumer: consumer.clone(), hour, anomaly }));
    }
    Ok(found)
}

/// The consumers that called in the hour, or in the hours before it that show who usually calls.
async fn consumers(table: &dyn Table, env: &Env, hour: i64) -> Result<Vec<String>, TableError> {
    let starts: Vec<i64> = [hour].into_iter().chain(BEFORE.iter().map(|back| hour - back)).collect();
    let mut names = BTreeSet::new();
    for sheet in rollups(table, env, None, &starts).await?.into_values() {
        names.extend(sheet.consumers().into_iter().map(str::to_owned));
        names.extend(sheet.folded);
    }
    Ok(names.into_iter().filter(|name| name != NOBODY && name != OTHERS).take(MAX_CONSUMERS).collect())
}

async fn history(table: &dyn Table, env: &Env, consumer: &str, hour: i64) -> Result<(History, Hour), TableError> {
    let mut starts = looked_at(hour);
    starts.push(hour);
    let today = Level::Day.start(hour);
    let days = read::series(table, env, Level::Day, Some(consumer), (hour - Level::Hour.kept(), today));
    let (hours, days) = futures::try_join!(rollups(table, env, Some(consumer), &starts), days)?;
    let mut hours: Vec<Hour> = hours.iter().map(|(start, sheet)| Hour::of(*start, sheet, consumer)).collect();
    let now = hours.iter().position(|one| one.start == hour).map(|at| hours.remove(at));
    let since = days.keys().copied().chain(hours.iter().map(|hour| hour.start)).min().unwrap_or(hour);
    let routes = days.values().flat_map(|sheet| sheet.cells.keys().map(|(_, route, _)| route.clone())).collect();
    Ok((History { since, hours, routes }, now.unwrap_or(Hour { start: hour, ..Hour::default() })))
}

/// The hours of all or of one consumer that start then.
async fn rollups(
    table: &dyn Table,
    env: &Env,
    of: Option<&str>,
    starts: &[i64],
) -> Result<BTreeMap<i64, UsageCounts>, TableError> {
    let place = |start: &i64| (TableName::Volatile, keys::usage_rollup(Level::Hour.letter(), of, *start));
    let found = table.get(&starts.iter().map(place).collect::<Vec<_>>(), true).await?;
    let now = env.now().seconds();
    Ok(starts.iter().zip(found).filter_map(|(start, item)| Some((*start, pack::sheet(&item?, now)?))).collect())
}

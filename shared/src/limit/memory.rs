//! What an instance remembers of consumers: never more than a hint, except for a second, and never the truth.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::item::{self, State};
use super::lease::{Lease, Leftover};
use super::plan::{Charge, LimitRate, ResolvedPlan};
use super::shown::{Shown, Unspent};
use super::threshold::Crossing;
use super::verdict::{LimitViolation, WindowState};
use crate::core::clock::Micros;

/// How long a refusal is repeated without asking again: disabled, enabled, overridden takes effect within this.
pub const TRUSTED: Duration = Duration::from_secs(1);
/// Consumers that an instance remembers.
const MAX_CONSUMERS: usize = 20_000;
/// What is forgotten first when there are more.
const IDLE: Duration = Duration::from_secs(60);
/// Use of a rate, per cent, from which on it is near its bound.
pub const NEAR: u64 = 80;
/// Lengths of time over which the use of a rate is judged.
const WATCHED: RangeInclusive<Duration> = Duration::from_secs(30)..=Duration::from_secs(150);
/// An instance tries to tell a crossing once in this time.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// All consumers that an instance remembers.
#[derive(Default)]
pub struct Memory {
    consumers: Mutex<HashMap<String, Arc<Remembered>>>,
}

impl Memory {
    /// Forgets a consumer.
    pub fn forget(&self, consumer: &str) {
        lock(&self.consumers).remove(consumer);
    }

    /// Everybody who is remembered.
    pub fn all(&self) -> Vec<(String, Arc<Remembered>)> {
        lock(&self.consumers).iter().map(|(consumer, known)| (consumer.clone(), Arc::clone(known))).collect()
    }

    /// What is remembered of a consumer.
    pub fn of(&self, consumer: &str, now: Micros) -> Arc<Remembered> {
        let mut consumers = lock(&self.consumers);
        if let Some(known) = consumers.get(consumer) {
            return Arc::clone(known);
        }
        if consumers.len() >= MAX_CONSUMERS {
            let oldest = now.0.saturating_sub(i64::try_from(IDLE.as_micros()).unwrap_or(i64::MAX));
            consumers.retain(|_, one| lock(&one.notes).used.0 > oldest);
            if consumers.len() >= MAX_CONSUMERS {
                consumers.clear();
            }
        }
        Arc::clone(consumers.entry(consumer.to_owned()).or_default())
    }
}

/// What is remembered of one consumer.
#[derive(Default)]
pub struct Remembered {
    /// The notes.
    pub notes: Mutex<Notes>,
    /// Held while a lease is asked for, so that an instance asks once.
    pub gate: tokio::sync::Mutex<()>,
}

impl Remembered {
    /// The notes, locked; never held over a wait.
    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        lock(&self.notes)
    }
}

/// Notes on one consumer.
#[derive(Debug, Default)]
pub struct Notes {
    /// The item as it was last seen.
    pub state: State,
    /// When it was seen; `None`: never.
    pub seen: Option<Micros>,
    /// When the item last refused a request; `None`: never.
    pub refused: Option<Micros>,
    /// When a request last came.
    pub used: Micros,
    /// Leases that may have something left.
    pub leases: Vec<Lease>,
    /// What leases that have ended left of quotas.
    pub leftover: Leftover,
    /// What answers told of the windows.
    pub shown: Shown,
    /// Units admitted by the fallback since the store was last reached, and its TATs by rate.
    pub fallback: super::fallback::Local,
    pace: Pace,
    shared: SharedPace,
    denied_in: Option<i64>,
    minute: WatchedMinute,
    notified: HashMap<(String, i64), (i64, Micros)>,
}

impl Notes {
    /// Takes note of the item.
    pub fn see(&mut self, state: State, now: Micros) {
        self.shared.see(state.units(), now);
        self.state = state;
        self.seen = Some(now);
        self.fallback = super::fallback::Local::default();
    }

    /// The item, if it was seen within the last second.
    pub fn fresh(&self, now: Micros) -> Option<&State> {
        is_recent(self.seen?, now).then_some(&self.state)
    }

    /// Whether the item itself refused something within the last second. Before that nobody is refused by memory alone: the consumer
    /// may have been given more since.
    pub fn was_refused(&self, now: Micros) -> bool {
        self.refused.is_some_and(|refused| is_recent(refused, now))
    }

    /// Counts a request; `hot`: requests a second that make a consumer hot.
    pub fn count(&mut self, units: u64, hot: u64, now: Micros) {
        self.used = now;
        self.pace.count(units, hot, now);
    }

    /// Units a second that are asked for here, if the consumer has been hot for a second, on this instance or over all of them: a burst
    /// out of idleness is charged one by one, because a lease cannot have all of it.
    pub fn demand(&self, now: Micros) -> Option<u64> {
        let Pace { this, last, hot_since, .. } = self.pace;
        let is_hot = hot_since.is_some_and(|since| now.since(since) >= TRUSTED) || self.shared.is_hot(now);
        is_hot.then(|| this.1.max(last.1))
    }

    /// What an answer tells of the windows: those that concern a request which was admitted, or which only looks.
    pub fn windows(&mut self, plan: &ResolvedPlan, state: &State, charge: &Charge, now: Micros) -> Vec<WindowState> {
        let mut shown = std::mem::take(&mut self.shown);
        let windows = shown.windows(self, plan, state, charge, now);
        self.shown = shown;
        windows
    }

    /// As [`Self::windows`], of a request that is refused.
    pub fn refused_windows(
        &mut self,
        plan: &ResolvedPlan,
        state: &State,
        charge: &Charge,
        violated: &[LimitViolation],
        now: Micros,
    ) -> Vec<WindowState> {
        let mut windows = self.windows(plan, state, charge, now);
        self.shown.refuse(&mut windows, plan, charge, violated, now);
        windows
    }

    /// Whether no denial of this minute was noted yet; from now on one is.
    pub fn is_first_denial(&mut self, now: Micros) -> bool {
        let minute = now.seconds().div_euclid(60);
        self.denied_in.replace(minute) != Some(minute)
    }

    /// Rates of which all instances together used at least [`NEAR`] per cent since the minute before began, told once a minute, with the
    /// minute (since 1970) that it was.
    pub fn near_their_bound(&mut self, plan: &ResolvedPlan, now: Micros) -> Vec<(i64, String)> {
        let minute = now.seconds().div_euclid(60);
        if self.minute.minute == minute {
            return Vec::new();
        }
        let used =
            plan.rates.iter().map(|rate| (item::counter(rate), self.state.numbers.get(&item::counter(rate)).copied())).collect();
        let before = std::mem::replace(&mut self.minute, WatchedMinute { minute, at: now, used });
        let passed = now.since(before.at);
        if !WATCHED.contains(&passed) {
            return Vec::new();
        }
        let is_near = |rate: &&LimitRate| {
            let count = |minute: &WatchedMinute| minute.used.get(&item::counter(rate)).copied().flatten();
            let Some((then, now)) = count(&before).zip(count(&self.minute)) else { return false };
            let used = u64::try_from(now.saturating_sub(then)).unwrap_or(0);
            used.saturating_mul(100) >= rate.gcra.units_in(passed).saturating_mul(NEAR)
        };
        plan.rates.iter().filter(is_near).map(|rate| (before.minute, rate.name.clone())).collect()
    }

    /// Those crossings that this instance should tell now. Who crosses tells at once, and so does an instance that has only just
    /// met the consumer (`known` is false); one that merely sees a crossing leaves the other a second.
    pub fn choose_to_tell(&mut self, crossings: Vec<Crossing>, cost: u64, known: bool, now: Micros) -> Vec<Crossing> {
        let keep: Vec<Crossing> =
            crossings.into_iter().filter(|crossing| self.should_enqueue(crossing, cost, known, now)).collect();
        if self.notified.len() > 64 {
            self.notified.retain(|_, (_, at)| now.0.saturating_sub(at.0) < 60_000_000);
        }
        keep
    }

    fn should_enqueue(&mut self, crossing: &Crossing, cost: u64, known: bool, now: Micros) -> bool {
        let key = (crossing.quota.clone(), crossing.span.start);
        let highest = crossing.highest();
        let again = i64::try_from(TELL_AGAIN.as_micros()).unwrap_or(0);
        let earlier = self.notified.get(&key).copied().filter(|(percent, _)| *percent >= highest);
        if earlier.is_some_and(|(_, at)| (0..again).contains(&(now.0 - at.0))) {
            return false;
        }
        self.notified.insert(key, (highest, now));
        let before = u128::from(crossing.count.saturating_sub(cost));
        let crossed_here = before * 100 < u128::from(crossing.limit) * u128::from(highest.unsigned_abs());
        crossed_here || !known || earlier.is_some()
    }
}

impl Unspent for Notes {
    fn of_rate(&self, attribute: &str, now: Micros) -> u64 {
        let debits = |lease: &&Lease| lease.debits(attribute) && now < lease.until;
        self.leases.iter().filter(debits).map(|lease| lease.left).sum()
    }

    fn of_count(&self, count: &str) -> u64 {
        let leases = self.leases.iter().filter(|lease| lease.counts.iter().any(|of| of == count)).map(|lease| lease.left);
        let over = if self.leftover.counts.iter().any(|of| of == count) { self.leftover.units } else { 0 };
        leases.sum::<u64>().saturating_add(over)
    }
}

/// What was counted of a plan's rates when a minute was first seen.
#[derive(Debug, Default)]
struct WatchedMinute {
    /// Since 1970.
    minute: i64,
    at: Micros,
    /// By the attribute that counts.
    used: BTreeMap<String, Option<i64>>,
}

fn is_recent(then: Micros, now: Micros) -> bool {
    (0..i64::try_from(TRUSTED.as_micros()).unwrap_or(0)).contains(&(now.0 - then.0))
}

/// Requests and units of this second and of the last.
#[derive(Debug, Default, Clone, Copy)]
struct Pace {
    second: i64,
    /// When this second's first request came.
    first: Micros,
    this: (u64, u64),
    last: (u64, u64),
    /// When the first second began in which too many came; each since then had as many.
    hot_since: Option<Micros>,
}

impl Pace {
    fn count(&mut self, units: u64, hot: u64, now: Micros) {
        let second = now.seconds();
        if second != self.second {
            self.last = if second == self.second + 1 { self.this } else { (0, 0) };
            self.hot_since = self.hot_since.filter(|_| self.last.0 > hot);
            self.this = (0, 0);
            self.second = second;
            self.first = now;
        }
        self.this = (self.this.0 + 1, self.this.1.saturating_add(units));
        if self.this.0 > hot {
            self.hot_since = self.hot_since.or(Some(self.first));
        }
    }
}

/// What all instances together debit, inferred from two sights of the item that lie a second or more apart.
///
/// One item takes about 1,000 write units a second, so a consumer that is spread thinly over very many instances must be
/// leased to although it is hot on none of them.
#[derive(Debug, Default, Clone, Copy)]
struct SharedPace {
    /// The sight to compare with.
    base: Option<(Micros, i64)>,
    /// When the last comparison was made, and the units a second that it found.
    found: Option<(Micros, i64)>,
}

/// Units a second over all instances from which leases are taken everywhere: a quarter of what one item takes.
const SHARED_HOT: i64 = 250;
/// How long a comparison counts: an instance with a lease sees the item about once a second.
const SHARED_TRUSTED: Duration = Duration::from_secs(4);

impl SharedPace {
    fn see(&mut self, units: Option<i64>, now: Micros) {
        let Some(units) = units else { return };
        let Some((then, before)) = self.base else {
            self.base = Some((now, units));
            return;
        };
        let passed = now.since(then);
        if passed < TRUSTED {
            return;
        }
        let micros = i64::try_from(passed.as_micros()).unwrap_or(i64::MAX);
        let pace = units.saturating_sub(before).saturating_mul(1_000_000) / micros.max(1);
        // A longer absence says nothing of the present second.
        self.found = (passed <= SHARED_TRUSTED).then_some((now, pace));
        self.base = Some((now, units));
    }

    fn is_hot(self, now: Micros) -> bool {
        self.found.is_some_and(|(then, pace)| pace >= SHARED_HOT && now.since(then) <= SHARED_TRUSTED)
    }
}

/// A lock whose holder panicked still guards nothing but hints.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

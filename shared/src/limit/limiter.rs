//! The limiter: admits or refuses a request by one conditional update of the consumer's item.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::expression::Debit;
use super::item::{State, change_of_overgrown};
use super::lease::{self, Lease, Order, Scope};
use super::memory::{Memory, Notes, Remembered};
use super::plan::{Call, Charge, ResolvedPlan};
use super::predict::{self, Forecast};
use super::threshold::{self, Crossing};
use super::verdict::{self, Excess, Violation, WindowState};
use crate::clock::{Env, Micros};
use crate::store::keys;
use crate::store::table::{Attr, Expr, Returning, SharedTable, TableError, TableName, Write};

/// Most updates that one admission may try; a race of the variants ends after three, the rest is for conflicts with a transaction
/// that tells a threshold or changes the consumer.
const MOST_CALLS: u32 = 6;

/// Whom a request is charged to.
#[derive(Debug, Clone)]
pub struct LimitSubject {
    /// The consumer.
    pub consumer: String,
    /// Its plan with its overrides.
    pub plan: Arc<ResolvedPlan>,
    /// The key that was used, if one was: a revoked one is refused.
    pub key_id: Option<String>,
    /// The epoch of the consumer that plan and roles were taken from; 0 where it was never changed.
    pub epoch: i64,
}

impl LimitSubject {
    /// Whether the consumer may call at all.
    fn guard(&self, state: &State) -> Option<Refusal> {
        guard(state, self.key_id.as_deref(), self.epoch)
    }
}

/// Where an admission came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The consumer's item, by this request's own update.
    Store,
    /// Units that this instance had debited before.
    Lease,
    /// The conservative limit in memory, while the store cannot be reached.
    Fallback,
}

/// A request that may go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// How the windows stand afterwards.
    pub windows: Vec<WindowState>,
    /// Units that it cost.
    pub cost: u64,
    /// Updates that it took.
    pub calls: u32,
    /// Where it came from.
    pub source: Source,
    /// Thresholds to tell: pass them to [`Limiter::tell`] beside the request's own work.
    pub due: Vec<Crossing>,
}

/// A request that may not go on.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// 429: a limit is reached.
    Denied(Denial),
    /// 422 `cost_exceeds_limit`: no waiting would help.
    CostExceeds(Excess),
    /// The consumer is disabled.
    Disabled,
    /// The key is revoked.
    Revoked,
    /// The consumer was changed: load it again and ask again.
    NewEpoch {
        /// The epoch that holds now.
        current: i64,
    },
    /// 503: the store cannot be reached and the plan fails closed.
    Unavailable,
}

/// Why and until when a request is denied.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// The limits that it violates, never empty.
    pub violated: Vec<Violation>,
    /// How the windows stand.
    pub windows: Vec<WindowState>,
    /// Units that it would have cost.
    pub cost: u64,
    /// Updates that it took; 0: remembered.
    pub calls: u32,
    /// Thresholds to tell, as in [`Admission::due`].
    pub due: Vec<Crossing>,
    /// Whether it is this instance's first of the minute: pass the consumer to `crate::notify::watch::note`.
    pub first_of_minute: bool,
}

impl Denial {
    /// When the request would be admitted if nothing else is sent; exact.
    pub fn retry_after(&self) -> Duration {
        self.violated.iter().map(|violation| violation.wait).max().unwrap_or(Duration::ZERO)
    }

    /// Whether a quota, not a rate, is what takes longest.
    pub fn is_quota(&self) -> bool {
        self.violated.iter().any(|violation| violation.quota)
    }
}

/// How a limiter behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Requests a second of a consumer on this instance from which leases are taken; `None`: never.
    pub hot: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { hot: Some(20) }
    }
}

/// How a consumer stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// All rates (those of single operations too) and quotas.
    pub windows: Vec<WindowState>,
    /// Every quota's development.
    pub forecasts: Vec<Forecast>,
    /// Thresholds that are crossed and were never told: the reporter passes them to [`Limiter::tell`].
    pub due: Vec<Crossing>,
}

/// How often the store failed the limiter, for metrics and readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Health {
    /// Failures of the store since the instance started.
    pub failures: u64,
    /// Requests that were admitted without the store, by plans that fail open.
    pub admitted: u64,
    /// Requests that were refused without the store, by plans that fail closed.
    pub refused: u64,
    /// Since when it fails; `None`: not since it last answered.
    pub failing_since: Option<Micros>,
}

/// Admits requests.
pub struct Limiter {
    pub(super) table: SharedTable,
    pub(super) env: Env,
    settings: Settings,
    memory: Memory,
    failures: AtomicU64,
    admitted: AtomicU64,
    refused: AtomicU64,
    untold: [AtomicU64; 2],
    failing_since: AtomicI64,
}

/// How a debit failed.
enum Failure {
    /// The item says no; judge it.
    Refused(State),
    /// The store gave no answer.
    Store(TableError),
}

impl Limiter {
    /// A limiter over a table.
    pub fn new(table: SharedTable, env: Env, settings: Settings) -> Self {
        Self {
            table,
            env,
            settings,
            memory: Memory::default(),
            failures: AtomicU64::new(0),
            admitted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            untold: Default::default(),
            failing_since: AtomicI64::new(0),
        }
    }

    /// Charges a request to its consumer.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn admit(&self, subject: &LimitSubject, calls: &[Call], now: Micros) -> Result<Admission, Refusal> {
        let charge = subject.plan.charge(calls);
        if let Some(excess) = verdict::excess(&subject.plan, &charge) {
            return Err(Refusal::CostExceeds(excess));
        }
        let known = self.memory.of(&subject.consumer, now);
        known.notes().count(charge.total, self.settings.hot.unwrap_or(u64::MAX), now);
        if let Some(answer) = self.at_once(&known, subject, &charge, now) {
            return answer;
        }
        let mut calls = 0;
        if let Some(answer) = self.through_lease(&known, subject, &charge, now, &mut calls).await {
            return answer;
        }
        self.singly(&known, subject, &charge, self.later(now), calls).await
    }

    /// Forgets what it remembers of a consumer that was changed here, so that on this instance not even a remembered denial outlives
    /// the change.
    pub fn forget(&self, consumer: &str) {
        self.memory.forget(consumer);
    }

    /// The present after a wait: a request that was held up is judged by what has been refilled meanwhile.
    fn later(&self, then: Micros) -> Micros {
        self.env.now().max(then)
    }

    /// Whether a consumer that nothing limits may call: neither disabled nor its key revoked, and of the epoch that its caller
    /// believes in. One strongly consistent read, because there is no update that could tell on the way.
    ///
    /// # Errors
    /// [`Refusal::Disabled`], [`Refusal::Revoked`], [`Refusal::NewEpoch`]; [`Refusal::Unavailable`] where it cannot be read.
    pub async fn check(&self, consumer: &str, key_id: Option<&str>, epoch: i64) -> Result<(), Refusal> {
        let keys = [(TableName::Data, keys::limiter(consumer))];
        match self.table.get(&keys, true).await {
            Ok(mut found) => guard(&State::read(found.pop().flatten().as_ref()), key_id, epoch).map_or(Ok(()), Err),
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(consumer, %error, "whether a consumer may call cannot be read");
                Err(Refusal::Unavailable)
            }
        }
    }

    /// How a consumer stands, read and not charged: its windows, and when a quota runs out.
    ///
    /// # Errors
    /// The store's.
    pub async fn standing(&self, subject: &LimitSubject, now: Micros) -> Result<Standing, TableError> {
        let keys = [(TableName::Data, keys::limiter(&subject.consumer))];
        let item = self.table.get(&keys, true).await?.pop().flatten();
        let state = State::read(item.as_ref());
        let charge = Charge { rates: vec![1; subject.plan.rates.len()], total: 1 };
        let windows = verdict::windows(&subject.plan, &state, &charge, now);
        let forecasts = predict::forecasts(&subject.plan, &state, now);
        let due = threshold::due(&subject.plan, &state, now);
        Ok(Standing { windows, forecasts, due })
    }

    /// How the store has answered.
    pub fn health(&self) -> Health {
        let since = self.failing_since.load(Ordering::Relaxed);
        Health {
            failures: self.failures.load(Ordering::Relaxed),
            admitted: self.admitted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            failing_since: (since > 0).then_some(Micros(since)),
        }
    }

    /// How many requests were admitted and refused without the store since this was last asked: for the count of usage.
    pub fn take_fallbacks(&self) -> [u64; 2] {
        self.untold.each_ref().map(|count| count.swap(0, Ordering::Relaxed))
    }

    /// Asks the store for what an admission needs of it, an update, of an item that concerns no consumer. Whoever reports readiness
    /// asks while the store is known to fail, so that an instance that gets no requests is found to be well again.
    ///
    /// # Errors
    /// The store's.
    pub async fn probe(&self, now: Micros) -> Result<(), TableError> {
        let update = Expr::new("SET #p = :p").name("#p", "probed").value(":p", Attr::N(now.0));
        let write = Write::Update { key: keys::limiter(""), update, condition: None };
        self.table.write(TableName::Data, write, Returning::Nothing).await?;
        self.failing_since.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// An answer without I/O: from a lease, or a refusal that is known to hold still.
    fn at_once(
        &self,
        known: &Remembered,
        subject: &LimitSubject,
        charge: &Charge,
        now: Micros,
    ) -> Option<Result<Admission, Refusal>> {
        let mut notes = known.notes();
        let scope = scope(subject, charge);
        if let Some(scope) = &scope
            && let Some(windows) = from_lease(&mut notes, scope, charge, now)
        {
            return Some(Ok(Admission { windows, cost: charge.total, calls: 0, source: Source::Lease, due: Vec::new() }));
        }
        let state = notes.fresh(now)?.clone();
        if state.epoch != subject.epoch {
            return None;
        }
        let was_refused = notes.was_refused(now);
        if let Some(refusal) = subject.guard(&state).filter(|_| was_refused) {
            return Some(Err(refusal));
        }
        if state.overgrown(&subject.plan, charge, now).is_some() {
            return None;
        }
        let violated = verdict::violations(&subject.plan, &state, charge, now);
        if !violated.is_empty() && was_refused {
            return Some(Err(deny(&mut notes, subject, charge, &state, violated, 0, now)));
        }
        let demand = notes.demand(now).filter(|_| violated.is_empty())?;
        let (name, wait) = lease::hold(&scope?, &state, demand, charge.total, now)?;
        let mut windows = verdict::windows(&subject.plan, &state, charge, now);
        windows.iter_mut().filter(|window| window.name == name).for_each(|window| window.remaining = 0);
        let violated = vec![Violation { name, quota: false, wait }];
        let (cost, first_of_minute) = (charge.total, notes.is_first_denial(now));
        Some(Err(Refusal::Denied(Denial { violated, windows, cost, calls: 0, due: Vec::new(), first_of_minute })))
    }

    /// Asks for a lease if the consumer is hot on this instance, one request at a time.
    async fn through_lease(
        &self,
        known: &Remembered,
        subject: &LimitSubject,
        charge: &Charge,
        now: Micros,
        calls: &mut u32,
    ) -> Option<Result<Admission, Refusal>> {
        let scope = scope(subject, charge)?;
        known.notes().demand(now)?;
        let _gate = known.gate.lock().await;
        let now = self.later(now);
        if let Some(answer) = self.at_once(known, subject, charge, now) {
            return Some(answer);
        }
        let order = order(&mut known.notes(), &scope, charge.total, now)?;
        let whole = lease::charge(&scope.rates, order.units);
        let debit =
            Debit { lead: order.lead, credit: order.credit.units, live_credit: order.credit.live, ..debit(subject, &whole, now) };
        let debited = self.debit(known, subject, &debit, calls).await;
        let mut notes = known.notes();
        let Ok(state) = debited else {
            give_back(&mut notes, &scope, &order);
            return None;
        };
        open_lease(&mut notes, scope, &order, charge.total, now);
        Some(Ok(self.admitted(&mut notes, subject, charge, &state, order.units - charge.total, (*calls, order.units, true), now)))
    }

    /// Charges the request by itself.
    async fn singly(
        &self,
        known: &Remembered,
        subject: &LimitSubject,
        charge: &Charge,
        now: Micros,
        mut calls: u32,
    ) -> Result<Admission, Refusal> {
        let met = known.notes().seen.is_some();
        let mut now = now;
        loop {
            let debit = debit(subject, charge, now);
            let state = match self.debit(known, subject, &debit, &mut calls).await {
                Ok(state) => {
                    let cost = (calls, charge.total, met);
                    return Ok(self.admitted(&mut known.notes(), subject, charge, &state, 0, cost, now));
                }
                Err(Failure::Store(error)) => return self.fall_back(known, subject, charge, &error, calls, now),
                Err(Failure::Refused(state)) => state,
            };
            // Others may have been admitted with a later present than this request's: by now there may be room for it.
            let present = self.later(now);
            if calls < MOST_CALLS && subject.guard(&state).is_none() && (Debit { now: present, ..debit }).fits(&state) {
                now = present;
                continue;
            }
            known.notes().refused = Some(present);
            return Err(match subject.guard(&state) {
                Some(refusal) => refusal,
                None => {
                    let mut violated = verdict::violations(&subject.plan, &state, charge, present);
                    if violated.is_empty() {
                        violated = verdict::violations(&subject.plan, &state, charge, now);
                    }
                    deny(&mut known.notes(), subject, charge, &state, violated, calls, present)
                }
            });
        }
    }

    /// The one update, with another try where the belief was wrong.
    async fn debit(
        &self,
        known: &Remembered,
        subject: &LimitSubject,
        debit: &Debit<'_>,
        calls: &mut u32,
    ) -> Result<State, Failure> {
        let key = keys::limiter(&subject.consumer);
        let mut belief = known.notes().state.clone();
        while *calls < MOST_CALLS {
            *calls += 1;
            let write = debit.write(key.clone(), &belief);
            match self.table.write(TableName::Data, write, Returning::New).await {
                Ok(item) => {
                    let state = State::read(item.as_ref());
                    known.notes().see(state.clone(), debit.now);
                    self.failing_since.store(0, Ordering::Relaxed);
                    return Ok(state);
                }
                Err(TableError::ConditionFailed(old)) => {
                    belief = State::read(old.as_deref());
                    known.notes().see(belief.clone(), debit.now);
                    self.failing_since.store(0, Ordering::Relaxed);
                    if let Some(cap) = belief.overgrown(debit.plan, debit.charge, debit.now) {
                        *calls += 1;
                        belief = self.cut(subject, belief, &cap, debit.now).await?;
                    }
                    if subject.guard(&belief).is_some() || !debit.fits(&belief) {
                        return Err(Failure::Refused(belief));
                    }
                }
                Err(TableError::Busy(why)) if *calls >= MOST_CALLS => return Err(Failure::Store(TableError::Busy(why))),
                Err(TableError::Busy(_)) => self.back_off(*calls).await,
                Err(error) => return Err(Failure::Store(error)),
            }
        }
        Err(Failure::Store(TableError::Busy("the limiter's item changes faster than it can be updated".into())))
    }

    /// A TAT further ahead than the plan allows comes from a slower plan that held before: the new plan begins with an empty bucket.
    async fn cut(&self, subject: &LimitSubject, belief: State, cap: &(String, i64), now: Micros) -> Result<State, Failure> {
        let write = change_of_overgrown(keys::limiter(&subject.consumer), &belief, cap);
        match self.table.write(TableName::Data, write, Returning::New).await {
            Ok(item) => Ok(State::read(item.as_ref())),
            Err(TableError::ConditionFailed(old)) => Ok(State::read(old.as_deref())),
            Err(error) => {
                tracing::warn!(consumer = subject.consumer, %error, at = now.0, "a rate of an earlier plan could not be cut");
                Err(Failure::Store(error))
            }
        }
    }

    /// A short wait with jitter: 1 to 4 ms at first, doubled each time.
    async fn back_off(&self, attempt: u32) {
        let jitter = u64::from(self.env.random.below(3_000));
        tokio::time::sleep(Duration::from_micros((1_000 + jitter) << attempt.min(5).saturating_sub(1))).await;
    }

    fn fall_back(
        &self,
        known: &Remembered,
        subject: &LimitSubject,
        charge: &Charge,
        error: &TableError,
        calls: u32,
        now: Micros,
    ) -> Result<Admission, Refusal> {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let _already = self.failing_since.compare_exchange(0, now.0.max(1), Ordering::Relaxed, Ordering::Relaxed);
        tracing::warn!(consumer = subject.consumer, %error, fail_open = subject.plan.fail_open, "the limiter's store failed");
        if !subject.plan.fail_open {
            self.refused.fetch_add(1, Ordering::Relaxed);
            self.untold[1].fetch_add(1, Ordering::Relaxed);
            return Err(Refusal::Unavailable);
        }
        let mut notes = known.notes();
        let state = notes.state.clone();
        if let Some(refusal) = subject.guard(&state).filter(|refusal| !matches!(refusal, Refusal::NewEpoch { .. })) {
            return Err(refusal);
        }
        let windows = verdict::windows(&subject.plan, &state, charge, now);
        match notes.fallback.admit(&subject.plan, &state, charge, now) {
            Ok(()) => {
                self.admitted.fetch_add(1, Ordering::Relaxed);
                self.untold[0].fetch_add(1, Ordering::Relaxed);
                Ok(Admission { windows, cost: charge.total, calls, source: Source::Fallback, due: Vec::new() })
            }
            Err(violated) => {
                let (cost, due) = (charge.total, Vec::new());
                Err(Refusal::Denied(Denial { violated, windows, cost, calls, due, first_of_minute: false }))
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all of it is what an admission says")]
    fn admitted(
        &self,
        notes: &mut Notes,
        subject: &LimitSubject,
        charge: &Charge,
        state: &State,
        left: u64,
        (calls, debited, met): (u32, u64, bool),
        now: Micros,
    ) -> Admission {
        let mut windows = verdict::windows(&subject.plan, state, charge, now);
        windows.iter_mut().for_each(|window| window.remaining = window.remaining.saturating_add(left));
        let due = notes.choose_to_tell(threshold::due(&subject.plan, state, now), debited, met, now);
        Admission { windows, cost: charge.total, calls, source: Source::Store, due }
    }
}

/// What a lease for this request must match; nothing where no lease can serve it.
fn scope(subject: &LimitSubject, charge: &Charge) -> Option<Scope> {
    let rates = lease::uniform(charge)?;
    Some(Scope { plan: Arc::clone(&subject.plan), key_id: subject.key_id.clone(), epoch: subject.epoch, rates })
}

/// A debit of what a request costs.
fn debit<'a>(subject: &'a LimitSubject, charge: &'a Charge, now: Micros) -> Debit<'a> {
    let (key_id, epoch) = (subject.key_id.as_deref(), subject.epoch);
    Debit { plan: &subject.plan, charge, key_id, epoch, now, lead: Duration::ZERO, credit: 0, live_credit: 0 }
}

/// Whether the consumer may call at all.
fn guard(state: &State, key_id: Option<&str>, epoch: i64) -> Option<Refusal> {
    if state.disabled {
        return Some(Refusal::Disabled);
    }
    if key_id.is_some_and(|key_id| state.revoked.iter().any(|revoked| revoked == key_id)) {
        return Some(Refusal::Revoked);
    }
    // An item without an epoch was never changed, whatever the caller read (a restore may have lost it).
    (state.epoch != 0 && state.epoch != epoch).then_some(Refusal::NewEpoch { current: state.epoch })
}

fn deny(
    notes: &mut Notes,
    subject: &LimitSubject,
    charge: &Charge,
    state: &State,
    violated: Vec<Violation>,
    calls: u32,
    now: Micros,
) -> Refusal {
    let windows = verdict::windows(&subject.plan, state, charge, now);
    let due = notes.choose_to_tell(threshold::due(&subject.plan, state, now), 0, true, now);
    let first_of_minute = notes.is_first_denial(now);
    Refusal::Denied(Denial { violated, windows, cost: charge.total, calls, due, first_of_minute })
}

/// Takes a request's units from a lease: how the windows stand then, or nothing if no lease has them.
fn from_lease(notes: &mut Notes, scope: &Scope, charge: &Charge, now: Micros) -> Option<Vec<WindowState>> {
    let lease = notes.leases.iter_mut().find(|lease| lease.serves(scope, charge.total, now))?;
    lease.left -= charge.total;
    let left = lease.left;
    let mut windows = verdict::windows(&scope.plan, &notes.state, charge, now);
    windows.iter_mut().for_each(|window| window.remaining = window.remaining.saturating_add(left));
    Some(windows)
}

/// The lease to ask for. What it carries over is taken out of the one that is there, so that nobody is served from it meanwhile.
fn order(notes: &mut Notes, scope: &Scope, units: u64, now: Micros) -> Option<Order> {
    let demand = notes.demand(now)?;
    let before = notes.leases.iter_mut().find(|lease| lease.is_for(scope));
    let credit = before.as_ref().map(|lease| lease.credit(scope, now)).unwrap_or_default();
    let order = lease::order(scope, &notes.state, demand, units, credit, now)?;
    if let Some(before) = before {
        before.left -= order.credit.units;
    }
    Some(order)
}

/// Puts back what a lease was to carry over that was not granted.
fn give_back(notes: &mut Notes, scope: &Scope, order: &Order) {
    if let Some(before) = notes.leases.iter_mut().find(|lease| lease.is_for(scope)) {
        before.left += order.credit.units;
    }
}

/// Notes a lease that was granted, less the request that asked for it; it replaces the one whose leftovers it carries.
fn open_lease(notes: &mut Notes, scope: Scope, order: &Order, used: u64, now: Micros) {
    let windows = lease::starts(&scope.plan, now);
    notes.leases.retain(|lease| !lease.is_for(&scope) && lease.is_worth_keeping(scope.epoch, &windows, now));
    notes.leases.push(Lease { scope, until: now.plus(order.lead), left: order.units - used, windows });
}

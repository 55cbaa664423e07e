//! The limiter: admits or refuses a request by one conditional update of the consumer's item.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};

use super::admission::{Admission, Denial, LimitRefusal, LimitSubject, Source, guard};
use super::allowance;
use super::debit::{Failure, LimitStore, MAX_CALLS};
use super::expression::Debit;
use super::health::{Health, StoreHealth};
use super::item::{State, minute, note_of_use, used_name};
use super::lease::{self, LeaseScope};
use super::leases;
use super::memory::{Memory, Notes, Remembered};
use super::plan::{Call, Charge};
use super::predict::{self, Forecast};
use super::threshold::{self, Crossing};
use super::verdict::{self, LimitViolation, WindowState};
use crate::core::clock::{Env, Micros};
use crate::store::keys;
use crate::store::table::{Attr, Expr, Returning, SharedTable, TableError, TableName, Write};

/// Settings of a limiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimiterSettings {
    /// Requests a second of a consumer on this instance from which leases are taken; `None`: never.
    pub hot: Option<u64>,
}

impl Default for LimiterSettings {
    fn default() -> Self {
        Self { hot: Some(20) }
    }
}

/// Calls at once by which an instance that ends gives back what it has left.
const GIVING_BACK: usize = 32;

/// How many times a request must fit into what is left for that to be ample.
const AMPLE: u64 = 20;

/// Limits of a consumer, and what is left of them.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitStatus {
    /// All rates (those of single operations too) and quotas.
    pub windows: Vec<WindowState>,
    /// Forecast of every quota.
    pub forecasts: Vec<Forecast>,
    /// Crossed thresholds without a notice: the reporter enqueues them (`notify::enqueue`).
    pub due: Vec<Crossing>,
}

/// Admits requests.
pub struct Limiter {
    settings: LimiterSettings,
    memory: Arc<Memory>,
    store: Arc<LimitStore>,
}

impl Limiter {
    /// A limiter over a table.
    pub fn new(table: SharedTable, env: Env, settings: LimiterSettings) -> Self {
        let store = LimitStore { table, env, health: StoreHealth::default() };
        Self { settings, memory: Arc::default(), store: Arc::new(store) }
    }

    /// Charges a request to its consumer.
    ///
    /// # Errors
    /// See [`LimitRefusal`].
    pub async fn admit(&self, subject: &LimitSubject, calls: &[Call], now: Micros) -> Result<Admission, LimitRefusal> {
        let charge = subject.plan.charge(calls);
        if let Some(excess) = verdict::excess(&subject.plan, &charge) {
            return Err(LimitRefusal::CostExceeds(excess));
        }
        let known = self.memory.of(&subject.consumer, now);
        known.notes().count(charge.total, self.settings.hot.unwrap_or(u64::MAX), now);
        let scope = scope(subject, &charge);
        let renews = scope.as_ref().is_some_and(|scope| leases::renews(&mut known.notes(), scope, now));
        if !renews && let Some(answer) = self.admit_from_memory(&known, subject, &charge, now) {
            return answer;
        }
        let mut calls = 0;
        if let Some(scope) = scope
            && let Some(answer) = self.through_lease(&known, subject, &charge, (scope, renews), now, &mut calls).await
        {
            return answer;
        }
        // What it was to renew may serve it still.
        if renews && let Some(answer) = self.admit_from_memory(&known, subject, &charge, now) {
            return answer;
        }
        self.admit_single(&known, subject, &charge, self.later(now), calls).await
    }

    /// Charges a request by which a consumer looks after its limits to an allowance of its own, so that it is not blind and locked out
    /// when they are used up; one beyond the allowance as any other. It tells of the consumer's limits, not of the allowance.
    ///
    /// # Errors
    /// See [`LimitRefusal`].
    pub async fn admit_by_allowance(
        &self,
        subject: &LimitSubject,
        calls: &[Call],
        now: Micros,
    ) -> Result<Admission, LimitRefusal> {
        let own = LimitSubject { plan: allowance::of(subject.plan.fail_open), ..subject.clone() };
        let charge = own.plan.charge(&calls[..calls.len().min(1)]);
        let known = self.memory.of(&subject.consumer, now);
        let remembered = self.admit_from_memory(&known, &own, &charge, now);
        let admitted = match remembered {
            Some(answer) => answer,
            None => self.admit_single(&known, &own, &charge, now, 0).await,
        };
        match admitted {
            Ok(admission) => {
                let mut notes = known.notes();
                let state = notes.state.clone();
                let windows = notes.windows(&subject.plan, &state, &subject.plan.charge(calls), now);
                Ok(Admission { windows, cost: 0, ..admission })
            }
            Err(LimitRefusal::Denied(_)) => self.admit(subject, calls, now).await,
            Err(other) => Err(other),
        }
    }

    /// Whether the consumer had ample room for a request within the last second, as far as this instance has seen: a guess that charges
    /// nothing and promises nothing.
    pub fn has_ample_room(&self, subject: &LimitSubject, calls: &[Call], now: Micros) -> bool {
        let known = self.memory.of(&subject.consumer, now);
        let notes = known.notes();
        let Some(state) = notes.fresh(now).filter(|state| subject.guard(state).is_none() && !notes.was_refused(now)) else {
            return false;
        };
        let charge = subject.plan.charge(calls);
        let windows = verdict::windows(&subject.plan, state, &charge, now);
        windows.iter().all(|window| window.remaining >= charge.total.saturating_mul(AMPLE))
    }

    /// Forgets what it remembers of a consumer that was changed here, so that on this instance not even a remembered denial outlives
    /// the change.
    pub fn forget(&self, consumer: &str) {
        self.memory.forget(consumer);
    }

    /// The present after a wait: a request that waited is evaluated when it is processed, with all that has been refilled by then.
    fn later(&self, then: Micros) -> Micros {
        self.store.env.now().max(then)
    }

    /// Whether a consumer that nothing limits may call: neither disabled nor its key revoked, and of the epoch that its caller
    /// believes in. One strongly consistent read, because there is no update that could tell on the way.
    ///
    /// # Errors
    /// [`LimitRefusal::Disabled`], [`LimitRefusal::Revoked`], [`LimitRefusal::NewEpoch`]; [`LimitRefusal::Unavailable`] where it cannot be read.
    pub async fn check(&self, consumer: &str, key_id: Option<&str>, epoch: i64) -> Result<(), LimitRefusal> {
        let keys = [(TableName::Data, keys::limiter(consumer))];
        match self.store.table.get(&keys, true).await {
            Ok(mut found) => {
                let state = State::read(found.pop().flatten().as_ref());
                match guard(&state, key_id, epoch) {
                    Some(refusal) => Err(refusal),
                    None => {
                        self.note_use_best_effort(consumer, key_id, &state).await;
                        Ok(())
                    }
                }
            }
            Err(error) => {
                self.store.health.failed_once();
                tracing::warn!(consumer, %error, "whether a consumer may call cannot be read");
                Err(LimitRefusal::Unavailable)
            }
        }
    }

    /// Notes the use of a key of a consumer that nothing is charged to, at most once a minute. Best effort: a note that is lost is made
    /// by the next request.
    async fn note_use_best_effort(&self, consumer: &str, key_id: Option<&str>, state: &State) {
        let now = self.store.env.now();
        let noted = |key_id: &&str| state.numbers.get(&used_name(key_id)).is_some_and(|noted| *noted >= minute(now));
        let Some(key_id) = key_id.filter(|key_id| !noted(key_id)) else { return };
        let write = note_of_use(keys::limiter(consumer), key_id, now);
        if let Err(error) = self.store.table.write(TableName::Data, write, Returning::Nothing).await {
            tracing::warn!(consumer, %error, "the use of a key could not be noted");
        }
    }

    /// Limits of a consumer, read without a charge: its windows, and when a quota runs out.
    ///
    /// # Errors
    /// The store's.
    pub async fn standing(&self, subject: &LimitSubject, now: Micros) -> Result<LimitStatus, TableError> {
        let keys = [(TableName::Data, keys::limiter(&subject.consumer))];
        let item = self.store.table.get(&keys, true).await?.pop().flatten();
        let state = State::read(item.as_ref());
        let charge = Charge { rates: vec![1; subject.plan.rates.len()], total: 1 };
        let windows = self.memory.of(&subject.consumer, now).notes().windows(&subject.plan, &state, &charge, now);
        let forecasts = predict::forecasts(&subject.plan, &state, now);
        let due = threshold::due(&subject.plan, &state, now);
        Ok(LimitStatus { windows, forecasts, due })
    }

    /// Gives back what leases debited from quotas and did not use, because the instance ends: best effort, within the time that is left to it.
    pub fn give_back(&self) -> impl Future<Output = ()> + Send + use<> {
        let (memory, store) = (Arc::clone(&self.memory), Arc::clone(&self.store));
        async move {
            let all = memory.all();
            let left = all
                .iter()
                .flat_map(|(consumer, known)| leases::close(&mut known.notes()).into_iter().map(move |left| (consumer, left)));
            stream::iter(left).for_each_concurrent(GIVING_BACK, |(consumer, left)| store.give_back(consumer, left)).await;
        }
    }

    /// Health of the store.
    pub fn health(&self) -> Health {
        self.store.health.read()
    }

    /// Numbers of requests admitted and refused without the store since the previous call: for the count of usage.
    pub fn take_fallbacks(&self) -> [u64; 2] {
        self.store.health.take()
    }

    /// Probes the store with the update that an admission needs, on an item that belongs to no consumer. The readiness check calls it
    /// while the store is known to fail, so that an instance without requests is found healthy again.
    ///
    /// # Errors
    /// The store's.
    pub async fn probe(&self, now: Micros) -> Result<(), TableError> {
        let update = Expr::new("SET #p = :p").name("#p", "probed").value(":p", Attr::N(now.0));
        let write = Write::Update { key: keys::limiter(""), update, condition: None };
        self.store.table.write(TableName::Data, write, Returning::Nothing).await?;
        self.store.health.answered();
        Ok(())
    }

    /// An answer without I/O: from a lease, or a remembered refusal that still holds.
    fn admit_from_memory(
        &self,
        known: &Remembered,
        subject: &LimitSubject,
        charge: &Charge,
        now: Micros,
    ) -> Option<Result<Admission, LimitRefusal>> {
        let mut notes = known.notes();
        let scope = scope(subject, charge);
        if scope.as_ref().is_some_and(|scope| leases::take(&mut notes, scope, charge, now)) {
            return Some(Ok(from_lease(&mut notes, subject, charge, now)));
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
        let violated = vec![LimitViolation { name, quota: false, wait }];
        Some(Err(deny(&mut notes, subject, charge, &state, violated, 0, now)))
    }

    /// Asks for a lease if the consumer is hot on this instance, one request at a time; `renews`: before the one that is there ends.
    async fn through_lease(
        &self,
        known: &Remembered,
        subject: &LimitSubject,
        charge: &Charge,
        (scope, renews): (LeaseScope, bool),
        now: Micros,
        calls: &mut u32,
    ) -> Option<Result<Admission, LimitRefusal>> {
        known.notes().demand(now)?;
        let _gate = known.gate.lock().await;
        let now = self.later(now);
        if !renews && let Some(answer) = self.admit_from_memory(known, subject, charge, now) {
            return Some(answer);
        }
        let ordered = leases::order(&mut known.notes(), &scope, charge.total, now);
        let (order, leftover) = ordered?;
        let whole = lease::charge(&scope.rates, order.units);
        let debit =
            Debit { lead: order.lead, credit: order.credit.units, live_credit: order.credit.live, ..debit(subject, &whole, now) };
        let debited = self.store.debit(known, subject, &debit, calls).await;
        let mut notes = known.notes();
        let state = match debited {
            Ok(state) => state,
            Err(failure) => {
                leases::give_back(&mut notes, &scope, &order, leftover, failure.changed_nothing());
                return None;
            }
        };
        leases::open(&mut notes, scope, &order, charge.total, now);
        Some(Ok(admitted(&mut notes, subject, charge, &state, (*calls, order.units, true), now)))
    }

    /// Charges the request by itself.
    async fn admit_single(
        &self,
        known: &Remembered,
        subject: &LimitSubject,
        charge: &Charge,
        now: Micros,
        mut calls: u32,
    ) -> Result<Admission, LimitRefusal> {
        let (met, leftover) = {
            let mut notes = known.notes();
            (notes.seen.is_some(), leases::claim(&mut notes, &subject.plan, subject.epoch, now))
        };
        let mut now = now;
        loop {
            let credit = leftover.good_for(&subject.plan, now);
            let debit = Debit { credit, ..debit(subject, charge, now) };
            let state = match self.store.debit(known, subject, &debit, &mut calls).await {
                Ok(state) => {
                    let cost = (calls, charge.total, met);
                    return Ok(admitted(&mut known.notes(), subject, charge, &state, cost, now));
                }
                Err(Failure::Store(error)) => {
                    if error.changed_nothing() {
                        leases::restore(&mut known.notes(), leftover);
                    }
                    return self.fall_back(known, subject, charge, &error, calls, now);
                }
                Err(Failure::Refused(state)) => state,
            };
            // Others may have been admitted with a later present than this request's: by now there may be room for it.
            let present = self.later(now);
            if calls < MAX_CALLS && subject.guard(&state).is_none() && (Debit { now: present, ..debit }).fits(&state) {
                now = present;
                continue;
            }
            let mut notes = known.notes();
            leases::restore(&mut notes, leftover);
            notes.refused = Some(present);
            return Err(match subject.guard(&state) {
                Some(refusal) => refusal,
                None => {
                    let mut violated = verdict::violations(&subject.plan, &state, charge, present);
                    if violated.is_empty() {
                        violated = verdict::violations(&subject.plan, &state, charge, now);
                    }
                    deny(&mut notes, subject, charge, &state, violated, calls, present)
                }
            });
        }
    }

    fn fall_back(
        &self,
        known: &Remembered,
        subject: &LimitSubject,
        charge: &Charge,
        error: &TableError,
        calls: u32,
        now: Micros,
    ) -> Result<Admission, LimitRefusal> {
        self.store.health.failed(now);
        tracing::warn!(consumer = subject.consumer, %error, fail_open = subject.plan.fail_open, "the limiter's store failed");
        if !subject.plan.fail_open {
            self.store.health.refused();
            return Err(LimitRefusal::Unavailable);
        }
        let mut notes = known.notes();
        let state = notes.state.clone();
        if let Some(refusal) = subject.guard(&state).filter(|refusal| !matches!(refusal, LimitRefusal::NewEpoch { .. })) {
            return Err(refusal);
        }
        let windows = verdict::windows(&subject.plan, &state, charge, now);
        match notes.fallback.admit(&subject.plan, &state, charge, now) {
            Ok(()) => {
                self.store.health.admitted();
                Ok(Admission { windows, cost: charge.total, calls, source: Source::Fallback, due: Vec::new(), near: Vec::new() })
            }
            Err(violated) => {
                let (cost, due) = (charge.total, Vec::new());
                Err(LimitRefusal::Denied(Denial { violated, windows, cost, calls, due, first_of_minute: false }))
            }
        }
    }
}

fn admitted(
    notes: &mut Notes,
    subject: &LimitSubject,
    charge: &Charge,
    state: &State,
    (calls, debited, met): (u32, u64, bool),
    now: Micros,
) -> Admission {
    let windows = notes.windows(&subject.plan, state, charge, now);
    let due = notes.choose_to_tell(threshold::due(&subject.plan, state, now), debited, met, now);
    let near = notes.near_their_bound(&subject.plan, now);
    Admission { windows, cost: charge.total, calls, source: Source::Store, due, near }
}

/// The admission of a request whose units a lease had.
fn from_lease(notes: &mut Notes, subject: &LimitSubject, charge: &Charge, now: Micros) -> Admission {
    let state = std::mem::take(&mut notes.state);
    let windows = notes.windows(&subject.plan, &state, charge, now);
    notes.state = state;
    Admission { windows, cost: charge.total, calls: 0, source: Source::Lease, due: Vec::new(), near: Vec::new() }
}

/// What a lease for this request must match; nothing where no lease can serve it.
fn scope(subject: &LimitSubject, charge: &Charge) -> Option<LeaseScope> {
    let rates = lease::uniform(charge)?;
    Some(LeaseScope { plan: Arc::clone(&subject.plan), key_id: subject.key_id.clone(), epoch: subject.epoch, rates })
}

/// A debit of what a request costs.
fn debit<'a>(subject: &'a LimitSubject, charge: &'a Charge, now: Micros) -> Debit<'a> {
    let (key_id, used_key, epoch) = (subject.key_id.as_deref(), subject.used_key.as_deref(), subject.epoch);
    Debit { plan: &subject.plan, charge, key_id, used_key, epoch, now, lead: Duration::ZERO, credit: 0, live_credit: 0 }
}

fn deny(
    notes: &mut Notes,
    subject: &LimitSubject,
    charge: &Charge,
    state: &State,
    violated: Vec<LimitViolation>,
    calls: u32,
    now: Micros,
) -> LimitRefusal {
    let windows = notes.refused_windows(&subject.plan, state, charge, &violated, now);
    let due = notes.choose_to_tell(threshold::due(&subject.plan, state, now), 0, true, now);
    let first_of_minute = notes.is_first_denial(now);
    LimitRefusal::Denied(Denial { violated, windows, cost: charge.total, calls, due, first_of_minute })
}

//! The update that charges a request: repeated in another form where the assumption about the item was wrong.

use std::time::Duration;

use super::admission::LimitSubject;
use super::expression::Debit;
use super::health::StoreHealth;
use super::item::{self, State, change_of_overgrown};
use super::lease::Leftover;
use super::memory::Remembered;
use crate::core::backoff::Backoff;
use crate::core::clock::{Env, Micros};
use crate::store::keys;
use crate::store::table::{Attr, Expr, Returning, SharedTable, TableError, TableName, Write};

/// Most updates that one admission may try; a race of the forms ends after three, the rest is for conflicts with a transaction
/// that notes a threshold or changes the consumer.
pub(super) const MAX_CALLS: u32 = 6;
/// Bounds of the pauses between attempts that met a busy item.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
const MAX_PAUSE: Duration = Duration::from_millis(64);

/// Failure of a debit.
pub(super) enum Failure {
    /// The item says no; judge it.
    Refused(State),
    /// The store gave no answer.
    Store(TableError),
}

impl Failure {
    /// Whether the item is certainly as it was.
    pub(super) fn changed_nothing(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Store(error) => error.changed_nothing(),
        }
    }
}

/// The items of all consumers, and the health of their store.
pub(super) struct LimitStore {
    pub(super) table: SharedTable,
    pub(super) env: Env,
    pub(super) health: StoreHealth,
}

impl LimitStore {
    /// The one update, repeated where the assumption about the item was wrong.
    pub(super) async fn debit(
        &self,
        known: &Remembered,
        subject: &LimitSubject,
        debit: &Debit<'_>,
        calls: &mut u32,
    ) -> Result<State, Failure> {
        let key = keys::limiter(&subject.consumer);
        let mut belief = known.notes().state.clone();
        let mut backoff = Backoff::new(&self.env, FIRST_PAUSE, MAX_PAUSE);
        while *calls < MAX_CALLS {
            *calls += 1;
            let write = debit.write(key.clone(), &belief);
            match self.table.write(TableName::Data, write, Returning::New).await {
                Ok(item) => {
                    let state = State::read(item.as_ref());
                    known.notes().see(state.clone(), debit.now);
                    self.health.answered();
                    return Ok(state);
                }
                Err(TableError::ConditionFailed(old)) => {
                    belief = State::read(old.as_deref());
                    known.notes().see(belief.clone(), debit.now);
                    self.health.answered();
                    if let Some(cap) = belief.overgrown(debit.plan, debit.charge, debit.now) {
                        *calls += 1;
                        belief = self.clamp_tat(subject, belief, &cap, debit.now).await?;
                    }
                    if subject.guard(&belief).is_some() || !debit.fits(&belief) {
                        return Err(Failure::Refused(belief));
                    }
                }
                Err(TableError::Busy(why)) if *calls >= MAX_CALLS => return Err(Failure::Store(TableError::Busy(why))),
                Err(TableError::Busy(_)) => backoff.pause().await,
                Err(error) => return Err(Failure::Store(error)),
            }
        }
        Err(Failure::Store(TableError::Busy("the limiter's item changes faster than it can be updated".into())))
    }

    /// Gives units back to the quotas that counted them.
    pub(super) async fn give_back(&self, consumer: &str, left: Leftover) {
        let units = i64::try_from(left.units).unwrap_or(i64::MAX);
        let mut update = Expr::default().value(":k", Attr::N(units)).name("#u", item::UNITS).value(":z", Attr::N(0));
        let mut condition = Expr::default();
        let (mut sets, mut requires) = (vec!["#u = if_not_exists(#u, :z) - :k".to_owned()], Vec::new());
        for (at, count) in left.counts.iter().enumerate() {
            update.names.insert(format!("#q{at}"), count.clone());
            sets.push(format!("#q{at} = #q{at} - :k"));
            requires.push(format!("#q{at} >= :k"));
        }
        update.text = format!("SET {}", sets.join(", "));
        condition.text = requires.join(" AND ");
        let write = Write::Update { key: keys::limiter(consumer), update, condition: Some(condition) };
        match self.table.write(TableName::Data, write, Returning::Nothing).await {
            // Of a window that has ended nothing is there any more.
            Ok(_) | Err(TableError::ConditionFailed(_)) => {}
            Err(error) => tracing::warn!(consumer, %error, units, "units that a lease left over could not be given back"),
        }
    }

    /// A TAT further ahead than the plan allows comes from a slower plan that held before: the new plan begins with an empty bucket.
    async fn clamp_tat(&self, subject: &LimitSubject, belief: State, cap: &(String, i64), now: Micros) -> Result<State, Failure> {
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
}

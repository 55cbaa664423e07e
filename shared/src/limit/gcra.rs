//! The generic cell rate algorithm: a rate with a burst as one number, the theoretical arrival time (TAT).
//!
//! The TAT is the moment at which all that was admitted will have drained at the rate. A request of `k` units conforms when
//! `max(TAT, now) + k * T <= now + burst * T`, and then the left side becomes the new TAT; `T` is the time of one unit.
//!
//! **No drift.** `T = per / rate` microseconds is rarely whole, so time is counted in ticks of `1 / D` microsecond, where `D` is
//! `rate / gcd(per, rate)`. In ticks both the present and `T` are whole numbers, and every sum is exact. Only where `D` would
//! exceed [`MAX_TICKS`] (the numbers must fit 64 bits for a century) is `T` rounded, and then *up*. With `T' >= T` an interval
//! `d` admits at most `burst + d / T' <= burst + d / T`: rounding can cost a unit in every `T'` ticks, never give one.

use std::time::Duration;

use crate::core::clock::Micros;

/// Most ticks in a microsecond: 2200-01-01 in ticks is below 2^63 with room for a backlog of years.
pub const MAX_TICKS: i64 = 1_000;

/// Longest time that a whole burst may take to refill: ten years, in microseconds.
const MAX_REFILL: i128 = 10 * 366 * 86_400 * 1_000_000;

/// A rate in exact arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gcra {
    /// Ticks in a microsecond.
    ticks: i64,
    /// Ticks of one unit.
    unit: i64,
    /// Units that may come at once.
    burst: u64,
}

/// Why a rate cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadRate {
    /// The rate is 0.
    Zero,
    /// The period is 0, or so long that a microsecond count overflows.
    Period,
    /// The burst is 0.
    Burst,
    /// The whole burst would take over ten years to refill.
    Refill,
}

impl std::fmt::Display for BadRate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Zero => "the rate must be at least 1",
            Self::Period => "the period must be from 1 microsecond to 10 years",
            Self::Burst => "the burst must be at least 1",
            Self::Refill => "the burst must refill within 10 years at this rate",
        })
    }
}

impl Gcra {
    /// A rate of `rate` units per `per`, of which `burst` may come at once.
    ///
    /// # Errors
    /// See [`BadRate`].
    pub fn new(rate: u64, per: Duration, burst: u64) -> Result<Self, BadRate> {
        let rate = i128::from(rate);
        let per = i128::try_from(per.as_micros()).map_err(|_| BadRate::Period)?;
        if rate == 0 {
            return Err(BadRate::Zero);
        }
        if per == 0 || per > MAX_REFILL {
            return Err(BadRate::Period);
        }
        if burst == 0 {
            return Err(BadRate::Burst);
        }
        let ticks = (rate / gcd(per, rate)).min(i128::from(MAX_TICKS));
        let unit = (per * ticks + rate - 1) / rate;
        if unit * i128::from(burst) > MAX_REFILL * ticks {
            return Err(BadRate::Refill);
        }
        Ok(Self { ticks: narrow(ticks), unit: narrow(unit), burst })
    }

    /// Ticks in a microsecond: times of rates with different ticks cannot be compared.
    pub fn ticks(&self) -> i64 {
        self.ticks
    }

    /// Ticks of one unit.
    pub fn unit(&self) -> i64 {
        self.unit
    }

    /// Units that may come at once.
    pub fn burst(&self) -> u64 {
        self.burst
    }

    /// A moment in ticks.
    pub fn at(&self, now: Micros) -> i64 {
        now.0.saturating_mul(self.ticks)
    }

    /// A duration in ticks.
    pub fn span(&self, duration: Duration) -> i64 {
        narrow(i128::try_from(duration.as_micros()).unwrap_or(i128::MAX).saturating_mul(i128::from(self.ticks)))
    }

    /// Ticks that `units` take to drain.
    pub fn cost(&self, units: u64) -> i64 {
        narrow(i128::from(units).saturating_mul(i128::from(self.unit)))
    }

    /// Whole units that drain in a time.
    pub fn units_in(&self, duration: Duration) -> u64 {
        u64::try_from(self.span(duration) / self.unit).unwrap_or(0)
    }

    /// Ticks that the whole burst takes to refill.
    pub fn depth(&self) -> i64 {
        self.cost(self.burst)
    }

    /// The time that the whole burst takes to refill, rounded up to a microsecond.
    pub fn refill(&self) -> Duration {
        self.duration(self.depth())
    }

    /// The greatest TAT that a request of `units` may find and be admitted: `now + burst * T - units * T`.
    pub fn bound(&self, now: Micros, units: u64) -> i64 {
        self.at(now).saturating_add(self.depth()).saturating_sub(self.cost(units))
    }

    /// How long a request of `units` must wait when it finds `tat` (zero: it conforms now); exact, rounded up to a microsecond.
    /// For more units than the burst it never conforms; the answer then means nothing.
    pub fn wait(&self, tat: i64, now: Micros, units: u64) -> Duration {
        self.duration(tat.max(self.at(now)).saturating_sub(self.bound(now, units)))
    }

    /// Whole units that would be admitted at once.
    pub fn remaining(&self, tat: i64, now: Micros) -> u64 {
        let room = self.at(now).saturating_add(self.depth()).saturating_sub(tat.max(self.at(now)));
        u64::try_from(room / self.unit).unwrap_or(0)
    }

    /// Whole units that a lease of length `lead` can hold, `credit` of them paid before: see [`super::expression`].
    pub fn lease_room(&self, tat: i64, now: Micros, lead: Duration, credit: u64) -> u64 {
        let end = self.at(now).saturating_add(self.span(lead));
        let full = self.at(now).saturating_add(self.depth());
        let (from, paid) = if tat > end.saturating_add(self.cost(credit)) { (tat, credit) } else { (end, 0) };
        u64::try_from(full.saturating_sub(from) / self.unit).unwrap_or(0).saturating_add(paid)
    }

    /// Time until the whole burst is there again, rounded up to a microsecond.
    pub fn full_after(&self, tat: i64, now: Micros) -> Duration {
        self.duration(tat.saturating_sub(self.at(now)))
    }

    /// Ticks as a duration, rounded up; nothing for negative ones.
    fn duration(&self, ticks: i64) -> Duration {
        let micros = i128::from(ticks.max(0)) + i128::from(self.ticks) - 1;
        Duration::from_micros(u64::try_from(micros / i128::from(self.ticks)).unwrap_or(u64::MAX))
    }
}

fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn narrow(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn three_a_second_do_not_drift_over_a_year() {
        let gcra = Gcra::new(3, SECOND, 1).unwrap();
        let start = Micros(1_800_000_000_000_000);
        let year = 365 * 86_400;
        // A consumer that always comes at the first moment possible, for a year: exactly 3 a second.
        let tat = gcra.at(start) + gcra.cost(3 * year);
        assert_eq!(tat, gcra.at(Micros(start.0 + i64::try_from(year).unwrap() * 1_000_000)));
    }

    #[test]
    fn waits_are_exact_to_the_microsecond() {
        let gcra = Gcra::new(3, SECOND, 2).unwrap();
        let now = Micros(1_000_000);
        let tat = gcra.at(now) + gcra.cost(2);
        let wait = gcra.wait(tat, now, 1);
        assert_eq!(wait, Duration::from_micros(333_334));
        assert_eq!(gcra.wait(tat, now.plus(wait), 1), Duration::ZERO);
        assert_ne!(gcra.wait(tat, Micros(now.plus(wait).0 - 1), 1), Duration::ZERO);
        assert_eq!(gcra.remaining(tat, now), 0);
        assert_eq!(gcra.remaining(tat, now.plus(wait)), 1);
        assert_eq!(gcra.full_after(tat, now), Duration::from_micros(666_667));
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(Gcra::new(0, SECOND, 1), Err(BadRate::Zero));
        assert_eq!(Gcra::new(1, Duration::ZERO, 1), Err(BadRate::Period));
        assert_eq!(Gcra::new(1, SECOND, 0), Err(BadRate::Burst));
        assert_eq!(Gcra::new(1, Duration::from_secs(86_400), 4_000), Err(BadRate::Refill));
    }

    proptest! {
        /// Any rate: the time of one unit is never shorter than `per / rate`, and exactly that where ticks suffice.
        #[test]
        fn the_unit_is_never_too_short(rate in 1u64..100_000_000, per in 1u64..4_000_000_000, burst in 1u64..1_000) {
            let Ok(gcra) = Gcra::new(rate, Duration::from_micros(per), burst) else { return Ok(()) };
            let (unit, ticks) = (i128::from(gcra.unit), i128::from(gcra.ticks));
            let (rate, per) = (i128::from(rate), i128::from(per));
            prop_assert!(unit * rate >= per * ticks);
            prop_assert!((unit - 1) * rate < per * ticks);
            if rate / gcd(per, rate) <= i128::from(MAX_TICKS) {
                prop_assert_eq!(unit * rate, per * ticks);
            }
        }
    }
}

//! Exponential backoff with jitter: each pause is drawn evenly from zero (full jitter) or from half a bound (equal jitter) to a bound
//! that grows, so that whoever collided does not collide again. Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

use std::time::Duration;

use super::clock::{Env, Micros};

/// Pauses between the attempts of one call.
pub struct Backoff<'e> {
    env: &'e Env,
    bound: Duration,
    max: Duration,
    /// Growth of the bound from pause to pause, per cent.
    growth: u32,
    /// Whether half of each pause is certain.
    equal: bool,
}

impl<'e> Backoff<'e> {
    /// Pauses of up to `first`, then up to twice as much each time, never over `max`; full jitter.
    pub const fn new(env: &'e Env, first: Duration, max: Duration) -> Self {
        Self { env, bound: first, max, growth: 200, equal: false }
    }

    /// With equal jitter: no pause is shorter than half its bound.
    #[must_use]
    pub const fn with_equal_jitter(self) -> Self {
        Self { equal: true, ..self }
    }

    /// With bounds that grow by half each time instead of doubling.
    #[must_use]
    pub const fn growing_by_half(self) -> Self {
        Self { growth: 150, ..self }
    }

    /// The backoff of a call after `pauses` pauses.
    #[must_use]
    pub fn after(mut self, pauses: u32) -> Self {
        for _ in 0..pauses {
            self.grow();
        }
        self
    }

    /// The next pause, at least a microsecond.
    pub fn draw(&mut self) -> Duration {
        let certain = if self.equal { self.bound / 2 } else { Duration::ZERO };
        let pause = certain + self.drawn(self.bound - certain);
        self.grow();
        pause
    }

    fn grow(&mut self) {
        self.bound = (self.bound.saturating_mul(self.growth) / 100).min(self.max);
    }

    /// A time up to `bound`: in microseconds, of more than 71 minutes in milliseconds.
    fn drawn(&self, bound: Duration) -> Duration {
        match u32::try_from(bound.as_micros()) {
            Ok(micros) => Duration::from_micros(1 + u64::from(self.env.random.below(micros))),
            Err(_) => Duration::from_millis(self.env.random.below(u32::try_from(bound.as_millis()).unwrap_or(u32::MAX)).into()),
        }
    }

    /// Waits for the next pause.
    pub async fn pause(&mut self) {
        let pause = self.draw();
        tokio::time::sleep(pause).await;
    }

    /// Waits for the next pause; `false`, at once, where it would not end before `deadline`.
    pub async fn pause_before(&mut self, deadline: Micros) -> bool {
        let pause = self.draw();
        if self.env.now().plus(pause) >= deadline {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::clock::{Random, Still};
    use std::sync::Arc;

    /// Draws the largest number there is.
    struct Largest;

    impl Random for Largest {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(0);
        }

        fn below(&self, bound: u32) -> u32 {
            bound - 1
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_bound_doubles_up_to_its_maximum_and_ends_at_the_deadline() {
        let env = Env { clock: Arc::new(Still(Micros(0))), random: Arc::new(Largest) };
        let mut backoff = Backoff::new(&env, Duration::from_millis(8), Duration::from_millis(20));
        let drawn: Vec<_> = (0..4).map(|_| backoff.draw().as_millis()).collect();
        assert_eq!(drawn, [8, 16, 20, 20]);
        assert!(backoff.pause_before(Micros(20_001)).await);
        assert!(!backoff.pause_before(Micros(20_000)).await);
    }

    #[test]
    fn equal_jitter_leaves_half_of_a_bound_and_hours_can_be_drawn() {
        let env = Env { clock: Arc::new(Still(Micros(0))), random: Arc::new(Largest) };
        let hours = |pauses| Backoff::new(&env, Duration::from_secs(10), Duration::from_secs(6 * 3_600)).after(pauses).draw();
        assert_eq!((hours(1).as_secs(), hours(40).as_secs()), (20, 6 * 3_600 - 1));
        let mut half = Backoff::new(&env, Duration::from_millis(20), Duration::from_millis(150)).growing_by_half();
        let drawn: Vec<_> = (0..7).map(|_| half.draw().as_millis()).collect();
        assert_eq!(drawn, [20, 30, 45, 67, 101, 150, 150]);
        let system = Env::system();
        let equal = || Backoff::new(&system, Duration::from_millis(100), Duration::MAX).with_equal_jitter().draw().as_millis();
        let drawn: Vec<_> = (0..400).map(|_| equal()).collect();
        assert!(drawn.iter().all(|pause| (50..=100).contains(pause)) && drawn.iter().any(|pause| *pause > 80), "{drawn:?}");
    }

    #[test]
    fn pauses_are_spread_over_their_range() {
        let env = Env::system();
        let drawn: Vec<_> = (0..400).map(|_| Backoff::new(&env, Duration::from_millis(100), Duration::MAX).draw()).collect();
        let below = drawn.iter().filter(|pause| **pause < Duration::from_millis(50)).count();
        assert!((120..280).contains(&below) && drawn.iter().all(|pause| *pause <= Duration::from_millis(100)), "{below} of 400");
    }
}

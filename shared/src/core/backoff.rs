//! Exponential backoff with full jitter: each pause is drawn evenly from zero to a bound that doubles, so that whoever collided does
//! not collide again. Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

use std::time::Duration;

use super::clock::{Env, Micros};

/// Pauses between the attempts of one call.
pub struct Backoff<'e> {
    env: &'e Env,
    bound: Duration,
    max: Duration,
}

impl<'e> Backoff<'e> {
    /// Pauses of up to `first`, then up to twice as much each time, never over `max`.
    pub const fn new(env: &'e Env, first: Duration, max: Duration) -> Self {
        Self { env, bound: first, max }
    }

    /// The next pause, at least a microsecond.
    pub fn draw(&mut self) -> Duration {
        let bound = u32::try_from(self.bound.as_micros()).unwrap_or(u32::MAX);
        self.bound = (self.bound * 2).min(self.max);
        Duration::from_micros(1 + u64::from(self.env.random.below(bound)))
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
    fn pauses_are_spread_over_their_range() {
        let env = Env::system();
        let drawn: Vec<_> = (0..400).map(|_| Backoff::new(&env, Duration::from_millis(100), Duration::MAX).draw()).collect();
        let below = drawn.iter().filter(|pause| **pause < Duration::from_millis(50)).count();
        assert!((120..280).contains(&below) && drawn.iter().all(|pause| *pause <= Duration::from_millis(100)), "{below} of 400");
    }
}

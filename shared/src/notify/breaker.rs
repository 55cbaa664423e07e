//! A circuit breaker per receiver: one that fails again and again gets no calls for a while, so that the notices of all others
//! do not wait behind its time-outs. It lives in the memory of a reporter and is only ever a hint.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::core::clock::Micros;

/// Default number of consecutive failures that open a circuit.
const FAILURES: u32 = 3;
/// Default time for which an open circuit refuses every call; then one may try.
const REST: Duration = Duration::from_secs(60);
/// Maximum number of receivers with a circuit.
const MAX_RECEIVERS: usize = 10_000;

/// The circuits of all receivers, by host.
pub struct Breaker {
    hosts: Mutex<HashMap<String, Circuit>>,
    failures: u32,
    rest: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new(FAILURES, None)
    }
}

#[derive(Clone, Copy)]
struct Circuit {
    failures: u32,
    /// Moment of the next trial call.
    until: Micros,
}

impl Breaker {
    /// Circuits that open after that many consecutive failures, for `rest` (`None`: the default).
    pub fn new(failures: u32, rest: Option<Duration>) -> Self {
        Self { hosts: Mutex::default(), failures, rest: rest.unwrap_or(REST) }
    }

    /// Permission for a call. The first one through a circuit that was open is its trial: others wait for its outcome.
    ///
    /// # Errors
    /// The moment from which on a call may be permitted.
    pub fn enter(&self, host: &str, now: Micros) -> Result<(), Micros> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        match hosts.get_mut(host) {
            Some(circuit) if circuit.failures >= self.failures && circuit.until > now => Err(circuit.until),
            Some(circuit) if circuit.failures >= self.failures => {
                circuit.until = now.plus(self.rest);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Records the outcome of a call.
    pub fn leave(&self, host: &str, went_well: bool, now: Micros) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if went_well {
            hosts.remove(host);
            return;
        }
        if hosts.len() >= MAX_RECEIVERS {
            hosts.retain(|_, circuit| circuit.until > now);
        }
        let circuit = hosts.entry(host.to_owned()).or_insert(Circuit { failures: 0, until: now });
        circuit.failures = circuit.failures.saturating_add(1);
        circuit.until = now.plus(self.rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_fails_is_left_alone_and_tried_by_one_at_a_time() {
        let (breaker, now) = (Breaker::default(), Micros(1_000_000));
        for _ in 0..FAILURES {
            assert_eq!(breaker.enter("a", now), Ok(()));
            breaker.leave("a", false, now);
        }
        assert_eq!(breaker.enter("a", now), Err(now.plus(REST)));
        assert_eq!(breaker.enter("b", now), Ok(()), "others are not concerned");
        let later = now.plus(REST);
        assert_eq!(breaker.enter("a", later), Ok(()));
        assert_eq!(breaker.enter("a", later), Err(later.plus(REST)), "one tries");
        breaker.leave("a", true, later);
        assert_eq!(breaker.enter("a", later), Ok(()));
    }

    #[test]
    fn patience_and_rest_are_configured() {
        let (rest, now) = (Duration::from_secs(5), Micros(0));
        let breaker = Breaker::new(1, Some(rest));
        assert_eq!(breaker.enter("a", now), Ok(()));
        breaker.leave("a", false, now);
        assert_eq!(breaker.enter("a", now), Err(now.plus(rest)));
        assert_eq!(breaker.enter("a", now.plus(rest)), Ok(()));
    }

    #[test]
    fn one_success_forgives_the_failures_before() {
        let (breaker, now) = (Breaker::default(), Micros(0));
        for _ in 0..10 {
            breaker.leave("a", false, now);
            breaker.leave("a", false, now);
            breaker.leave("a", true, now);
            assert_eq!(breaker.enter("a", now), Ok(()));
        }
    }
}

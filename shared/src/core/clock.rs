//! Time and randomness as parameters: nothing in this crate asks the operating system for either, except the two types at
//! the end, which a composition root makes. Tests set both.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::macros::format_description;

/// Microseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(pub i64);

impl Micros {
    /// Whole milliseconds, rounded down.
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This moment plus `duration` (saturating).
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The time from an earlier moment to this one; none if that one is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// RFC 3339, UTC, milliseconds: `2026-11-21T04:26:00.000Z`, the form of every timestamp that the API shows.
    pub fn rfc3339(self) -> String {
        rfc3339_millis(
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH),
        )
    }
}

/// RFC 3339, UTC, exactly three digits of fraction.
pub fn rfc3339_millis(moment: OffsetDateTime) -> String {
    const FORMAT: &[time::format_description::BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    moment.to_offset(time::UtcOffset::UTC).format(FORMAT).unwrap_or_default()
}

/// Source of the time.
pub trait Clock: Send + Sync {
    /// The present moment, UTC.
    fn now(&self) -> Micros;
}

/// Source of unpredictable bytes.
pub trait Random: Send + Sync {
    /// Fills `buffer`.
    fn fill(&self, buffer: &mut [u8]);

    /// A number drawn evenly from `0..bound` (0 for an empty range; the bias of the reduction is below 2^-32).
    fn below(&self, bound: u32) -> u32 {
        let mut bytes = [0u8; 8];
        self.fill(&mut bytes);
        u32::try_from(u64::from_le_bytes(bytes) % u64::from(bound.max(1))).unwrap_or(0)
    }
}

/// The clock and the random source, handed around together.
#[derive(Clone)]
pub struct Env {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The random source.
    pub random: Arc<dyn Random>,
}

impl Env {
    /// The operating system's clock and random source: for composition roots.
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) }
    }

    /// A clock that stands, and the operating system's random source: for tests that set the time.
    pub fn still(at: Micros) -> Self {
        Self { clock: Arc::new(Still(at)), ..Self::system() }
    }

    /// The present moment.
    pub fn now(&self) -> Micros {
        self.clock.now()
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0u8; N];
        self.random.fill(&mut bytes);
        bytes
    }

    /// A UUID of version 7 (RFC 9562): sortable by the millisecond in which it was made.
    pub fn uuid_v7(&self) -> uuid::Uuid {
        let millis = u64::try_from(self.now().millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes::<10>()).into_uuid()
    }
}

/// A clock that stands.
#[derive(Debug, Clone, Copy)]
pub struct Still(pub Micros);

impl Clock for Still {
    fn now(&self) -> Micros {
        self.0
    }
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Micros {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The operating system's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    /// # Panics
    /// If the operating system has no randomness to give: keys made without it could be guessed.
    #[expect(clippy::expect_used, reason = "no randomness, no security: nothing sensible can follow")]
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the operating system's random source");
    }
}

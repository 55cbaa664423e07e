//! The coarse limit per client address, before anybody is known: open routes, invalid credentials, publishable keys.
//!
//! It lives in the memory of each instance and costs no I/O: a limit that cost a write per anonymous request would itself be what
//! a flood feeds on. What it bounds is therefore per instance; the number of instances is bounded by reserved concurrency and
//! the stage's throttle. Addresses come from API Gateway, never from a header that a client can set. An IPv6 client owns a /64 at
//! least, so that is one address here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::gcra::Gcra;
use super::verdict::WindowState;
use crate::core::clock::Micros;

/// Maximum number of addresses with a bucket of their own; all further ones share one.
const MAX_ADDRESSES: usize = 50_000;
/// Invalid credentials within a minute, from one address or on one key, from which on the operator is notified.
const SUSPICIOUS: u32 = 20;
/// Time in which the operator is not notified of the same address or key again.
const QUIET: i64 = 3_600_000_000;

/// A client's address as far as it identifies the client: IPv4 whole, IPv6 by /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block(u64, bool);

impl Block {
    /// The block of an address; an IPv4-mapped IPv6 address is its IPv4 address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(u64::from(v4.to_bits()), false),
            IpAddr::V6(v6) => Self(u64::try_from(v6.to_bits() >> 64).unwrap_or(0), true),
        }
    }
}

impl std::fmt::Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.1 {
            write!(f, "{}/64", std::net::Ipv6Addr::from_bits(u128::from(self.0) << 64))
        } else {
            write!(f, "{}", std::net::Ipv4Addr::from_bits(u32::try_from(self.0).unwrap_or(0)))
        }
    }
}

/// What an address is limited for; each has its own bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AddressBucket {
    /// A route without an authorizer.
    Open,
    /// Health and readiness: whoever is limited elsewhere still learns of them.
    Health,
    /// What does not exist.
    Unknown,
    /// Credentials that were not accepted.
    Invalid,
    /// A publishable key, by its id: limited per key and address.
    Publishable(String),
}

/// Refusal of an address that sent too many requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressLimited {
    /// When the next request is admitted; exact.
    pub wait: Duration,
    /// State of its bucket.
    pub window: WindowState,
}

/// Limits addresses.
pub struct AddressLimiter {
    gcra: Option<Gcra>,
    tats: Mutex<HashMap<(Block, AddressBucket), i64>>,
    suspects: Mutex<HashMap<AbuseSource, Suspicion>>,
}

/// Source of invalid credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AbuseSource {
    /// An address.
    Address(Block),
    /// A key, by its public id, from any address.
    Key(String),
}

#[derive(Debug, Clone, Copy, Default)]
struct Suspicion {
    minute: i64,
    count: u32,
    quiet_until: i64,
}

impl AddressLimiter {
    /// Admits `per_minute` requests a minute per address and door (`Limits::per_address`); 0: no limit.
    pub fn new(per_minute: u64) -> Self {
        let gcra = Gcra::new(per_minute, Duration::from_secs(60), per_minute).ok();
        Self { gcra, tats: Mutex::default(), suspects: Mutex::default() }
    }

    /// Charges one request. Gives the state of the bucket after it; `None` without a limit.
    ///
    /// # Errors
    /// The address sent too many requests.
    pub fn admit(&self, address: IpAddr, door: AddressBucket, now: Micros) -> Result<Option<WindowState>, AddressLimited> {
        let Some(gcra) = self.gcra else { return Ok(None) };
        let mut tats = self.tats.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (Block::of(address), door);
        if tats.len() >= MAX_ADDRESSES && !tats.contains_key(&key) {
            tats.retain(|_, tat| *tat > gcra.at(now));
            if tats.len() >= MAX_ADDRESSES {
                key = (Block(0, false), AddressBucket::Open);
            }
        }
        let tat = tats.get(&key).copied().unwrap_or(0);
        let wait = gcra.wait(tat, now, 1);
        if !wait.is_zero() {
            return Err(AddressLimited { wait, window: window(&gcra, tat, now) });
        }
        let tat = tat.max(gcra.at(now)).saturating_add(gcra.cost(1));
        tats.insert(key, tat);
        Ok(Some(window(&gcra, tat, now)))
    }

    /// State of a bucket, without a charge; `None` without a limit.
    pub fn standing(&self, address: IpAddr, door: AddressBucket, now: Micros) -> Option<WindowState> {
        let gcra = self.gcra?;
        let tats = self.tats.lock().unwrap_or_else(PoisonError::into_inner);
        let tat = tats.get(&(Block::of(address), door)).copied().unwrap_or(0);
        Some(window(&gcra, tat, now))
    }

    /// Counts invalid credentials. Gives the sources of which the operator is to be notified now, each once an hour and instance.
    pub fn suspect(&self, address: IpAddr, key_id: Option<&str>, now: Micros) -> Vec<(AbuseSource, u32)> {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        if suspects.len() >= MAX_ADDRESSES {
            suspects.retain(|_, one| one.quiet_until > now.0 || one.minute == now.seconds() / 60);
            if suspects.len() >= MAX_ADDRESSES {
                suspects.clear();
            }
        }
        let who = [Some(AbuseSource::Address(Block::of(address))), key_id.map(|id| AbuseSource::Key(id.to_owned()))];
        who.into_iter()
            .flatten()
            .filter_map(|who| {
                let one = suspects.entry(who.clone()).or_default();
                let minute = now.seconds() / 60;
                one.count = if one.minute == minute { one.count.saturating_add(1) } else { 1 };
                one.minute = minute;
                let due = one.count >= SUSPICIOUS && one.quiet_until <= now.0;
                if due {
                    one.quiet_until = now.0.saturating_add(QUIET);
                }
                due.then_some((who, one.count))
            })
            .collect()
    }
}

fn window(gcra: &Gcra, tat: i64, now: Micros) -> WindowState {
    WindowState {
        name: "address".to_owned(),
        quota: false,
        limit: gcra.burst(),
        remaining: gcra.remaining(tat, now),
        window: gcra.refill(),
        reset: gcra.full_after(tat, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = Micros(1_800_000_000_000_000);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_limited_by_itself_and_an_ipv6_client_by_its_network() {
        let guard = AddressLimiter::new(2);
        let admitted = |text, door| guard.admit(ip(text), door, NOW).is_ok();
        assert!(admitted("203.0.113.7", AddressBucket::Invalid));
        assert!(admitted("::ffff:203.0.113.7", AddressBucket::Invalid));
        assert!(!admitted("203.0.113.7", AddressBucket::Invalid));
        assert!(admitted("203.0.113.8", AddressBucket::Invalid));
        assert!(admitted("203.0.113.7", AddressBucket::Open));
        assert!(admitted("203.0.113.7", AddressBucket::Publishable("a".into())));
        assert!(admitted("2001:db8:0:1::1", AddressBucket::Open));
        assert!(admitted("2001:db8:0:1:ffff::2", AddressBucket::Open));
        assert!(!admitted("2001:db8:0:1:1::3", AddressBucket::Open));
        assert!(admitted("2001:db8:0:2::1", AddressBucket::Open));
        let left = |door| guard.standing(ip("203.0.113.7"), door, NOW).unwrap().remaining;
        let all = [
            AddressBucket::Invalid,
            AddressBucket::Open,
            AddressBucket::Publishable("a".into()),
            AddressBucket::Publishable("b".into()),
        ]
        .map(left);
        assert_eq!(all, [0, 1, 1, 2], "each door has its own");
        let denied = guard.admit(ip("203.0.113.7"), AddressBucket::Invalid, NOW).unwrap_err();
        assert_eq!(denied.wait, Duration::from_secs(30));
        assert!(guard.admit(ip("203.0.113.7"), AddressBucket::Invalid, NOW.plus(denied.wait)).is_ok());
    }

    #[test]
    fn a_flood_of_addresses_takes_bounded_memory_and_stays_limited() {
        let guard = AddressLimiter::new(1);
        let flood = u32::try_from(MAX_ADDRESSES).unwrap() + 1_000;
        let admitted = (0..flood)
            .filter(|one| guard.admit(IpAddr::V4(std::net::Ipv4Addr::from_bits(one + 9)), AddressBucket::Open, NOW).is_ok())
            .count();
        assert_eq!(admitted, MAX_ADDRESSES + 1, "newcomers share one bucket");
        assert!(guard.tats.lock().unwrap().len() <= MAX_ADDRESSES + 1);
        assert!(guard.admit(ip("198.51.100.1"), AddressBucket::Open, NOW.plus(Duration::from_secs(61))).is_ok());
    }

    #[test]
    fn the_operator_hears_once_of_guessing_from_one_address_and_on_one_key() {
        let guard = AddressLimiter::new(100);
        let mut notified = Vec::new();
        for attempt in 0..60u64 {
            notified.extend(guard.suspect(ip("203.0.113.7"), Some("k1"), NOW.plus(Duration::from_millis(attempt * 100))));
        }
        assert_eq!(notified.len(), 2, "{notified:?}");
        let block = Block::of(ip("203.0.113.7"));
        assert_eq!(notified[0], (AbuseSource::Address(block), SUSPICIOUS));
        assert_eq!(notified[1].0, AbuseSource::Key("k1".into()));
        // Many addresses on one key are seen by the key.
        let mut notified = Vec::new();
        for attempt in 0..30u32 {
            notified.extend(guard.suspect(IpAddr::V4(std::net::Ipv4Addr::from_bits(attempt)), Some("k2"), NOW));
        }
        assert_eq!(notified, [(AbuseSource::Key("k2".into()), SUSPICIOUS)]);
    }
}

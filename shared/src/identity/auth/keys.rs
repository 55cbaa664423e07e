//! The keys of the issuers, kept between requests: fetched when needed, refreshed while warm, and kept for a while when the
//! issuer does not answer.
//!
//! A `kid` that is not in the set means either a new key or a forgery. The first after a regular fetch is worth another one at
//! once, and from then on they are worth one a minute and issuer, however many forgeries arrive. Some failures in a row open a
//! circuit breaker, so that no request waits for a dead issuer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use jsonwebtoken::Algorithm;

use super::AuthRefusal;
use super::discovery;
use super::jwks::{self, Jwk, KeySet};
use crate::core::clock::{Env, Micros};
use crate::core::deadline;
use crate::model::Issuer;

/// How old keys may be before they are fetched again: also how long a key that the issuer withdrew still works.
const REFRESH: Duration = Duration::from_secs(10 * 60);
/// How old keys may become while the issuer does not answer.
const KEEP: Duration = Duration::from_secs(4 * 60 * 60);
/// How soon after one fetch for an unknown `kid` the next may follow.
const UNKNOWN_KID: Duration = Duration::from_secs(60);
/// Longest fetch.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Default number of consecutive failures that open the breaker.
const FAILURES: u32 = 3;
/// Default time for which the breaker stays open at first; doubled by each further failure.
const OPEN: Duration = Duration::from_secs(15);
/// Maximum time for which it stays open.
const OPEN_MAX: Duration = Duration::from_secs(5 * 60);

/// Reason why a document could not be had, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksError(pub String);

impl std::fmt::Display for JwksError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for JwksError {}

/// Source of key sets.
pub trait JwksSource: Send + Sync {
    /// Gets the document at `uri`, of at most `most` bytes. The caller sets the time-out.
    fn fetch<'a>(&'a self, uri: &'a str, most: usize) -> BoxFuture<'a, Result<String, JwksError>>;
}

/// Documents held in memory, by address, before another source: the local issuer's, and tests'.
pub struct StaticJwks {
    documents: HashMap<String, String>,
    otherwise: Option<Arc<dyn JwksSource>>,
}

impl StaticJwks {
    /// These documents, and `otherwise` for every other address.
    pub fn new(documents: HashMap<String, String>, otherwise: Option<Arc<dyn JwksSource>>) -> Self {
        Self { documents, otherwise }
    }
}

impl JwksSource for StaticJwks {
    fn fetch<'a>(&'a self, uri: &'a str, most: usize) -> BoxFuture<'a, Result<String, JwksError>> {
        match (self.documents.get(uri), &self.otherwise) {
            (Some(document), _) => Box::pin(std::future::ready(Ok(document.clone()))),
            (None, Some(source)) => source.fetch(uri, most),
            (None, None) => Box::pin(std::future::ready(Err(JwksError(format!("no key set is known for {uri}"))))),
        }
    }
}

/// What is remembered of one issuer's address.
#[derive(Default, Clone)]
struct State {
    keys: Option<Arc<KeySet>>,
    /// Address that the discovery document named, and when it was read.
    discovered: Option<(String, Micros)>,
    fetched: Micros,
    attempted: Option<Micros>,
    /// When an unknown `kid` caused a fetch, if one has since the last regular one.
    unknown: Option<Micros>,
    failures: u32,
}

/// Reason for a fetch of keys.
#[derive(Clone, Copy)]
enum Cause {
    /// They are old.
    Age,
    /// A `kid` is not among them. What the caller saw last was fetched at this time: a later attempt is enough for it.
    UnknownKid(Option<Micros>),
}

impl Cause {
    fn is_due(self, state: &State, now: Micros) -> bool {
        match self {
            Self::Age => !state.younger_than(REFRESH, now),
            Self::UnknownKid(seen) => {
                state.attempted == seen && state.unknown.is_none_or(|fetched| now >= fetched.plus(UNKNOWN_KID))
            }
        }
    }
}

impl State {
    fn younger_than(&self, age: Duration, now: Micros) -> bool {
        self.keys.is_some() && now < self.fetched.plus(age)
    }

    /// Until when the breaker is open, if it is.
    fn open_until(&self, failures: u32, open: Duration) -> Option<Micros> {
        let over = self.failures.checked_sub(failures)?;
        let wait = open.saturating_mul(1 << over.min(10)).min(OPEN_MAX.max(open));
        self.attempted.map(|attempted| attempted.plus(wait))
    }
}

#[derive(Default)]
struct Slot {
    state: Mutex<State>,
    /// One fetch at a time: whoever waited finds what the first one brought.
    fetching: tokio::sync::Mutex<()>,
}

impl Slot {
    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Reason why there is no key to verify with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum NoKey {
    /// The token is to blame.
    Refused(AuthRefusal),
    /// The issuer is.
    Unavailable(String),
}

/// Keys by address of their set, or of the discovery document that names it.
pub struct KeyStore {
    source: Arc<dyn JwksSource>,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    env: Env,
    failures: u32,
    open: Duration,
}

impl KeyStore {
    /// An empty store before a source.
    pub fn new(source: Arc<dyn JwksSource>, env: Env) -> Self {
        Self { source, slots: Mutex::default(), env, failures: FAILURES, open: OPEN }
    }

    /// With a breaker that so many failures in a row open, for `open` at first (the usual time where it is `None`).
    #[must_use]
    pub fn with_breaker(self, failures: u32, open: Option<Duration>) -> Self {
        Self { failures, open: open.unwrap_or(OPEN), ..self }
    }

    fn may_fetch(&self, state: &State, now: Micros) -> bool {
        state.open_until(self.failures, self.open).is_none_or(|until| now >= until)
    }

    /// The key that a token of this issuer means.
    pub(crate) async fn find(&self, issuer: &Issuer, kid: Option<&str>, algorithm: Algorithm) -> Result<Jwk, NoKey> {
        let place = issuer.jwks_uri.clone().unwrap_or_else(|| issuer.discovery_uri());
        let slot = Arc::clone(self.slots.lock().unwrap_or_else(PoisonError::into_inner).entry(place).or_default());
        let mut known = slot.state();
        let seen = known.attempted;
        // Whoever comes while another one refreshes goes on with the keys that are still good enough.
        let busy = known.younger_than(KEEP, self.env.now()) && slot.fetching.try_lock().is_err();
        if !known.younger_than(REFRESH, self.env.now()) && !busy {
            known = self.refresh(&slot, issuer, Cause::Age).await;
        }
        let keys = usable(&known, self.env.now())?;
        match keys.find(kid, algorithm) {
            Ok(key) => Ok(key.clone()),
            Err(AuthRefusal::UnknownKey) => {
                let known = self.refresh(&slot, issuer, Cause::UnknownKid(seen)).await;
                find_anew(&known, self.env.now(), kid, algorithm)
            }
            Err(refusal) => Err(NoKey::Refused(refusal)),
        }
    }

    /// Fetches if there still is cause for it once it is this caller's turn, and the breaker lets it.
    async fn refresh(&self, slot: &Slot, issuer: &Issuer, cause: Cause) -> State {
        let _turn = slot.fetching.lock().await;
        let (known, now) = (slot.state(), self.env.now());
        if !cause.is_due(&known, now) || !self.may_fetch(&known, now) {
            return known;
        }
        slot.update(|state| {
            state.attempted = Some(now);
            if matches!(cause, Cause::UnknownKid(_)) {
                state.unknown = Some(now);
            }
        });
        match self.fetch(slot, issuer, now).await {
            Ok(keys) => slot.update(|state| {
                state.keys = Some(Arc::new(keys));
                state.fetched = now;
                state.failures = 0;
                if matches!(cause, Cause::Age) {
                    state.unknown = None;
                }
            }),
            Err(why) => {
                tracing::warn!(issuer = issuer.alias, %why, "key set not fetched");
                slot.update(|state| state.failures = state.failures.saturating_add(1));
            }
        }
        slot.state()
    }

    async fn fetch(&self, slot: &Slot, issuer: &Issuer, now: Micros) -> Result<KeySet, JwksError> {
        let uri = match &issuer.jwks_uri {
            Some(uri) => uri.clone(),
            None => self.discover(slot, issuer, now).await?,
        };
        let document = self.get(&uri, jwks::MAX_DOCUMENT, TIMEOUT).await?;
        KeySet::parse(&document).map_err(|why| JwksError(format!("{uri}: {why}")))
    }

    /// Address of the key set, as the issuer's discovery document says or said less than [`REFRESH`] ago. One that cannot be read
    /// again is no reason to forget what it said.
    async fn discover(&self, slot: &Slot, issuer: &Issuer, now: Micros) -> Result<String, JwksError> {
        let known = slot.state().discovered;
        if let Some((uri, _)) = known.as_ref().filter(|(_, read)| now < read.plus(REFRESH)) {
            return Ok(uri.clone());
        }
        let document = self.get(&issuer.discovery_uri(), discovery::MAX_DOCUMENT, discovery::TIMEOUT).await;
        match document.and_then(|document| discovery::jwks_uri(issuer, &document).map_err(JwksError)) {
            Ok(uri) => {
                slot.update(|state| state.discovered = Some((uri.clone(), now)));
                Ok(uri)
            }
            Err(why) => {
                let (uri, _) = known.ok_or_else(|| JwksError(format!("{}: {why}", issuer.discovery_uri())))?;
                slot.update(|state| state.discovered = Some((uri.clone(), now)));
                Ok(uri)
            }
        }
    }

    async fn get(&self, uri: &str, most: usize, longest: Duration) -> Result<String, JwksError> {
        // Half of what is left: the answer that the keys could not be had takes time too.
        let longest = longest.min(deadline::at_most(TIMEOUT * 2) / 2);
        tokio::time::timeout(longest, self.source.fetch(uri, most))
            .await
            .map_err(|_| JwksError(format!("{uri}: no answer within {} ms", longest.as_millis())))?
    }
}

/// Looks for a key that was not there before.
fn find_anew(known: &State, now: Micros, kid: Option<&str>, algorithm: Algorithm) -> Result<Jwk, NoKey> {
    match usable(known, now)?.find(kid, algorithm) {
        Ok(key) => Ok(key.clone()),
        // The issuer may have published the key since; that it cannot be asked is not the caller's fault.
        Err(AuthRefusal::UnknownKey) if known.failures > 0 => {
            Err(NoKey::Unavailable("the key set could not be refreshed".into()))
        }
        Err(refusal) => Err(NoKey::Refused(refusal)),
    }
}

fn usable(state: &State, now: Micros) -> Result<Arc<KeySet>, NoKey> {
    match &state.keys {
        Some(keys) if state.younger_than(KEEP, now) => Ok(Arc::clone(keys)),
        Some(_) | None => Err(NoKey::Unavailable("the issuer's key set cannot be fetched".into())),
    }
}

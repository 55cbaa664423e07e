//! A small shared cache in front of an API, as RFC 9111 has them: it keeps what it may and no more, keyed by method, target and the
//! headers that `Vary` names.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::{Actor, Reply};

/// A request to the cache.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET` or `HEAD`.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Headers, `Authorization` among them.
    pub headers: Vec<(&'static str, String)>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Sends it to the API itself.
    pub async fn send(&self, origin: &Actor) -> Reply {
        let call = origin.call(self.method.clone(), &self.target);
        self.headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await
    }
}

/// An answer that was kept, with the request that it was the answer to.
struct Stored {
    /// Names and values of the request's headers that `Vary` names.
    varied: Vec<(String, Option<String>)>,
    reply: Reply,
    until: Instant,
}

/// The cache.
pub struct SharedCache {
    origin: Actor,
    stored: HashMap<(Method, String), Vec<Stored>>,
    /// Answers that it gave by itself.
    pub hits: usize,
}

impl SharedCache {
    /// An empty cache before an API; `origin` has no credentials of its own.
    pub fn new(origin: Actor) -> Self {
        Self { origin, stored: HashMap::new(), hits: 0 }
    }

    /// The answer to a request, and whether it comes from the cache.
    pub async fn ask(&mut self, request: &Request) -> (Reply, bool) {
        let key = (request.method.clone(), request.target.clone());
        let fits = |stored: &&Stored| {
            let same = |(name, value): &(String, Option<String>)| request.header(name) == value.as_deref();
            stored.until > Instant::now() && stored.varied.iter().all(same)
        };
        if let Some(found) = self.stored.get(&key).and_then(|all| all.iter().find(fits)) {
            self.hits += 1;
            return (found.reply.clone(), true);
        }
        let reply = request.send(&self.origin).await;
        if let Some((varied, life)) = storable(request, &reply) {
            let stored = Stored { varied, reply: reply.clone(), until: Instant::now() + life };
            self.stored.entry(key).or_default().push(stored);
        }
        (reply, false)
    }

    /// All answers that it keeps.
    pub fn kept(&self) -> impl Iterator<Item = &Reply> {
        self.stored.values().flatten().map(|stored| &stored.reply)
    }
}

/// Whether a shared cache may keep an answer (RFC 9111, 3), by which headers of the request (4.1), and for how long (4.2.1). An answer
/// to a request with `Authorization` may be kept where it says `public`, `must-revalidate` or `s-maxage` (3.5): a cache that is honest
/// to the letter relies on the API not to say so.
fn storable(request: &Request, reply: &Reply) -> Option<(Vec<(String, Option<String>)>, Duration)> {
    let directives = directives(&reply.headers);
    let has = |name: &str| directives.iter().any(|(own, _)| own == name);
    let seconds = |name: &str| directives.iter().find(|(own, _)| own == name).and_then(|(_, value)| value.parse().ok());
    if has("no-store") || has("private") || has("no-cache") {
        return None;
    }
    if request.header("authorization").is_some() && !["public", "must-revalidate", "s-maxage"].into_iter().any(has) {
        return None;
    }
    let life = Duration::from_secs(seconds("s-maxage").or_else(|| seconds("max-age"))?);
    let vary: Vec<String> = reply
        .headers
        .get_all("vary")
        .iter()
        .flat_map(|value| value.to_str().unwrap().split(',').map(|name| name.trim().to_ascii_lowercase()).collect::<Vec<_>>())
        .collect();
    if vary.iter().any(|name| name == "*") {
        return None;
    }
    let with_value = |name: String| {
        let value = request.header(&name).map(str::to_owned);
        (name, value)
    };
    Some((vary.into_iter().map(with_value).collect(), life))
}

/// The directives of `Cache-Control`, in small letters.
fn directives(headers: &HeaderMap) -> Vec<(String, String)> {
    let lines = headers.get_all("cache-control").iter().filter_map(|value| value.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(|directive| {
            let (name, value) = directive.trim().split_once('=').unwrap_or((directive.trim(), ""));
            (name.to_ascii_lowercase(), value.trim_matches('"').to_owned())
        })
        .collect()
}

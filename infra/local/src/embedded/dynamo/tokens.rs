//! `ClientRequestToken`: the same transaction sent twice has one effect. Upstream's facade keeps tokens too, but goes through all
//! of the last ten minutes at every call, and holds each whole answer.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

/// How long DynamoDB remembers a token.
const WINDOW: Duration = Duration::from_secs(600);

/// What a transaction says of itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Identity {
    /// Its token, if it has one.
    client_request_token: Option<String>,
    /// What it does, hashed.
    transact_items: Content,
}

impl Identity {
    /// Token and content of a body of `TransactWriteItems` that has a token.
    pub(super) fn of(body: &[u8]) -> Option<(String, u64)> {
        let identity: Self = serde_json::from_slice(body).ok()?;
        identity.client_request_token.map(|token| (token, identity.transact_items.0))
    }
}

/// What is known of a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing.
    Never,
    /// The same was done; the answer.
    Done(Arc<[u8]>),
    /// Something else was done.
    Other,
}

/// Tokens of the last ten minutes.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    done: HashMap<String, (u64, Arc<[u8]>)>,
    order: VecDeque<(Instant, String)>,
    /// The last answer: most say the same, so most tokens share one.
    last: Arc<[u8]>,
}

impl Tokens {
    /// What was done under a token before.
    pub(super) fn seen(&mut self, token: &str, content: u64, now: Instant) -> Seen {
        while self.order.front().is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            if let Some((_, token)) = self.order.pop_front() {
                self.done.remove(&token);
            }
        }
        match self.done.get(token) {
            None => Seen::Never,
            Some((known, answer)) if *known == content => Seen::Done(answer.clone()),
            Some(_) => Seen::Other,
        }
    }

    /// Remembers what was done.
    pub(super) fn keep(&mut self, token: String, content: u64, answer: &[u8], now: Instant) {
        if *self.last != *answer {
            self.last = answer.into();
        }
        self.order.push_back((now, token.clone()));
        self.done.insert(token, (content, self.last.clone()));
    }
}

/// A hash of a JSON value that does not depend on the order of members, which SDKs write at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content(u64);

impl Content {
    fn of(kind: u8, write: impl FnOnce(&mut DefaultHasher)) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(kind);
        write(&mut hasher);
        Self(hasher.finish())
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::of(0, |_| {}))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Content, E> {
        Ok(Content::of(1, |hasher| truth.hash(hasher)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Content, E> {
        Ok(Content::of(2, |hasher| number.hash(hasher)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Content, E> {
        Ok(Content::of(3, |hasher| number.hash(hasher)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Content, E> {
        Ok(Content::of(4, |hasher| number.to_bits().hash(hasher)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Content, E> {
        Ok(Content::of(5, |hasher| text.hash(hasher)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Content, A::Error> {
        let mut all = DefaultHasher::new();
        while let Some(Content(element)) = elements.next_element()? {
            all.write_u64(element);
        }
        Ok(Content::of(6, |hasher| hasher.write_u64(all.finish())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Content, A::Error> {
        let mut sum = 0_u64;
        while let Some((Content(name), Content(value))) = members.next_entry()? {
            let Content(member) = Content::of(7, |hasher| (name, value).hash(hasher));
            sum = sum.wrapping_add(member);
        }
        Ok(Content::of(8, |hasher| hasher.write_u64(sum)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(items: &str) -> u64 {
        let body = format!(r#"{{"ClientRequestToken":"t","TransactItems":{items},"ReturnConsumedCapacity":"TOTAL"}}"#);
        Identity::of(body.as_bytes()).unwrap().1
    }

    #[test]
    fn the_order_of_members_says_nothing_and_all_else_does() {
        let one = content(r#"[{"a":{"S":"1"},"b":{"SS":["x","y"]}},{"c":null}]"#);
        assert_eq!(one, content(r#"[ {"b":{"SS":["x","y"]},"a":{"S":"1"}}, {"c":null} ]"#));
        for other in [
            r#"[{"c":null},{"a":{"S":"1"},"b":{"SS":["x","y"]}}]"#,
            r#"[{"a":{"S":"1"},"b":{"SS":["y","x"]}},{"c":null}]"#,
            r#"[{"b":{"S":"1"},"a":{"SS":["x","y"]}},{"c":null}]"#,
            r#"[{"a":{"S":"1"},"b":{"SS":["x","y"]}},{"c":true}]"#,
            r#"[{"a":{"S":1},"b":{"SS":["x","y"]}},{"c":null}]"#,
        ] {
            assert_ne!(one, content(other), "{other}");
        }
        assert!(Identity::of(br#"{"TransactItems":[]}"#).is_none());
    }

    #[test]
    fn a_token_is_known_for_ten_minutes() {
        let (mut tokens, start) = (Tokens::default(), Instant::now());
        assert_eq!(tokens.seen("a", 1, start), Seen::Never);
        tokens.keep("a".into(), 1, b"{}", start);
        tokens.keep("b".into(), 2, b"{}", start + Duration::from_secs(1));
        assert_eq!(tokens.seen("a", 1, start + Duration::from_secs(599)), Seen::Done(Arc::from(&b"{}"[..])));
        assert_eq!(tokens.seen("a", 9, start + Duration::from_secs(599)), Seen::Other);
        assert_eq!(tokens.seen("a", 1, start + WINDOW), Seen::Never);
        assert_eq!(tokens.seen("b", 3, start + WINDOW), Seen::Other);
        assert_eq!(tokens.done.len(), 1);
    }
}

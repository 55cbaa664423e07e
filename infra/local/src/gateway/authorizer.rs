//! Asking the authorizer, and remembering its answer by identity source alone, for all routes, as API Gateway does.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use holdfast::core::clock::{Env, Micros};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::event;
use crate::functions::{Function, Invocation};
use crate::template::AuthorizerDef;

/// Answers remembered at most; beyond that the oldest half is forgotten.
const MAX_ANSWERS: usize = 10_000;

/// The authorizer of the API with its remembered answers.
pub struct Authorizer {
    definition: AuthorizerDef,
    function: Arc<dyn Function>,
    timeout: Duration,
    env: Env,
    answers: Mutex<HashMap<Vec<String>, (Micros, Verdict)>>,
}

/// What the authorizer says of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Let it through with this context.
    Allowed(Value),
    /// Refuse it.
    Denied,
}

/// A simple response of an authorizer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SimpleResponse {
    is_authorized: bool,
    #[serde(default)]
    context: Map<String, Value>,
}

impl Authorizer {
    /// An authorizer without cached answers.
    pub fn new(definition: AuthorizerDef, function: Arc<dyn Function>, timeout: Duration, env: Env) -> Self {
        Self { definition, function, timeout, env, answers: Mutex::default() }
    }

    /// The values of the identity sources, those of a header that is repeated joined by commas as in the event; `None` when one is
    /// missing, which means that the authorizer is not called.
    pub fn identity(&self, headers: &HeaderMap) -> Option<Vec<String>> {
        let value = |name: &String| {
            let values: Option<Vec<&str>> = headers.get_all(name).iter().map(|value| value.to_str().ok()).collect();
            values.map(|values| values.join(",")).filter(|text| !text.is_empty())
        };
        self.definition.identity_headers.iter().map(value).collect()
    }

    /// The verdict on a call; `common` makes the event when nothing is remembered.
    ///
    /// # Errors
    /// When the authorizer failed, took too long or gave an answer that is none; for the log.
    pub async fn ask(
        &self,
        identity: Vec<String>,
        request_id: &str,
        method: &str,
        path: &str,
        common: impl FnOnce() -> Map<String, Value>,
    ) -> Result<Verdict, String> {
        let now = self.env.now();
        if let Some(verdict) = self.remembered(&identity, now) {
            return Ok(verdict);
        }
        let event = event::for_authorizer(common(), method, path, &identity);
        let invocation = Invocation {
            payload: Bytes::from(event.to_string()),
            request_id: request_id.to_owned(),
            deadline_ms: u64::try_from(now.plus(self.timeout).millis()).unwrap_or(0),
        };
        let payload = tokio::time::timeout(self.timeout, self.function.invoke(invocation))
            .await
            .map_err(|_| "it took too long".to_owned())?
            .map_err(|failure| failure.0)?;
        let answer: SimpleResponse = serde_json::from_slice(&payload).map_err(|error| error.to_string())?;
        let verdict = if answer.is_authorized { Verdict::Allowed(answer.context.into()) } else { Verdict::Denied };
        self.remember(identity, now, verdict.clone());
        Ok(verdict)
    }

    fn remembered(&self, identity: &[String], now: Micros) -> Option<Verdict> {
        let answers = self.answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        answers.get(identity).filter(|(until, _)| now < *until).map(|(_, verdict)| verdict.clone())
    }

    fn remember(&self, identity: Vec<String>, now: Micros, verdict: Verdict) {
        if self.definition.ttl.is_zero() {
            return;
        }
        let mut answers = self.answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if answers.len() >= MAX_ANSWERS {
            let mut ends: Vec<Micros> = answers.values().map(|(until, _)| *until).collect();
            ends.sort_unstable();
            let middle = ends[ends.len() / 2];
            answers.retain(|_, (until, _)| *until > middle);
        }
        answers.insert(identity, (now.plus(self.definition.ttl), verdict));
    }
}

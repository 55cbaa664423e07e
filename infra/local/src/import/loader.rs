//! Sending rows to the API, many at a time, until each has a final answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use holdfast::core::backoff::Backoff;
use holdfast::core::clock::Env;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::{Row, same};
use crate::client;

/// Requests under way at once.
const PARALLEL: usize = 32;
/// How often a row is sent before its failure counts: time-outs, limits and unavailability pass.
const ATTEMPTS: u32 = 8;
/// Longest pause after the first attempt, and after the last, where the answer names none.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_millis(6_400);
/// A wait longer than this is no pause but an exhausted quota: the load ends, and is repeated later.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Creates records through an API.
pub struct Loader {
    client: reqwest::Client,
    base: String,
    token: String,
    env: Env,
}

/// Results of the rows.
#[derive(Debug, Default, PartialEq)]
pub struct Report {
    /// Created now.
    pub created: usize,
    /// There already: an earlier run created it, or a record with the id has every value of the line.
    pub existing: usize,
    /// Refused, each with its place and why, in the order of files and lines.
    pub refused: Vec<Refused>,
}

/// A line that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The code of the problem (`validation_failed`), or `unreadable`.
    pub code: String,
    /// Why.
    pub why: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.why)
    }
}

/// Why a load ended before its last row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError(pub String);

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LoadError {}

enum Answer {
    Created,
    Existing,
    Refused(Refused),
    /// It refers to a record that is not there, perhaps yet.
    Waiting(Row, Refused),
}

impl Loader {
    /// Through the API at `base` (`http://127.0.0.1:3000`) with a bearer token or API key; `env` draws its pauses.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(base: &str, token: &str, env: Env) -> Result<Self, LoadError> {
        let client = client::http()
            .timeout(Duration::from_secs(40))
            .build()
            .map_err(|error| LoadError(format!("no HTTP client: {error}")))?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned(), token: token.to_owned(), env })
    }

    /// Creates all rows; `done` is called with the bytes of each line that has its final answer.
    ///
    /// # Errors
    /// When going on makes no sense: the API cannot be reached, the credential is refused, a quota is used up. What was
    /// created stays; the same load can be repeated.
    pub async fn load(
        &self,
        rows: impl Iterator<Item = Result<Row, Refused>> + Send,
        done: impl Fn(u64),
    ) -> Result<Report, LoadError> {
        let mut report = Report::default();
        let mut waiting = self.round(rows, &done, &mut report).await?;
        while !waiting.is_empty() {
            let before = waiting.len();
            let (again, mut reasons): (Vec<Row>, BTreeMap<_, _>) =
                waiting.into_iter().map(|(row, refused)| (row.clone(), ((row.file, row.line), refused))).unzip();
            waiting = self.round(again.into_iter().map(Ok), &done, &mut report).await?;
            if waiting.len() == before {
                report.refused.extend(waiting.into_iter().filter_map(|(row, _)| {
                    done(row.bytes);
                    reasons.remove(&(row.file, row.line))
                }));
                break;
            }
        }
        report.refused.sort();
        Ok(report)
    }

    /// Sends every row once; gives back those that wait for another.
    async fn round(
        &self,
        rows: impl Iterator<Item = Result<Row, Refused>> + Send,
        done: &impl Fn(u64),
        report: &mut Report,
    ) -> Result<Vec<(Row, Refused)>, LoadError> {
        let mut waiting = Vec::new();
        let answers = futures::stream::iter(rows).map(|row| async {
            match row {
                Ok(row) => {
                    let bytes = row.bytes;
                    self.create(row).await.map(|answer| (answer, bytes))
                }
                Err(refused) => Ok((Answer::Refused(refused), 0)),
            }
        });
        let mut answers = std::pin::pin!(answers.buffer_unordered(PARALLEL));
        while let Some(answer) = answers.next().await {
            let (answer, bytes) = answer?;
            match answer {
                Answer::Created => report.created += 1,
                Answer::Existing => report.existing += 1,
                Answer::Refused(refused) => report.refused.push(refused),
                Answer::Waiting(row, refused) => {
                    waiting.push((row, refused));
                    continue;
                }
            }
            done(bytes);
        }
        Ok(waiting)
    }

    async fn create(&self, row: Row) -> Result<Answer, LoadError> {
        let url = format!("{}/v1/{}", self.base, row.plural);
        let post = || {
            let request = self.client.post(&url).header("content-type", "application/json");
            request.header("idempotency-key", &row.key).body(row.body.clone())
        };
        let (status, headers, body) = self.exchange(&row, post).await?;
        let is_there = status == 409 && body["code"] == "conflict" && self.is_stored(&row, &body).await?;
        if is_there { Ok(Answer::Existing) } else { answer(row, status, &headers, &body) }
    }

    /// Whether the record that stands in the way of a row is what the row says.
    async fn is_stored(&self, row: &Row, conflict: &Value) -> Result<bool, LoadError> {
        let line: Value = serde_json::from_slice(&row.body).unwrap_or_default();
        let id = match (&line["id"], &conflict["id"]) {
            (Value::String(id), _) | (Value::Null, Value::String(id)) => id.clone(),
            (Value::Number(id), _) => id.to_string(),
            _ => return Ok(false),
        };
        let url = format!("{}/v1/{}/{id}", self.base, row.plural);
        let (status, _, record) = self.exchange(row, || self.client.get(&url)).await?;
        Ok(status == 200 && same::says(&record, &line))
    }

    /// The plural of an entity, which may be given by its singular name too: the API's document knows.
    ///
    /// # Errors
    /// When the API cannot be reached, or has nothing of that name for this credential.
    pub async fn plural(&self, name: &str) -> Result<String, LoadError> {
        let url = format!("{}/v1/openapi.json", self.base);
        let sent = self.client.get(&url).bearer_auth(&self.token).send().await;
        let response = sent.map_err(|error| LoadError(format!("{url}: {}", with_causes(&error))))?;
        let document: Value = serde_json::from_slice(&response.bytes().await.unwrap_or_default()).unwrap_or_default();
        let Some(paths) = document["paths"].as_object() else { return Ok(name.to_owned()) };
        // Generated names differ in case and underscores alone: `order_line` is created by `createOrderLine`.
        let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        let wanted = format!("create{}", plain(name));
        let lists = paths.iter().filter_map(|(path, item)| {
            let operation = item["post"]["operationId"].as_str()?;
            let plural = path.rsplit('/').next().filter(|plural| !plural.starts_with(['_', '{']) && !path.contains('{'))?;
            Some((plural, plain(operation)))
        });
        let lists: Vec<(&str, String)> = lists.collect();
        let found = lists.iter().find(|(plural, _)| *plural == name).or_else(|| lists.iter().find(|(_, id)| *id == wanted));
        found.map(|(plural, _)| (*plural).to_owned()).ok_or_else(|| {
            let names: Vec<&str> = lists.iter().map(|(plural, _)| *plural).collect();
            LoadError(format!("the API has no {name} that this credential may create; it has {}", names.join(", ")))
        })
    }

    /// One request until its answer is final: limits and failures that pass are waited for.
    async fn exchange(
        &self,
        row: &Row,
        request: impl Fn() -> reqwest::RequestBuilder,
    ) -> Result<(u16, HeaderMap, Value), LoadError> {
        let mut backoff = Backoff::new(&self.env, FIRST_PAUSE, LAST_PAUSE).with_equal_jitter();
        let mut attempt = 1;
        loop {
            let (status, headers, body) = match request().bearer_auth(&self.token).send().await {
                Ok(response) => {
                    let (status, headers) = (response.status().as_u16(), response.headers().clone());
                    let body = response.bytes().await.unwrap_or_default();
                    (status, headers, serde_json::from_slice(&body).unwrap_or(Value::Null))
                }
                Err(error) if attempt >= ATTEMPTS || error.is_connect() => {
                    return Err(LoadError(format!("{}/v1/{}: {}", self.base, row.plural, with_causes(&error))));
                }
                Err(_) => (0, HeaderMap::new(), Value::Null),
            };
            if !passes(status, &body) {
                return Ok((status, headers, body));
            }
            let pause = retry_after(&headers).unwrap_or_else(|| backoff.draw());
            if attempt >= ATTEMPTS || pause > MAX_PAUSE {
                let why = describe(status, &body);
                return Err(LoadError(format!("{}:{}: {why}; repeat the import later to go on", row.file, row.line)));
            }
            attempt += 1;
            tokio::time::sleep(pause).await;
        }
    }
}

/// Whether the same request may go through later: the answer is not final.
fn passes(status: u16, body: &Value) -> bool {
    matches!(status, 0 | 429 | 500 | 502..=504) || body["code"] == "request_in_progress"
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs)
}

fn answer(row: Row, status: u16, headers: &HeaderMap, body: &Value) -> Result<Answer, LoadError> {
    let code = body["code"].as_str().unwrap_or_default().to_owned();
    let refused = || Refused { file: row.file.clone(), line: row.line, code: code.clone(), why: describe(status, body) };
    Ok(match (status, code.as_str()) {
        (200..=299, _) if headers.get("idempotency-replayed").is_some_and(|value| value == "true") => Answer::Existing,
        (200..=299, _) => Answer::Created,
        (401 | 403, _) => return Err(LoadError(describe(status, body))),
        (_, "reference_not_found") => {
            let refused = refused();
            Answer::Waiting(row, refused)
        }
        _ => Answer::Refused(refused()),
    })
}

/// What a problem says, with every violation in it.
fn describe(status: u16, body: &Value) -> String {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let mut said = match (text("detail"), text("title")) {
        ("", "") => format!("status {status}"),
        ("", title) => format!("{status} {title}"),
        (detail, _) => format!("{status} {detail}"),
    };
    for error in body["errors"].as_array().into_iter().flatten() {
        let part = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        said.push_str(&format!("; {}: {}", part("pointer"), part("message")));
    }
    said
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

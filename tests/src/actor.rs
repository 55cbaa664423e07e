//! Somebody who calls the API.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// A caller with one credential, or none.
#[derive(Debug, Clone)]
pub struct Actor {
    client: reqwest::Client,
    base: String,
    authorization: Option<String>,
}

/// A call that is being put together.
#[derive(Debug)]
#[must_use = "a call is made by `.await`ing send"]
pub struct Call {
    builder: reqwest::RequestBuilder,
    said: String,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as it came (after content coding).
    pub bytes: Vec<u8>,
    /// The body as JSON; null where it is none.
    pub body: Value,
    said: String,
}

impl Actor {
    /// An actor for the API at `base`; `authorization` is the whole header.
    pub fn new(base: &str, authorization: Option<String>) -> Self {
        let client = holdfast_local::client::http().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { client, base: base.to_owned(), authorization }
    }

    /// The same caller with another `Authorization` header.
    pub fn with_authorization(&self, value: impl Into<String>) -> Self {
        Self { authorization: Some(value.into()), ..self.clone() }
    }

    /// The bearer token that it calls with.
    pub fn token(&self) -> Option<&str> {
        self.authorization.as_deref()?.strip_prefix("Bearer ")
    }

    /// A call; `path` with its query.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let mut builder = self.client.request(method.clone(), format!("{}{path}", self.base));
        if let Some(value) = &self.authorization {
            builder = builder.header("authorization", value);
        }
        Call { builder, said: format!("{method} {path}") }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path).send().await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.call(Method::POST, path).json(body).send().await
    }

    /// `PUT` of JSON.
    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.call(Method::PUT, path).json(body).send().await
    }

    /// `PATCH` with a merge patch.
    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.call(Method::PATCH, path).json(body).send().await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Reply {
        self.call(Method::DELETE, path).send().await
    }
}

impl Call {
    /// With a header more.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).unwrap();
        self.builder = self.builder.header(name, HeaderValue::try_from(value).unwrap());
        self
    }

    /// With a JSON body.
    pub fn json(mut self, body: Value) -> Self {
        self.said = format!("{} {body}", self.said);
        self.builder = self.builder.header("content-type", "application/json").body(body.to_string());
        self
    }

    /// With any body.
    pub fn body(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.builder = self.builder.body(body);
        self
    }

    /// Makes the call.
    pub async fn send(self) -> Reply {
        let response = self.builder.send().await.unwrap_or_else(|error| panic!("{}: {error:?}", self.said));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap().to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Reply { status, headers, bytes, body, said: self.said }
    }
}

impl Reply {
    /// The answer itself, if it has this status.
    ///
    /// # Panics
    /// Shows call and answer if it has not.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\nanswered {}", self.said, String::from_utf8_lossy(&self.bytes));
        self
    }

    /// The answer itself, if it is a problem of this status and code in the form of RFC 9457.
    ///
    /// # Panics
    /// Shows call and answer if it is not.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(reply.header("content-type"), "application/problem+json", "{}", reply.said);
        assert_eq!(reply.body["code"], code, "{}\nanswered {}", reply.said, reply.body);
        assert_eq!(reply.body["status"], status);
        reply
    }

    /// A header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The ids of a list's records.
    pub fn ids(&self) -> Vec<Value> {
        self.body["data"].as_array().into_iter().flatten().map(|record| record["id"].clone()).collect()
    }
}

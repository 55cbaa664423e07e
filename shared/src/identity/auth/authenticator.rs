//! From the `Authorization` header to an [`AuthOutcome`]: the authorizer calls it, and so does a function that has to decide itself.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::jws::Unverified;
use super::keys::{KeyStore, NoKey};
use super::remembered::Remembered;
use super::{AuthOutcome, AuthRefusal, JwksSource, api_key, claims, jwks};
use crate::core::caller::{self, Caller, KEY_ALIAS};
use crate::core::clock::{Env, Micros};
use crate::identity::consumer::record::Row;
use crate::identity::consumer::{ApiKey, Consumer};
use crate::model::{Auth, Issuer, Model};
use crate::store::keys as place;
use crate::store::table::{Key, SharedTable, TableName};

/// Verifier of credentials, one per process: it holds the issuers' keys.
pub struct Authenticator {
    model: Arc<Model>,
    issuers: Vec<Issuer>,
    keys: KeyStore,
    remembered: Remembered,
    table: SharedTable,
    env: Env,
}

/// Reason why a credential is not accepted: its own fault, or ours.
enum Failure {
    Refused(AuthRefusal),
    Unavailable(String),
}

impl From<AuthRefusal> for Failure {
    fn from(refusal: AuthRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Failure> for AuthOutcome {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl Authenticator {
    /// Verifies with the model's issuers and consumers in `table`.
    pub fn new(model: Arc<Model>, table: SharedTable, jwks: Arc<dyn JwksSource>, env: Env) -> Self {
        let issuers = model.auth.issuers.clone();
        Self { model, issuers, keys: KeyStore::new(jwks, env.clone()), remembered: Remembered::new(), table, env }
    }

    /// With a breaker before the issuers: [`KeyStore::with_breaker`].
    #[must_use]
    pub fn with_breaker(self, failures: u32, open: Option<Duration>) -> Self {
        Self { keys: self.keys.with_breaker(failures, open), ..self }
    }

    /// With one issuer more than the model names: the local one ([`super::local`]), in development only.
    #[must_use]
    pub fn with_issuer(mut self, issuer: Issuer) -> Self {
        self.issuers.push(issuer);
        self
    }

    /// The caller of an `Authorization` header that was verified here less than five minutes ago.
    pub(super) fn remembered(&self, header: &str) -> Option<Box<Caller>> {
        self.remembered.get(header, self.env.now())
    }

    /// The outcome of verifying an `Authorization` header now, or of up to five minutes ago if that was good. What ends a credential
    /// before its time is for admission to find out, which then asks for [`Self::authenticate_anew`].
    pub async fn authenticate_remembered(&self, header: &str) -> AuthOutcome {
        match self.remembered(header) {
            Some(caller) => AuthOutcome::Ok(caller),
            None => self.authenticate_anew(header).await,
        }
    }

    /// The outcome of verifying an `Authorization` header now, which is remembered if it is good.
    pub async fn authenticate_anew(&self, header: &str) -> AuthOutcome {
        let outcome = self.authenticate(Some(header)).await;
        match &outcome {
            AuthOutcome::Ok(caller) => self.remembered.put(header, caller, self.env.now()),
            AuthOutcome::Invalid(_) | AuthOutcome::Expired => self.remembered.forget(header),
            AuthOutcome::Unavailable(_) => {}
        }
        outcome
    }

    /// The outcome of verifying the value of an `Authorization` header now.
    pub async fn authenticate(&self, authorization: Option<&str>) -> AuthOutcome {
        let Some(header) = authorization else { return AuthRefusal::Missing.into() };
        let credential = match bearer(header) {
            Ok(credential) => credential,
            Err(refusal) => return refusal.into(),
        };
        let now = self.env.now();
        let verified = if api_key::is_api_key(credential) {
            self.by_api_key(credential, now).await
        } else {
            self.by_token(credential, now).await
        };
        verified.map_or_else(AuthOutcome::from, |verified| AuthOutcome::Ok(Box::new(verified)))
    }

    async fn by_token(&self, token: &str, now: Micros) -> Result<Caller, Failure> {
        let token = Unverified::parse(token)?;
        let unverified = crate::core::json::strict_object(&token.payload).ok_or(AuthRefusal::Malformed)?;
        let named = unverified.get("iss").and_then(Value::as_str).ok_or(AuthRefusal::Issuer)?;
        let issuer = self.issuers.iter().find(|issuer| issuer.is(named)).ok_or(AuthRefusal::Issuer)?;
        if !issuer.algorithms.iter().any(|name| jwks::algorithm(name) == Some(token.algorithm)) {
            return Err(AuthRefusal::Algorithm.into());
        }
        let key = self.keys.find(issuer, token.kid.as_deref(), token.algorithm).await.map_err(|none| match none {
            NoKey::Refused(refusal) => Failure::Refused(refusal),
            NoKey::Unavailable(why) => Failure::Unavailable(why),
        })?;
        if !token.signed_by(&key) {
            return Err(AuthRefusal::Signature.into());
        }
        let caller = claims::verify(&self.model, issuer, &unverified, now)?;
        let row = self.consumer(&caller.consumer).await?;
        apply_consumer(&self.model.auth, caller, row)
    }

    async fn by_api_key(&self, key: &str, now: Micros) -> Result<Caller, Failure> {
        let presented = api_key::parse(key).ok_or(AuthRefusal::ApiKey)?;
        let stored = self.get(place::api_key(presented.id)).await?.ok_or(AuthRefusal::UnknownApiKey)?;
        let stored = ApiKey::from_item(&stored).map_err(|corrupt| Failure::Unavailable(corrupt.to_string()))?;
        if !presented.is(&stored.hash) || stored.revoked.is_some() || stored.publishable != presented.publishable {
            return Err(AuthRefusal::UnknownApiKey.into());
        }
        if stored.expires.is_some_and(|expires| now.seconds() >= expires) {
            return Err(AuthRefusal::Expired.into());
        }
        let row = self.consumer(&stored.consumer).await?;
        if row.as_ref().is_none_or(|row| row.consumer.is_none()) {
            return Err(AuthRefusal::UnknownApiKey.into());
        }
        let caller = Caller {
            subject: caller::subject(KEY_ALIAS, &stored.consumer),
            consumer: stored.consumer,
            key_id: Some(stored.id),
            scopes: stored.scopes,
            expires: stored.expires,
            anonymous: stored.publishable,
            ..Caller::default()
        };
        apply_consumer(&self.model.auth, caller, row)
    }

    async fn consumer(&self, id: &str) -> Result<Option<Row>, Failure> {
        let item = self.get(place::consumer(id)).await?;
        item.map(|item| Row::from_item(&item)).transpose().map_err(|corrupt| Failure::Unavailable(corrupt.to_string()))
    }

    /// A strongly consistent read: a revocation holds from the next verification on.
    async fn get(&self, key: Key) -> Result<Option<crate::store::table::Item>, Failure> {
        let found = self.table.get(&[(TableName::Data, key)], true).await;
        found.map(|items| items.into_iter().next().flatten()).map_err(|error| Failure::Unavailable(error.to_string()))
    }
}

/// RFC 6750, 2.1; the scheme's case does not matter (RFC 9110, 11.1).
pub(super) fn bearer(header: &str) -> Result<&str, AuthRefusal> {
    let (scheme, credential) = header.trim_ascii().split_once(' ').ok_or(AuthRefusal::Scheme)?;
    let credential = credential.trim_ascii_start();
    if !scheme.eq_ignore_ascii_case("bearer") || credential.is_empty() || credential.contains([' ', '\t', ',']) {
        return Err(AuthRefusal::Scheme);
    }
    Ok(credential)
}

/// Applies the consumer's row, which takes precedence over the token.
fn apply_consumer(auth: &Auth, mut caller: Caller, row: Option<Row>) -> Result<Caller, Failure> {
    let Some(Row { epoch, consumer, .. }) = row else { return Ok(caller) };
    caller.epoch = Some(epoch);
    let Some(consumer) = consumer else { return Ok(caller) };
    let Consumer { plan, roles, claims, disabled, overrides, .. } = consumer;
    if disabled {
        return Err(AuthRefusal::Disabled.into());
    }
    caller.plan = plan.or(caller.plan);
    caller.roles = roles.unwrap_or(caller.roles);
    caller.claims.extend(claims::used(auth, |name| claims.get(name)));
    caller.overrides = overrides;
    Ok(caller)
}

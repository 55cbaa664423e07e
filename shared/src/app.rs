//! What the pipeline works with: made once per process by a composition root, shared by all requests.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::{self, Cache};
use crate::core::clock::Env;
use crate::core::telemetry::Traces;
use crate::identity::auth::Authenticator;
use crate::identity::secret::{Keyring, SecretSource, Secrets};
use crate::limit::Limiter;
use crate::limit::address::AddressLimiter;
use crate::model::Model;
use crate::openapi::Documents;
use crate::query::plan::Cursor;
use crate::query::policy::Writer;
use crate::store::constraints::Constraints;
use crate::store::object::SharedObjects;
use crate::store::table::{SharedTable, TableError};
use crate::usage::Usage;

/// Longest wait for the table in the init phase.
const WARMING: Duration = Duration::from_secs(2);

/// The parts of a running API.
pub struct App {
    /// The model.
    pub model: Arc<Model>,
    /// The tables.
    pub table: SharedTable,
    /// Writes what policy permitted.
    pub writer: Writer,
    /// Keeps answers of reads.
    pub cache: Cache,
    /// States of constraints and indexes.
    pub constraints: Arc<Constraints>,
    /// Admits requests.
    pub limiter: Limiter,
    /// Admits what has no consumer.
    pub addresses: AddressLimiter,
    /// Verifies credentials.
    pub authenticator: Arc<Authenticator>,
    /// Counts what is answered.
    pub usage: Usage,
    /// Exports spans; `None` where no collector is named.
    pub traces: Option<Traces>,
    /// Documents that were asked for.
    pub documents: Documents,
    /// Clock and random source.
    pub env: Env,
    /// Name of the deployment: part of API keys.
    pub environment: String,
    /// Where the content of files lies; only functions that deal with files have it.
    pub objects: Option<SharedObjects>,
    secrets: Keyring,
}

impl App {
    /// Puts the parts together over a table. No call is made.
    pub fn new(model: Arc<Model>, table: SharedTable, authenticator: Arc<Authenticator>, env: Env, environment: &str) -> Self {
        let constraints = Arc::new(Constraints::new(table.clone(), model.clone(), env.clone()));
        Self {
            writer: Writer::new(table.clone(), model.clone(), env.clone()).with_constraints(Arc::clone(&constraints)),
            cache: Cache::new(table.clone(), env.clone(), cache::CacheSettings::default()),
            constraints,
            limiter: Limiter::new(table.clone(), env.clone(), crate::limit::LimiterSettings::default()),
            addresses: AddressLimiter::new(model.limits.per_address),
            usage: Usage::new(table.clone(), env.clone()),
            traces: None,
            documents: Documents::default(),
            authenticator,
            environment: environment.to_owned(),
            objects: None,
            secrets: Keyring::new(table.clone(), env.clone()),
            model,
            table,
            env,
        }
    }

    /// With a master secret that is rotated elsewhere.
    #[must_use]
    pub fn with_secrets(self, source: Arc<dyn SecretSource>) -> Self {
        Self { secrets: self.secrets.rotating(source), ..self }
    }

    /// With a store of files.
    #[must_use]
    pub fn with_objects(mut self, objects: SharedObjects) -> Self {
        self.objects = Some(objects);
        self
    }

    /// With a cache that works like this.
    #[must_use]
    pub fn with_cache(self, settings: cache::CacheSettings) -> Self {
        Self { cache: Cache::new(self.table.clone(), self.env.clone(), settings), ..self }
    }

    /// With another count of usage.
    #[must_use]
    pub fn with_usage(self, usage: Usage) -> Self {
        Self { usage, ..self }
    }

    /// With an export of spans.
    #[must_use]
    pub fn with_traces(self, traces: Option<Traces>) -> Self {
        Self { traces, ..self }
    }

    /// The end of the process: what is in memory is flushed. Best effort.
    pub fn closing(&self) -> impl Future<Output = ()> + Send + use<> {
        let (usage, traces, limits) = (self.usage.clone(), self.traces.clone(), self.limiter.give_back());
        async move {
            futures::join!(usage.close(), limits);
            if let Some(traces) = traces {
                traces.flush().await;
            }
        }
    }

    /// Opens the connection to the table and reads what every instance reads once anyway: in the init phase, which Lambda runs at full
    /// speed, so that the first request need not wait for it. Best effort: a request that finds nothing reads for itself.
    pub async fn warm(&self) {
        if !matches!(tokio::time::timeout(WARMING, self.constraints.states()).await, Ok(Ok(_))) {
            tracing::warn!("the table did not answer in the init phase");
        }
    }

    /// The deployment's own secrets.
    ///
    /// # Errors
    /// When they cannot be had.
    pub async fn secrets(&self) -> Result<Arc<Secrets>, TableError> {
        self.secrets.secrets().await
    }

    /// The deployment's own secrets, looked at again if they do not know the key that a cursor was sealed with.
    ///
    /// # Errors
    /// When they cannot be had.
    pub async fn secrets_for(&self, cursor: Option<&str>) -> Result<Arc<Secrets>, TableError> {
        match cursor.and_then(Cursor::key_id) {
            Some(id) => self.secrets.knowing(id).await,
            None => self.secrets.secrets().await,
        }
    }
}

//! The part of a composition root that all functions have in common: settings, model, clients, authenticator. Each is made
//! once, in the init phase of the function, and handed on.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;

use crate::app::App;
use crate::aws;
use crate::aws::dynamodb::{DynamoTable, Options};
use crate::aws::jwks_http::{HttpJwks, Reach};
use crate::aws::secretsmanager::ManagedSecret;
use crate::cache;
use crate::core::clock::Env;
use crate::core::config::{Settings, Variables};
use crate::identity::auth::local::{self, LocalIssuer};
use crate::identity::auth::{Authenticator, JwksSource};
use crate::model::{self, Model};

/// Parts that a function starts with.
#[derive(Clone)]
pub struct Startup {
    /// Settings of the environment.
    pub settings: Settings,
    /// The model.
    pub model: Arc<Model>,
    /// Region, credentials and HTTP client of all AWS clients.
    pub aws: SdkConfig,
    /// The tables.
    pub table: DynamoTable,
    /// Verifies credentials.
    pub authenticator: Arc<Authenticator>,
    /// Clock and random source.
    pub env: Env,
}

/// Reason why a function cannot start, for its log.
#[derive(Debug)]
pub struct StartupError(String);

impl Display for StartupError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartupError {}

/// After this time without an answer a call to the embedded store counts as failed.
const EMBEDDED: Duration = Duration::from_secs(20);

impl Startup {
    /// Reads the environment and the model, makes the clients. No call is made to AWS.
    ///
    /// # Errors
    /// All mistakes of the environment, or all of the model, or a client that cannot be made.
    pub async fn read(variables: &dyn Variables, env: Env) -> Result<Self, StartupError> {
        let settings = Settings::read(variables).map_err(|wrong| joined(&wrong))?;
        let roots = settings.tls_roots.as_ref().map(std::fs::read).transpose().map_err(one)?;
        let http = aws::http_client(roots.as_deref()).map_err(one)?;
        let name = settings.model.display().to_string();
        let source = std::fs::read_to_string(&settings.model).map_err(|error| StartupError(format!("{name}: {error}")))?;
        let model = Arc::new(model::parse(&name, &source).map_err(|mistakes| joined(&mistakes))?);
        let local = settings.local_keys.as_deref().map(|path| LocalIssuer::open(path, &env)).transpose().map_err(one)?;
        Ok(Self::assemble(settings, model, aws::config(http).await, local.as_ref(), env))
    }

    /// Puts the parts together; with `local`, tokens of that issuer count beside those that the model names.
    pub fn assemble(settings: Settings, model: Arc<Model>, aws: SdkConfig, local: Option<&LocalIssuer>, env: Env) -> Self {
        let options = Options::new(&settings.data_table, &settings.volatile_table);
        let table = DynamoTable::new(&aws, options, env.clone());
        // Beside a local issuer this is a machine of development, where issuers may be anywhere.
        let reach = if local.is_some() { Reach::Anywhere } else { Reach::Public(settings.internal_issuers.clone()) };
        let online: Arc<dyn JwksSource> = Arc::new(HttpJwks::new(reach));
        let jwks = match local {
            Some(issuer) => issuer.jwks(Some(online)),
            None => online,
        };
        let authenticator = Authenticator::new(model.clone(), Arc::new(table.clone()), jwks, env.clone());
        let authenticator = authenticator.with_breaker(settings.breaker_failures, settings.breaker_rest);
        let authenticator = match local {
            Some(_) => authenticator.with_issuer(local::issuer()),
            None => authenticator,
        };
        Self { settings, model, aws, table, authenticator: Arc::new(authenticator), env }
    }

    /// With tables of an emulation in this process, which commits atomically. It answers late only where the machine is overloaded, and
    /// then to give up a call would gain nothing.
    #[must_use]
    pub fn committing_atomically(self) -> Self {
        let options = Options::new(&self.settings.data_table, &self.settings.volatile_table);
        let options = Options { attempt_timeout: EMBEDDED, ..options };
        Self { table: DynamoTable::new(&self.aws, options, self.env.clone()).committing_atomically(), ..self }
    }

    /// The application over these parts. No call is made.
    pub fn app(&self) -> App {
        let (model, authenticator, env) = (self.model.clone(), self.authenticator.clone(), self.env.clone());
        let cached = cache::CacheSettings { sample: self.settings.cache_sample, ..cache::CacheSettings::default() };
        let app = App::new(model, Arc::new(self.table.clone()), authenticator, env, &self.settings.environment);
        match &self.settings.master_secret {
            Some(id) => app.with_secrets(Arc::new(ManagedSecret::new(&self.aws, id))),
            None => app,
        }
        .with_cache(cached)
    }
}

fn one(error: impl Display) -> StartupError {
    StartupError(error.to_string())
}

fn joined(errors: &[impl Display]) -> StartupError {
    StartupError(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

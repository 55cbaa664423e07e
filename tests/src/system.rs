//! The system under test: one of our own in this process, or a deployed one that the environment names.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use holdfast::aws::dynamodb::{DynamoTable, Options as TableOptions};
use holdfast::core::clock::Env;
use holdfast::identity::auth::local::{LocalIssuer, TokenRequest};
use holdfast_local::embedded::{DATA_TABLE, VOLATILE_TABLE};
use holdfast_local::{Between, Local, Options};
use serde_json::Value;

use crate::Actor;
use crate::proxy::{Faults, Proxy};

/// A running system and the key that its tokens are signed with.
pub struct System {
    base: String,
    issuer: Arc<LocalIssuer>,
    env: Env,
    local: Option<Local>,
    proxy: Option<Arc<Proxy>>,
}

impl System {
    /// A system of our own, all in memory, for a model.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(model: &str) -> Self {
        Self::start_with(Options::in_memory(model)).await
    }

    /// A system of our own.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_with(options: Options) -> Self {
        let env = options.env.clone();
        let local = Local::start(options).await.unwrap_or_else(|error| panic!("{error}"));
        Self { base: local.url(), issuer: local.issuer.clone(), env, local: Some(local), proxy: None }
    }

    /// A system of our own whose functions reach their DynamoDB through the proxy, with the faults of the real one.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_behind_proxy(options: Options, faults: Faults) -> Self {
        let place: Arc<OnceLock<Arc<Proxy>>> = Arc::default();
        let (found, seed) = (Arc::clone(&place), faults.seed);
        let between: Between = Arc::new(move |endpoint| {
            let found = Arc::clone(&found);
            Box::pin(async move {
                // The tables are made in peace.
                let proxy = Arc::new(Proxy::start(&endpoint, Faults::none(seed)).await?);
                let endpoint = proxy.endpoint.clone();
                let _ = found.set(proxy);
                Ok(endpoint)
            })
        });
        let mut system = Self::start_with(Options { between: Some(between), ..options }).await;
        system.proxy = place.get().cloned();
        system.proxy().set(faults);
        system
    }

    /// The proxy before the store.
    ///
    /// # Panics
    /// If there is none.
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("a system behind the proxy")
    }

    /// The tables of a system of our own, past the proxy.
    pub fn table(&self) -> DynamoTable {
        let config = holdfast::aws::local_config(&self.local().stores.dynamodb, holdfast::aws::plain_http_client());
        let mut names = TableOptions::new(DATA_TABLE, VOLATILE_TABLE);
        names.attempt_timeout = Duration::from_secs(20);
        DynamoTable::new(&config, names, self.env.clone())
    }

    /// The deployed system that HOLDFAST_TEST_URL and HOLDFAST_TEST_KEYS name (see `tests/deployed.sh`).
    ///
    /// # Panics
    /// If they are not set.
    pub fn deployed() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run tests/deployed.sh"));
        let env = Env::system();
        let issuer = LocalIssuer::open(Path::new(&variable("HOLDFAST_TEST_KEYS")), &env).expect("the signing key");
        Self { base: variable("HOLDFAST_TEST_URL"), issuer: Arc::new(issuer), env, local: None, proxy: None }
    }

    /// Where the API answers, without `/v1`.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// The parts of a system of our own.
    ///
    /// # Panics
    /// If it is a deployed one.
    pub fn local(&self) -> &Local {
        self.local.as_ref().expect("a system of our own")
    }

    /// Somebody without credentials.
    pub fn anonymous(&self) -> Actor {
        Actor::new(&self.base, None)
    }

    /// Somebody in role `admin`.
    pub fn admin(&self) -> Actor {
        self.actor("root", &["admin"])
    }

    /// Somebody with roles.
    pub fn actor(&self, subject: &str, roles: &[&str]) -> Actor {
        self.actor_with(subject, roles, &[], None)
    }

    /// Somebody with roles, claims and a plan.
    ///
    /// # Panics
    /// If the token cannot be signed.
    pub fn actor_with(&self, subject: &str, roles: &[&str], claims: &[(&str, Value)], plan: Option<&str>) -> Actor {
        let request = TokenRequest {
            subject: subject.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            claims: claims.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<BTreeMap<_, _>>(),
            plan: plan.map(str::to_owned),
            expires_in: Duration::from_secs(3600),
        };
        let token = self.issuer.token(&request, self.env.now()).expect("a token");
        Actor::new(&self.base, Some(format!("Bearer {token}")))
    }

    /// Stops a system of our own.
    pub async fn stop(self) {
        if let Some(local) = self.local {
            local.stop().await;
        }
    }
}

/// The workspace's directory.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The Northwind data beside the workspace, if they are there; otherwise says why a test is skipped.
pub fn northwind_data() -> Option<PathBuf> {
    let path = root().join("../shared/data/northwind");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: there is no {}", path.display());
    None
}

/// The Northwind model.
///
/// # Panics
/// If it cannot be read.
pub fn northwind_model() -> String {
    std::fs::read_to_string(root().join("tests/models/northwind.yaml")).expect("tests/models/northwind.yaml")
}

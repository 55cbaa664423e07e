//! What the pipeline works with: made once per process by a composition root, shared by all requests.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::OnceCell;

use crate::auth::Authenticator;
use crate::cache::{self, Cache};
use crate::clock::Env;
use crate::idempotency;
use crate::limit::Limiter;
use crate::limit::address::AddressGuard;
use crate::model::Model;
use crate::object::SharedObjects;
use crate::startup::Startup;
use crate::store::indexes::Indexes;
use crate::store::table::{Attr, Expr, Item, Key, Returning, SharedTable, TableError, TableName, Write};
use crate::store::{keys, write::Writer};

/// The parts of a running API.
pub struct App {
    /// The model.
    pub model: Arc<Model>,
    /// The tables.
    pub table: SharedTable,
    /// Writes records.
    pub writer: Writer,
    /// Keeps answers of reads.
    pub cache: Cache,
    /// Which indexes may be read.
    pub indexes: Indexes,
    /// Admits requests.
    pub limiter: Limiter,
    /// Admits what has no consumer.
    pub addresses: AddressGuard,
    /// Verifies credentials.
    pub authenticator: Arc<Authenticator>,
    /// Clock and random source.
    pub env: Env,
    /// Which deployment this is: part of API keys.
    pub environment: String,
    /// Where the content of files lies; only functions that deal with files have it.
    pub objects: Option<SharedObjects>,
    secrets: OnceCell<Secrets>,
}

impl App {
    /// Puts the parts together over a table. No call is made.
    pub fn new(model: Arc<Model>, table: SharedTable, authenticator: Arc<Authenticator>, env: Env, environment: &str) -> Self {
        Self {
            writer: Writer::new(table.clone(), model.clone(), env.clone()),
            cache: Cache::new(table.clone(), env.clone(), cache::Settings::default()),
            indexes: Indexes::new(table.clone(), model.clone(), env.clone()),
            limiter: Limiter::new(table.clone(), env.clone(), crate::limit::Settings::default()),
            addresses: AddressGuard::new(model.limits.per_address),
            authenticator,
            environment: environment.to_owned(),
            objects: None,
            secrets: OnceCell::new(),
            model,
            table,
            env,
        }
    }

    /// The application of a function on Lambda.
    pub fn of(startup: &Startup) -> Self {
        let table: SharedTable = Arc::new(startup.table.clone());
        Self::new(startup.model.clone(), table, startup.authenticator.clone(), startup.env.clone(), &startup.settings.environment)
    }

    /// With a store of files.
    #[must_use]
    pub fn with_objects(mut self, objects: SharedObjects) -> Self {
        self.objects = Some(objects);
        self
    }

    /// With a cache that works like this.
    #[must_use]
    pub fn with_cache(self, settings: cache::Settings) -> Self {
        Self { cache: Cache::new(self.table.clone(), self.env.clone(), settings), ..self }
    }

    /// The deployment's own secrets, read once per process.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn secrets(&self) -> Result<&Secrets, TableError> {
        self.secrets.get_or_try_init(|| Secrets::load(&self.table, &self.env)).await
    }
}

/// Keys derived from one random master key of the deployment. It is made by the first process that needs it and kept in the
/// data table (encrypted at rest by DynamoDB), so that one machine and the cloud need nothing else to start.
pub struct Secrets {
    /// Encrypts cursors.
    pub cursor: [u8; 32],
    /// Hashes idempotency scopes and requests.
    pub idempotency: idempotency::Keys,
    /// The secrets of consumers' webhooks derive from it.
    pub webhook: [u8; 32],
}

impl Secrets {
    async fn load(table: &SharedTable, env: &Env) -> Result<Self, TableError> {
        let key = Key::new("s#master", keys::ONLY);
        let place = [(TableName::Data, key.clone())];
        if let Some(Some(item)) = table.get(&place, true).await?.into_iter().next()
            && let Some(master) = item.b("m")
        {
            return Ok(Self::derive(master));
        }
        let fresh = Item::new(key).with("m", Attr::B(env.bytes::<32>().to_vec()));
        let absent = Some(Expr::new("attribute_not_exists(pk)"));
        match table.write(TableName::Data, Write::Put { item: fresh, condition: absent }, Returning::Nothing).await {
            // Another process was first: its key counts.
            Ok(_) | Err(TableError::ConditionFailed(_) | TableError::Unknown(_)) => {}
            Err(error) => return Err(error),
        }
        let found = table.get(&place, true).await?.into_iter().next().flatten();
        let master = found.as_ref().and_then(|item| item.b("m"));
        master.map(Self::derive).ok_or_else(|| TableError::Broken("the master key cannot be read".into()))
    }

    fn derive(master: &[u8]) -> Self {
        Self {
            cursor: derived(master, b"cursor"),
            idempotency: idempotency::Keys::new(derived(master, b"idempotency")),
            webhook: derived(master, b"webhook"),
        }
    }
}

/// A key for one purpose: HMAC-SHA-256 of the purpose under the master key, a pseudo-random function of it.
///
/// # Panics
/// Never: HMAC takes keys of any length.
#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn derived(master: &[u8], purpose: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(master).expect("a key of any length");
    mac.update(purpose);
    mac.finalize().into_bytes().into()
}

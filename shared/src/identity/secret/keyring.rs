//! The secrets of a process: fetched when first needed, looked at again while warm.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::{KeyId, SecretSource, Secrets, Versions, master_in_table, unreachable};
use crate::core::clock::{Env, Micros};
use crate::store::table::{SharedTable, TableError};

/// How old the versions may be before they are looked at again: rotate less often than that, and nothing is ever refused.
const REFRESH: Duration = Duration::from_secs(60 * 60);
/// How often an unknown key id, or a source that does not answer, may cause another look.
const AGAIN: Duration = Duration::from_secs(60);

/// The secrets of a process.
pub struct Keyring {
    table: SharedTable,
    source: Option<Arc<dyn SecretSource>>,
    env: Env,
    fixed: OnceCell<Vec<u8>>,
    held: Mutex<CachedSecrets>,
    /// One look at a time: whoever waited finds what the first one brought.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct CachedSecrets {
    secrets: Option<Arc<Secrets>>,
    fetched: Micros,
    attempted: Micros,
}

impl Keyring {
    /// Everything by the master of the data table, which does not rotate. No call is made.
    pub fn new(table: SharedTable, env: Env) -> Self {
        Self { table, source: None, env, fixed: OnceCell::new(), held: Mutex::default(), looking: tokio::sync::Mutex::default() }
    }

    /// With a source for what rotates.
    #[must_use]
    pub fn rotating(mut self, source: Arc<dyn SecretSource>) -> Self {
        self.source = Some(source);
        self
    }

    /// The secrets. While the source does not answer those of before go on.
    ///
    /// # Errors
    /// When they cannot be had for the first time.
    pub async fn secrets(&self) -> Result<Arc<Secrets>, TableError> {
        self.looked_at(|held, now| self.source.is_some() && now >= held.fetched.plus(REFRESH)).await
    }

    /// The secrets, looked at again if they do not know the key `id`.
    ///
    /// # Errors
    /// As [`Self::secrets`].
    pub async fn knowing(&self, id: KeyId) -> Result<Arc<Secrets>, TableError> {
        let secrets = self.secrets().await?;
        if self.source.is_none() || secrets.cursor.find(id).is_some() {
            return Ok(secrets);
        }
        self.looked_at(|_, _| true).await
    }

    /// What is held, fetched anew where it is missing, or `stale` and the last attempt long enough ago.
    async fn looked_at(&self, stale: impl Fn(&CachedSecrets, Micros) -> bool) -> Result<Arc<Secrets>, TableError> {
        if let Some(secrets) = self.good(&stale) {
            return Ok(secrets);
        }
        let _turn = self.looking.lock().await;
        if let Some(secrets) = self.good(&stale) {
            return Ok(secrets);
        }
        let now = self.env.now();
        self.held().attempted = now;
        let before = self.held().secrets.clone();
        match (self.load().await, before) {
            (Ok(secrets), _) => {
                let secrets = Arc::new(secrets);
                let mut held = self.held();
                held.secrets = Some(Arc::clone(&secrets));
                held.fetched = now;
                Ok(secrets)
            }
            (Err(error), Some(secrets)) => {
                tracing::warn!(%error, "the secrets of before go on");
                Ok(secrets)
            }
            (Err(error), None) => Err(error),
        }
    }

    fn good(&self, stale: &impl Fn(&CachedSecrets, Micros) -> bool) -> Option<Arc<Secrets>> {
        let (held, now) = (self.held(), self.env.now());
        let secrets = held.secrets.as_ref()?;
        let due = stale(&held, now) && now >= held.attempted.plus(AGAIN);
        (!due).then(|| Arc::clone(secrets))
    }

    fn held(&self) -> std::sync::MutexGuard<'_, CachedSecrets> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load(&self) -> Result<Secrets, TableError> {
        let fixed = self.fixed.get_or_try_init(|| master_in_table(&self.table, &self.env));
        let rotating = async {
            match &self.source {
                Some(source) => source.fetch().await.map(Some).map_err(|why| unreachable(&why)),
                None => Ok(None::<Versions>),
            }
        };
        let (fixed, rotating) = futures::try_join!(fixed, rotating)?;
        Ok(Secrets::derive(fixed, rotating.as_ref()))
    }
}

//! The embedded DynamoDB: dynoxide on SQLite.
//!
//! In a file it writes ahead (`journal_mode=WAL`, `synchronous=FULL`, SQLite's default), so what was acknowledged is there
//! after `kill -9`.

use std::path::Path;
use std::time::Duration;

use dynoxide::Database;
use tokio::task::JoinHandle;

use super::loopback;
use crate::server::Server;

/// How often expired items are removed. Nothing depends on it: expiry is checked in code, since DynamoDB lags by days.
const SWEEP: Duration = Duration::from_secs(300);

/// A running DynamoDB.
pub struct Dynamo {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    server: Server,
    sweeper: JoinHandle<()>,
}

impl Dynamo {
    /// Starts it with its data in `file`, or in memory.
    ///
    /// # Errors
    /// When the file cannot be opened or the port is taken.
    pub async fn start(file: Option<&Path>, port: u16) -> std::io::Result<Self> {
        let opened = match file {
            Some(path) => Database::new(&path.to_string_lossy()),
            None => Database::memory(),
        };
        let database = opened.map_err(|error| std::io::Error::other(format!("embedded DynamoDB: {error}")))?;
        let sweeper = tokio::spawn(sweep(database.clone()));
        let server = Server::spawn(loopback(port).await?, |listener, stopped| async move {
            let stopped = async {
                // An error means that the handle is gone, which ends the server too.
                stopped.await.unwrap_or_default();
            };
            if let Err(error) = dynoxide::server::serve_with_shutdown(listener, database, stopped).await {
                tracing::error!(%error, "embedded DynamoDB");
            }
        })?;
        Ok(Self { endpoint: format!("http://{}", server.address), server, sweeper })
    }

    /// Lets calls under way end, closes the file.
    pub async fn stop(self) {
        self.sweeper.abort();
        self.server.stop().await;
    }
}

async fn sweep(database: Database) {
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(removed)) => tracing::debug!(removed, "expired items removed"),
            Ok(Err(error)) => tracing::warn!(%error, "expired items were not removed"),
            Err(error) => tracing::warn!(%error, "expired items were not removed"),
        }
    }
}

//! The embedded DynamoDB: dynoxide's engine on SQLite, asked in this process.
//!
//! ```text
//! SDK of this process -> connector --+
//!                                    +-> engine -> operation -> a reader of several, or the one writer
//! SDK of another one  -> door (TCP) -+                                    |
//!                                                              journal: one fsync for all who wait
//! ```
//! The writer commits to SQLite's write-ahead log without an fsync; [`journal`] makes one for all commits that wait for theirs, and
//! none for what [`loss`] says may be lost. Calls run on the worker that makes them, except for long ones:
//! `infra/adr/0030-in-process-store.md` says why.

mod connector;
mod door;
mod engine;
mod expiry;
mod journal;
mod loss;
mod operation;
#[cfg(test)]
mod tests;
mod tokens;

use std::path::Path;
use std::sync::Arc;

use holdfast::aws::{self, SdkConfig};
use tokio::task::JoinHandle;

use self::connector::InProcess;
use self::engine::Engine;
use super::loopback;
use crate::server::Server;

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// The end of the process and the loss of power: each write waits for its fsync.
    #[default]
    Full,
    /// The end of the process; the loss of power may take the last second.
    Normal,
}

/// A running DynamoDB.
pub struct Dynamo {
    /// `http://127.0.0.1:PORT`, for clients in other processes.
    pub endpoint: String,
    engine: Arc<Engine>,
    server: Server,
    upkeep: [JoinHandle<()>; 2],
}

impl Dynamo {
    /// Starts it with its data in `file`, or in memory.
    ///
    /// # Errors
    /// When the file cannot be opened or the port is taken.
    pub async fn start(file: Option<&Path>, port: u16, durability: Durability) -> std::io::Result<Self> {
        let engine = Arc::new(Engine::open(file, durability)?);
        let server = door::open(loopback(port).await?, engine.clone())?;
        let upkeep = [tokio::spawn(journal::tidy(engine.clone())), tokio::spawn(expiry::sweep(engine.clone()))];
        Ok(Self { endpoint: format!("http://{}", server.address), engine, server, upkeep })
    }

    /// Starts one in memory, on any port: for tests.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn in_memory() -> std::io::Result<Self> {
        Self::start(None, 0, Durability::Full).await
    }

    /// Configuration of a client in this process: the SDK's requests reach the engine without a socket.
    pub fn config(&self) -> SdkConfig {
        aws::in_process_config(InProcess::new(self.engine.clone()))
    }

    /// Lets calls under way end, closes the file.
    pub async fn stop(self) {
        self.upkeep.iter().for_each(JoinHandle::abort);
        self.server.stop().await;
        for upkeep in self.upkeep {
            if let Err(error) = upkeep.await
                && !error.is_cancelled()
            {
                tracing::error!(%error, "the embedded DynamoDB was not looked after");
            }
        }
    }
}

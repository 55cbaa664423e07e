//! DynamoDB by the AWS SDK: the one implementation of [`Table`] that leaves the process.
//!
//! The SDK's own retries are off. Reads and unconditional batches are repeated here, with jitter and within
//! [`Options::patience`], what the request has left and what all requests may repeat, because repeating them is harmless; a conditional write or transaction is made once and its outcome
//! told exactly ([`TableError`]), because only the caller knows whether it may be repeated.

mod batch;
mod convert;
#[cfg(test)]
pub(crate) mod embedded;
mod error;
mod retries;
mod setup;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Builder, StalledStreamProtectionConfig, retry::RetryConfig};

use crate::core::clock::Env;
use crate::store::meter::Meter;
use crate::store::table::{TableError, TableName};

use retries::RetryBudget;

/// Names of the tables and how patient calls are.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the data table.
    pub data: String,
    /// Name of the volatile table.
    pub volatile: String,
    /// After this time without an answer a call's outcome counts as unknown.
    pub attempt_timeout: Duration,
    /// How long reads and batches are repeated when DynamoDB throttles or leaves keys unprocessed.
    pub patience: Duration,
}

impl Options {
    /// Two tables with the usual patience: 2 s for an answer, 4 s in all.
    pub fn new(data: impl Into<String>, volatile: impl Into<String>) -> Self {
        Self {
            data: data.into(),
            volatile: volatile.into(),
            attempt_timeout: Duration::from_secs(2),
            patience: Duration::from_secs(4),
        }
    }

    /// The same for a command that scans and builds, for which nobody waits: 20 s for an answer, a minute in all.
    #[must_use]
    pub fn for_commands(self) -> Self {
        Self { attempt_timeout: Duration::from_secs(20), patience: Duration::from_secs(60), ..self }
    }

    fn name(&self, table: TableName) -> &str {
        match table {
            TableName::Data => &self.data,
            TableName::Volatile => &self.volatile,
        }
    }

    fn table(&self, name: &str) -> Result<TableName, TableError> {
        match name {
            name if name == self.data => Ok(TableName::Data),
            name if name == self.volatile => Ok(TableName::Volatile),
            other => Err(TableError::Broken(format!("an answer about a table that was not asked for: {other}"))),
        }
    }
}

/// The two tables in DynamoDB.
#[derive(Clone)]
pub struct DynamoTable {
    client: Client,
    options: Arc<Options>,
    meter: Arc<Meter>,
    retries: Arc<RetryBudget>,
    env: Env,
    commits_atomically: bool,
}

impl DynamoTable {
    /// Makes the client: once per process, at the composition root. No call is made.
    pub fn new(config: &SdkConfig, options: Options, env: Env) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(options.attempt_timeout.min(Duration::from_secs(1)))
            .operation_attempt_timeout(options.attempt_timeout)
            .build();
        // An answer is small and has its time-out, so watching its bytes arrive would only cost.
        let builder = Builder::from(config).stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let builder = builder.retry_config(RetryConfig::disabled()).timeout_config(timeouts);
        // A store in this process asks for no signature.
        let unsigned = config.credentials_provider().is_none();
        let builder = if unsigned { builder.allow_no_auth() } else { builder };
        let client = Client::from_conf(builder.build());
        let options = Arc::new(options);
        Self { client, options, meter: Arc::default(), retries: Arc::default(), env, commits_atomically: false }
    }

    /// The tables of an emulation that commits atomically: see [`Table::commits_atomically`](crate::store::table::Table).
    #[must_use]
    pub fn committing_atomically(self) -> Self {
        Self { commits_atomically: true, ..self }
    }

    /// Counts of all calls and capacity units of this client and its clones.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }
}

//! The tables that a maintenance command works on: those of a data directory, or real ones by the usual AWS environment.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use holdfast::aws;
use holdfast::clock::Env;
use holdfast::dynamodb::{DynamoTable, Options};
use holdfast::model::Model;

use super::{DataArgs, Failure, model};
use crate::Stores;
use crate::embedded::{DATA_TABLE, VOLATILE_TABLE};

/// Which tables.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// The model of the records.
    #[arg(long, value_name = "FILE", default_value = "model.yaml")]
    model: PathBuf,
    /// Work on this table of AWS (region and credentials by the usual environment) in place of the local data.
    #[arg(long, value_name = "NAME", env = "HOLDFAST_DATA_TABLE", requires = "volatile_table")]
    data_table: Option<String>,
    /// The volatile table that belongs to it.
    #[arg(long, value_name = "NAME", env = "HOLDFAST_VOLATILE_TABLE")]
    volatile_table: Option<String>,
    #[command(flatten)]
    data: DataArgs,
}

/// Open tables.
pub struct Target {
    /// The tables.
    pub table: DynamoTable,
    /// The model.
    pub model: Arc<Model>,
    /// Clock and random source.
    pub env: Env,
    stores: Option<Stores>,
}

impl Target {
    /// Opens them; local ones must not be served at the same time.
    ///
    /// # Errors
    /// When the model has mistakes or the tables cannot be opened.
    pub async fn open(args: &TargetArgs) -> Result<Self, Failure> {
        let model = model::read(&args.model)?.ok_or_else(|| Failure("nothing was done".into()))?;
        let (model, env, http) = (Arc::new(model), Env::system(), aws::http_client(None)?);
        let (config, names, stores) = match (&args.data_table, &args.volatile_table) {
            (Some(data), Some(volatile)) => (aws::config(http).await, (data.as_str(), volatile.as_str()), None),
            _ => {
                let directory = &args.data.data;
                if !directory.exists() {
                    return Err(Failure(format!("there is no local data in {}; name it with --data", directory.display())));
                }
                let stores = Stores::start(Some(directory), 0, 0).await?;
                (aws::local_config(&stores.dynamodb, http), (DATA_TABLE, VOLATILE_TABLE), Some(stores))
            }
        };
        let table = DynamoTable::new(&config, Options::new(names.0, names.1), env.clone());
        if stores.is_some() {
            table.create_tables().await?;
        }
        Ok(Self { table, model, env, stores })
    }

    /// Lets go of them.
    pub async fn close(self) {
        if let Some(stores) = self.stores {
            stores.stop().await;
        }
    }
}

//! The tables that a maintenance command works on: those of a data directory, or real ones by the usual AWS environment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use holdfast::aws::{self, SdkConfig};
use holdfast::clock::Env;
use holdfast::dynamodb::{DynamoTable, Options};
use holdfast::model::Model;

use super::serve::ENV_FILE;
use super::{DataArgs, Failure, model};
use crate::Stores;
use crate::embedded::{DATA_TABLE, VOLATILE_TABLE};
use crate::system::StartError;

/// Which tables.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// The model of the records.
    #[arg(long, value_name = "FILE", default_value = "model.yaml")]
    pub(super) model: PathBuf,
    /// Work on this table of AWS (region and credentials by the usual environment) in place of the local data.
    #[arg(long, value_name = "NAME", env = "HOLDFAST_DATA_TABLE", requires = "volatile_table")]
    pub(super) data_table: Option<String>,
    /// The volatile table that belongs to it.
    #[arg(long, value_name = "NAME", env = "HOLDFAST_VOLATILE_TABLE")]
    pub(super) volatile_table: Option<String>,
    #[command(flatten)]
    pub(super) data: DataArgs,
}

/// Open tables.
pub struct Target {
    /// The tables.
    pub table: DynamoTable,
    /// The model.
    pub model: Arc<Model>,
    /// Clock and random source.
    pub env: Env,
    /// For clients of S3: of AWS, or of the local data where it was opened here.
    pub s3: Option<SdkConfig>,
    stores: Option<Stores>,
}

impl Target {
    /// Opens them for a command that wants them for itself: local ones must not be served at the same time.
    ///
    /// # Errors
    /// When the model has mistakes or the tables cannot be opened.
    pub async fn open(args: &TargetArgs) -> Result<Self, Failure> {
        Self::open_or(args, |directory| Err(StartError::InUse(directory.to_owned()).into())).await
    }

    /// Opens them, also beside a server that has the local data open.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_beside(args: &TargetArgs) -> Result<Self, Failure> {
        Self::open_or(args, served).await
    }

    async fn open_or(args: &TargetArgs, in_use: fn(&Path) -> Result<String, Failure>) -> Result<Self, Failure> {
        let model = model::read(&args.model)?.ok_or_else(|| Failure("nothing was done".into()))?;
        let (model, env, http) = (Arc::new(model), Env::system(), aws::http_client(None)?);
        let mut s3 = None;
        let (config, names, stores) = match (&args.data_table, &args.volatile_table) {
            (Some(data), Some(volatile)) => {
                let config = aws::config(http).await;
                s3 = Some(config.clone());
                (config, (data.as_str(), volatile.as_str()), None)
            }
            _ => {
                let directory = &args.data.data;
                if !directory.exists() {
                    return Err(Failure(format!("there is no local data in {}; name it with --data", directory.display())));
                }
                let (endpoint, stores) = match Stores::start(Some(directory), (0, 0), env.clone(), Vec::new()).await {
                    Ok(stores) => {
                        s3 = Some(aws::local_config(&stores.s3, aws::plain_http_client()));
                        (stores.dynamodb.clone(), Some(stores))
                    }
                    Err(StartError::InUse(_)) => (in_use(directory)?, None),
                    Err(error) => return Err(error.into()),
                };
                (aws::local_config(&endpoint, http), (DATA_TABLE, VOLATILE_TABLE), stores)
            }
        };
        let table = DynamoTable::new(&config, Options::new(names.0, names.1), env.clone());
        if stores.is_some() {
            table.create_tables().await?;
        }
        Ok(Self { table, model, env, s3, stores })
    }

    /// Whether they are those of a data directory.
    pub fn is_local(&self) -> bool {
        self.stores.is_some()
    }

    /// Lets go of them.
    pub async fn close(self) {
        if let Some(stores) = self.stores {
            stores.stop().await;
        }
    }
}

/// The DynamoDB of the server that has the directory open: it left its address there.
fn served(directory: &Path) -> Result<String, Failure> {
    let path = directory.join(ENV_FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| Failure(format!("{}: {error}", path.display())))?;
    let line = text.lines().find_map(|line| line.strip_prefix("AWS_ENDPOINT_URL_DYNAMODB="));
    line.map(str::to_owned).ok_or_else(|| Failure(format!("{} names no AWS_ENDPOINT_URL_DYNAMODB", path.display())))
}

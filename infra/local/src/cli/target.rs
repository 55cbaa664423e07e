//! The tables that a maintenance command works on: those of a data directory, or real ones by the usual AWS environment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use holdfast::aws::dynamodb::{DynamoTable, Options};
use holdfast::aws::{self, SdkConfig};
use holdfast::core::clock::Env;
use holdfast::model::Model;

use super::serve::ENV_FILE;
use super::{DataArgs, Failure, model};
use crate::Stores;
use crate::embedded::{DATA_TABLE, Durability, VOLATILE_TABLE};
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
    /// For clients of S3: of AWS, or of the local data.
    pub s3: Option<SdkConfig>,
    /// Whether they are those of a data directory.
    pub of_directory: bool,
    stores: Option<Stores>,
}

impl Target {
    /// Opens them. Those of a data directory that another process serves are worked on beside it, through its stores.
    ///
    /// # Errors
    /// When the model has mistakes or the tables cannot be opened.
    pub async fn open(args: &TargetArgs) -> Result<Self, Failure> {
        let model = model::read(&args.model)?.ok_or_else(|| Failure("nothing was done".into()))?;
        let (model, env) = (Arc::new(model), Env::system());
        if let (Some(data), Some(volatile)) = (&args.data_table, &args.volatile_table) {
            let config = aws::config(aws::http_client(None)?).await;
            let table = DynamoTable::new(&config, Options::new(data, volatile).for_commands(), env.clone());
            return Ok(Self { table, model, env, s3: Some(config), of_directory: false, stores: None });
        }
        let directory = &args.data.data;
        if !directory.exists() {
            return Err(Failure(format!("there is no local data in {}; name it with --data", directory.display())));
        }
        let opened = Stores::start(Some(directory), Durability::Full, (0, 0), env.clone(), Vec::new()).await;
        let (dynamodb, s3, stores) = match opened {
            Ok(stores) => (stores.dynamodb_config(), stores.s3.clone(), Some(stores)),
            Err(StartError::InUse(_)) => {
                let (dynamodb, s3) = served(directory).await?;
                (aws::local_config(&dynamodb, aws::plain_http_client()), s3, None)
            }
            Err(error) => return Err(error.into()),
        };
        let table = DynamoTable::new(&dynamodb, Options::new(DATA_TABLE, VOLATILE_TABLE).for_commands(), env.clone());
        if stores.is_some() {
            table.create_tables().await?;
        }
        let s3 = Some(aws::local_config(&s3, aws::plain_http_client()));
        Ok(Self { table, model, env, s3, of_directory: true, stores })
    }

    /// Whether no other process uses them.
    pub fn is_exclusive(&self) -> bool {
        self.stores.is_some()
    }

    /// Lets go of them.
    pub async fn close(self) {
        if let Some(stores) = self.stores {
            stores.stop().await;
        }
    }
}

/// DynamoDB and S3 of the server that has the directory open: it left their addresses there.
async fn served(directory: &Path) -> Result<(String, String), Failure> {
    let in_use = |why: String| Failure(format!("{}; its stores cannot be used: {why}", StartError::InUse(directory.to_owned())));
    let path = directory.join(ENV_FILE);
    let text = std::fs::read_to_string(&path).map_err(|error| in_use(format!("{}: {error}", path.display())))?;
    let address = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(str::to_owned).ok_or_else(|| in_use(format!("{} names no {name}", path.display())))
    };
    let (dynamodb, s3) = (address("AWS_ENDPOINT_URL_DYNAMODB")?, address("AWS_ENDPOINT_URL_S3")?);
    // Another command may have the directory, and the addresses be those of a server of before.
    let place = dynamodb.trim_start_matches("http://");
    tokio::net::TcpStream::connect(place).await.map_err(|error| in_use(format!("{dynamodb}: {error}")))?;
    Ok((dynamodb, s3))
}

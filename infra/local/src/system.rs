//! A whole system in one process: embedded stores, functions and gateway. The command line starts one, and so does every test.

use std::fs::{File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use holdfast::aws::{self, SdkConfig};
use holdfast::core::clock::Env;
use holdfast::identity::auth::local::LocalIssuer;
use holdfast::model::{self, Mistake, Model};
use tempfile::TempDir;

use crate::compose::{self, Closing, Tables};
use crate::embedded::{self, Durability, Dynamo, Files};
use crate::gateway::Gateway;
use crate::schedule::{Running, Schedule};
use crate::server::Server;
use crate::template::{EMBEDDED, Template, TemplateError};

/// File of the embedded DynamoDB in the data directory.
pub const DATABASE: &str = "dynamodb.sqlite";
/// Directory of the embedded S3 in the data directory.
const OBJECTS: &str = "s3";
/// Held by the process that serves a data directory.
const LOCK: &str = "lock";

/// Stands between the functions and the embedded DynamoDB: given the endpoint of the one, it gives the endpoint for the others.
pub type Between = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<String>> + Send + Sync>;

/// What to start.
#[derive(Clone)]
pub struct Options {
    /// Name of the model's file, as it stands in mistakes.
    pub model_name: String,
    /// The model.
    pub model: String,
    /// Port of the API; 0 picks a free one.
    pub port: u16,
    /// Port of the embedded DynamoDB; 0 picks a free one.
    pub dynamodb_port: u16,
    /// Port of the embedded S3; 0 picks a free one.
    pub s3_port: u16,
    /// Where records and files are kept; `None`: in memory, gone at the end.
    pub data: Option<PathBuf>,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Where the key that signs local tokens is kept; `None`: in memory.
    pub keys: Option<PathBuf>,
    /// Where `cargo lambda watch` serves the functions; `None`: they run in this process.
    pub functions_url: Option<String>,
    /// What stands between the functions and the embedded DynamoDB; tests put the faults of the real one there.
    pub between: Option<Between>,
    /// Clock and random source of everything in this process.
    pub env: Env,
}

impl Options {
    /// All in memory, on free ports.
    pub fn in_memory(model: impl Into<String>) -> Self {
        Self {
            model_name: "model.yaml".into(),
            model: model.into(),
            port: 0,
            dynamodb_port: 0,
            s3_port: 0,
            data: None,
            durability: Durability::Full,
            keys: None,
            functions_url: None,
            between: None,
            env: Env::system(),
        }
    }
}

/// Why a system did not start.
#[derive(Debug)]
pub enum StartError {
    /// The model has mistakes.
    Model(Vec<Mistake>),
    /// The template cannot be served.
    Template(TemplateError),
    /// Something of the operating system: what was tried, and why it failed.
    Io(String, io::Error),
    /// Another process serves the data directory.
    InUse(PathBuf),
    /// The composition of the functions failed.
    Compose(String),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Model(mistakes) => {
                mistakes.iter().try_for_each(|mistake| writeln!(f, "{mistake}"))?;
                write!(f, "{} mistake{} in the model", mistakes.len(), if mistakes.len() == 1 { "" } else { "s" })
            }
            Self::Template(error) => error.fmt(f),
            Self::Io(what, error) => write!(f, "{what}: {error}"),
            Self::InUse(path) => {
                write!(f, "{} is served by another process; stop that first, or name another --data", path.display())
            }
            Self::Compose(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for StartError {}

/// A running system.
pub struct Local {
    /// Where the API listens.
    pub address: SocketAddr,
    /// The model that is served.
    pub model: Arc<Model>,
    /// Signs tokens that this system accepts.
    pub issuer: Arc<LocalIssuer>,
    /// The stores.
    pub stores: Stores,
    schedule: Schedule,
    running: Running,
    closings: Vec<Closing>,
    server: Server,
}

impl Local {
    /// Starts everything; returns when the API answers.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let model = Arc::new(model::parse(&options.model_name, &options.model).map_err(StartError::Model)?);
        let template = Template::parse(EMBEDDED).map_err(StartError::Template)?;
        let issuer = match &options.keys {
            Some(directory) => LocalIssuer::open(directory, &options.env),
            None => LocalIssuer::in_memory(&options.env),
        };
        let issuer = Arc::new(issuer.map_err(|error| StartError::Io("the signing key".into(), error))?);
        let listener = embedded::loopback(options.port).await.map_err(|error| {
            StartError::Io(format!("port {} (choose another with --port, 0 for any free one)", options.port), error)
        })?;
        let ports = (options.dynamodb_port, options.s3_port);
        let (data, env) = (options.data.as_deref(), options.env.clone());
        let stores = Stores::start(data, options.durability, ports, env, model.cors.origins.clone()).await?;
        let dynamodb = match &options.between {
            Some(between) => {
                let endpoint = between(stores.dynamodb.clone()).await;
                endpoint.map(|endpoint| Tables::Distributed(aws::local_config(&endpoint, aws::plain_http_client())))
            }
            None => Ok(Tables::Embedded(stores.dynamodb_config())),
        };
        let functions =
            match (compose::tables(&stores.dynamodb_config(), &model, &options.env).await, &options.functions_url, dynamodb) {
                (Err(error), ..) => Err(error),
                (_, Some(url), _) => compose::remote(&template, url).map(|functions| (functions, Vec::new())),
                (_, None, Ok(dynamodb)) => compose::in_process(&model, &issuer, (dynamodb, &stores.s3), &options.env).await,
                (_, None, Err(error)) => Err(StartError::Io("what stands before DynamoDB".into(), error)),
            };
        let started = functions.and_then(|(functions, closings)| {
            let schedule = Schedule::new(&template, &functions, options.env.clone());
            let gateway = Gateway::new(template, functions, options.env).map_err(StartError::Template)?;
            let server = gateway.serve(listener).map_err(|error| StartError::Io("the gateway".into(), error))?;
            Ok((schedule, server, closings))
        });
        match started {
            Ok((schedule, server, closings)) => {
                let running = schedule.start();
                Ok(Self { address: server.address, model, issuer, stores, schedule, running, closings, server })
            }
            Err(error) => {
                stores.stop().await;
                Err(error)
            }
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs the scheduled functions now, as the clock does once a minute.
    ///
    /// # Errors
    /// What the first function says that fails.
    pub async fn tick(&self) -> Result<(), String> {
        self.schedule.tick().await
    }

    /// Lets requests and functions under way end, then stops everything.
    pub async fn stop(self) {
        self.running.stop().await;
        self.server.stop().await;
        futures::future::join_all(self.closings).await;
        self.stores.stop().await;
    }
}

/// The embedded DynamoDB and S3 over one data directory, or in memory.
pub struct Stores {
    /// `http://127.0.0.1:PORT` of DynamoDB, for other processes.
    pub dynamodb: String,
    /// `http://127.0.0.1:PORT` of S3.
    pub s3: String,
    dynamo: Dynamo,
    files: Files,
    /// Keeps the lock, and what is in memory only, as long as the stores run.
    _held: Held,
}

enum Held {
    Directory { _lock: File },
    Memory { _objects: TempDir },
}

impl Stores {
    /// Starts both. A directory is served by one process at a time. `ports`: of DynamoDB and of S3, 0 picks a free one. Links end
    /// by the clock of `env`; pages of `origins` may use them.
    ///
    /// # Errors
    /// [`StartError::InUse`] and [`StartError::Io`].
    pub async fn start(
        data: Option<&Path>,
        durability: Durability,
        ports: (u16, u16),
        env: Env,
        origins: Vec<String>,
    ) -> Result<Self, StartError> {
        let (dynamodb_port, s3_port) = ports;
        let io = |what: &str| {
            let what = what.to_owned();
            move |error| StartError::Io(what, error)
        };
        let (held, database, objects) = match data {
            Some(directory) => {
                let lock = lock(directory)?;
                (Held::Directory { _lock: lock }, Some(directory.join(DATABASE)), directory.join(OBJECTS))
            }
            None => {
                let objects = tempfile::tempdir().map_err(io("a temporary directory"))?;
                let path = objects.path().to_owned();
                (Held::Memory { _objects: objects }, None, path)
            }
        };
        let files = Files::start(&objects, s3_port, env, origins).await.map_err(io("the embedded S3"))?;
        let dynamo = match Dynamo::start(database.as_deref(), dynamodb_port, durability).await {
            Ok(dynamo) => dynamo,
            Err(error) => {
                files.stop().await;
                return Err(io("the embedded DynamoDB")(error));
            }
        };
        Ok(Self { dynamodb: dynamo.endpoint.clone(), s3: files.endpoint.clone(), dynamo, files, _held: held })
    }

    /// Configuration of a client of DynamoDB in this process: its calls need no socket.
    pub fn dynamodb_config(&self) -> SdkConfig {
        self.dynamo.config()
    }

    /// Lets calls under way end, then stops both.
    pub async fn stop(self) {
        self.files.stop().await;
        self.dynamo.stop().await;
    }
}

fn lock(directory: &Path) -> Result<File, StartError> {
    let fail = |error| StartError::Io(format!("the data directory {}", directory.display()), error);
    std::fs::create_dir_all(directory).map_err(fail)?;
    let file = File::options().create(true).write(true).truncate(false).open(directory.join(LOCK)).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(fail(error)),
    }
}

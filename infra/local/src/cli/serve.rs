//! `holdfast serve`.

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use holdfast::core::clock::Env;
use holdfast::identity::auth::local::TokenRequest;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::terminal::{self, DIM, HEADING};
use super::{DEFAULT_PORT, Failure, examples, model, token};
use crate::demo;
use crate::embedded::{AUDIT_BUCKET, BUCKET, CREDENTIAL, DATA_TABLE, Durability, VOLATILE_TABLE};
use crate::system::DATABASE;
use crate::{Local, Options};

/// How long the tokens live that a start prints.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Where `cargo lambda watch --env-file`, and commands beside this server, find the stores, in the data directory.
pub(super) const ENV_FILE: &str = "functions.env";
/// Stands in the data directory while the demo is being loaded.
const DEMO_MARK: &str = "demo-unfinished";
/// What is logged where RUST_LOG says nothing: to the embedded DynamoDB every condition that is not met is worth a warning.
const QUIET: &str = "warn,dynoxide=error";
/// The role of the demo that may do everything.
const ADMIN: &str = "admin";

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The model to serve.
    #[arg(long, value_name = "FILE", default_value = "model.yaml")]
    model: PathBuf,
    /// Port of the API; 0 picks a free one.
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT)]
    port: u16,
    /// Directory of the state: records, files, the key that signs tokens [default: .holdfast]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Keep records and files in memory only; they are gone at the end.
    #[arg(long)]
    memory: bool,
    /// What an acknowledged write survives [default: full]
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t, hide_default_value = true)]
    durability: Durability,
    /// Do not load the demo data at the first start.
    #[arg(long)]
    no_demo: bool,
    /// Call the functions of `cargo lambda watch` at this address in place of those in this process.
    #[arg(long, value_name = "URL")]
    functions_url: Option<String>,
    /// Port of the embedded DynamoDB; 0 picks a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    dynamodb_port: u16,
    /// Port of the embedded S3; 0 picks a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    s3_port: u16,
}

impl ServeArgs {
    fn options(&self) -> Result<Options, Failure> {
        let directory = self.data.clone().unwrap_or_else(|| PathBuf::from(".holdfast"));
        Ok(Options {
            model_name: self.model.display().to_string(),
            model: model::source(&self.model)?,
            port: self.port,
            dynamodb_port: self.dynamodb_port,
            s3_port: self.s3_port,
            data: (!self.memory).then(|| directory.clone()),
            durability: self.durability,
            keys: (!self.memory || self.data.is_some()).then_some(directory),
            functions_url: self.functions_url.clone(),
            between: None,
            env: Env::system(),
        })
    }
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When the system cannot start.
pub async fn run(args: ServeArgs) -> Result<ExitCode, Failure> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(QUIET));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let options = args.options()?;
    let fresh = options.data.as_ref().is_none_or(|directory| !directory.join(DATABASE).exists());
    let local = Local::start(options.clone()).await?;
    if let Some(directory) = options.data.as_ref().or(options.keys.as_ref()) {
        let path = directory.join(ENV_FILE);
        write_private(&path, &functions_env(&local, &options))
            .map_err(|error| Failure(format!("{}: {error}", path.display())))?;
    }
    if demo_is_due(&args, &options, fresh) && demo::fits(&local.model) {
        load_demo(&local, &options).await?;
    }
    greet(&local, &options, &args)?;
    anstream::eprintln!("listening on {}", local.url());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    anstream::eprintln!("{DIM}stopping: requests under way may end{DIM:#}");
    local.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Writes a file that only its owner may read.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = File::options().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    // The mode counts for new files only.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())
}

/// The demo is loaded at the first start of a data directory, and again where that was cut short.
fn demo_is_due(args: &ServeArgs, options: &Options, fresh: bool) -> bool {
    let begun = options.data.as_ref().is_some_and(|directory| directory.join(DEMO_MARK).exists());
    !args.no_demo && (fresh || begun)
}

/// Loads the demo; a mark in the data directory stands until it is complete.
async fn load_demo(local: &Local, options: &Options) -> Result<(), Failure> {
    let mark = options.data.as_ref().map(|directory| directory.join(DEMO_MARK));
    if let Some(mark) = &mark {
        std::fs::write(mark, "")?;
    }
    let report = demo::load(&local.url(), &token_of(local, options, ADMIN)?).await?;
    for refused in &report.refused {
        terminal::warning(&refused.to_string());
    }
    if let Some(mark) = &mark {
        std::fs::remove_file(mark)?;
    }
    anstream::eprintln!("{DIM}demo data: {} records{DIM:#}", report.created + report.existing);
    Ok(())
}

/// What a function needs to know to work on the embedded stores, for `cargo lambda watch --env-file` and `invoke`.
fn functions_env(local: &Local, options: &Options) -> String {
    let keys = options.keys.as_ref().and_then(|path| std::path::absolute(path).ok());
    let model = std::path::absolute(&options.model_name).unwrap_or_default();
    let lines = [
        ("AWS_ENDPOINT_URL_DYNAMODB", local.stores.dynamodb.clone()),
        ("AWS_ENDPOINT_URL_S3", local.stores.s3.clone()),
        ("AWS_ACCESS_KEY_ID", CREDENTIAL.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", CREDENTIAL.to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("HOLDFAST_DATA_TABLE", DATA_TABLE.to_owned()),
        ("HOLDFAST_VOLATILE_TABLE", VOLATILE_TABLE.to_owned()),
        ("HOLDFAST_FILES_BUCKET", BUCKET.to_owned()),
        ("HOLDFAST_AUDIT_BUCKET", AUDIT_BUCKET.to_owned()),
        ("HOLDFAST_MODEL", model.display().to_string()),
        ("HOLDFAST_LOCAL_KEYS", keys.map(|path| path.display().to_string()).unwrap_or_default()),
    ];
    lines.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// Addresses, a token per role, and lines to try, on stderr.
fn greet(local: &Local, options: &Options, args: &ServeArgs) -> Result<(), Failure> {
    let (model, url) = (&local.model, local.url());
    let place = match &options.data {
        Some(directory) => directory.display().to_string(),
        None => "memory".to_owned(),
    };
    anstream::eprintln!("{HEADING}{}{HEADING:#} {} {DIM}({}){DIM:#}", model.name, model.version, args.model.display());
    anstream::eprintln!("  API        {url}/v1");
    anstream::eprintln!("  documents  {url}/v1/docs");
    anstream::eprintln!("  state      {place} {DIM}(DynamoDB {}, S3 {}){DIM:#}", local.stores.dynamodb, local.stores.s3);
    if let Some(functions) = &args.functions_url {
        anstream::eprintln!("  functions  {functions}");
    }
    anstream::eprintln!("\n{HEADING}Tokens{HEADING:#} for 24 hours, one per role; `holdfast token --help` makes others");
    let width = model.roles.iter().map(|role| role.name.len()).max().unwrap_or(0);
    let mut first = None;
    for role in &model.roles {
        let token = token_of(local, options, &role.name)?;
        anstream::eprintln!("  {:width$}  {token}", role.name);
        let (_, claims) = demo::identity(model, &role.name);
        if let Some(lacks) = token::lacking(model, &role.name, |claim| claims.contains_key(claim)) {
            anstream::eprintln!("  {:width$}  {DIM}{lacks}: `holdfast token --sub me --role {}`{DIM:#}", "", role.name);
        }
        if role.name == ADMIN || first.is_none() {
            first = Some((&role.name, token));
        }
    }
    anstream::eprintln!("\n{HEADING}Try{HEADING:#}");
    for example in examples::without_credentials(model, &url) {
        anstream::eprintln!("  {example}");
    }
    for example in first.iter().flat_map(|(role, token)| examples::of(model, role, &url, token)) {
        anstream::eprintln!("  {example}");
    }
    anstream::eprintln!();
    Ok(())
}

fn token_of(local: &Local, options: &Options, role: &str) -> Result<String, Failure> {
    let (subject, claims) = demo::identity(&local.model, role);
    let request = TokenRequest {
        subject,
        roles: vec![role.to_owned()],
        claims: claims.into_iter().collect(),
        plan: if role == ADMIN { demo::widest_plan(&local.model) } else { None },
        expires_in: TOKEN_LIFE,
    };
    Ok(local.issuer.token(&request, options.env.now())?)
}

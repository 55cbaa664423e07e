//! `holdfast import`.

use std::fs::File;
use std::io::{BufReader, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use holdfast::auth::local::TokenRequest;
use holdfast::model::{self, Model};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::{BAD, DIM};
use super::{DEFAULT_PORT, DataArgs, Failure, parse, token};
use crate::demo;
use crate::import::{Loader, Report, Reshape, rows};

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// What the records are: the entity's plural, as it stands in paths (its singular, where model.yaml is here).
    entity: String,
    /// Files with one JSON object per line.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The API.
    #[arg(long, value_name = "URL", default_value_t = format!("http://127.0.0.1:{DEFAULT_PORT}"))]
    url: String,
    /// A token or API key that may create the records; without it one is made for role `admin` with the key in --data.
    #[arg(long, value_name = "T", env = "HOLDFAST_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Give members another name, from=to; several may follow.
    #[arg(long, value_name = "FROM=TO", value_parser = parse::pair, num_args = 1..)]
    rename: Vec<(String, String)>,
    /// Leave members out; several may follow.
    #[arg(long, value_name = "MEMBER", num_args = 1..)]
    drop: Vec<String>,
    #[command(flatten)]
    data: DataArgs,
}

/// Imports, and reports what became of every line.
///
/// # Errors
/// When a file cannot be read or going on makes no sense.
pub async fn run(args: ImportArgs) -> Result<ExitCode, Failure> {
    let model = model_here();
    let plural = model.as_ref().and_then(|model| Some(model.by_name(&args.entity)?.plural.clone()));
    let plural = plural.unwrap_or_else(|| args.entity.clone());
    let token = match &args.token {
        Some(token) => token.clone(),
        None => admin_token(&args, model.as_ref())?,
    };
    let loader = Loader::new(&args.url, &token)?;
    let reshape = Reshape { rename: args.rename.clone(), drop: args.drop.clone() };
    let mut total = Report::default();
    for path in &args.files {
        let open = |error| Failure(format!("{}: {error}", path.display()));
        let file = File::open(path).map_err(open)?;
        let bar = progress(file.metadata().map_err(open)?.len(), &path.display().to_string());
        let rows = rows(&plural, &path.display().to_string(), BufReader::new(file), &reshape);
        let report = loader.load(rows, |bytes| bar.inc(bytes)).await;
        bar.finish_and_clear();
        let report = report?;
        show(&report);
        total.created += report.created;
        total.existing += report.existing;
        total.refused.extend(report.refused);
    }
    anstream::println!("{plural}: {} created, {} already there, {} refused", total.created, total.existing, total.refused.len());
    Ok(if total.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(report: &Report) {
    for refused in &report.refused {
        anstream::eprintln!("{BAD}refused{BAD:#} {refused} {DIM}({}){DIM:#}", refused.code);
    }
}

/// The model of the working directory, if there is one: it knows the plural of a singular, and the plans.
fn model_here() -> Option<Model> {
    let source = std::fs::read_to_string("model.yaml").ok()?;
    model::parse("model.yaml", &source).ok()
}

fn admin_token(args: &ImportArgs, model: Option<&Model>) -> Result<String, Failure> {
    let request = TokenRequest {
        subject: "import".into(),
        roles: vec!["admin".into()],
        claims: std::collections::BTreeMap::new(),
        plan: model.and_then(demo::widest_plan),
        expires_in: Duration::from_secs(24 * 3600),
    };
    token::mint(&args.data.data, &request)
}

fn progress(bytes: u64, name: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(bytes), target).with_message(name.to_owned());
    match ProgressStyle::with_template("{msg} {bar:30.cyan/dim} {percent}% {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

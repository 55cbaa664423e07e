//! `holdfast model check` and `model diff`.

mod check;
mod diff;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use holdfast::model::{self, Mistake, Model, Role};

use super::{Failure, terminal};

/// What to do with models.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Say whether a model is right: every mistake with its place, what is legal and hardly meant, and a summary.
    Check(CheckArgs),
    /// Say what changes from one model to another: what breaks clients, and what stored data needs, before or after the deployment.
    ///
    /// Exits with 0 if there is nothing to do, 10 if stored data needs a step, 11 if clients may break (also if both).
    Diff(DiffArgs),
}

/// Arguments of `model check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The model.
    #[arg(default_value = "model.yaml")]
    model: PathBuf,
    /// Show what writes of each entity cost, and how many a second it takes.
    #[arg(long)]
    ceilings: bool,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Arguments of `model diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The model that is served.
    old: PathBuf,
    /// The model that shall be; with `--role` it may be left out.
    #[arg(required_unless_present = "role")]
    new: Option<PathBuf>,
    /// Only what changes for the holders of this role of the old model.
    #[arg(long, value_name = "R")]
    role: Option<String>,
    /// The role that they get instead, of the new model; the same where nothing is said.
    #[arg(long, value_name = "R2", requires = "role")]
    to: Option<String>,
    /// Form of the output.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Form of what a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For readers.
    #[default]
    Text,
    /// For programs: one JSON document.
    Json,
}

/// Runs it.
///
/// # Errors
/// When a file cannot be read.
pub fn run(command: &ModelCommand) -> Result<ExitCode, Failure> {
    match command {
        ModelCommand::Check(args) => check::run(args),
        ModelCommand::Diff(args) => diff::run(args),
    }
}

/// The role of this name.
///
/// # Errors
/// Which roles there are.
pub fn role<'m>(model: &'m Model, name: &str) -> Result<&'m Role, Failure> {
    model.role(name).ok_or_else(|| {
        let known: Vec<&str> = model.roles.iter().map(|role| role.name.as_str()).collect();
        Failure(format!("the model has no role {name}; it has {}", known.join(", ")))
    })
}

/// Reads a model; `None` after its mistakes have been shown.
///
/// # Errors
/// When the file cannot be read.
pub fn read(path: &Path) -> Result<Option<Model>, Failure> {
    Ok(parse(path)?.map_err(|mistakes| show(&mistakes)).ok())
}

/// A model, or all of its mistakes.
///
/// # Errors
/// When the file cannot be read.
fn parse(path: &Path) -> Result<Result<Model, Vec<Mistake>>, Failure> {
    Ok(model::parse(&path.display().to_string(), &source(path)?))
}

fn show(mistakes: &[Mistake]) {
    mistakes.iter().for_each(|mistake| terminal::error(&mistake.to_string()));
}

/// The text of a model's file.
///
/// # Errors
/// When it cannot be read.
pub fn source(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure(format!("the model {}: {error}", path.display())))
}

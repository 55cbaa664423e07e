//! `holdfast model check` and `model diff`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use holdfast::model::{self, Class, Model, Role};

use super::{Failure, terminal};

/// What to do with models.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Say whether a model is right, every mistake with its place; then what writes cost and how many a second it takes.
    Check {
        /// The model.
        #[arg(default_value = "model.yaml")]
        model: PathBuf,
    },
    /// Say what changes from one model to another: what breaks clients, what needs a backfill. Fails where something breaks.
    Diff {
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
    },
}

/// Runs it.
///
/// # Errors
/// When a file cannot be read.
pub fn run(command: &ModelCommand) -> Result<ExitCode, Failure> {
    match command {
        ModelCommand::Check { model } => check(model),
        ModelCommand::Diff { old, new, role, to } => diff(old, new.as_ref().unwrap_or(old), role.as_deref(), to.as_deref()),
    }
}

fn check(path: &Path) -> Result<ExitCode, Failure> {
    let Some(model) = read(path)? else { return Ok(ExitCode::FAILURE) };
    anstream::println!(
        "{} {}: {} entities, {} roles, {} plans, no mistakes",
        model.name,
        model.version,
        model.entities.len(),
        model.roles.len(),
        model.plans.len()
    );
    for warning in model::warnings(&model) {
        terminal::warning(&warning.to_string());
    }
    anstream::println!("\n{}", model::check(&model));
    Ok(ExitCode::SUCCESS)
}

fn diff(old: &Path, new: &Path, from: Option<&str>, to: Option<&str>) -> Result<ExitCode, Failure> {
    let (Some(old), Some(new)) = (read(old)?, read(new)?) else { return Ok(ExitCode::FAILURE) };
    let changes = match from {
        None => model::diff(&old, &new),
        Some(from) => model::diff_roles((&old, role(&old, from)?), (&new, role(&new, to.unwrap_or(from))?)),
    };
    for change in &changes {
        anstream::println!("{change}");
    }
    if changes.is_empty() {
        anstream::println!("no difference");
    }
    let breaks = changes.iter().any(|change| change.class == Class::Breaking);
    Ok(if breaks { ExitCode::FAILURE } else { ExitCode::SUCCESS })
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
    match model::parse(&path.display().to_string(), &source(path)?) {
        Ok(model) => Ok(Some(model)),
        Err(mistakes) => {
            for mistake in &mistakes {
                terminal::error(&mistake.to_string());
            }
            Ok(None)
        }
    }
}

/// The text of a model's file.
///
/// # Errors
/// When it cannot be read.
pub fn source(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure(format!("the model {}: {error}", path.display())))
}

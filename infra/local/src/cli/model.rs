//! `holdfast model check` and `model diff`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use holdfast::model::{self, Model};

use super::{Failure, terminal};

/// What to do with models.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Say whether a model is right; every mistake with its place.
    Check {
        /// The model.
        #[arg(default_value = "model.yaml")]
        model: PathBuf,
    },
}

/// Runs it.
///
/// # Errors
/// When a file cannot be read.
pub fn run(command: &ModelCommand) -> Result<ExitCode, Failure> {
    match command {
        ModelCommand::Check { model } => Ok(match read(model)? {
            Some(model) => {
                anstream::println!("{} {}: {} entities, no mistakes", model.name, model.version, model.entities.len());
                ExitCode::SUCCESS
            }
            None => ExitCode::FAILURE,
        }),
    }
}

/// Reads a model; `None` after its mistakes have been shown.
fn read(path: &Path) -> Result<Option<Model>, Failure> {
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

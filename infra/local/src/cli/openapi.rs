//! `holdfast openapi`: the OpenAPI document of a model, without a server.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use holdfast::openapi::{self, Site};

use super::{DEFAULT_PORT, Failure, model};

/// Arguments of `openapi`.
#[derive(Debug, Args)]
pub struct OpenApiArgs {
    /// The role whose document it is; without it, all that any role may do.
    #[arg(long, value_name = "R")]
    role: Option<String>,
    /// The model.
    #[arg(long, value_name = "M", default_value = "model.yaml")]
    model: PathBuf,
    /// Address of the API; that of the local server where nothing is said.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Prints the document.
///
/// # Errors
/// When the model cannot be read, or has no such role.
pub fn run(args: &OpenApiArgs) -> Result<ExitCode, Failure> {
    let Some(model) = model::read(&args.model)? else { return Ok(ExitCode::FAILURE) };
    let url = args.url.clone().unwrap_or_else(|| format!("http://127.0.0.1:{DEFAULT_PORT}"));
    let url = url.trim_end_matches('/');
    let environment = if args.url.is_some() { "live" } else { "local" };
    let site = Site { url, environment };
    let made = match &args.role {
        None => openapi::openapi_of_all(&model, site),
        Some(name) => openapi::openapi(&model, &openapi::of_role(&model, &[&model::role(&model, name)?.name]), site),
    };
    anstream::println!("{}", serde_json::to_string_pretty(&made)?);
    Ok(ExitCode::SUCCESS)
}

//! `holdfast apply`: consumers as a file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use holdfast::consumer::{Consumers, apply};

use super::target::{Target, TargetArgs};
use super::{Failure, terminal};

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// What consumers there shall be.
    file: PathBuf,
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// Shows the difference and makes it so.
///
/// # Errors
/// When the file or the tables cannot be read, or a step is refused; the steps before it stay done.
pub async fn run(args: ApplyArgs) -> Result<ExitCode, Failure> {
    let name = args.file.display().to_string();
    let source = std::fs::read_to_string(&args.file).map_err(|error| Failure(format!("{name}: {error}")))?;
    let target = Target::open(&args.target).await?;
    let outcome = steps(&target, &name, &source, args.dry_run).await;
    target.close().await;
    outcome
}

async fn steps(target: &Target, name: &str, source: &str, dry_run: bool) -> Result<ExitCode, Failure> {
    let desired = match apply::read(&target.model, name, source) {
        Ok(desired) => desired,
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| terminal::error(&mistake.to_string()));
            return Ok(ExitCode::FAILURE);
        }
    };
    let none = |_: &holdfast::consumer::Change| Vec::new();
    let consumers = Consumers { table: &target.table, model: &target.model, env: &target.env, riders: &none };
    let steps = apply::diff(&desired, &consumers.all().await?);
    for step in &steps {
        anstream::println!("{step}");
        if !dry_run {
            consumers.take(step).await.map_err(|error| Failure(format!("{}: {error}", step.id())))?;
        }
    }
    let done = if dry_run { "would change" } else { "changed" };
    anstream::println!("{} {done}", if steps.is_empty() { "nothing".to_owned() } else { steps.len().to_string() });
    Ok(ExitCode::SUCCESS)
}

//! `holdfast apply`: consumers as a file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use holdfast::audit;
use holdfast::consumer::{Change, Consumers, apply};
use holdfast::store::table::{TableName, Write};

use super::target::{Target, TargetArgs};
use super::{Failure, terminal};

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// What consumers there shall be.
    file: PathBuf,
    /// Only show what would change; exits with 2 where something would.
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// Exit code of `--plan` where something would change.
const DIFFERENT: u8 = 2;

/// Shows the difference and makes it so.
///
/// # Errors
/// When the file or the tables cannot be read, or a step is refused; the steps before it stay done.
pub async fn run(args: ApplyArgs) -> Result<ExitCode, Failure> {
    let name = args.file.display().to_string();
    let source = std::fs::read_to_string(&args.file).map_err(|error| Failure(format!("{name}: {error}")))?;
    let target = Target::open(&args.target).await?;
    let outcome = steps(&target, &name, &source, args.plan).await;
    target.close().await;
    outcome
}

async fn steps(target: &Target, name: &str, source: &str, plan: bool) -> Result<ExitCode, Failure> {
    let desired = match apply::read(&target.model, name, source) {
        Ok(desired) => desired,
        Err(mistakes) => {
            mistakes.iter().for_each(|mistake| terminal::error(&mistake.to_string()));
            return Ok(ExitCode::FAILURE);
        }
    };
    let riders = |change: &Change| {
        let entry = change.entry("operator", "holdfast apply", None, None);
        vec![(TableName::Data, Write::Put { item: audit::item(entry, &target.env), condition: None })]
    };
    let consumers = Consumers { table: &target.table, model: &target.model, env: &target.env, riders: &riders };
    let steps = apply::diff(&desired, &consumers.all().await?);
    for (taken, step) in steps.iter().enumerate() {
        anstream::println!("{step}");
        if !plan {
            let left = |error| Failure(format!("{}: {error}; {taken} of {} are done: apply again", step.id(), steps.len()));
            consumers.take(step).await.map_err(left)?;
        }
    }
    let done = if plan { "would change" } else { "changed" };
    anstream::println!("{} {done}", if steps.is_empty() { "nothing".to_owned() } else { steps.len().to_string() });
    Ok(if plan && !steps.is_empty() { ExitCode::from(DIFFERENT) } else { ExitCode::SUCCESS })
}

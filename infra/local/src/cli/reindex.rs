//! `holdfast reindex`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use holdfast::store::constraints::{Constraints, SETTLE};
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::target::{Target, TargetArgs};
use super::{Failure, parse};

/// Arguments of `reindex`.
#[derive(Debug, Args)]
pub struct ReindexArgs {
    /// The entity, by its singular name.
    entity: String,
    /// The index, as the model names it.
    index: String,
    /// How long instances with an older model may still be writing [default: 16 min; none where nobody serves the local data]
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    settle: Option<Duration>,
    #[command(flatten)]
    target: TargetArgs,
}

/// Rebuilds the index while the API serves; can be cut short and run again.
///
/// # Errors
/// When the tables cannot be opened, or an older version of the model is writing.
pub async fn run(args: ReindexArgs) -> Result<ExitCode, Failure> {
    let target = Target::open(&args.target).await?;
    let settle = args.settle.unwrap_or(if target.is_exclusive() { Duration::ZERO } else { SETTLE });
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let indexes = Constraints::new(Arc::new(target.table.clone()), target.model.clone(), target.env.clone());
    let progress = |done: &holdfast::store::constraints::Progress| {
        spinner.set_message(format!("{} items, {} records, {} rows written", done.items, done.records, done.written));
    };
    let outcome = indexes.reindex(&args.entity, &args.index, settle, progress).await;
    spinner.finish_and_clear();
    target.close().await;
    let done = outcome?;
    anstream::println!(
        "{} {}: {} records, {} rows written, {} removed; the index is ready",
        args.entity,
        args.index,
        done.records,
        done.written,
        done.removed
    );
    Ok(ExitCode::SUCCESS)
}

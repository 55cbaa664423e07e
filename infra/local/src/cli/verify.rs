//! `holdfast verify`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use holdfast::store::verify::{Report, Verifier};
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::Failure;
use super::target::{Target, TargetArgs};
use super::terminal::{BAD, HEADING};

/// How long a repair may complete abandoned deletions before it goes on.
const REPAIR: Duration = Duration::from_secs(3600);

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Make them agree. Needed after every restore from a backup.
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// Verifies, and says what does not agree. Fails where something is left that does not.
///
/// # Errors
/// When the tables cannot be opened or read.
pub async fn run(args: VerifyArgs) -> Result<ExitCode, Failure> {
    let target = Target::open(&args.target).await?;
    let verifier = Verifier::new(Arc::new(target.table.clone()), target.model.clone(), target.env.clone(), args.repair);
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let progress = |report: &Report| spinner.set_message(format!("{} items, {} problems", report.items, report.problems));
    let outcome = verifier.run(target.env.now().plus(REPAIR), progress).await;
    spinner.finish_and_clear();
    target.close().await;
    let report = outcome?;
    for problem in &report.listed {
        let style = if problem.repaired { HEADING } else { BAD };
        let done = if problem.repaired { "repaired" } else { "wrong" };
        anstream::println!("{style}{done:<8}{style:#} {:?} {} {}", problem.kind, problem.record, problem.detail);
    }
    anstream::println!(
        "{} records in {} items: {} problems, {} repaired",
        report.records,
        report.items,
        report.problems,
        report.repaired
    );
    if report.foreign > 0 {
        anstream::println!(
            "{} rows belong to entities or indexes that this model does not know; they were left alone",
            report.foreign
        );
    }
    Ok(if report.problems == report.repaired { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

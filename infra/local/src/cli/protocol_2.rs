//! `holdfast migrate --protocol-2`: the one-way step of a table that a version before protocol 2 has written.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use holdfast::migrate::protocol_2::{self, Migrated, Progress};
use holdfast::store::constraints::Constraints;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::Failure;
use super::migrate::NEEDED;
use super::target::Target;

/// Converts the table, or with `plan` says whether it has to be; can be cut short and run again. `settle`: how long instances of the
/// version before may be writing.
///
/// # Errors
/// When the version before is writing, or the table fails.
pub async fn run(target: &Target, settle: Option<Duration>, plan: bool) -> Result<ExitCode, Failure> {
    let table = Arc::new(target.table.clone());
    if plan {
        return Ok(match Constraints::new(table, target.model.clone(), target.env.clone()).check_protocol().await {
            Ok(()) => {
                anstream::println!("protocol 2: nothing to do");
                ExitCode::SUCCESS
            }
            Err(why) => {
                anstream::println!("protocol 2: {why}");
                ExitCode::from(NEEDED)
            }
        });
    }
    let settle = settle.unwrap_or(if target.is_exclusive() { Duration::ZERO } else { protocol_2::SETTLE });
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if !settle.is_zero() {
        spinner.set_message(format!("waiting {} s for writers of the version before to be noticed", settle.as_secs()));
    }
    let progress = |done: &Progress| {
        spinner.set_message(format!("{} items, {} records, {} references", done.items, done.records, done.references));
    };
    let outcome = protocol_2::convert(table, target.model.clone(), target.env.clone(), settle, progress).await;
    spinner.finish_and_clear();
    match outcome? {
        Migrated::Already => anstream::println!("protocol 2: nothing to do"),
        Migrated::Done(done) => anstream::println!(
            "protocol 2: {} records, {} references, {} guards removed; there is no way back",
            done.records,
            done.references,
            done.guards
        ),
    }
    Ok(ExitCode::SUCCESS)
}

//! `holdfast verify`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use holdfast::aws::s3_archive::S3Archive;
use holdfast::core::clock::Micros;
use holdfast::store::audit::check::{self, Checked, Fault};
use holdfast::store::verify::{Kind, Report, Verifier};
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::Failure;
use super::target::{Target, TargetArgs};
use super::terminal::{BAD, HEADING};
use crate::embedded::AUDIT_BUCKET;

/// How long a repair may complete abandoned deletions before it continues.
const REPAIR: Duration = Duration::from_secs(3600);

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Make them agree. Needed after every restore from a backup.
    #[arg(long)]
    repair: bool,
    /// Compare the exported audit trail in this bucket too (that of the local data always is).
    #[arg(long, value_name = "NAME", env = "HOLDFAST_AUDIT_BUCKET")]
    audit_bucket: Option<String>,
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
    let exported = exported(&args, &target).await;
    target.close().await;
    let (report, exported) = (outcome?, exported?);
    for problem in report.listed.iter().chain(&report.forbidden_listed) {
        let style = if problem.repaired { HEADING } else { BAD };
        let done = match problem.kind {
            Kind::Forbidden => "forbidden",
            _ if problem.repaired => "repaired",
            _ => "wrong",
        };
        anstream::println!("{style}{done:<9}{style:#} {:?} {} {}", problem.kind, problem.record, problem.detail);
    }
    anstream::println!(
        "{} records in {} items: {} problems, {} repaired",
        report.records,
        report.items,
        report.problems,
        report.repaired
    );
    if report.forbidden > 0 {
        anstream::println!("{} stored values are none that the model allows: change them, or the model", report.forbidden);
    }
    if report.foreign > 0 {
        anstream::println!(
            "{} rows belong to entities or indexes that this model does not know; they were left alone",
            report.foreign
        );
    }
    if report.settled > 0 {
        anstream::println!("{} tags had marks of writers that died; they are settled", report.settled);
    }
    if report.unsettled > 0 {
        anstream::println!(
            "{} tags have marks of writers that died: nothing is wrong, the next reader settles them, or --repair does",
            report.unsettled
        );
    }
    let complete = exported.is_none_or(|checked| print_comparison(&checked));
    Ok(if report.problems == report.repaired && complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Compares the exported audit trail, where it is known.
async fn exported(args: &VerifyArgs, target: &Target) -> Result<Option<Checked>, Failure> {
    let local = target.of_directory.then_some(AUDIT_BUCKET);
    let (Some(bucket), Some(config)) = (args.audit_bucket.as_deref().or(local), &target.s3) else { return Ok(None) };
    Ok(Some(check::check(&target.table, &S3Archive::new(config, bucket)).await?))
}

/// Prints what was compared. `true` where nothing is missing and nothing differs.
fn print_comparison(checked: &Checked) -> bool {
    for (key, fault) in &checked.faults {
        let what = match fault {
            Fault::Missing => "is missing".to_owned(),
            Fault::Unreadable => "is no gzip of lines".to_owned(),
            Fault::Differs(there, here) => format!("holds {there} entries that are not the trail's {here}"),
        };
        anstream::println!("{BAD}wrong   {BAD:#} {key} {what}");
    }
    match &checked.checkpoint {
        None => anstream::println!("audit trail: nothing is exported yet"),
        Some(checkpoint) => anstream::println!(
            "audit trail: {} entries in {} exported objects up to {}: {} problems",
            checked.entries,
            checked.objects,
            Micros(checkpoint.next.window.saturating_mul(1_000_000)).rfc3339(),
            checked.faults.len()
        ),
    }
    checked.faults.is_empty()
}

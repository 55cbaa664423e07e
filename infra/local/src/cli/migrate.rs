//! `holdfast migrate`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use holdfast::migrate::{Names, Progress, Subjects, Wanted};
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::target::{Target, TargetArgs};
use super::terminal::{BAD, WARN};
use super::{Failure, evolve, parse, protocol_2, terminal};

/// Exit code where the arguments do not fit the model, as of any wrong usage.
pub(super) const USAGE: u8 = 2;
/// Exit code of `--plan` where something has to be done.
pub(super) const NEEDED: u8 = 10;

/// Form of what `--plan` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Arguments of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Only do what must come before the model is deployed, so that nothing is refused from the first moment: give old records the values
    /// that they lack, announce unique fields.
    #[arg(long, conflicts_with_all = ["plan", "protocol_2", "subjects", "subject_issuer"])]
    pub(super) prepare: bool,
    /// A value for records that have none in a field, in place of the model's `fill`. May be repeated.
    #[arg(long, value_name = "ENTITY.FIELD=VALUE", conflicts_with_all = ["protocol_2", "subjects", "subject_issuer"])]
    pub(super) fill: Vec<String>,
    /// Remove what the model has no more: an entity, or what is called so of one; without a value, all that --plan lists as to be removed.
    /// One-way. Nothing that a version which is still deployed has is removed. May be repeated.
    #[arg(
        long,
        value_name = "ENTITY[.NAME]",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all",
        conflicts_with_all = ["prepare", "fill", "protocol_2", "subjects", "subject_issuer"]
    )]
    pub(super) drop: Vec<String>,
    /// Form of what --plan prints.
    #[arg(long, value_name = "FORM", default_value = "text", requires = "plan")]
    pub(super) format: Format,
    /// Give subjects that records hold without an alias that of the only issuer.
    #[arg(long)]
    subjects: bool,
    /// Convert a table that a version before protocol 2 has written. One-way; no such version may be running.
    #[arg(long, conflicts_with_all = ["subjects", "subject_issuer", "api_keys"])]
    protocol_2: bool,
    /// How long instances of the version before may still be writing [default: 16 min; none where nobody serves the local data]
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    pub(super) settle: Option<Duration>,
    /// Issuer, by its alias, of the subjects that records hold without one; `key` for API keys [default: the only issuer]
    #[arg(long, value_name = "ALIAS")]
    subject_issuer: Option<String>,
    /// The alias that the issuer had before: `OLD:...` becomes `ALIAS:...`, and nothing else changes.
    #[arg(long, value_name = "OLD", requires = "subject_issuer")]
    from: Option<String>,
    /// A subject that is the id of a consumer with API keys becomes `key:<consumer>`, not the issuer's.
    #[arg(long, conflicts_with = "from")]
    api_keys: bool,
    /// Only show what has to be done; exits with 10 where something has, with 0 where nothing has.
    #[arg(long)]
    pub(super) plan: bool,
    #[command(flatten)]
    target: TargetArgs,
}

/// Brings what is stored to the model, changes subjects while the API serves, or with `--protocol-2` the table while nothing writes; can be cut short and run again.
///
/// # Errors
/// When the tables cannot be opened, or are busy for long; those of the conversion.
pub async fn run(args: MigrateArgs) -> Result<ExitCode, Failure> {
    let target = Target::open(&args.target).await?;
    if args.protocol_2 {
        let outcome = protocol_2::run(&target, args.settle, args.plan).await;
        target.close().await;
        return outcome;
    }
    if !(args.subjects || args.api_keys || args.subject_issuer.is_some()) {
        let outcome = evolve::run(&target, &args).await;
        target.close().await;
        return outcome;
    }
    let wanted = Wanted {
        issuer: args.subject_issuer.as_deref(),
        from: args.from.as_deref(),
        api_keys: args.api_keys,
        local: target.of_directory,
    };
    let outcome = match Names::new(&target.model, wanted) {
        Ok(names) => subjects(&target, names, args.plan).await,
        Err(why) => {
            terminal::error(&why);
            Ok(ExitCode::from(USAGE))
        }
    };
    target.close().await;
    outcome
}

async fn subjects(target: &Target, names: Names, plan: bool) -> Result<ExitCode, Failure> {
    let subjects = Subjects::new(Arc::new(target.table.clone()), Arc::clone(&target.model), target.env.clone(), names);
    if subjects.paths().is_empty() {
        anstream::println!("no rule compares anything with $subject: nothing to do");
        return Ok(ExitCode::SUCCESS);
    }
    warn_of_other_variables(target, &subjects);
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let progress = |done: &Progress| {
        spinner.set_message(format!("{} items, {} records, {} changed", done.items, done.records, done.changed));
    };
    let outcome = if plan { subjects.plan(progress).await } else { subjects.run(progress).await };
    spinner.finish_and_clear();
    let done = outcome?;
    show(&done, plan);
    Ok(match (plan, done.is_needed(), done.stuck > 0) {
        (true, true, _) => ExitCode::from(NEEDED),
        (false, _, true) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

fn warn_of_other_variables(target: &Target, subjects: &Subjects) {
    for path in subjects.paths().iter().filter(|path| !path.also.is_empty()) {
        let entity = target.model.entity(path.entity);
        let also = path.also.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let place = format!("{}.{}", entity.name, path.name(entity));
        terminal::warning(&format!("{place}: rules compare it with {also} as well, which the new values will not equal"));
    }
}

fn show(done: &Progress, plan: bool) {
    if done.resumed {
        anstream::println!("went on where an earlier run was interrupted");
    }
    for stuck in &done.listed {
        anstream::println!("{BAD}cannot change{BAD:#} {} {}: {}", stuck.record, stuck.field, stuck.why);
    }
    for (place, count) in &done.values {
        anstream::println!("{place}: {count} {}", if *count == 1 { "value" } else { "values" });
    }
    if done.of_keys > 0 {
        let count = done.of_keys;
        anstream::println!("{WARN}note{WARN:#} {count} of the values are ids of consumers with API keys: see --api-keys");
    }
    let changed = if plan { format!("{} would change", done.pending) } else { format!("{} changed", done.changed) };
    anstream::println!("{} records: {changed}, {} values cannot", done.records, done.stuck);
}

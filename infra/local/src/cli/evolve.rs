//! `holdfast migrate`: what the model needs over what is stored.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use holdfast::migrate::{Evolution, Evolved, Fills, Plan, Progress, Units};
use holdfast::store::constraints::{self, SETTLE};
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::{Value, json};

use super::migrate::{Format, MigrateArgs, NEEDED, USAGE};
use super::target::Target;
use super::terminal::{BAD, WARN};
use super::{Failure, terminal};

/// Does it, does what must come before the deployment, or says what there is to do.
///
/// # Errors
/// When the tables are busy for long, or refuse.
pub async fn run(target: &Target, args: &MigrateArgs) -> Result<ExitCode, Failure> {
    let mut fills = Fills::default();
    for fill in &args.fill {
        if let Err(why) = fills.add(&target.model, fill) {
            terminal::error(&why);
            return Ok(ExitCode::from(USAGE));
        }
    }
    let evolution = Evolution::new(Arc::new(target.table.clone()), Arc::clone(&target.model), target.env.clone(), fills);
    let plan = evolution.plan().await?;
    if let Some(other) = &plan.other_project {
        let name = &target.model.name;
        terminal::warning(&format!("the stored data is of the model \"{other}\", and this one is \"{name}\""));
    }
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let outcome = if args.plan {
        tell(&evolution, &plan, args.format, &spinner).await
    } else if args.prepare {
        prepare(&evolution, &spinner).await
    } else {
        migrate(target, &evolution, args, &plan, &spinner).await
    };
    spinner.finish_and_clear();
    outcome
}

async fn tell(evolution: &Evolution, plan: &Plan, format: Format, spinner: &ProgressBar) -> Result<ExitCode, Failure> {
    let counted = match plan.is_needed() {
        true => Some(evolution.estimate(|units| spinner.set_message(format!("{} items", units.items))).await?),
        false => None,
    };
    spinner.finish_and_clear();
    match format {
        Format::Json => anstream::println!("{:#}", as_json(plan, counted.as_ref())),
        Format::Text => show(plan, counted.as_ref()),
    }
    Ok(if plan.is_needed() { ExitCode::from(NEEDED) } else { ExitCode::SUCCESS })
}

fn show(plan: &Plan, counted: Option<&(Units, Progress)>) {
    for step in &plan.steps {
        anstream::println!("{step}");
    }
    match counted {
        None if plan.steps.is_empty() => anstream::println!("the stored data is as the model wants it: nothing to do"),
        None => anstream::println!("nothing that `migrate` does by itself"),
        Some((units, values)) => {
            let Units { items, rewritten, rows, read, write, .. } = units;
            anstream::println!("{items} items are read, {rewritten} records rewritten, up to {rows} rows put:");
            anstream::println!("about {read} read units and at most {write} write units");
            if plan.is_needed_before(units) {
                anstream::println!("{WARN}before the deployment{WARN:#}: run `holdfast migrate --prepare`");
            }
            stuck(values);
        }
    }
    if plan.is_one_way() {
        anstream::println!("{WARN}one-way{WARN:#}: a version with the model of before cannot go on afterwards");
    }
}

fn as_json(plan: &Plan, counted: Option<&(Units, Progress)>) -> Value {
    let steps: Vec<Value> = plan.steps.iter().map(holdfast::model::evolution::Step::json).collect();
    let mut told = json!({
        "needed": plan.is_needed(),
        "needed_before": counted.is_some_and(|(units, _)| plan.is_needed_before(units)),
        "one_way": plan.is_one_way(),
        "steps": steps,
    });
    if let Some((units, values)) = counted {
        told["units"] = json!({"read": units.read, "write": units.write});
        told["items"] = units.items.into();
        told["rewritten"] = units.rewritten.into();
        told["rows"] = units.rows.into();
        told["stuck"] = values.stuck.into();
    }
    told
}

async fn prepare(evolution: &Evolution, spinner: &ProgressBar) -> Result<ExitCode, Failure> {
    let done = evolution.prepare(|done| spinner.set_message(format!("{} items, {} changed", done.items, done.changed))).await?;
    spinner.finish_and_clear();
    stuck(&done);
    anstream::println!("{} records changed; the model can be deployed, then run `holdfast migrate`", done.changed);
    Ok(if done.stuck > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn migrate(
    target: &Target,
    evolution: &Evolution,
    args: &MigrateArgs,
    plan: &Plan,
    spinner: &ProgressBar,
) -> Result<ExitCode, Failure> {
    let settle = args.settle.unwrap_or(if target.is_exclusive() { Duration::ZERO } else { SETTLE });
    for step in plan.own() {
        anstream::println!("{step}");
    }
    if plan.is_needed() && !settle.is_zero() {
        spinner.set_message(format!("waiting {} s until every writer knows of it", settle.as_secs()));
    }
    let values = |done: &Progress| spinner.set_message(format!("{} items, {} records changed", done.items, done.changed));
    let rows = |done: &constraints::Progress| {
        spinner.set_message(format!("{} items, {} records, {} rows written", done.items, done.records, done.written));
    };
    let done = evolution.run(settle, values, rows).await?;
    spinner.finish_and_clear();
    stuck(&done.values);
    found(&done.rows);
    if plan.is_needed() {
        let Evolved { values, rows } = &done;
        anstream::println!("{} records changed, {} rows written, {} removed", values.changed, rows.written, rows.removed);
    }
    let complete = done.is_complete();
    let outcome = if complete { "the stored data is as the model wants it" } else { "some steps are not done: see above" };
    anstream::println!("{outcome}");
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Values that cannot change.
fn stuck(done: &Progress) {
    for stuck in &done.listed {
        anstream::println!("{BAD}cannot change{BAD:#} {} {}: {}", stuck.record, stuck.field, stuck.why);
    }
    if done.stuck > done.listed.len() as u64 {
        anstream::println!("and {} more", done.stuck - done.listed.len() as u64);
    }
}

/// What the scan for rows found.
fn found(done: &constraints::Progress) {
    for finding in &done.listed {
        let (rule, record, other) = (&finding.rule, &finding.record, &finding.other);
        match rule.starts_with("unique") {
            true => anstream::println!("{BAD}duplicate{BAD:#} {rule}: {record} has the value of {other}"),
            false => anstream::println!("{WARN}dangling{WARN:#} {rule}: {record} refers to {other}, which does not exist"),
        }
    }
    for name in &done.overtaken {
        anstream::println!(
            "{BAD}not ready{BAD:#} {name}: an older version of the model is writing; run this again when only the new one is deployed"
        );
    }
    if done.resumed {
        anstream::println!("went on where an earlier run was interrupted");
    }
}

//! `holdfast migrate`: what the model needs over what is stored.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use holdfast::migrate::{Evolution, Evolved, Fills, OneWay, Plan, Progress, Units};
use holdfast::store::constraints::{self, SETTLE};
use holdfast::store::meter::measured;
use serde_json::{Value, json};

use super::migrate::{Format, MigrateArgs, NEEDED, USAGE};
use super::target::Target;
use super::terminal::{BAD, Spinner, WARN};
use super::{Failure, drops, terminal};

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
    let spinner = Spinner::new();
    let outcome = if !args.drop.is_empty() {
        drops::run(target, &evolution, args, &plan, &spinner).await
    } else if args.plan {
        tell(&evolution, &plan, args.format, &spinner).await
    } else if args.prepare {
        prepare(&evolution, &spinner).await
    } else {
        migrate(target, &evolution, args, &plan, &spinner).await
    };
    spinner.clear();
    outcome
}

async fn tell(evolution: &Evolution, plan: &Plan, format: Format, spinner: &Spinner) -> Result<ExitCode, Failure> {
    let counted = match plan.is_needed() {
        true => Some(evolution.estimate(|units| spinner.say(format!("{} items", units.items))).await?),
        false => None,
    };
    spinner.clear();
    let before = evolution.one_way().await?;
    match format {
        Format::Json => {
            let mut told = as_json(plan, counted.as_ref());
            told["no_way_back"] = before.map_or(
                Value::Null,
                |before| json!({"at": before.at, "model": before.model, "version": before.version, "why": before.why}),
            );
            anstream::println!("{told:#}");
        }
        Format::Text => {
            show(plan, counted.as_ref());
            if let Some(OneWay { at, version, why, .. }) = before {
                anstream::println!("no way back behind {version}, by which this was done on {at}: {why}");
            }
        }
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
    if !plan.leftovers.is_empty() {
        anstream::println!("what is to be removed stays until `holdfast migrate --drop`, which is one-way");
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
        "left_over": plan.leftovers.len(),
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

async fn prepare(evolution: &Evolution, spinner: &Spinner) -> Result<ExitCode, Failure> {
    let done = evolution.prepare(|done| spinner.say(format!("{} items, {} changed", done.items, done.changed))).await?;
    spinner.clear();
    stuck(&done);
    anstream::println!("{} records changed; the model can be deployed, then run `holdfast migrate`", done.changed);
    Ok(if done.stuck > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn migrate(
    target: &Target,
    evolution: &Evolution,
    args: &MigrateArgs,
    plan: &Plan,
    spinner: &Spinner,
) -> Result<ExitCode, Failure> {
    let settle = args.settle.unwrap_or(if target.is_exclusive() { Duration::ZERO } else { SETTLE });
    for step in plan.own() {
        anstream::println!("{step}");
    }
    if plan.is_needed() && !settle.is_zero() {
        spinner.say(format!("waiting {} s until every writer knows of it", settle.as_secs()));
    }
    let values = |done: &Progress| spinner.say(format!("{} items, {} records changed", done.items, done.changed));
    let rows = |done: &constraints::Progress| {
        spinner.say(format!("{} items, {} records, {} rows written", done.items, done.records, done.written));
    };
    let (done, used) = measured(evolution.run(settle, values, rows)).await;
    let done = done?;
    spinner.clear();
    stuck(&done.values);
    found(&done.rows);
    if done.values.resumed && !done.rows.resumed {
        anstream::println!("went on where an earlier run was interrupted");
    }
    if plan.is_needed() {
        let Evolved { values, rows } = &done;
        anstream::println!("{} records changed, {} rows written, {} removed", values.changed, rows.written, rows.removed);
        anstream::println!("{:.0} read units and {:.0} write units were used", used.read_units, used.write_units);
    }
    let complete = done.is_complete();
    let outcome = if complete { "the stored data is as the model wants it" } else { "some steps are not done: see above" };
    anstream::println!("{outcome}");
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Values that cannot change.
pub(super) fn stuck(done: &Progress) {
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

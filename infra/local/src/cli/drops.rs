//! `holdfast migrate --drop`: removes what the model has no more.

use std::process::ExitCode;
use std::time::Duration;

use holdfast::migrate::{DropUnits, Dropped, Evolution, Plan, step_of};
use holdfast::model::evolution::Step;
use holdfast::store::constraints::{Leftover, SETTLE};
use serde_json::{Value, json};

use super::evolve::stuck;
use super::migrate::{Format, MigrateArgs, NEEDED, USAGE};
use super::target::Target;
use super::terminal::{BAD, Spinner, WARN};
use super::{Failure, terminal};

/// Removes what is asked for, or says what that is.
///
/// # Errors
/// When the tables are busy for long, or refuse.
pub async fn run(
    target: &Target,
    evolution: &Evolution,
    args: &MigrateArgs,
    plan: &Plan,
    spinner: &Spinner,
) -> Result<ExitCode, Failure> {
    let chosen = match chosen(plan, &args.drop) {
        Ok(chosen) => chosen,
        Err(why) => {
            terminal::error(&why);
            return Ok(ExitCode::from(USAGE));
        }
    };
    let steps = steps(&chosen);
    if args.plan {
        return tell(evolution, &chosen, &steps, args.format, spinner).await;
    }
    for step in &steps {
        anstream::println!("{step}");
    }
    let settle = args.settle.unwrap_or(if target.is_exclusive() { Duration::ZERO } else { SETTLE });
    if !chosen.is_empty() && !settle.is_zero() {
        spinner.say(format!("waiting {} s for versions that still have it", settle.as_secs()));
    }
    let progress = |done: &Dropped| {
        spinner.say(format!("{} items, {} removed, {} records changed", done.items, done.removed, done.values.changed));
    };
    let done = evolution.drop_leftovers(&chosen, settle, progress).await?;
    spinner.clear();
    Ok(show(&done))
}

/// What the arguments name.
fn chosen(plan: &Plan, names: &[String]) -> Result<Vec<Leftover>, String> {
    let mut all: Vec<Leftover> = Vec::new();
    for name in names {
        let found = plan.chosen(name);
        if found.is_empty() && name != "all" {
            return Err(format!("`{name}` is nothing that the model has no more; `migrate --plan` lists what is"));
        }
        all.extend(found.into_iter().filter(|one| !all.contains(one)).collect::<Vec<_>>());
    }
    Ok(all)
}

fn steps(chosen: &[Leftover]) -> Vec<Step> {
    let mut steps: Vec<Step> = chosen.iter().map(step_of).collect();
    steps.dedup();
    steps
}

async fn tell(
    evolution: &Evolution,
    chosen: &[Leftover],
    steps: &[Step],
    format: Format,
    spinner: &Spinner,
) -> Result<ExitCode, Failure> {
    let mut units = DropUnits::default();
    if !chosen.is_empty() {
        units = evolution.estimate_drop(chosen, |units| spinner.say(format!("{} items", units.items))).await?;
    }
    spinner.clear();
    match format {
        Format::Json => anstream::println!("{:#}", as_json(steps, &units)),
        Format::Text if steps.is_empty() => anstream::println!("nothing is left of earlier models"),
        Format::Text => {
            for step in steps {
                anstream::println!("{step}");
            }
            let DropUnits { items, removed, rewritten, read, write } = units;
            anstream::println!("{items} items are read, {removed} removed, {rewritten} records rewritten:");
            anstream::println!("about {read} read units and at most {write} write units");
            anstream::println!("{WARN}one-way{WARN:#}: what is removed does not come back");
        }
    }
    Ok(if steps.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(NEEDED) })
}

fn as_json(steps: &[Step], units: &DropUnits) -> Value {
    let steps: Vec<Value> = steps.iter().map(Step::json).collect();
    json!({
        "needed": !steps.is_empty(),
        "one_way": !steps.is_empty(),
        "steps": steps,
        "items": units.items,
        "removed": units.removed,
        "rewritten": units.rewritten,
        "units": {"read": units.read, "write": units.write},
    })
}

fn show(done: &Dropped) -> ExitCode {
    stuck(&done.values);
    for one in &done.in_use {
        anstream::println!(
            "{BAD}in use{BAD:#} {one}: a version that has it is deployed; run this again when only the new one is"
        );
    }
    if done.resumed {
        anstream::println!("went on where an earlier run was interrupted");
    }
    anstream::println!("{} items removed, {} records changed", done.removed, done.values.changed);
    if done.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

//! `holdfast model diff`: what changes, and an exit code that a release can go by.

use std::process::ExitCode;

use holdfast::model::{self, Change, Class, Diff, Model};
use serde_json::{Value, json};

use super::{DiffArgs, Format, read, role};
use crate::cli::Failure;

/// Stored data needs a step, and clients do not break.
const NEEDS_MIGRATION: u8 = 10;
/// Clients may break.
const BREAKS_CLIENTS: u8 = 11;

pub(super) fn run(args: &DiffArgs) -> Result<ExitCode, Failure> {
    let (old, new) = (read(&args.old)?, read(args.new.as_ref().unwrap_or(&args.old))?);
    let (Some(old), Some(new)) = (old, new) else { return Ok(ExitCode::FAILURE) };
    match &args.role {
        Some(from) => of_role(args, (&old, from), (&new, args.to.as_ref().unwrap_or(from))),
        None => Ok(of_models(args.format, &model::diff(&old, &new))),
    }
}

fn of_models(format: Format, diff: &Diff) -> ExitCode {
    let code = match (diff.breaks_clients(), diff.needs_migration()) {
        (true, _) => BREAKS_CLIENTS,
        (false, true) => NEEDS_MIGRATION,
        (false, false) => 0,
    };
    match format {
        Format::Text => anstream::print!("{diff}"),
        Format::Json => anstream::println!("{:#}", with_code(diff.json(), code)),
    }
    ExitCode::from(code)
}

fn of_role(args: &DiffArgs, (old, from): (&Model, &str), (new, to): (&Model, &str)) -> Result<ExitCode, Failure> {
    let changes = model::diff_roles((old, role(old, from)?), (new, role(new, to)?));
    let code = if changes.iter().any(|change| change.class == Class::Breaking) { BREAKS_CLIENTS } else { 0 };
    match args.format {
        Format::Text if changes.is_empty() => anstream::println!("no difference"),
        Format::Text => changes.iter().for_each(|change| anstream::println!("{change}")),
        Format::Json => {
            let all = json!({"changes": changes.iter().map(Change::json).collect::<Vec<_>>()});
            anstream::println!("{:#}", with_code(all, code));
        }
    }
    Ok(ExitCode::from(code))
}

fn with_code(mut document: Value, code: u8) -> Value {
    document["exit_code"] = code.into();
    document
}

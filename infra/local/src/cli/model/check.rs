//! `holdfast model check`: mistakes, or else a summary, warnings, and on request what writes cost.

use std::path::Path;
use std::process::ExitCode;

use holdfast::model::{self, Entity, Mistake, Model, Warning};
use serde_json::{Value, json};

use super::{CheckArgs, Format, parse, show};
use crate::cli::{Failure, terminal};

pub(super) fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let parsed = parse(&args.model)?;
    match (&parsed, args.format) {
        (Ok(model), Format::Text) => right(model, args),
        (Err(mistakes), Format::Text) => {
            show(mistakes);
            let count = mistakes.len();
            terminal::error(&format!("{}: {count} {}", args.model.display(), if count == 1 { "mistake" } else { "mistakes" }));
        }
        (Ok(model), Format::Json) => anstream::println!("{:#}", document(&[], Some(model), args)),
        (Err(mistakes), Format::Json) => anstream::println!("{:#}", document(mistakes, None, args)),
    }
    Ok(if parsed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Summary first, so that what has to be read stands last, at the prompt.
fn right(model: &Model, args: &CheckArgs) {
    let count = |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let (entities, roles) = (count(model.entities.len(), "entity", "entities"), count(model.roles.len(), "role", "roles"));
    let plans = count(model.plans.len(), "plan", "plans");
    anstream::println!("{} {}: {entities}, {roles}, {plans}, no mistakes", model.name, model.version);
    let width = model.entities.iter().map(|entity| entity.name.len()).max().unwrap_or_default();
    for entity in &model.entities {
        let fields = count(entity.fields.len(), "field", "fields");
        let indexes = count(entity.indexes.len(), "index", "indexes");
        anstream::println!("  {:<width$}  /v1/{}: {fields}, {indexes}{}", entity.name, entity.plural, refers_to(model, entity));
    }
    for issuer in &model.auth.issuers {
        anstream::println!("  issuer {}: {}", issuer.alias, model::describe_issuer(issuer).join("; "));
    }
    if args.ceilings {
        anstream::println!("\n{}", model::check(model));
    } else {
        anstream::println!("`--ceilings` shows what writes cost, and how many a second each entity takes.");
    }
    for warning in placed(model, &args.model) {
        terminal::warning(&warning.to_string());
    }
}

fn refers_to(model: &Model, entity: &Entity) -> String {
    let targets: Vec<&str> = entity.to_one.iter().map(|relation| model.entity(relation.target).name.as_str()).collect();
    if targets.is_empty() { String::new() } else { format!(", refers to {}", targets.join(", ")) }
}

/// Warnings as mistakes are shown: with their places in the file.
fn placed(model: &Model, path: &Path) -> Vec<Mistake> {
    let placed = |warning: &Warning| Mistake {
        file: path.display().to_string(),
        line: warning.line,
        column: warning.column,
        message: warning.to_string(),
        help: String::new(),
    };
    model::warnings(model).iter().map(placed).collect()
}

/// `{"ok": true, "mistakes": [], "warnings": [...], "summary": {...}}`, with `ceilings` on request.
fn document(mistakes: &[Mistake], model: Option<&Model>, args: &CheckArgs) -> Value {
    let warnings = model.map(|model| placed(model, &args.model)).unwrap_or_default();
    let mut document = json!({
        "ok": model.is_some(),
        "mistakes": mistakes.iter().map(told).collect::<Vec<_>>(),
        "warnings": warnings.iter().map(told).collect::<Vec<_>>(),
        "summary": model.map(summary),
    });
    if let Some(model) = model.filter(|_| args.ceilings) {
        document["ceilings"] = model::check(model).json();
    }
    document
}

fn told(mistake: &Mistake) -> Value {
    json!({"file": mistake.file, "line": mistake.line, "column": mistake.column, "message": mistake.message, "help": mistake.help})
}

fn summary(model: &Model) -> Value {
    let entity = |entity: &Entity| json!({"name": entity.name, "path": format!("/v1/{}", entity.plural), "fields": entity.fields.len(), "indexes": entity.indexes.len()});
    json!({
        "name": model.name,
        "version": model.version,
        "entities": model.entities.iter().map(entity).collect::<Vec<_>>(),
        "roles": model.roles.iter().map(|role| &role.name).collect::<Vec<_>>(),
        "plans": model.plans.iter().map(|plan| &plan.name).collect::<Vec<_>>(),
        "issuers": model.auth.issuers.iter().map(|issuer| json!({"alias": issuer.alias, "provider": issuer.provider.name(), "means": model::describe_issuer(issuer)})).collect::<Vec<_>>(),
    })
}

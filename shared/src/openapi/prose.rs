//! Introduction of a document: the behaviour of the API as a whole, and the limits of the caller.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::source::Source;
use crate::limit::ResolvedPlan;
use crate::model::{EntityIx, Operation, Window};

/// The plan of the caller.
fn plan(source: &Source<'_>) -> Option<ResolvedPlan> {
    let name = source.caller.plan.as_ref().or(source.model.auth.default_plan.as_ref())?;
    ResolvedPlan::of(source.model.plan(name)?, source.caller.overrides.as_ref()).ok()
}

/// Limits of the caller as data.
pub(super) fn limits(source: &Source<'_>) -> Value {
    if source.caller.anonymous {
        return json!({"per_address": {"requests": source.model.limits.per_address, "per_seconds": 60}});
    }
    let Some(plan) = plan(source) else { return Value::Null };
    let rates: Vec<Value> = plan
        .rates
        .iter()
        .map(|rate| {
            let mut limit =
                json!({"name": rate.name, "units": rate.rate, "per_seconds": rate.per.as_secs_f64(), "burst": rate.gcra.burst()});
            if !rate.only.is_empty() {
                limit["only"] = json!(only(source, &rate.only));
            }
            limit
        })
        .collect();
    let quotas: Vec<Value> = plan
        .quotas
        .iter()
        .map(|quota| json!({"name": quota.name, "units": quota.limit, "window": window(quota.window)}))
        .collect();
    json!({"plan": plan.name, "rates": rates, "quotas": quotas})
}

/// Operations that a rate counts, as the model names them: `order.create`.
fn only(source: &Source<'_>, operations: &[(Option<EntityIx>, Option<Operation>)]) -> Vec<String> {
    let name = |(entity, operation): &(Option<EntityIx>, Option<Operation>)| {
        let entity = entity.map(|entity| source.model.entity(entity).name.clone());
        let operation = operation.map(|operation| operation.name().to_owned());
        entity.into_iter().chain(operation).collect::<Vec<_>>().join(".")
    };
    operations.iter().map(name).collect()
}

fn window(window: Window) -> &'static str {
    match window {
        Window::Hour => "hour",
        Window::Day => "day",
        Window::Month => "month",
    }
}

/// The member `info.description`, Markdown.
pub(super) fn description(source: &Source<'_>) -> String {
    let mut text = source.model.description.clone().unwrap_or_default();
    let roles = source.caller.roles.iter().map(|role| format!("`{role}`")).collect::<Vec<_>>().join(", ");
    let whom = if roles.is_empty() { "a caller without a role".to_owned() } else { format!("a caller with the roles {roles}") };
    // Writing to a string does not fail.
    let _infallible = write!(
        text,
        "\n\nThis document is made for {whom}: it has the operations and members that this caller may use, and nothing else.\n\n\
         ## Limits\n{}\n\n{GENERAL}",
        limits_in_words(source)
    );
    text.trim_start().to_owned()
}

fn limits_in_words(source: &Source<'_>) -> String {
    if source.caller.anonymous {
        let whole = if source.caller.key_id.is_some() { " The key as a whole is limited as well." } else { "" };
        return format!("{} requests a minute from one address.{whole}", source.model.limits.per_address);
    }
    let Some(plan) = plan(source) else { return "No plan applies.".to_owned() };
    let mut text = format!("Plan `{}`, counted in units; an operation costs 1 unless something else stands here.\n", plan.name);
    for rate in &plan.rates {
        let _infallible = writeln!(
            text,
            "- `{}`: {} per {} s, at most {} at once{}.",
            rate.name,
            rate.rate,
            rate.per.as_secs_f64(),
            rate.gcra.burst(),
            if rate.only.is_empty() { String::new() } else { format!(", of {} only", only(source, &rate.only).join(", ")) }
        );
    }
    for quota in &plan.quotas {
        let _infallible = writeln!(text, "- `{}`: {} per calendar {} (UTC).", quota.name, quota.limit, window(quota.window));
    }
    for cost in &plan.costs {
        let of = cost.entity.map_or("every resource", |entity| source.model.entity(entity).plural.as_str());
        let operation = cost.operation.map_or("any operation", |operation| operation.name());
        let _infallible = writeln!(text, "- {operation} of {of} costs {}.", cost.units);
    }
    text.push_str("\nEvery answer says what is left (`RateLimit`); a 429 says when to try again (`Retry-After`).");
    text
}

const GENERAL: &str = "\
## Pages
A list answers with `data` and `next_cursor`. Send that back as `cursor` for the next page, until it is null. A page may be short, even empty, before the end.

## Who may do what
A token or key whose scopes are of the form `entity:action`, `entity:*`, `*:action`, `system:permission` or `*`, or have names that its issuer uses for such, may do only what these and its roles allow; other scopes mean nothing. A 403 says what is missing: `forbidden` a role, `insufficient_scope` a scope (`WWW-Authenticate` names it), `missing_claim` a claim (`claims`). Operations that list no credentials as an alternative can be read by everybody.

## Safe repeats
Send an `Idempotency-Key` with a write, a fresh random one for each, and repeat the request with the same key if no answer comes: it takes effect once, and the answer is the same for 24 hours (`Idempotency-Replayed: true`).

## Changes that do not overwrite others
Records have a strong `ETag`. `If-Match` with it makes a change only if nobody else has changed the record since (412 otherwise). `If-None-Match` makes a read cheap: 304 if nothing is new.

## Values
Decimals are strings, timestamps are RFC 3339 in UTC with milliseconds. A relation `x` shows as the id `x_id`; with `include=x` also as the record. Members that are not known are refused.

## Errors
Errors are `application/problem+json` (RFC 9457): `code` is for programs, `detail` says what would be right, `errors` names every place that is wrong, `correlation_id` names the request.";

//! Authentication: whose tokens and keys are accepted, and as whom.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::describe;
use super::changes::Changes;
use crate::model::evolution::issuer_after;
use crate::model::schema::{Issuer, Model, Scopes};

/// Adds all changes of `auth`.
pub(super) fn auth(changes: &mut Changes, old: &Model, new: &Model) {
    issuers(changes, old, new);
    let shown = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
    let (before, after) = (&old.auth, &new.auth);
    let roles = (shown(&before.anonymous_role), shown(&after.anonymous_role));
    let what = format!("anonymous_role {} -> {}", roles.0, roles.1);
    changes.either(
        "auth",
        roles,
        before.anonymous_role.is_some(),
        what,
        ("callers without credentials may do other things", "callers without credentials may do something"),
    );
    let plans = (shown(&before.default_plan), shown(&after.default_plan));
    let what = format!("default_plan {} -> {}", plans.0, plans.1);
    changes.either("auth", plans, true, what, ("consumers without a plan have other limits", ""));
    ages(changes, before.max_key_age, after.max_key_age);
    for claim in after.claims.iter().filter(|claim| !before.claims.contains(claim)) {
        changes.compatible(
            "auth",
            format!("claim {claim} declared"),
            "row conditions may use it; a token without it meets none of them",
        );
    }
    for claim in before.claims.iter().filter(|claim| !after.claims.contains(claim)) {
        changes.compatible("auth", format!("claim {claim} no longer declared"), "no row condition uses it");
    }
}

fn ages(changes: &mut Changes, was: Option<Duration>, now: Option<Duration>) {
    let shown = |age: Option<Duration>| age.map_or_else(|| "none".to_owned(), describe::duration);
    let shorter = now.is_some_and(|now| was.is_none_or(|was| now < was));
    let why = ("new keys expire sooner", "new keys live longer");
    changes.either("auth", (was, now), shorter, format!("max_key_age {} -> {}", shown(was), shown(now)), why);
}

fn issuers(changes: &mut Changes, old: &Model, new: &Model) {
    for before in &old.auth.issuers {
        let place = format!("issuer {}", before.alias);
        match issuer_after(before, (old, new)) {
            Some(after) => issuer(changes, &place, before, after),
            None => changes.breaking(place, "removed", "its tokens are refused"),
        }
    }
    let known = |after: &Issuer| {
        old.auth.issuers.iter().any(|before| issuer_after(before, (old, new)).is_some_and(|found| found.alias == after.alias))
    };
    for after in new.auth.issuers.iter().filter(|after| !known(after)) {
        changes.compatible(format!("issuer {}", after.alias), "added", "its tokens are accepted");
    }
}

fn issuer(changes: &mut Changes, place: &str, before: &Issuer, after: &Issuer) {
    let mut text = |what: &str, was: &str, now: &str, why: &str| {
        changes.either(place, (was, now), true, format!("{what} {was} -> {now}"), (why, ""));
    };
    text("alias", &before.alias, &after.alias, "consumers and subjects of its tokens have other names, which clients see");
    text("issuer", &before.issuer, &after.issuer, "tokens of the other one are refused; subjects are other ones");
    text("provider", before.provider.name(), after.provider.name(), "tokens are read as another provider makes them");
    let (was, now) = (key_source(before), key_source(after));
    text("keys", &was, &now, "tokens signed by keys that are only there before are refused");
    text("claim of the consumer", &before.consumer_claim, &after.consumer_claim, "tokens mean other consumers");
    text(
        "claim of the subject",
        &before.subject_claim,
        &after.subject_claim,
        "tokens mean other subjects; stored ones follow by a step",
    );
    text("claim of the roles", &before.roles_claim, &after.roles_claim, "tokens give other roles");
    text("claim of the plan", &before.plan_claim, &after.plan_claim, "tokens give other plans");
    text("claim of the scopes", &before.scopes_claim, &after.scopes_claim, "tokens give other scopes");
    let (was, now) = (before.client_claims.join(" or "), after.client_claims.join(" or "));
    text("claim of the client", &was, &now, "tokens mean other clients");
    rule_claims(changes, place, before, after);
    scopes(changes, place, &before.scopes, &after.scopes);
    receivers(changes, place, "audience", (&before.audiences, &after.audiences));
    receivers(changes, place, "client", (&before.clients, &after.clients));
    changes.listed(
        place,
        "algorithm",
        (&before.algorithms, &after.algorithms),
        ("tokens signed so are refused", "more tokens are accepted"),
    );
    let why = ("tokens that name no role lose it", "tokens that name no role get it");
    changes.listed(place, "default role", (&before.default_roles, &after.default_roles), why);
    for (what, was, now) in [("max_lifetime", before.max_lifetime, after.max_lifetime), ("leeway", before.leeway, after.leeway)] {
        let shown = format!("{what} {} -> {}", describe::duration(was), describe::duration(now));
        changes.either(
            place,
            (was, now),
            now < was,
            shown,
            ("tokens that were accepted are refused", "more tokens are accepted"),
        );
    }
}

/// Where claims that row conditions use stand in tokens.
fn rule_claims(changes: &mut Changes, place: &str, before: &Issuer, after: &Issuer) {
    let names: BTreeSet<&String> = before.rule_claims.keys().chain(after.rule_claims.keys()).collect();
    for name in names {
        let (was, now) = (before.rule_claims.get(name).unwrap_or(name), after.rule_claims.get(name).unwrap_or(name));
        let why = ("tokens mean other rows, or none", "");
        changes.either(place, (was, now), true, format!("claim {name} is in {was} -> {now}"), why);
    }
}

/// Where an issuer's keys come from.
fn key_source(issuer: &Issuer) -> String {
    issuer.jwks_uri.clone().unwrap_or_else(|| format!("by {}", issuer.discovery_uri()))
}

/// Audiences or clients; none means that any is accepted.
fn receivers(changes: &mut Changes, place: &str, what: &str, (was, now): (&[String], &[String])) {
    match (was, now) {
        ([], []) => {}
        (_, []) => changes.compatible(place, format!("any {what} is accepted"), "more tokens are accepted"),
        ([], now) => {
            changes.breaking(place, format!("{what} must be {}", now.join(" or ")), "tokens for another one are refused");
        }
        _ => changes.listed(place, what, (was, now), ("its tokens are refused", "more tokens are accepted")),
    }
}

/// What scopes of an issuer mean.
fn scopes(changes: &mut Changes, place: &str, was: &Scopes, now: &Scopes) {
    let prefixes = (was.prefix.as_str(), now.prefix.as_str());
    let what = format!("prefix of scopes \"{}\" -> \"{}\"", prefixes.0, prefixes.1);
    changes.either(place, prefixes, true, what, ("scopes that begin otherwise mean nothing", ""));
    let required = (was.required, now.required);
    let what = format!("scopes are {}required", if now.required { "" } else { "no longer " });
    let why = ("a token without a scope of these may do nothing", "a token without a scope of these is not narrowed");
    changes.either(place, required, now.required, what, why);
    for (scope, opens) in &was.map {
        match now.map.get(scope) {
            None => changes.breaking(place, format!("scope {scope} removed"), "it means nothing any more"),
            Some(then) if then != opens => {
                let loses = opens.iter().any(|one| !then.contains(one));
                let what = format!("scope {scope} opens [{}] -> [{}]", opens.join(", "), then.join(", "));
                changes.either(place, (opens, then), loses, what, ("tokens with it may do less", "tokens with it may do more"));
            }
            Some(_) => {}
        }
    }
    for scope in now.map.keys().filter(|scope| !was.map.contains_key(*scope)) {
        changes.breaking(place, format!("scope {scope} added"), "a token with it may do only what its scopes open");
    }
}

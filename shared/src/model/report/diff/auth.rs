//! Authentication: whose tokens and keys are accepted, and as whom.

use std::time::Duration;

use super::super::describe;
use super::changes::Changes;
use crate::model::evolution::issuer_after;
use crate::model::schema::{Issuer, Model};

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
    text("jwks_uri", &before.jwks_uri, &after.jwks_uri, "tokens signed by keys that are only there before are refused");
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
    changes.listed(
        place,
        "audience",
        (&before.audiences, &after.audiences),
        ("its tokens are refused", "more tokens are accepted"),
    );
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

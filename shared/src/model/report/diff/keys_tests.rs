//! Every key of the format has a decision: for each there is a change of that key alone, and `model diff` says something about it.

use std::collections::BTreeSet;

use super::{Class, diff};
use crate::model::parse;
use crate::model::schema::{Action, Op, Operation, SystemPermission};
use crate::model::source::{keys, types};

const BASE: &str = r#"
name: Shop
description: Old.
version: 1.0.0
entities:
  customer:
    id: string
    plural: customers
    fields: {name: {type: string, max: 50}, country: {type: string, max: 2}}
    indexes: {by_country: {equality: country}}
  company: {id: string, fields: {name: string}}
  order:
    description: Old.
    id: string
    cache: strict
    public: 60s
    contention: 1000
    require_if_match: false
    max_bytes: 16 KB
    timestamps: true
    deprecated: {since: 2026-01-01, sunset: 2027-01-01, replacement: x, operations: [create]}
    fields:
      s: {type: string, min: 1, max: 80, pattern: "[a-z]*", description: Old., example: ab, filter: scan}
      t: {type: text, min: 1, max: 80, pattern: "[a-z]*"}
      i: {type: integer, min: 1, max: 80, default: 2, required: false, nullable: false}
      d: {type: decimal, scale: 2, min: 1, max: 80}
      n: {type: number, min: 1, max: 80, unique: false, immutable: false, read_only: false, write_only: false}
      b: boolean
      day: date
      at: timestamp
      e: {enum: [open, paid]}
      mail: email
      web: url
      u: uuid
      j: {type: json, schema: {type: object}}
      f: {type: file, max_size: 1 MB, content_types: image/*, inline: image/png, link_expiry: 1m, share_expiry: 1d}
      l: {list: string, max_items: 9}
      customer: {ref: customer, on_delete: restrict, inverse: orders}
      old: {type: string, deprecated: {since: 2026-01-01}}
    indexes:
      by_e: {equality: e, sort: [-d], fields: [d]}
roles:
  staff:
    description: Old.
    all: false
    inherits: other
    entities:
      order: {list: true, read: {rows: {s: ab}, fields: [s, t]}, create: {fields: [s, {customer: {link: true}}]}}
    system: usage
  other: {entities: {customer: {view: true}, order: {list: true}}}
plans:
  free:
    description: Old.
    rates: {burst: {rate: 10, per: 1s, burst: 20, only: [order]}}
    quotas: {hour: 10, day: 100, month: 1000}
    costs: {list: 2}
    thresholds: [80]
    when_unavailable: admit
auth:
  issuers:
    one:
      issuer: one
      jwks_uri: https://k.example/
      provider: okta
      audiences: [a]
      clients: [c1]
      algorithms: [RS256]
      claims: {consumer: c, subject: s, roles: r, plan: p, scopes: o, client: cl}
      scopes: {prefix: "x/", required: false, map: {"read:orders": [order.read]}}
      max_lifetime: 1h
      leeway: 30s
      default_roles: [staff]
  claims: [org]
  anonymous_role: other
  default_plan: free
  max_key_age: 30d
cors: {origins: ["https://a.example"], max_age: 1m}
limits: {examine: 100, per_address: 100}
"#;

/// A key, and a replacement in [`BASE`] that changes what it says.
const CHANGES: &[(&str, &str, &str)] = &[
    ("model.name", "name: Shop", "name: Store"),
    ("model.description", "description: Old.\nversion", "description: New.\nversion"),
    ("model.version", "version: 1.0.0", "version: 1.0.1"),
    ("model.entities", "  company: {id: string, fields: {name: string}}\n", ""),
    ("model.roles", "  other: {", "  another: {system: usage}\n  other: {"),
    ("model.plans", "plans:\n", "plans:\n  cheap: {rates: {burst: {rate: 1}}}\n"),
    ("model.auth", "  max_key_age: 30d\n", ""),
    ("model.cors", "cors: {origins: [\"https://a.example\"], max_age: 1m}\n", ""),
    ("model.limits", "limits: {examine: 100, per_address: 100}\n", ""),
    ("entity.was", "  company: {", "  firm: {was: company, plural: companys, "),
    ("entity.plural", "plural: customers", "plural: clients"),
    ("entity.description", "    description: Old.\n    id: string", "    description: New.\n    id: string"),
    ("entity.id", "company: {id: string", "company: {id: uuid"),
    ("entity.fields", "fields: {name: string}", "fields: {name: string, more: string}"),
    ("entity.indexes", "    indexes: {by_country: {equality: country}}\n", ""),
    ("entity.cache", "cache: strict", "cache: off"),
    ("entity.public", "public: 60s", "public: 30s"),
    ("entity.contention", "contention: 1000", "contention: 2000"),
    ("entity.require_if_match", "require_if_match: false", "require_if_match: true"),
    ("entity.deprecated", "    deprecated: {since: 2026-01-01, sunset: 2027-01-01, replacement: x, operations: [create]}\n", ""),
    ("entity.max_bytes", "max_bytes: 16 KB", "max_bytes: 15 KB"),
    ("entity.timestamps", "timestamps: true", "timestamps: false"),
    ("field.was", "      day: date", "      date_of: {type: date, was: day}"),
    ("field.required", "required: false, nullable: false", "required: false, nullable: true"),
    ("field.nullable", "nullable: false", "nullable: true"),
    ("field.default", "default: 2", "default: 3"),
    ("field.fill", "      day: date", "      day: date\n      gift: {type: boolean, fill: false}"),
    ("field.unique", "unique: false", "unique: true"),
    ("field.immutable", "immutable: false", "immutable: true"),
    ("field.read_only", "read_only: false", "read_only: true"),
    ("field.write_only", "write_only: false", "write_only: true"),
    ("field.description", "\"[a-z]*\", description: Old.", "\"[a-z]*\", description: New."),
    ("field.example", "example: ab", "example: cd"),
    ("field.deprecated", "{type: string, deprecated: {since: 2026-01-01}}", "string"),
    ("field.filter", ", filter: scan}", "}"),
    ("index.equality", "{equality: e, sort", "{equality: b, sort"),
    ("index.sort", "[-d]", "[d]"),
    ("index.fields", "fields: [d]", "fields: [d, b]"),
    ("cache.bounded", "cache: strict", "cache: {bounded: 2s}"),
    ("deprecation.since", "since: 2026-01-01, sunset", "since: 2026-01-02, sunset"),
    ("deprecation.sunset", "sunset: 2027-01-01", "sunset: 2027-01-02"),
    ("deprecation.replacement", "replacement: x", "replacement: y"),
    ("deprecation.operations", "operations: [create]", "operations: [delete]"),
    ("role.description", "    description: Old.\n    all", "    description: New.\n    all"),
    ("role.inherits", "    inherits: other\n", ""),
    ("role.all", "all: false", "all: true"),
    ("role.entities", "order: {list: true}}}\n", "order: {list: true}, company: all}}\n"),
    ("role.system", "system: usage", "system: audit"),
    ("permission.rows", "rows: {s: ab}", "rows: {s: cd}"),
    ("permission.fields", "fields: [s, t]", "fields: [s]"),
    ("permission.link", "{customer: {link: true}}", "customer"),
    ("plan.description", "    description: Old.\n    rates", "    description: New.\n    rates"),
    ("plan.rates", "rates: {burst: {", "rates: {more: {rate: 1}, burst: {"),
    ("plan.quotas", "hour: 10, ", ""),
    ("plan.costs", "{list: 2}", "{list: 3}"),
    ("plan.thresholds", "thresholds: [80]", "thresholds: [90]"),
    ("plan.when_unavailable", "when_unavailable: admit", "when_unavailable: refuse"),
    ("rate.rate", "rate: 10", "rate: 9"),
    ("rate.per", "per: 1s", "per: 2s"),
    ("rate.burst", "burst: 20", "burst: 19"),
    ("rate.only", "only: [order]", "only: [order.create]"),
    ("auth.issuers", "    one:\n", "    two:\n"),
    ("auth.claims", "claims: [org]", "claims: [org, more]"),
    ("auth.anonymous_role", "anonymous_role: other", "anonymous_role: staff"),
    ("auth.default_plan", "  default_plan: free\n", ""),
    ("auth.max_key_age", "max_key_age: 30d", "max_key_age: 31d"),
    ("issuer.provider", "provider: okta", "provider: keycloak"),
    ("issuer.clients", "clients: [c1]", "clients: [c1, c2]"),
    ("issuer.scopes", "      scopes: {prefix: \"x/\", required: false, map: {\"read:orders\": [order.read]}}\n", ""),
    ("scopes.prefix", "prefix: \"x/\"", "prefix: \"y/\""),
    ("scopes.map", "[order.read]", "[order.read, order.list]"),
    ("scopes.required", "x/\", required: false", "x/\", required: true"),
    ("claims.client", "client: cl}", "client: cx}"),
    ("issuer.issuer", "issuer: one", "issuer: two"),
    ("issuer.jwks_uri", "https://k.example/", "https://l.example/"),
    ("issuer.audiences", "audiences: [a]", "audiences: [a, b]"),
    ("issuer.algorithms", "algorithms: [RS256]", "algorithms: [ES256]"),
    ("issuer.claims", "claims: {consumer: c, ", "claims: {"),
    ("issuer.max_lifetime", "max_lifetime: 1h", "max_lifetime: 2h"),
    ("issuer.leeway", "leeway: 30s", "leeway: 20s"),
    ("issuer.default_roles", "default_roles: [staff]", "default_roles: [other]"),
    ("claims.consumer", "consumer: c", "consumer: x"),
    ("claims.subject", "subject: s,", "subject: x,"),
    ("claims.roles", "roles: r,", "roles: x,"),
    ("claims.plan", "plan: p", "plan: x"),
    ("claims.scopes", "scopes: o", "scopes: x"),
    ("cors.origins", "[\"https://a.example\"]", "[\"https://b.example\"]"),
    ("cors.max_age", "max_age: 1m", "max_age: 2m"),
    ("limits.examine", "examine: 100", "examine: 200"),
    ("limits.per_address", "per_address: 100", "per_address: 200"),
    ("string.min", "s: {type: string, min: 1", "s: {type: string, min: 2"),
    ("string.max", "s: {type: string, min: 1, max: 80", "s: {type: string, min: 1, max: 81"),
    ("string.pattern", "pattern: \"[a-z]*\", description", "pattern: \"[a-z]+\", description"),
    ("text.min", "t: {type: text, min: 1", "t: {type: text, min: 2"),
    ("text.max", "t: {type: text, min: 1, max: 80", "t: {type: text, min: 1, max: 81"),
    ("text.pattern", "pattern: \"[a-z]*\"}", "pattern: \"[a-z]+\"}"),
    ("integer.min", "i: {type: integer, min: 1", "i: {type: integer, min: 2"),
    ("integer.max", "i: {type: integer, min: 1, max: 80", "i: {type: integer, min: 1, max: 81"),
    ("decimal.scale", "scale: 2", "scale: 3"),
    ("decimal.min", "scale: 2, min: 1", "scale: 2, min: 2"),
    ("decimal.max", "scale: 2, min: 1, max: 80", "scale: 2, min: 1, max: 81"),
    ("number.min", "n: {type: number, min: 1", "n: {type: number, min: 2"),
    ("number.max", "n: {type: number, min: 1, max: 80", "n: {type: number, min: 1, max: 81"),
    ("json.schema", "schema: {type: object}", "schema: {type: array}"),
    ("ref.on_delete", "on_delete: restrict", "on_delete: cascade"),
    ("ref.inverse", ", inverse: orders", ""),
    ("file.max_size", "max_size: 1 MB", "max_size: 2 MB"),
    ("file.content_types", "content_types: image/*", "content_types: image/png"),
    ("file.inline", "inline: image/png", "inline: image/gif"),
    ("file.link_expiry", "link_expiry: 1m", "link_expiry: 2m"),
    ("file.share_expiry", "share_expiry: 1d", "share_expiry: 2d"),
    ("list.max_items", "max_items: 9", "max_items: 8"),
];

/// Keys of all mappings with fixed keys, and the limits of all types.
fn all_keys() -> BTreeSet<String> {
    let mappings: [(&str, &[&str]); 16] = [
        ("model", &keys::MODEL),
        ("entity", &keys::ENTITY),
        ("field", &keys::FIELD),
        ("index", &keys::INDEX),
        ("cache", &keys::CACHE),
        ("deprecation", &keys::DEPRECATION),
        ("role", &keys::ROLE),
        ("permission", &keys::PERMISSION),
        ("plan", &keys::PLAN),
        ("rate", &keys::RATE),
        ("auth", &keys::AUTH),
        ("issuer", &keys::ISSUER),
        ("claims", &keys::CLAIMS),
        ("scopes", &keys::SCOPES),
        ("cors", &keys::CORS),
        ("limits", &keys::LIMITS),
    ];
    let named = |(name, keys): (&'static str, &'static [&'static str])| keys.iter().map(move |key| format!("{name}.{key}"));
    let mut all: BTreeSet<String> =
        mappings.iter().copied().flat_map(|(name, keys)| keys.iter().map(move |key| format!("{name}.{key}"))).collect();
    all.extend(types().flat_map(named));
    all.insert("permission.link".to_owned());
    all
}

#[test]
fn every_key_of_the_format_has_a_decision() {
    let base = parse("base", BASE).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let covered: BTreeSet<String> = CHANGES.iter().map(|(key, ..)| (*key).to_owned()).collect();
    assert_eq!(covered, all_keys());
    for (key, from, to) in CHANGES {
        assert_eq!(BASE.matches(from).count(), 1, "{key}: `{from}` has to stand there once");
        let new = parse(key, &BASE.replace(from, to)).unwrap_or_else(|mistakes| panic!("{key}: {mistakes:#?}"));
        let (there, back) = (diff(&base, &new), diff(&new, &base));
        assert!(!there.changes.is_empty(), "{key}: a change of it is silent");
        assert!(!back.changes.is_empty(), "{key}: a change of it is silent on the way back");
    }
}

/// Every type becomes every other one: never in silence, and never without a step where stored values cannot stay.
#[test]
fn every_type_may_become_every_other_one() {
    let all = [
        "string",
        "text",
        "integer",
        "decimal",
        "number",
        "boolean",
        "date",
        "timestamp",
        "{enum: [a]}",
        "email",
        "url",
        "uuid",
        "json",
        "file",
        "{list: string}",
        "{list: integer}",
    ];
    let known: BTreeSet<&str> = types().map(|(name, _)| name).collect();
    let shown: String = all.join(" ");
    assert!(known.iter().all(|name| *name == "ref" || shown.contains(name)), "{known:?}");
    let model = |kind: &str| parse("m", &format!("name: T\nentities: {{a: {{fields: {{x: {kind}}}}}}}\n")).unwrap();
    for (from, to) in all.iter().flat_map(|from| all.iter().map(move |to| (from, to))).filter(|(from, to)| from != to) {
        let diff = diff(&model(from), &model(to));
        let alike = ["string", "text"].contains(from) && ["string", "text"].contains(to);
        let class = diff.changes.first().map(|change| change.class);
        assert_eq!(class, Some(if alike { Class::Compatible } else { Class::Breaking }), "{from} -> {to}: {diff}");
    }
}

/// What stands in mappings without fixed keys: words that the code lists.
#[test]
fn every_action_and_system_permission_that_goes_or_comes_is_told() {
    let model =
        |may: &str| parse("m", &format!("name: T\nentities: {{a: {{fields: {{x: string}}}}}}\nroles: {{r: {may}}}\n")).unwrap();
    let nothing = model("{description: x}");
    for action in Action::ALL {
        let some = model(&format!("{{description: x, entities: {{a: {{{}: true}}}}}}", action.name()));
        assert!(diff(&some, &nothing).breaks_clients(), "{action:?}");
        assert!(!diff(&nothing, &some).breaks_clients() && !diff(&nothing, &some).changes.is_empty(), "{action:?}");
    }
    for permission in SystemPermission::ALL {
        let some = model(&format!("{{description: x, system: {}}}", permission.name()));
        assert!(diff(&some, &nothing).breaks_clients(), "{permission:?}");
        assert!(!diff(&nothing, &some).changes.is_empty(), "{permission:?}");
    }
}

#[test]
fn every_operator_of_a_condition_is_told_apart() {
    let model = |op: &str| {
        let operand = match op {
            "in" | "nin" => "[a]",
            "null" => "true",
            _ => "a",
        };
        let rows = format!("{{x: {{{op}: {operand}}}}}");
        parse("m", &format!("name: T\nentities: {{a: {{fields: {{x: string}}}}}}\nroles: {{r: {{entities: {{a: {{read: {{rows: {rows}}}}}}}}}}}\n"))
            .unwrap()
    };
    for (one, other) in Op::ALL.into_iter().flat_map(|one| Op::ALL.map(|other| (one, other))).filter(|(one, other)| one != other)
    {
        assert!(diff(&model(one.name()), &model(other.name())).breaks_clients(), "{one:?} -> {other:?}");
    }
}

#[test]
fn every_operation_of_a_cost_is_told() {
    let model = |costs: &str| {
        let plans = format!("plans: {{p: {{rates: {{r: {{rate: 9}}}}, costs: {{{costs}}}}}}}");
        parse("m", &format!("name: T\nentities: {{a: {{fields: {{x: string}}}}}}\n{plans}\n")).unwrap()
    };
    for operation in Operation::ALL {
        let costs = diff(&model(""), &model(&format!("{}: 2", operation.name())));
        assert_eq!(costs.changes.len(), 1, "{operation:?}");
    }
}

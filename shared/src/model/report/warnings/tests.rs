//! What is warned of, and what is not.

use super::warnings;

fn warned(model: &str) -> Vec<String> {
    let model = crate::model::parse("model.yaml", model).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    warnings(&model).iter().map(ToString::to_string).collect()
}

const ROLES: &str = "roles: {admin: {all: true, system: all}}\n";

/// The warnings about an entity `thing` with these fields.
fn fields(fields: &str) -> Vec<String> {
    warned(&format!("name: T\nentities: {{thing: {{timestamps: false, fields: {{{fields}}}}}}}\n{ROLES}"))
}

#[test]
fn a_model_that_means_what_it_says_has_none() {
    assert_eq!(warned(include_str!("../../../../../model.yaml")), Vec::<String>::new());
    let fine = "a: {type: decimal, scale: 3, min: 0.001, max: 1.0000}, b: {type: string, required: true, unique: true}, \
                c: {type: integer, read_only: true, default: 0}, d: {enum: [x, y]}, e: file";
    assert_eq!(fields(fine), Vec::<String>::new());
}

#[test]
fn limits_that_leave_next_to_nothing() {
    for (field, expected) in [
        ("{type: string, max: 0}", "`max: 0` allows only the empty text"),
        ("{list: {type: string, max: 0}}", "`max: 0` allows only the empty text"),
        ("{type: integer, min: 3, max: 3}", "3 is the only value that `min` and `max` allow"),
        ("{enum: [only]}", "an enum of one word can have no other value"),
        ("{type: boolean, unique: true}", "unique with 2 possible values: there can be at most 2 records that have one"),
        (
            "{type: decimal, scale: 1, max: 0.25}",
            "`max: 0.25` is finer than the values: values have at most 1 digits after the point; set `scale` or round it",
        ),
        (
            "{type: string, required: true, default: x}",
            "`required` has no effect beside `default`: a create may leave the field out",
        ),
        ("{type: string, read_only: true}", "read_only without a default: it is null in every record, and nobody can set it"),
    ] {
        assert_eq!(fields(&format!("a: {field}")), [format!("entities.thing.fields.a: {expected}")], "{field}");
    }
}

#[test]
fn entities_that_require_each_other() {
    let model = |first: &str, second: &str| {
        format!(
            "name: T\nentities:\n  a: {{fields: {{b: {{ref: b{first}}}}}}}\n  b: {{fields: {{a: {{ref: a{second}}}}}}}\n{ROLES}"
        )
    };
    let both = warned(&model(", required: true", ", required: true"));
    assert_eq!(both, ["entities.a: a -> b -> a require each other, so no first record can be created; drop one `required`"]);
    assert_eq!(warned(&model(", required: true", "")), Vec::<String>::new());
    let own = |id: &str| format!("name: T\nentities: {{a: {{id: {id}, fields: {{up: {{ref: a, required: true}}}}}}}}\n{ROLES}");
    assert_eq!(warned(&own("uuid")).len(), 1);
    assert_eq!(warned(&own("string")), Vec::<String>::new(), "a record may name itself");
}

#[test]
fn plurals_that_english_writes_otherwise() {
    let of = |entity: &str| warned(&format!("name: T\nentities: {{{entity}: {{fields: {{x: string}}}}}}\n{ROLES}"));
    assert_eq!(of("category"), ["entities.category: its path is /v1/categorys; write `plural: categories` if that is meant"]);
    assert_eq!(of("box"), ["entities.box: its path is /v1/boxs; write `plural: boxes` if that is meant"]);
    assert_eq!(of("day"), Vec::<String>::new());
    let said = format!("name: T\nentities: {{box: {{plural: boxs2, fields: {{x: string}}}}}}\n{ROLES}");
    assert_eq!(warned(&said), Vec::<String>::new());
}

#[test]
fn indexes_that_another_one_serves() {
    let of = |indexes: &str| {
        let fields = "x: {type: string, max: 9}, y: integer";
        warned(&format!("name: T\nentities: {{thing: {{fields: {{{fields}}}, indexes: {{{indexes}}}}}}}\n{ROLES}"))
    };
    let twice = of("one: {equality: x, sort: [-y]}, two: {equality: x, sort: [-y]}");
    assert_eq!(twice, ["entities.thing.indexes.two: `one` serves the same queries; every write pays for both"]);
    assert_eq!(of("one: {equality: x}, two: {equality: x, sort: y}").len(), 1, "any order will do for the first");
    assert_eq!(of("one: {equality: x, sort: y}, two: {equality: x, sort: [-y]}"), Vec::<String>::new());
}

#[test]
fn roles_and_plans_that_do_nothing() {
    let thing = "name: T\nentities: {thing: {fields: {x: string}}}\n";
    assert_eq!(
        warned(thing),
        ["roles: there are none, so nobody may do anything; begin with `roles: {admin: {all: true, system: all}}`"]
    );
    let empty = warned(&format!("{thing}roles: {{nobody: {{description: x}}}}\n"));
    assert_eq!(
        empty,
        [
            "entities.thing: no role may do anything with it",
            "roles: there is no issuer, and no role has the system permission `consumers`: nobody can be given a role",
            "roles.nobody: it permits nothing"
        ]
    );
    let plan = |plan: &str, auth: &str| warned(&format!("{thing}{ROLES}plans: {{p: {plan}}}\nauth: {{default_plan: p{auth}}}\n"));
    assert_eq!(plan("{rates: {r: {rate: 100}}, quotas: {day: 10}, costs: {list: 11}}", "").len(), 1);
    let unplanned = warned(&format!("{thing}{ROLES}plans: {{p: {{rates: {{r: {{rate: 9}}}}}}}}\n"));
    assert_eq!(unplanned, ["auth: there are plans and no `default_plan`: a consumer without a plan is not limited"]);
}
/// Flags, limits and keys that have no effect, or another one than they look like.
#[test]
fn flags_that_cancel_each_other() {
    for (field, expected) in [
        (
            "{type: string, read_only: true, immutable: true, default: x}",
            "read_only: nobody changes it anyway; `immutable` has no effect",
        ),
        ("{type: integer, unique: true, default: 1}", "unique with a default: the second record that leaves it out is refused"),
        (
            "{type: integer, min: 1, max: 3, unique: true}",
            "unique with 3 possible values: there can be at most 3 records that have one",
        ),
        (
            "{type: string, write_only: true, filter: scan}",
            "write_only with `filter: scan`: nobody may filter by what nobody may read",
        ),
        ("{type: integer, default: 1, fill: 1}", "`fill` says what `default` does already"),
        ("{type: number, min: 0.5, max: 0.5}", "0.5 is the only value that `min` and `max` allow"),
        ("{type: decimal, min: 1.50, max: 1.5}", "1.50 is the only value that `min` and `max` allow"),
        ("{type: string, pattern: \"^a$\"}", "a pattern matches the whole value: `^` and `$` at its ends have no effect"),
        ("{enum: [Open, open]}", "`Open` and `open` are different words that differ by case only"),
        (
            "{type: file, content_types: image/*, inline: application/pdf}",
            "`inline` names application/pdf, which `content_types` does not accept",
        ),
        ("{type: text, max: 100000}", "`max: 100000` is more than a record can hold: `max_bytes` is 65536"),
    ] {
        assert_eq!(fields(&format!("a: {field}")), [format!("entities.thing.fields.a: {expected}")], "{field}");
    }
    let ref_ = warned(&format!(
        "name: T\nentities: {{thing: {{fields: {{up: {{ref: thing, on_delete: set_null, immutable: true}}}}}}}}\n{ROLES}"
    ));
    assert_eq!(
        ref_,
        [
            "entities.thing.fields.up: `on_delete: set_null` changes what `immutable` says never changes; clients cannot set it again"
        ]
    );
}

#[test]
fn entities_and_indexes_that_are_hardly_meant() {
    let of = |entity: &str| warned(&format!("name: T\nentities: {{{entity}}}\n{ROLES}"));
    assert_eq!(
        of("list: {fields: {x: string}}"),
        ["entities.list: in `costs` and `only`, `list` means the operation, not this entity"]
    );
    assert_eq!(of("a: {fields: {}}"), ["entities.a.fields: there is none: a record is its id"]);
    assert_eq!(
        of("a: {max_bytes: 64, fields: {x: string}}"),
        ["entities.a.max_bytes: hardly any record is that small: 64 bytes of JSON"]
    );
    assert_eq!(
        of("a: {fields: {x: integer}, indexes: {i: {sort: [id, x]}}}"),
        ["entities.a.indexes.i: no two records have one id: what stands behind `id` orders nothing"]
    );
    assert_eq!(
        of("a: {fields: {x: {type: integer, unique: true}, y: integer}, indexes: {i: {equality: x, sort: y}}}"),
        ["entities.a.indexes.i: a unique field fixes one record already: its own index serves the same queries"]
    );
}

/// What a role `r` may do with `thing` is warned of; `other` may be read by nobody.
#[test]
fn permissions_that_permit_nothing() {
    let of = |may: &str| {
        let entities = "  thing: {fields: {s: {enum: [a, b], default: a, filter: scan}, n: {type: integer, filter: scan}, p: {type: string, write_only: true}}}\n  \
                        child: {fields: {t: {ref: thing, required: true}}}\n";
        warned(&format!("name: T\nentities:\n{entities}{ROLES}  \n").replace(
            "roles: {admin: {all: true, system: all}}",
            &format!("roles: {{admin: {{all: true, system: all}}, r: {{entities: {{{may}}}}}}}"),
        ))
    };
    let never = "its condition can never hold, so it permits nothing";
    for rows in [
        "{and: [{s: a}, {s: b}]}",
        "{s: []}",
        "{s: null}",
        "{n: 1, and: [{n: null}]}",
        "{not: {s: [a, b]}}",
        "{id: {null: true}}",
    ] {
        assert_eq!(
            of(&format!("thing: {{read: {{rows: {rows}}}}}")),
            [format!("roles.r.entities.thing: read: {never}")],
            "{rows}"
        );
    }
    for rows in ["{s: [a, b]}", "{s: {null: false}}", "{n: {nin: []}}", "{or: [{n: 1}, {s: {in: [b, a]}}]}"] {
        assert_eq!(
            of(&format!("thing: {{read: {{rows: {rows}}}}}")),
            ["roles.r.entities.thing: read: its condition always holds"],
            "{rows}"
        );
    }
    for rows in ["{s: a}", "{and: [{s: [a, b]}, {s: a}]}", "{n: null}", "{s: a, n: {gt: 1}}"] {
        assert_eq!(of(&format!("thing: {{read: {{rows: {rows}}}}}")), [""; 0], "{rows}");
    }
    assert_eq!(
        of("thing: {read: {rows: {}}}"),
        ["roles.r.entities.thing.read.rows: an empty condition covers all rows; leave it out if that is meant"]
    );
    assert_eq!(
        of("thing: {view: {fields: [s, p]}}"),
        ["roles.r.entities.thing.view.fields: `p` is write_only: it is never shown"]
    );
    assert_eq!(
        of("child: {create: true}"),
        ["roles.r.entities.child: create: `t_id` is required, and the role may not read `thing`, so that every one is refused; \
          add `{thing: {link: true}}` to its fields"]
    );
    assert_eq!(of("child: {create: {fields: [{t: {link: true}}]}}"), [""; 0]);
    assert_eq!(of("thing: {read: true}, child: {create: true}"), [""; 0]);
    assert_eq!(
        of("thing: {create: {rows: {s: b}, fields: [n]}}"),
        ["roles.r.entities.thing: create: its condition wants `s` to be \"b\", which it may not write; a new record has \"a\""]
    );
    assert_eq!(of("thing: {create: {rows: {s: a}, fields: [n]}}"), [""; 0]);
}

#[test]
fn plans_settings_and_issuers_without_effect() {
    let thing = "name: T\nentities: {thing: {fields: {x: {type: string, filter: scan}}}}\n";
    let with = |rest: &str| warned(&format!("{thing}{ROLES}{rest}"));
    let plan = |plan: &str| with(&format!("plans: {{p: {{rates: {{r: {{rate: 9}}}}, {plan}}}}}\nauth: {{default_plan: p}}\n"));
    assert_eq!(plan("thresholds: [50]"), ["plans.p.thresholds: they are shares of a quota, and there is none"]);
    assert_eq!(
        plan("quotas: {hour: 10, day: 10}"),
        ["plans.p.quotas.hour: it is never reached: the quota of the day is no greater"]
    );
    assert_eq!(plan("quotas: {hour: 10, day: 11, month: 12}, thresholds: [50]"), [""; 0]);
    assert_eq!(with("limits: {examine: 0}\n").len(), 1);
    assert_eq!(with("cors: {origins: [\"*\", \"https://a.example\"]}\n").len(), 1);
    assert_eq!(with("auth: {claims: [org]}\n"), ["auth.claims: no row condition uses `$claim.org`"]);
    assert_eq!(
        with("auth: {anonymous_role: admin}\n"),
        ["auth.anonymous_role: callers without credentials may use system resources"]
    );
    let issuer = |more: &str| {
        let issuer = "issuer: x, jwks_uri: \"https://k.example/\"";
        with(&format!("auth: {{issuers: {{i: {{{issuer}, {more}}}}}}}\n"))
    };
    assert_eq!(issuer("audiences: [a], algorithms: []").len(), 1);
    assert_eq!(issuer("audiences: [a], default_roles: [admin]").len(), 1);
    assert_eq!(issuer("audiences: [a], leeway: 1m, max_lifetime: 1m").len(), 1);
    assert_eq!(issuer("audiences: [a]"), [""; 0]);
    assert_eq!(
        warned(&format!("{thing}roles: {{admin: {{all: true}}}}\n")),
        ["roles: there is no issuer, and no role has the system permission `consumers`: nobody can be given a role"]
    );
    assert_eq!(
        warned(&format!("{}{ROLES}", thing.replace("name: T", "name: \"\""))),
        ["name: it is empty, and the title of all documents"]
    );
}

/// A warning stands where the key does that it is about.
#[test]
fn a_warning_has_a_place_in_the_file() {
    let source = format!(
        "name: T\nentities:\n  thing:\n    fields:\n      up: {{ref: thing, immutable: true, on_delete: set_null}}\n{ROLES}"
    );
    let model = crate::model::parse("m", &source).unwrap();
    let found: Vec<_> = warnings(&model).iter().map(|warning| (warning.line, warning.column)).collect();
    assert_eq!(found, [(5, 7)]);
}

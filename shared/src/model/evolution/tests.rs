//! What every change of a model needs over stored data.

use serde_json::{Value, json};

use super::{Conversion, Form, conversion, convert, steps};
use crate::model::{Model, parse};

const BEFORE: &str = r"
name: Shop
entities:
  customer:
    id: string
    fields: {name: {type: string, max: 50, required: true}, country: {type: string, max: 2}}
  order:
    fields:
      buyer: {type: string, max: 128}
      customer: {ref: customer, inverse: orders}
      status: {enum: [open, paid], default: open}
      total: {type: decimal, max: 100}
      note: {type: string, max: 80}
    indexes:
      by_status: {equality: status, sort: [-total]}
roles:
  staff: {all: true}
plans:
  free: {rates: {burst: {rate: 10}}}
";

fn model(source: &str) -> Model {
    parse("m.yaml", source).unwrap_or_else(|mistakes| panic!("{mistakes:#?}\n{source}"))
}

/// The steps that a replacement in the file needs, as they are shown.
fn needed(from: &str, to: &str) -> Vec<String> {
    assert!(BEFORE.contains(from), "{from}");
    steps(&model(BEFORE), &model(&BEFORE.replace(from, to))).iter().map(ToString::to_string).collect()
}

macro_rules! needs {
    ($($name:ident: $from:literal => $to:literal, [$($expected:literal),* $(,)?];)*) => {
        $(#[test] fn $name() {
            let expected: &[&str] = &[$($expected),*];
            assert_eq!(needed($from, $to), expected);
        })*
    };
}

needs! {
    nothing_for_what_is_the_same: "name: Shop" => "name: 'Shop'", [];
    nothing_for_a_new_ref: "      note:" => "      packer: {ref: customer}\n      note:", [];
    an_index_for_a_new_ref_that_deletions_follow: "      note:" => "      packer: {ref: customer, on_delete: cascade}\n      note:",
        ["after   build the index order.by_packer; until then lists that need it are refused (503)"];
    nothing_for_contention: "  order:\n" => "  order:\n    contention: 1000\n", [];
    nothing_for_wider_limits: "max: 100}" => "max: 200}", [];
    nothing_for_a_nullable_field: "      note:" => "      gift: boolean\n      note:", [];
    nothing_for_a_word_at_the_end: "[open, paid]" => "[open, paid, sent]", [];
    a_ref_on_the_values_of_a_text: "buyer: {type: string, max: 128}" => "buyer: {ref: customer, was: buyer}", [
        "before  check order.buyer_id: report stored values that the new model forbids",
        "after   rename order.buyer to buyer_id: move its values (one-way)",
        "after   build the references order.buyer_id; until then deletes of what they point to are refused (503)",
    ];
    another_rule_of_a_ref: "customer, inverse: orders}" => "customer, inverse: orders, on_delete: set_null}", [];
    another_kind_of_id: "    id: string\n" => "    id: uuid\n", [
        "before  check order.customer_id: report stored values that the new model forbids",
        "after   convert the ids of customer: string -> uuid (one-way)",
        "after   convert order.customer_id: ref customer, string -> ref customer, uuid (one-way)",
    ];
    another_kind_of_id_with_other_keys: "    id: string\n" => "    id: integer\n", [
        "before  check order.customer_id: report stored values that the new model forbids",
        "after   convert the ids of customer: string -> integer (one-way)",
        "after   convert order.customer_id: ref customer, string -> ref customer, integer (one-way)",
        "after   build the references order.customer_id; until then deletes of what they point to are refused (503)",
        "after   build the index customer.id; until then lists that need it are refused (503)",
        "after   build the index order.by_customer; until then lists that need it are refused (503)",
    ];
    a_default: "note: {type: string, max: 80}" => "note: {type: string, max: 80, default: none}",
        ["before  fill order.note with its default \"none\""];
    a_fill: "      note:" => "      gift: {type: boolean, required: true, fill: false}\n      note:",
        ["before  fill order.gift with false"];
    a_required_field_without_a_fill: "      note:" => "      gift: {type: boolean, required: true}\n      note:",
        ["before  fill order.gift with a value that is still missing: add `fill: ...` to the field"];
    a_fill_of_a_field_that_may_be_null: "      note:" => "      gift: {type: boolean, fill: false}\n      note:",
        ["before  fill order.gift with false"];
    unique_values: "max: 80}" => "max: 80, unique: true}", [
        "after   build the unique values of order.note; duplicates are reported",
        "after   build the index order.by_note; until then lists that need it are refused (503)",
    ];
    narrower_limits: "max: 80}" => "max: 8}", ["before  check order.note: report stored values that the new model forbids"];
    another_type: "total: {type: decimal, max: 100}" => "total: {type: number, max: 100}", [
        "before  check order.total: report stored values that the new model forbids",
        "after   convert order.total: decimal -> number (one-way)",
        "after   build the index order.by_status; until then lists that need it are refused (503)",
    ];
    words_in_another_order: "[open, paid]" => "[paid, open]", ["after   build the index order.by_status; until then lists that need it are refused (503)"];
    a_word_less: "[open, paid]" => "[open]", ["before  check order.status: report stored values that the new model forbids"];
    a_field_renamed: "note: {type: string, max: 80}" => "remark: {type: string, max: 80, was: note}",
        ["after   rename order.note to remark: move its values (one-way)"];
    a_field_removed: "      note: {type: string, max: 80}\n" => "",
        ["after   remove the values of order.note, which a field of that name would show (one-way)"];
    a_ref_removed: "      customer: {ref: customer, inverse: orders}\n" => "", [
        "after   remove the references order.customer_id; until then what they point to cannot be deleted (409)",
        "after   remove the index order.by_customer",
        "after   remove the values of order.customer_id, which a field of that name would show (one-way)",
    ];
    an_index_removed: "    indexes:\n      by_status: {equality: status, sort: [-total]}\n" => "", ["after   remove the index order.by_status"];
    an_index_that_orders_otherwise: "[-total]" => "[total]", ["after   build the index order.by_status; until then lists that need it are refused (503)"];
    a_role_that_goes: "  staff: {all: true}" => "  crew: {all: true}", ["before  reassign consumers: give those with the role staff another one"];
    a_plan_that_goes: "  free: {" => "  cheap: {", ["before  reassign consumers: give those with the plan free another one"];
    timestamps: "  customer:\n    id: string\n" => "  customer:\n    id: string\n    timestamps: false\n", [
        "after   remove the values of customer.created_at, which a field of that name would show (one-way)",
        "after   remove the values of customer.updated_at, which a field of that name would show (one-way)",
    ];
}

#[test]
fn an_entity_renamed_takes_all_that_is_its_own_along() {
    let new = BEFORE.replace("  customer:\n", "  client:\n    was: customer\n").replace("ref: customer", "ref: client");
    let said: Vec<String> = steps(&model(BEFORE), &model(&new)).iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "after   rename customer to client: move its records (one-way)",
            "after   build the references order.customer_id; until then deletes of what they point to are refused (503)",
            "after   build the index client.id; until then lists that need it are refused (503)",
        ]
    );
}

#[test]
fn an_entity_that_goes_leaves_no_reference_behind() {
    let start = BEFORE.find("  order:\n").unwrap();
    let end = BEFORE.find("roles:\n").unwrap();
    let new = format!("{}{}", &BEFORE[..start], &BEFORE[end..]);
    let said: Vec<String> = steps(&model(BEFORE), &model(&new)).iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "after   remove the references order.customer_id; until then what they point to cannot be deleted (409)",
            "after   remove the records of order, which an entity of that name would show (one-way)",
        ]
    );
}

#[test]
fn a_field_that_becomes_a_ref_needs_its_rows() {
    let old = model(&BEFORE.replace("buyer: ", "buyer_id: "));
    let new = model(&BEFORE.replace("buyer: {type: string, max: 128}", "buyer: {ref: customer}"));
    let said = |old, new| steps(old, new).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        said(&old, &new),
        [
            "before  check order.buyer_id: report stored values that the new model forbids",
            "after   build the references order.buyer_id; until then deletes of what they point to are refused (503)",
        ]
    );
    assert_eq!(
        said(&new, &old),
        [
            "before  check order.buyer_id: report stored values that the new model forbids",
            "after   remove the references order.buyer_id; until then what they point to cannot be deleted (409)",
        ]
    );
}

#[test]
fn subjects_of_an_issuer_that_is_renamed_follow() {
    let with = |alias: &str| {
        let issuer = format!("{alias}: {{issuer: one, jwks_uri: \"https://k.example/\", audiences: [a]}}");
        let roles = "  staff: {entities: {order: {read: {rows: {note: $subject}}}}}\n";
        model(&format!("{}auth: {{issuers: {{{issuer}}}}}\n", BEFORE.replace("  staff: {all: true}\n", roles)))
    };
    let said: Vec<String> = steps(&with("old"), &with("new")).iter().map(ToString::to_string).collect();
    assert_eq!(said, ["after   rename subjects old:... to new:...: `migrate --subject-issuer new --from old` (one-way)"]);
}

#[test]
fn a_step_says_in_json_what_it_says_in_words() {
    let new = model(&BEFORE.replace("[-total]", "[total]"));
    let step = &steps(&model(BEFORE), &new)[0];
    assert_eq!(
        step.json(),
        json!({"when": "after", "step": "build_index", "entity": "order", "index": "by_status", "one_way": false,
               "text": "build the index order.by_status; until then lists that need it are refused (503)"})
    );
}

#[test]
fn rows_are_kept_where_words_are_only_added() {
    let form = |words: &str| Form::new(format!("index i\n= status enum\nwords [{words}]\n"));
    let two = form("\"a\", \"b\"");
    for (words, kept) in [("\"a\", \"b\", \"c\"", true), ("\"a\"", true), ("\"a\", \"bc\"", false), ("\"b\", \"a\"", false)] {
        assert_eq!((two.keeps(&form(words)), form(words).keeps(&two)), (kept, kept), "{words}");
    }
    assert!(!two.keeps(&Form::new(format!("{}+ id text\n", two.as_str()))));
}

/// Types in the words of a file, in fields `f0`, `f1`, ... of one entity.
const TYPES: [&str; 16] = [
    "string",
    "text",
    "integer",
    "{type: decimal, scale: 3}",
    "number",
    "boolean",
    "date",
    "timestamp",
    "{enum: [open, paid]}",
    "email",
    "uuid",
    "json",
    "file",
    "{list: string}",
    "{list: integer}",
    "{ref: a}",
];

/// Values as they are stored, each with the positions of the types that it is a value of.
fn stored() -> Vec<(Value, &'static [usize])> {
    vec![
        (json!("open"), &[0, 1, 8]),
        (json!("12"), &[0, 1]),
        (json!("12.500"), &[0, 1, 3]),
        (json!(12), &[2, 4]),
        (json!(-0.5), &[4]),
        (json!(true), &[5]),
        (json!("2026-11-28"), &[0, 1, 6]),
        (json!("2026-11-28T10:00:00.000Z"), &[0, 1, 7]),
        (json!("ann@example.com"), &[0, 1, 9]),
        (json!("0190b1f2-7c3e-7a41-9d52-3f1c5b7a9e10"), &[0, 1, 10, 15]),
        (json!(["a"]), &[13]),
        (json!([1, 2]), &[14]),
    ]
}

/// The classes hold for values: what is kept is not changed, what has a counterpart gets one, and what has none does not.
#[test]
fn every_conversion_is_what_it_says() {
    let fields: String = TYPES.iter().enumerate().map(|(at, kind)| format!("      f{at}: {kind}\n")).collect();
    let model = model(&format!("name: T\nentities:\n  a:\n    fields:\n{fields}"));
    let kind = |at: usize| &model.entities[0].fields[at].kind;
    let mut seen = std::collections::BTreeSet::new();
    for (value, types) in stored() {
        for (from, to) in types.iter().flat_map(|from| (0..TYPES.len()).map(move |to| (*from, to))) {
            let class = conversion((&model, kind(from)), (&model, kind(to)));
            let got = convert(&model, kind(to), &value);
            let what = format!("{value}: {} -> {}: {class:?}, {got:?}", TYPES[from], TYPES[to]);
            seen.insert(class);
            match class {
                Conversion::Kept => assert!(got.is_none_or(|got| got == value), "{what}"),
                Conversion::Total => assert!(got.is_some(), "{what}"),
                Conversion::Partial => {}
                Conversion::Impossible => assert!(got.is_none(), "{what}"),
            }
        }
    }
    assert_eq!(seen.len(), 4);
    for (to, value, expected) in [
        (3, json!(7), json!("7")),
        (2, json!("12.00"), json!(12)),
        (0, json!(12), json!("12")),
        (5, json!("true"), json!(true)),
        (7, json!("2026-11-28"), json!("2026-11-28T00:00:00.000Z")),
        (6, json!("2026-11-28T10:00:00.000Z"), json!("2026-11-28")),
        (13, json!(12), json!(["12"])),
        (2, json!(["12"]), json!(12)),
    ] {
        assert_eq!(convert(&model, kind(to), &value), Some(expected), "{value} -> {}", TYPES[to]);
    }
}

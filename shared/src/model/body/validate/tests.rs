//! Bodies: what is accepted, how it is normalised, and that all violations come at once.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Current, FieldViolation, create, document, merge_patch, readable, replace};
use crate::model::{Masks, Model, parse};

const EVERY_TYPE: &str = r##"
name: Types
entities:
  thing:
    id: string
    fields:
      string: {type: string, min: 2, max: 5, pattern: "[a-zé😀]+"}
      text: text
      integer: {type: integer, min: 1, max: 9007199254740991}
      decimal: {type: decimal, scale: 2, min: -5, max: 1000}
      number: {type: number, min: -1.5}
      boolean: boolean
      date: date
      timestamp: timestamp
      enum: {enum: [open, paid]}
      email: email
      url: url
      uuid: uuid
      json: {type: json, schema: {type: object, properties: {a: {$ref: "#/$defs/small"}}, additionalProperties: false, $defs: {small: {type: integer, maximum: 9}}}}
      free: json
      other: {ref: thing, on_delete: set_null}
      file: file
      list: {list: {type: decimal, scale: 1}, max_items: 3}
      kept: {type: string, max: 9, immutable: true}
      secret: {type: string, write_only: true}
      status: {enum: [new, old], default: new}
      server: {type: string, read_only: true, default: x}
"##;

fn model() -> Model {
    parse("types.yaml", EVERY_TYPE).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn new(body: Value) -> Result<Map<String, Value>, Vec<FieldViolation>> {
    let model = model();
    let entity = model.by_name("thing").unwrap();
    create(&model, entity, &Masks::all(entity), &body).map(|new| new.fields)
}

fn codes(violations: &[FieldViolation]) -> Vec<(&str, &str)> {
    violations.iter().map(|violation| (violation.pointer.as_str(), violation.code.as_str())).collect()
}

#[test]
fn values_come_back_in_their_normalised_form() {
    let fields = new(json!({
        "id": "a", "integer": 1.0, "decimal": "14.00", "number": 2.0, "timestamp": "2026-11-21T10:30:00.1239+01:00",
        "uuid": "0190B1F2-7C3E-7A41-9D52-3F1C5B7A9E10", "list": ["1.0", "-0.0"], "json": {"a": 3.0},
    }))
    .unwrap();
    assert_eq!(fields["integer"].to_string(), "1");
    assert_eq!(fields["decimal"], "14.00");
    assert_eq!(fields["number"].to_string(), "2");
    assert_eq!(fields["timestamp"], "2026-11-21T09:30:00.123Z");
    assert_eq!(fields["uuid"], "0190b1f2-7c3e-7a41-9d52-3f1c5b7a9e10");
    assert_eq!(fields["list"], json!(["1.0", "0.0"]));
    assert_eq!(fields["status"], "new", "a default");
    assert_eq!(fields["server"], "x", "a default of a read_only field");
    assert_eq!(fields["text"], Value::Null, "what is left out is null");
    assert!(!fields.contains_key("created_at"), "the store sets it");
}

#[test]
fn all_violations_come_at_once_with_pointers() {
    let violations = new(json!({
        "string": "A", "integer": 0, "decimal": "1.005", "number": -2, "boolean": "yes", "date": "2026-02-30",
        "timestamp": "2026-11-21", "enum": "lost", "email": "ann", "url": "/page", "uuid": "1",
        "json": {"a": 10, "b": 1}, "other_id": "a b", "list": ["1", "x", "2", "3.14"], "file": {"size": 1}, "strng": "x", "server": "y",
        "a/b": 1,
    }))
    .unwrap_err();
    let expected = [
        ("/a~1b", "unknown_member"),
        ("/boolean", "type"),
        ("/date", "format"),
        ("/decimal", "pattern"),
        ("/email", "format"),
        ("/enum", "enum"),
        ("/file", "type"),
        ("/id", "required"),
        ("/integer", "minimum"),
        ("/json/a", "maximum"),
        ("/json/b", "unknown_member"),
        ("/list", "maxItems"),
        ("/list/1", "pattern"),
        ("/list/3", "pattern"),
        ("/number", "minimum"),
        ("/other_id", "pattern"),
        ("/server", "read_only"),
        ("/string", "minLength"),
        ("/string", "pattern"),
        ("/strng", "unknown_member"),
        ("/timestamp", "format"),
        ("/url", "format"),
        ("/uuid", "format"),
    ];
    assert_eq!(codes(&violations), expected);
    let message = |pointer: &str| violations.iter().find(|violation| violation.pointer == pointer).unwrap().message.as_str();
    assert_eq!(message("/strng"), "is not known; did you mean `string`?");
    assert_eq!(message("/decimal"), "must have at most 2 digits after the point");
}

#[test]
fn limits_of_exact_numbers_are_exact() {
    let refused = |field: &str, value: Value| {
        let violations = new(json!({"id": "a", field: value})).unwrap_err();
        violations[0].code.clone()
    };
    assert_eq!(refused("integer", json!(9_007_199_254_740_992_i64)), "maximum");
    assert_eq!(refused("integer", json!(1e300)), "maximum");
    assert_eq!(refused("integer", json!(1.5)), "type");
    assert_eq!(refused("decimal", json!("1000.01")), "maximum");
    assert_eq!(refused("decimal", json!("-5.01")), "minimum");
    assert_eq!(refused("decimal", json!(1)), "type");
    assert_eq!(refused("decimal", json!("01")), "pattern");
    assert_eq!(refused("decimal", json!("1e2")), "pattern");
    assert_eq!(refused("timestamp", json!("0000-01-01T00:00:00+23:00")), "format");
    assert_eq!(refused("string", json!("😀😀😀😀😀😀")), "maxLength");
    assert!(new(json!({"id": "a", "string": "😀😀😀😀😀"})).is_ok(), "lengths count code points");
    assert!(new(json!({"id": "a", "integer": 9_007_199_254_740_991_i64})).is_ok());
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    assert_eq!(codes(&new(json!([1])).unwrap_err()), [("", "type")]);
}

#[test]
fn get_then_put_changes_nothing() {
    let model = model();
    let entity = model.by_name("thing").unwrap();
    let masks = Masks::all(entity);
    let mut stored = new(json!({"id": "a", "string": "ab", "kept": "k", "secret": "s", "free": {"x": [1, 2.5]}})).unwrap();
    stored.insert("created_at".into(), json!("2026-11-21T09:30:00.000Z"));
    let shown = Value::Object(readable(entity, &masks, json!("a"), &stored));
    assert!(shown.get("secret").is_none(), "write_only is never shown");
    let mut put = replace(&model, entity, &masks, "a", Some(&stored), &shown).unwrap();
    assert_eq!(put["secret"], Value::Null, "a PUT replaces all that the caller may write");
    put["secret"] = json!("s");
    assert_eq!(put, stored);
    let patched = document(&model, entity, &masks, Current { id: "a", fields: &stored }, &shown).unwrap();
    assert_eq!(patched, stored, "a JSON Patch keeps what it cannot see");
}

#[test]
fn what_the_caller_may_not_change_must_be_equal() {
    let model = model();
    let entity = model.by_name("thing").unwrap();
    let masks = Masks::all(entity);
    let stored = new(json!({"id": "a", "kept": "k"})).unwrap();
    let current = Current { id: "a", fields: &stored };
    let patch = json!({"id": "b", "kept": "other", "server": "y", "created_at": "2026-11-21T09:30:00Z", "file": {"size": 1}});
    let violations = merge_patch(&model, entity, &masks, current, &patch).unwrap_err();
    let expected = [
        ("/created_at", "read_only"),
        ("/file", "read_only"),
        ("/id", "read_only"),
        ("/kept", "immutable"),
        ("/server", "read_only"),
    ];
    assert_eq!(codes(&violations), expected);
    let violations = replace(&model, entity, &masks, "a", Some(&stored), &json!({})).unwrap_err();
    assert_eq!(codes(&violations), [("/kept", "immutable")], "leaving it out would clear it");
}

#[test]
fn a_merge_patch_keeps_what_is_absent_and_null_clears() {
    let model = model();
    let entity = model.by_name("thing").unwrap();
    let stored = new(json!({"id": "a", "string": "ab", "text": "t", "free": {"x": 1, "y": {"z": 2}}})).unwrap();
    let current = Current { id: "a", fields: &stored };
    let masks = Masks::all(entity);
    let patched =
        merge_patch(&model, entity, &masks, current, &json!({"text": null, "free": {"x": null, "y": {"w": 3}}})).unwrap();
    assert_eq!((&patched["string"], &patched["text"]), (&json!("ab"), &Value::Null));
    assert_eq!(patched["free"], json!({"y": {"z": 2, "w": 3}}));
    let violations = merge_patch(&model, entity, &masks, current, &json!({"status": null})).unwrap_err();
    assert_eq!(codes(&violations), [("/status", "enum")], "not nullable");
}

#[test]
fn fields_outside_of_the_masks_are_unknown() {
    let model = model();
    let entity = model.by_name("thing").unwrap();
    let only = |name: &str| [entity.by_field(name).unwrap().ix].into_iter().collect();
    let masks = Masks { readable: only("text"), writable: only("string") };
    let stored = new(json!({"id": "a", "string": "ab", "text": "t", "kept": "k"})).unwrap();
    let current = Current { id: "a", fields: &stored };
    let violations =
        merge_patch(&model, entity, &masks, current, &json!({"kept": "x", "text": "u", "string": "cd"})).unwrap_err();
    assert_eq!(codes(&violations), [("/kept", "unknown_member"), ("/text", "read_only")]);
    let put = replace(&model, entity, &masks, "a", Some(&stored), &json!({"string": "cd"})).unwrap();
    assert_eq!((&put["string"], &put["text"], &put["kept"]), (&json!("cd"), &json!("t"), &json!("k")));
}

#[test]
fn composite_ids_come_from_their_parts() {
    let model = parse("northwind.yaml", include_str!("../../../../../tests/models/northwind.yaml")).unwrap();
    let entity = model.by_name("order_line").unwrap();
    let masks = Masks::all(entity);
    let body = json!({"order_id": 10248, "product_id": 11, "unit_price": "14.00", "quantity": 12, "discount": 0.0});
    let new = create(&model, entity, &masks, &body).unwrap();
    assert_eq!(new.id.as_deref(), Some("10248,11"));
    let violations =
        create(&model, entity, &masks, &json!({"id": "1,2", "order_id": -1, "unit_price": "1", "quantity": 1})).unwrap_err();
    assert_eq!(codes(&violations), [("/order_id", "minimum"), ("/product_id", "required")]);
    let violations = replace(&model, entity, &masks, "10248,12", None, &body).unwrap_err();
    assert_eq!(codes(&violations), [("/product_id", "read_only")]);
}

#[test]
fn parts_of_an_id_that_a_put_leaves_out_are_those_of_the_path() {
    let model = parse("northwind.yaml", include_str!("../../../../../tests/models/northwind.yaml")).unwrap();
    let entity = model.by_name("order_line").unwrap();
    let masks = Masks::all(entity);
    let rest = json!({"unit_price": "14.00", "quantity": 12, "discount": 0});
    let with = |name: &str, value: Value| {
        let mut body = rest.clone();
        body[name] = value;
        body
    };
    for body in [rest.clone(), with("order_id", json!(10248)), with("id", json!("10248,11"))] {
        let made = replace(&model, entity, &masks, "10248,11", None, &body).unwrap();
        assert_eq!((&made["order_id"], &made["product_id"]), (&json!(10248), &json!(11)), "{body}");
        let again = replace(&model, entity, &masks, "10248,11", Some(&made), &body).unwrap();
        assert_eq!(made, again, "{body}");
    }
    let made = replace(&model, entity, &masks, "10248,11", None, &rest).unwrap();
    for stored in [None, Some(&made)] {
        for (name, value) in [("order_id", json!(1)), ("product_id", json!(null)), ("id", json!("10248,12"))] {
            let violations = replace(&model, entity, &masks, "10248,11", stored, &with(name, value)).unwrap_err();
            assert_eq!(violations[0].pointer, format!("/{name}"), "{stored:?}");
        }
    }
    let current = Current { id: "10248,11", fields: &made };
    let mut removed = Value::Object(readable(entity, &masks, json!("10248,11"), &made));
    removed.as_object_mut().unwrap().remove("product_id");
    let violations = document(&model, entity, &masks, current, &removed).unwrap_err();
    assert_eq!(codes(&violations), [("/product_id", "required")]);
}

#[test]
fn what_get_shows_of_a_record_older_than_a_field_can_be_put() {
    let source = |later: &str| format!("name: T\nentities: {{note: {{id: string, fields: {{text: string{later}}}}}}}\n");
    let later = ", kind: {type: string, default: plain}, tag: {enum: [a, b], default: a, immutable: true}, \
                 rank: {type: integer, required: true, default: 3}";
    let model = parse("m.yaml", &source(later)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let entity = model.by_name("note").unwrap();
    let masks = Masks::all(entity);
    let stored: Map<String, Value> = [("text".to_owned(), json!("t"))].into_iter().collect();
    let mut shown = Value::Object(readable(entity, &masks, json!("n"), &stored));
    for name in ["created_at", "updated_at"] {
        shown.as_object_mut().unwrap().remove(name);
    }
    assert_eq!((&shown["kind"], &shown["tag"], &shown["rank"]), (&Value::Null, &Value::Null, &Value::Null));
    let current = Current { id: "n", fields: &stored };
    for after in [replace(&model, entity, &masks, "n", Some(&stored), &shown), document(&model, entity, &masks, current, &shown)]
    {
        let after = after.unwrap();
        assert_eq!((&after["kind"], &after["tag"], &after["rank"]), (&json!("plain"), &json!("a"), &json!(3)));
        // From now on null is what it says.
        let violations = replace(&model, entity, &masks, "n", Some(&after), &json!({"text": "t", "kind": null})).unwrap_err();
        assert_eq!(codes(&violations)[0].0, "/kind");
    }
    let violations = replace(&model, entity, &masks, "n", None, &json!({"kind": null})).unwrap_err();
    assert_eq!(codes(&violations)[0].0, "/kind", "a new record is older than nothing");
    let unseen = Masks { readable: crate::model::FieldMask::none(), writable: masks.writable.clone() };
    assert!(replace(&model, entity, &unseen, "n", Some(&stored), &json!({"kind": null})).is_err(), "nobody read it");
}

#[test]
fn an_id_part_must_be_able_to_stand_in_a_path() {
    let source =
        "name: T\nentities:\n  seat:\n    id: [hall, place]\n    fields:\n      hall: string\n      place: {type: integer}\n";
    let model = parse("m.yaml", source).unwrap();
    let entity = model.by_name("seat").unwrap();
    let violations = create(&model, entity, &Masks::all(entity), &json!({"hall": "a/b", "place": -1})).unwrap_err();
    assert_eq!(codes(&violations), [("/hall", "pattern"), ("/place", "minimum")]);
}

#[test]
fn a_record_beyond_the_limit_is_refused() {
    let violations = new(json!({"id": "a", "text": "x".repeat(70_000)})).unwrap_err();
    assert_eq!(codes(&violations), [("", "max_bytes")]);
}

/// A body with valid values of every type.
fn body() -> impl Strategy<Value = Value> {
    let nullable = |strategy: BoxedStrategy<Value>| prop_oneof![1 => Just(Value::Null), 4 => strategy];
    let decimal = (-500i64..100_000, 0u32..3).prop_map(|(digits, scale)| {
        json!(
            rust_decimal::Decimal::new(digits, scale)
                .min(rust_decimal::Decimal::from(1000))
                .max(rust_decimal::Decimal::from(-5))
                .to_string()
        )
    });
    let moment = (0i64..4_000_000_000, -23i8..24, 0u32..1_000_000_000).prop_map(|(seconds, hours, nanos)| {
        let offset = time::UtcOffset::from_hms(hours, 0, 0).unwrap();
        let moment = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap() + time::Duration::nanoseconds(i64::from(nanos));
        json!(moment.to_offset(offset).format(&time::format_description::well_known::Rfc3339).unwrap())
    });
    (
        nullable("[a-zé😀]{2,5}".prop_map(Value::from).boxed()),
        nullable(any::<String>().prop_map(Value::from).boxed()),
        nullable((1i64..=9_007_199_254_740_991).prop_map(Value::from).boxed()),
        nullable(decimal.boxed()),
        nullable((-1.5f64..1e18).prop_map(Value::from).boxed()),
        nullable(moment.boxed()),
        nullable(prop::sample::select(vec!["open", "paid"]).prop_map(Value::from).boxed()),
        nullable(any::<u128>().prop_map(|bits| json!(uuid::Uuid::from_u128(bits).to_string().to_uppercase())).boxed()),
        nullable(
            prop::collection::vec((-99i32..99).prop_map(|tenth| json!(format!("{tenth}.5"))), 0..=3)
                .prop_map(Value::from)
                .boxed(),
        ),
    )
        .prop_map(|(string, text, integer, decimal, number, timestamp, word, uuid, list)| {
            json!({"id": "a", "string": string, "text": text, "integer": integer, "decimal": decimal, "number": number,
                "timestamp": timestamp, "enum": word, "uuid": uuid, "list": list})
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn valid_bodies_pass_and_normalising_again_changes_nothing(body in body()) {
        let model = model();
        let entity = model.by_name("thing").unwrap();
        let masks = Masks::all(entity);
        let first = create(&model, entity, &masks, &body).map_err(|violations| TestCaseError::fail(format!("{violations:?}")))?;
        prop_assert_eq!(&first.fields["text"], &body["text"], "texts stay byte for byte");
        let mut again = body.clone();
        for (name, value) in &first.fields {
            if name != "server" && name != "file" {
                again[name] = value.clone();
            }
        }
        let second = create(&model, entity, &masks, &again).map_err(|violations| TestCaseError::fail(format!("{violations:?}")))?;
        prop_assert_eq!(first.fields, second.fields);
    }
}

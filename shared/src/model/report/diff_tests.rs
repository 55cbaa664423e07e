//! What `model check` and `model diff` say.

use super::{Class, check, diff, diff_roles};
use crate::model::parse;

const BEFORE: &str = r"
name: Shop
entities:
  customer:
    fields:
      name: {type: string, max: 50, required: true}
      country: {type: string, max: 2}
    indexes:
      by_country: {equality: country}
  order:
    fields:
      customer: {ref: customer, inverse: orders}
      status: {enum: [open, paid], default: open}
      total: {type: decimal, max: 100}
      note: string
    indexes:
      by_status: {equality: status, sort: [-total]}
roles:
  staff: {entities: {order: {view: true}}, system: usage}
plans:
  free: {rates: {burst: {rate: 10}}, quotas: {day: 100}}
cors: {origins: [https://a.example]}
";

/// The changes that a replacement in the file makes, as they are shown.
fn changed(from: &str, to: &str) -> Vec<String> {
    assert!(BEFORE.contains(from), "{from}");
    let old = parse("old.yaml", BEFORE).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let new = parse("new.yaml", &BEFORE.replace(from, to)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    diff(&old, &new).iter().map(ToString::to_string).collect()
}

/// What changes for a holder of `from` who gets `to`, in a model with these roles.
fn changed_role(from: &str, to: &str) -> Vec<String> {
    let roles = "roles:\n  reader: {entities: {order: {read: {rows: {status: open}, fields: {except: note}}}}}\n  \
                 packer: {inherits: [reader], entities: {order: {read: {rows: {status: paid}}, update: true}}, system: usage}\n  \
                 auditor: {entities: {order: {read: true}}, system: audit}\n";
    let source = BEFORE.replace("roles:\n", roles);
    let model = parse("m.yaml", &source).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let role = |name| (&model, model.role(name).unwrap());
    diff_roles(role(from), role(to)).iter().map(ToString::to_string).collect()
}

#[test]
fn a_link_that_is_taken_away_breaks_clients() {
    let with = |said: &str| parse("m", &BEFORE.replace("{view: true}", said)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let linked = with("{view: true, create: {fields: {except: [], customer: {link: true}}}}");
    let plain = with("{view: true, create: true}");
    let said = |old, new| diff(old, new).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        said(&linked, &plain),
        ["breaking    role staff, create order: link off for customer_id (a record that it may not read is reference_not_found)"]
    );
    assert_eq!(
        said(&plain, &linked),
        ["compatible  role staff, create order: link on for customer_id (it may refer to records that it may not read)"]
    );
}

#[test]
fn a_role_that_has_all_of_another_breaks_nothing() {
    assert_eq!(changed_role("packer", "packer"), [""; 0]);
    assert_eq!(
        changed_role("reader", "packer"),
        [
            "compatible  role reader -> packer: gains system usage (it may do more)",
            "compatible  role reader -> packer, read order: gains the field note (it may do more)",
            "compatible  role reader -> packer, read order: rows status eq \"open\" -> status eq \"paid\" | status eq \"open\" (it may do more)",
            "compatible  role reader -> packer, update order: now allowed (it may do more)",
        ]
    );
}

#[test]
fn what_another_role_lacks_breaks() {
    assert_eq!(
        changed_role("packer", "auditor"),
        [
            "breaking    role packer -> auditor: loses system usage (its holders are refused there)",
            "breaking    role packer -> auditor, update order: no longer allowed (its holders are refused with 403)",
            "compatible  role packer -> auditor: gains system audit (it may do more)",
            "compatible  role packer -> auditor, read order: rows status eq \"paid\" | status eq \"open\" -> all rows (it may do more)",
        ]
    );
}

macro_rules! changes {
    ($($name:ident: $from:literal => $to:literal, [$($expected:literal),* $(,)?];)*) => {
        $(#[test] fn $name() {
            let expected: &[&str] = &[$($expected),*];
            assert_eq!(changed($from, $to), expected);
        })*
    };
}

changes! {
    nothing: "name: Shop" => "name:   'Shop'  # the same", [];
    field_added: "note: string" => "note: string\n      gift: boolean", ["compatible  field order.gift: added (existing records show null)"];
    required_field_added: "note: string" => "note: string\n      gift: {type: boolean, required: true}",
        ["breaking    field order.gift: added, required (bodies without it are refused; existing records show null)"];
    field_removed: "      note: string\n" => "", ["breaking    field order.note: removed (it is no longer shown, and refused in bodies)"];
    type_changed: "total: {type: decimal, max: 100}" => "total: {type: number, max: 100}", [
        "breaking    field order.total: decimal -> number (values of the other type are refused; stored ones stay as they are)",
        "backfill    field order.total: decimal -> number (rows order it otherwise: `reindex`)",
    ];
    narrower: "max: 100}" => "max: 99}", ["breaking    field order.total: limits are narrower (values that were accepted are refused)"];
    wider: "max: 100}" => "scale: 3}", ["compatible  field order.total: limits changed (all that was accepted still is)"];
    word_added_at_the_end: "[open, paid]" => "[open, paid, sent]", ["compatible  field order.status: word sent added (readers should expect new words)"];
    words_reordered: "[open, paid]" => "[paid, open]",
        ["backfill    field order.status: words stand in another order (rows order by position: `reindex`, or add new words at the end)"];
    word_removed: "[open, paid], default: open" => "[open], default: open",[
        "breaking    field order.status: word paid removed (it is refused in bodies; records that hold it keep it)",
        "backfill    field order.status: words stand in another order (rows order by position: `reindex`, or add new words at the end)",
    ];
    unique_on: "note: string" => "note: {type: string, unique: true}", [
        "breaking    field order.note: unique on (a value that another record has is refused)",
        "backfill    field order.note: unique on (existing records need unique rows: `reindex`)",
        "backfill    index order.by_note: added: equality [note], sort [id] (existing records need rows: `reindex`)",
    ];
    index_changed: "sort: [-total]" => "sort: [total]", [
        "breaking    index order.by_status: equality [status], sort [-total] -> equality [status], sort [total] (filters and sorts that the old form served may be refused)",
        "backfill    index order.by_status: equality [status], sort [-total] -> equality [status], sort [total] (existing records need rows: `reindex`)",
    ];
    projection_changed: "sort: [-total]}" => "sort: [-total], fields: [total]}",
        ["backfill    index order.by_status: its rows carry other fields (rows have to be written anew: `reindex`)"];
    join_added: "      by_status:" => "      by_country: {equality: customer.country}\n      by_status:",
        ["compatible  index order.by_country: added: equality [customer.country], sort [] (it stores nothing)"];
    inverse_removed: "customer: {ref: customer, inverse: orders}" => "customer: {ref: customer}", [
        "breaking    index order.by_customer: removed (filters and sorts that it served are refused; its rows may be dropped)",
        "breaking    relation customer.orders: removed (it can no longer be included)",
    ];
    contention: "  order:\n" => "  order:\n    contention: 1000\n",
        ["compatible  entity order: shards 1 -> 3 (what was cached is void at the first write; gates follow by themselves)"];
    role_narrowed: "{view: true}}, system: usage" => "{view: {rows: {status: open}, fields: {except: note}}}}", [
        "breaking    role staff: loses system usage (its holders are refused there)",
        "breaking    role staff, download order: loses the field note (it is not shown or accepted any more)",
        "breaking    role staff, download order: rows all rows -> status eq \"open\" (other rows are visible or writable)",
        "breaking    role staff, list order: loses the field note (it is not shown or accepted any more)",
        "breaking    role staff, list order: rows all rows -> status eq \"open\" (other rows are visible or writable)",
        "breaking    role staff, read order: loses the field note (it is not shown or accepted any more)",
        "breaking    role staff, read order: rows all rows -> status eq \"open\" (other rows are visible or writable)",
    ];
    plan_lowered: "{rate: 10}}, quotas: {day: 100}" => "{rate: 5, burst: 10}}, quotas: {day: 200}", [
        "breaking    plan free: rate burst: 10 per 1s, burst 10 -> 5 per 1s, burst 10 (less is admitted)",
        "compatible  plan free: quota day 100 -> 200 (more is admitted)",
    ];
    origin: "https://a.example" => "https://b.example", [
        "breaking    cors: origin https://a.example removed (browsers refuse its pages the answers)",
        "compatible  cors: origin https://b.example added (more pages may call)",
    ];
}

/// What changes from one set of issuers to another where `rows` is a condition of a role.
fn changed_issuers(rows: &str, from: &str, to: &str) -> Vec<String> {
    let model = |issuers: &str| {
        let source = format!(
            "name: T\nentities: {{a: {{fields: {{t: string}}}}}}\nroles: {{r: {{entities: {{a: {{read: {{rows: {{t: {rows}}}}}}}}}}}}}\n\
             auth: {{claims: [x], issuers: {{{issuers}}}}}\n"
        );
        parse("m.yaml", &source).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
    };
    diff(&model(from), &model(to)).iter().map(ToString::to_string).collect()
}

#[test]
fn an_issuer_with_another_alias_breaks_clients_and_stored_subjects() {
    let issuer = |alias: &str, iss: &str, more: &str| {
        format!("{alias}: {{issuer: {iss}, jwks_uri: \"https://k.example/\", audiences: [a]{more}}}")
    };
    let (old, new) = (issuer("old", "one", ""), issuer("new", "one", ""));
    let renamed =
        "breaking    issuer old: alias old -> new (consumers and subjects of its tokens have other names, which clients see)";
    let stored = "backfill    issuer old: alias old -> new (values that name subjects have to follow: \
                  `migrate --subject-issuer new --from old`)";
    assert_eq!(changed_issuers("$subject", &old, &new), [renamed, stored]);
    assert_eq!(changed_issuers("$claim.x", &old, &new), [renamed], "no record holds a subject");
    let other = issuer("new", "two", "");
    assert_eq!(
        changed_issuers("$subject", &old, &other),
        ["breaking    issuer old: removed (its tokens are refused)", "compatible  issuer new: added (its tokens are accepted)"]
    );
    let by_mail = issuer("old", "one", ", claims: {subject: email}");
    assert_eq!(
        changed_issuers("$subject", &old, &by_mail),
        [
            "breaking    issuer old: changed (tokens may be refused or mean another consumer)",
            "backfill    issuer old: names other subjects (values that name those of before have to follow)"
        ]
    );
    let longer = issuer("old", "one", ", max_lifetime: 2h");
    assert_eq!(changed_issuers("$subject", &old, &longer).len(), 1, "the subjects are the same");
}

#[test]
fn an_entity_renamed_is_removed_and_added() {
    let old = parse("old.yaml", "name: T\nentities: {a: {fields: {t: string}}}\n").unwrap();
    let new = parse("new.yaml", "name: T\nentities: {b: {fields: {t: string}}}\n").unwrap();
    let classes: Vec<Class> = diff(&old, &new).iter().map(|change| change.class).collect();
    assert_eq!(classes, [Class::Breaking, Class::Compatible]);
}

#[test]
fn the_report_counts_what_a_write_touches() {
    let model = parse("m.yaml", BEFORE).unwrap();
    let report = check(&model);
    let order = report.entities.iter().find(|entity| entity.entity == "order").unwrap();
    // Record, rows (id, by_status, by_customer), 2 riders, the fence; the row of the reference if there is a customer. Tags of two
    // partitions and of the entity; the customer's gate.
    assert_eq!((order.create.items, order.create.calls, order.create.units), ((7, 8), (7, 9), (20, 24)));
    // Moving: two rows twice (status or total, customer), the reference's row twice; two partitions more, the new customer's gate.
    assert_eq!((order.update.items, order.update.calls, order.update.units), ((7, 11), (7, 13), (20, 34)));
    // One more: its own gate.
    assert_eq!(order.delete.items, (8, 9));
    assert_eq!(order.ceilings[0].writes, 400);
    let shown = report.to_string();
    assert!(shown.contains("order\n  create      7-8 actions      7-9 calls     20-24 units"), "{shown}");
    assert!(shown.contains("at most      400 a second  all writes: 1 tag(s) of the entity"), "{shown}");
}

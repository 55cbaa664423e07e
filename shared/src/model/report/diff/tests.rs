//! What `model check` and `model diff` say.

use super::{Class, diff, diff_roles};
use crate::model::parse;
use crate::model::report::check;

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
    diff(&old, &new).changes.iter().map(ToString::to_string).collect()
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
    let said = |old, new| diff(old, new).changes.iter().map(ToString::to_string).collect::<Vec<_>>();
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
    field_added: "note: string" => "note: string\n      gift: boolean", [
        "compatible  field order.gift: added (existing records show null)",
        "compatible  role staff, order: sees the new field gift (its permission takes it in)",
    ];
    required_field_added: "note: string" => "note: string\n      gift: {type: boolean, required: true}", [
        "breaking    field order.gift: added, required (bodies without it are refused)",
        "breaking    field order.gift: added; records from before have no value (they answer null where the schema has none; add `fill: ...`, which a step gives them)",
        "compatible  role staff, order: sees the new field gift (its permission takes it in)",
    ];
    required_field_added_with_a_fill: "note: string" => "note: string\n      gift: {type: boolean, required: true, fill: false}", [
        "breaking    field order.gift: added, required (bodies without it are refused)",
        "migration   field order.gift: added; records from before are filled with false (they answer null until that step is done)",
        "compatible  role staff, order: sees the new field gift (its permission takes it in)",
    ];
    default_added: "note: string" => "note: {type: string, default: none}", [
        "breaking    field order.note: no longer nullable (null is refused)",
        "migration   field order.note: records that hold null are filled with its default \"none\" (they answer null until that step is done)",
        "compatible  field order.note: default none -> \"none\" (a create, and a PUT, that contain none get the new one; stored values stay)",
    ];
    field_removed: "      note: string\n" => "", ["breaking    field order.note: removed (it is no longer shown, and refused in bodies)"];
    field_renamed: "      note: string\n" => "      remark: {type: string, was: note}\n",
        ["breaking    field order.remark: renamed from note (bodies, answers, filters and sorts name it otherwise; stored values follow by a step)"];
    type_changed: "total: {type: decimal, max: 100}" => "total: {type: number, max: 100}",
        ["breaking    field order.total: decimal -> number (clients meet another type; a step converts stored values and reports those without a counterpart)"];
    text_for_string: "note: string" => "note: text",
        ["compatible  field order.note: string and text (values are stored and shown alike; only a string can be in an index)"];
    ref_made_of_a_text: "note: string" => "note: {ref: customer, was: note}", [
        "breaking    field order.note_id: renamed from note (bodies, answers, filters and sorts name it otherwise; stored values follow by a step)",
        "breaking    field order.note_id: string -> ref customer (clients meet another type; a step converts stored values and reports those without a counterpart)",
        "compatible  relation order.note: added (it can be included)",
    ];
    narrower: "max: 100}" => "max: 99}", ["breaking    field order.total: limits are narrower (values that were accepted are refused; a step reports stored ones)"];
    wider: "max: 100}" => "scale: 3}", ["compatible  field order.total: limits changed (all that was accepted still is; readers may meet what was refused before)"];
    word_added_at_the_end: "[open, paid]" => "[open, paid, sent]", ["compatible  field order.status: word sent added (readers should expect new words)"];
    words_reordered: "[open, paid]" => "[paid, open]", ["breaking    field order.status: words stand in another order (lists that are sorted by it come in another order)"];
    word_removed: "[open, paid], default: open" => "[open], default: open",
        ["breaking    field order.status: word paid removed (it is refused in bodies; a step reports the records that hold it)"];
    unique_on: "note: string" => "note: {type: string, unique: true}", [
        "breaking    field order.note: unique on (a value that another record has is refused)",
        "migration   index order.by_note: added: equality [note], sort [id] (lists that need it are refused until it is built)",
    ];
    index_changed: "sort: [-total]" => "sort: [total]",
        ["breaking    index order.by_status: equality [status], sort [-total] -> equality [status], sort [total] (filters and sorts that the old form served may be refused)"];
    projection_changed: "sort: [-total]}" => "sort: [-total], fields: [total]}",
        ["migration   index order.by_status: its rows carry other fields (answers are the same; lists read other rows once it is built)"];
    join_added: "      by_status:" => "      by_country: {equality: customer.country}\n      by_status:",
        ["compatible  index order.by_country: added: equality [customer.country], sort [] (it stores nothing)"];
    inverse_removed: "customer: {ref: customer, inverse: orders}" => "customer: {ref: customer}", [
        "breaking    index order.by_customer: removed (filters and sorts that it served are refused)",
        "breaking    relation customer.orders: removed (it can no longer be included)",
    ];
    contention: "  order:\n" => "  order:\n    contention: 1000\n",
        ["compatible  entity order: contention none -> 1000 (what was cached is void at the first write; tags and gates follow by themselves)"];
    contention_of_one_tag: "  order:\n" => "  order:\n    contention: 100\n",
        ["compatible  entity order: contention none -> 100 (as many tags and gates as before: it changes nothing)"];
    older_answers: "  order:\n" => "  order:\n    cache: {bounded: 30s}\n",
        ["breaking    entity order: cache strict -> bounded 30s (an answer, also one that embeds it, may be older than the last acknowledged write)"];
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
    any_origin: "[https://a.example]" => "'*'", [
        "compatible  cors: origin * added (more pages may call)",
        "compatible  cors: origin https://a.example removed (`*` accepts it)",
    ];
}

/// Row conditions over a field that old records lack: `eq` hides them, `ne` shows them, until they are filled.
#[test]
fn conditions_say_what_they_do_with_old_records() {
    let said = |field: &str, rows: &str| {
        let new = BEFORE
            .replace("note: string", &format!("note: string\n      hidden: {field}"))
            .replace("{view: true}", &format!("{{view: true, read: {{rows: {rows}}}}}"));
        let (old, new) = (parse("m", BEFORE).unwrap(), parse("m", &new).unwrap_or_else(|mistakes| panic!("{mistakes:#?}")));
        let changes = diff(&old, &new).changes;
        let found =
            changes.into_iter().filter(|change| change.what.contains("records from before") && change.place.starts_with("role"));
        found.map(|change| change.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        said("{type: boolean, default: false}", "{hidden: false}"),
        [
            "migration   role staff, read order: `hidden eq false`: records from before do not meet it (they have no order.hidden until a step fills it)"
        ]
    );
    assert_eq!(
        said("boolean", "{hidden: {ne: true}}"),
        [
            "breaking    role staff, read order: `hidden ne true`: records from before meet it (they have no order.hidden until they are changed; add `fill: ...` if they shall have one)"
        ]
    );
    assert_eq!(
        said("{type: boolean, required: true}", "{not: {hidden: null}}"),
        [
            "breaking    role staff, read order: `hidden null true`: records from before meet it (they have no order.hidden until it gets a `fill`)"
        ]
    );
    assert_eq!(said("boolean", "{total: 1}"), [""; 0]);
}

/// Two alternatives that exchange their fields show other things in each row, though both sums stay.
#[test]
fn alternatives_that_exchange_fields_break() {
    let with = |first: &str, second: &str| {
        let role = |name: &str, word: &str, field: &str| {
            format!("  {name}: {{entities: {{order: {{read: {{rows: {{status: {word}}}, fields: [{field}]}}}}}}}}\n")
        };
        let roles = format!("roles:\n{}{}  both: {{inherits: [r, s]}}\n", role("r", "open", first), role("s", "paid", second));
        parse("m", &BEFORE.replace("roles:\n", &roles)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
    };
    let said: Vec<String> =
        diff(&with("note", "total"), &with("total", "note")).changes.iter().map(ToString::to_string).collect();
    assert!(
        said.contains(
            &"breaking    role both, read order: fields of its alternatives changed (rows show or accept other fields)"
                .to_owned()
        ),
        "{said:#?}"
    );
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
    diff(&model(from), &model(to)).changes.iter().map(ToString::to_string).collect()
}

#[test]
fn issuers_say_each_of_their_parts() {
    let issuer = |alias: &str, iss: &str, more: &str| {
        format!("{alias}: {{issuer: {iss}, jwks_uri: \"https://k.example/\", audiences: [a]{more}}}")
    };
    let old = issuer("old", "one", "");
    assert_eq!(
        changed_issuers("$subject", &old, &issuer("new", "one", "")),
        ["breaking    issuer old: alias old -> new (consumers and subjects of its tokens have other names, which clients see)"]
    );
    assert_eq!(
        changed_issuers("$subject", &old, &issuer("new", "two", "")),
        ["breaking    issuer old: removed (its tokens are refused)", "compatible  issuer new: added (its tokens are accepted)"]
    );
    assert_eq!(
        changed_issuers("$subject", &old, &issuer("old", "one", ", claims: {subject: email}")),
        ["breaking    issuer old: claim of the subject sub -> email (tokens mean other subjects; stored ones follow by a step)"]
    );
    assert_eq!(
        changed_issuers("$subject", &old, &issuer("old", "one", ", max_lifetime: 2d")),
        ["compatible  issuer old: max_lifetime 1d -> 2d (more tokens are accepted)"]
    );
}

#[test]
fn an_entity_renamed_is_another_one_unless_it_says_so() {
    let said = |old: &str, new: &str| {
        let model = |entities: &str| parse("m", &format!("name: T\nentities: {{{entities}}}\n")).unwrap();
        diff(&model(old), &model(new)).changes
    };
    let classes = |changes: Vec<super::Change>| changes.iter().map(|change| change.class).collect::<Vec<Class>>();
    let old = "a: {fields: {t: string}}";
    assert_eq!(classes(said(old, "b: {fields: {t: string}}")), [Class::Breaking, Class::Compatible]);
    assert_eq!(classes(said(old, "b: {was: a, plural: as, fields: {t: string}}")), [Class::Migration]);
    assert_eq!(classes(said(old, "b: {was: a, fields: {t: string}}")), [Class::Breaking, Class::Migration], "its paths change");
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

#[test]
fn a_diff_says_what_follows_from_its_changes() {
    let model = |text: &str| parse("m", text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let (old, new) = (model(BEFORE), model(&BEFORE.replace("sort: [-total]", "sort: [total]")));
    let there = diff(&old, &new);
    let said = there.json();
    assert_eq!(
        (&said["breaks_clients"], &said["needs_migration"], &said["one_way"]),
        (&true.into(), &true.into(), &false.into())
    );
    assert_eq!((&said["voids_cached_answers"], &said["steps"][0]["step"]), (&true.into(), &"build_index".into()));
    assert_eq!(
        (&said["changes"][0]["class"], &said["changes"][0]["place"]),
        (&"breaking".into(), &"index order.by_status".into())
    );
    let shown = there.to_string();
    assert!(shown.contains("\nafter   build the index order.by_status") && shown.contains("cached answer"), "{shown}");
    let commented = diff(&old, &model(&format!("# the same\n{BEFORE}")));
    assert_eq!((commented.to_string(), commented.voids_cached_answers), ("no difference\n".to_owned(), false));
    let removed = diff(&old, &model(&BEFORE.replace("      note: string\n", "")));
    assert!(removed.is_one_way() && removed.json()["one_way"] == true);
}

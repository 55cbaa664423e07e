//! Every role of the demo and of Northwind against every other: what one sees and the other does not, the other tries to get by
//! id, list, filter, sort, embedding, cursors, conditional requests, writes of all kinds, and keys of repeated requests.

use std::collections::BTreeSet;

use holdfast::core::caller::Caller;
use holdfast::identity::auth::Principal;
use holdfast::model::{Model, parse};
use holdfast::query::ListQuery;
use holdfast::query::plan::plan;
use holdfast::query::policy::permit_list;
use holdfast::store::constraints::States;
use holdfast_tests::oracle::{Somebody, pairs};
use holdfast_tests::{northwind_data, northwind_model, root};
use serde_json::{Map, Value, json};

fn lines(path: &std::path::Path) -> Vec<Map<String, Value>> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of(name: &'static str, roles: &'static [&'static str], subject: &'static str, claims: Value) -> Somebody {
    Somebody { name, roles, subject, consumer: name, claims }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_role_of_the_demo_gets_at_what_another_sees() {
    let model = parse("model.yaml", &std::fs::read_to_string(root().join("model.yaml")).unwrap()).unwrap();
    let plurals = ["shelves", "publishers", "authors", "books", "customers", "orders", "order_lines", "reviews", "vouchers"];
    let mut records = Vec::new();
    for plural in plurals {
        let file = root().join(format!("infra/local/demo/{plural}.ndjson"));
        // A few of each are enough to try everything; what they refer to stands among the first or is taken along.
        records.extend(lines(&file).into_iter().map(|line| (plural.to_owned(), line)));
    }
    let records = few(&model, records, &["orders", "reviews", "vouchers", "shelves"], 6);
    let partner = Somebody { consumer: "local:partner", ..of("partner", &["partner"], "partner", json!({})) };
    let everybody = [
        of("admin", &["admin"], "root", json!({})),
        of("ada", &["customer"], "ada", json!({"customer_id": "ada"})),
        of("kofi", &["customer"], "kofi", json!({"customer_id": "kofi"})),
        of("packer", &["packer"], "local:pia", json!({})),
        partner,
        of("public", &["public"], "anyone", json!({})),
    ];
    let tally = pairs(model, &records, &everybody).await.unwrap_or_else(|why| panic!("{why}"));
    eprintln!("{tally:?}");
    assert!(tally.answered > 100 && tally.refused > 100 && tally.unwritten > 200, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_role_of_northwind_gets_at_what_another_sees() {
    let Some(directory) = northwind_data() else { return };
    let model = parse("northwind.yaml", &northwind_model()).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let mut records = Vec::new();
    for of in &model.entities {
        for mut line in lines(&directory.join(format!("{}.ndjson", of.plural))) {
            for (from, to) in
                [(format!("{}_id", of.name).as_str(), "id"), ("ship_via", "shipper_id"), ("reports_to", "reports_to_id")]
            {
                if let Some(value) = line.shift_remove(from) {
                    line.insert(to.to_owned(), value);
                }
            }
            records.push((of.plural.clone(), line));
        }
    }
    let records = few(&model, records, &["orders", "employee_territories"], 6);
    let everybody = [
        of("admin", &["admin"], "root", json!({})),
        of("nancy", &["employee"], "nancy", json!({"employee_id": 4})),
        of("steven", &["manager"], "steven", json!({"employee_id": 5, "team": [5, 6, 3]})),
        of("vinet", &["customer"], "vinet", json!({"customer_id": "VINET"})),
        of("hanar", &["customer"], "hanar", json!({"customer_id": "HANAR"})),
        of("supplier", &["supplier"], "s", json!({"supplier_id": 20})),
        of("carrier", &["carrier"], "c", json!({"shipper_id": 3})),
        of("public", &["public"], "anyone", json!({})),
        of("auditor", &["auditor"], "a", json!({})),
    ];
    let tally = pairs(model, &records, &everybody).await.unwrap_or_else(|why| panic!("{why}"));
    eprintln!("{tally:?}");
    assert!(tally.answered > 100 && tally.refused > 100 && tally.unwritten > 200, "{tally:?}");
}

/// The first `count` records of some entities with everything that they refer to and what refers to them by composite ids, in
/// an order in which references lead to what is there already.
fn few(model: &Model, all: Vec<(String, Map<String, Value>)>, roots: &[&str], count: usize) -> Vec<(String, Value)> {
    let id_of = |plural: &str, record: &Map<String, Value>| {
        let of = model.by_plural(plural).unwrap();
        let parts: Vec<String> = of.id_parts().iter().map(|part| text(&record[&of.field(*part).name])).collect();
        if parts.is_empty() { record.get("id").map_or_else(|| json!(record).to_string(), text) } else { parts.join(",") }
    };
    let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
    for plural in roots {
        let some = all.iter().filter(|(of, _)| of == plural).take(count);
        wanted.extend(some.map(|(of, record)| (of.clone(), id_of(of, record))));
    }
    loop {
        let before = wanted.len();
        for (plural, record) in &all {
            let of = model.by_plural(plural).unwrap();
            let targets: Vec<(String, String)> = of
                .to_one
                .iter()
                .filter_map(|relation| {
                    let value = record.get(&of.field(relation.field).name).filter(|value| !value.is_null())?;
                    Some((model.entity(relation.target).plural.clone(), text(value)))
                })
                .collect();
            // Lines come with their order.
            let with_whole = !of.id_parts().is_empty() && targets.first().is_some_and(|first| wanted.contains(first));
            let own = (plural.clone(), id_of(plural, record));
            if with_whole || wanted.contains(&own) {
                wanted.insert(own);
                wanted.extend(targets);
            }
        }
        if wanted.len() == before {
            break;
        }
    }
    let mut left: Vec<(String, Map<String, Value>)> =
        all.into_iter().filter(|(of, record)| wanted.contains(&(of.clone(), id_of(of, record)))).collect();
    let mut there: BTreeSet<(String, String)> = BTreeSet::new();
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let ready = |(plural, record): &(String, Map<String, Value>)| {
            let of = model.by_plural(plural).unwrap();
            of.to_one.iter().all(|relation| {
                let value = record.get(&of.field(relation.field).name).filter(|value| !value.is_null());
                value.is_none_or(|value| there.contains(&(model.entity(relation.target).plural.clone(), text(value))))
            })
        };
        let at = left.iter().position(ready).expect("references without a cycle");
        let (plural, record) = left.remove(at);
        there.insert((plural.clone(), id_of(&plural, &record)));
        ordered.push((plural, Value::Object(record)));
    }
    ordered
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The index of every scan and join of a list, and the partitions that it reads.
fn access_path(model: &Model, who: &Principal, entity: &str) -> Vec<(String, usize)> {
    let of = model.by_name(entity).unwrap();
    let permitted = permit_list(model, who, ListQuery::all(of.ix)).unwrap();
    let plan = plan(model, &States::default(), &permitted).unwrap();
    let scans = plan.scans.iter().map(|scan| (of.index(scan.index).name.clone(), 1));
    let joins = plan.joins.iter().map(|join| (of.index(join.index).name.clone(), join.partitions.len()));
    scans.chain(joins).collect()
}

#[test]
fn an_employee_of_northwind_reads_the_own_orders_by_an_index_and_not_by_a_scan() {
    let model = parse("northwind.yaml", &northwind_model()).unwrap();
    let with = |role: &str, claims: Value| {
        let claims = claims.as_object().cloned().unwrap().into_iter().collect();
        Principal::unverified(Caller { roles: vec![role.to_owned()], claims, ..Caller::default() })
    };
    let one = |name: &str| vec![(name.to_owned(), 1)];
    let nancy = with("employee", json!({"employee_id": 1}));
    assert_eq!(access_path(&model, &nancy, "order"), one("by_employee"));
    // Lines by their order's employee: one partition of the orders' index, then a scan for each order found.
    assert_eq!(access_path(&model, &nancy, "order_line").len(), 1);
    assert_ne!(access_path(&model, &nancy, "order_line"), one("id"));
    let steven = with("manager", json!({"employee_id": 5, "team": [6, 7, 9]}));
    let team = access_path(&model, &steven, "order");
    assert_eq!(
        (team.len(), team.iter().all(|(name, _)| name == "by_employee")),
        (4, true),
        "own, and three of the team: {team:?}"
    );
    let carrier = with("carrier", json!({"shipper_id": 3}));
    assert_eq!(access_path(&model, &carrier, "order"), one("by_shipper"));
    assert_eq!(access_path(&model, &with("admin", json!({})), "order"), one("id"), "who may see all reads all");
}

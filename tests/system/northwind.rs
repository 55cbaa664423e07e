//! Northwind: real data through `import`, and what a trading company asks.

use std::collections::HashSet;
use std::path::Path;

use holdfast::core::clock::Env;
use holdfast_local::Options;
use holdfast_local::import::{Loader, Reshape, rows};
use holdfast_tests::{Actor, System, northwind_data, northwind_model};
use serde_json::{Value, json};

/// Plural, and the members that get another name; parents first is not needed, the import sees to that.
const FILES: [(&str, &[(&str, &str)]); 11] = [
    ("order_lines", &[]),
    ("orders", &[("order_id", "id"), ("ship_via", "shipper_id")]),
    ("products", &[("product_id", "id")]),
    ("employee_territories", &[]),
    ("territories", &[("territory_id", "id")]),
    ("regions", &[("region_id", "id")]),
    ("employees", &[("employee_id", "id"), ("reports_to", "reports_to_id")]),
    ("customers", &[("customer_id", "id")]),
    ("categories", &[("category_id", "id")]),
    ("shippers", &[("shipper_id", "id")]),
    ("suppliers", &[("supplier_id", "id")]),
];

/// The lines of a file as they stand in it.
fn source(directory: &Path, plural: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(directory.join(format!("{plural}.ndjson"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A system with all of Northwind in it.
async fn loaded(directory: &Path) -> (System, Actor) {
    // The plan's rate would make the load take half a minute: this test is not about limits.
    let model = northwind_model().replace("rate: 100, per: 1s, burst: 200", "rate: 100000, per: 1s, burst: 100000");
    let system = System::start_with(Options::in_memory(model)).await;
    let admin = system.admin();
    let loader = Loader::new(system.url(), admin.token().unwrap(), Env::system()).unwrap();
    let mut lines = Vec::new();
    for (plural, renames) in FILES {
        let rename = renames.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        let reshape = Reshape { rename, drop: Vec::new() };
        let file = std::fs::read(directory.join(format!("{plural}.ndjson"))).unwrap();
        lines.extend(rows(plural, &format!("{plural}.ndjson"), file.as_slice(), &reshape).collect::<Vec<_>>());
    }
    let count = lines.len();
    let report = loader.load(lines.into_iter(), |_| {}).await.unwrap();
    assert_eq!(report.refused, []);
    assert_eq!(report.created, count);
    (system, admin)
}

/// Every page of a list, by its cursors.
async fn all(actor: &Actor, path: &str) -> Vec<Value> {
    let (mut records, mut cursor) = (Vec::new(), String::new());
    loop {
        let reply = actor.get(&format!("{path}{cursor}")).await.expect(200);
        records.extend(reply.body["data"].as_array().unwrap().clone());
        match reply.body["next_cursor"].as_str() {
            None => return records,
            Some(next) => cursor = format!("&cursor={next}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trading_company_asks() {
    let Some(directory) = northwind_data() else { return };
    let (system, admin) = loaded(&directory).await;
    orders_of_a_customer_with_what_was_bought(&admin, &directory).await;
    products_over_a_price(&admin, &directory).await;
    everything_is_there_once(&admin, &directory).await;
    a_restricted_delete_is_refused(&admin).await;
    pages_while_others_write(&admin).await;
    system.stop().await;
}

async fn orders_of_a_customer_with_what_was_bought(admin: &Actor, directory: &Path) {
    let reply = admin.get("/v1/orders?customer_id=VINET&sort=-order_date&include=lines.product&limit=100").await.expect(200);
    let orders = reply.body["data"].as_array().unwrap();
    let expected: Vec<Value> = source(directory, "orders").into_iter().filter(|order| order["customer_id"] == "VINET").collect();
    assert_eq!(orders.len(), expected.len());
    let dates: Vec<&str> = orders.iter().map(|order| order["order_date"].as_str().unwrap()).collect();
    assert!(dates.is_sorted_by(|left, right| left >= right), "{dates:?}");
    let lines = source(directory, "order_lines");
    for order in orders {
        let bought: Vec<&Value> = lines.iter().filter(|line| line["order_id"] == order["id"]).collect();
        let shown = order["lines"].as_array().unwrap();
        assert_eq!(shown.len(), bought.len(), "{order}");
        for line in shown {
            assert_eq!(line["id"], json!(format!("{},{}", order["id"], line["product_id"])));
            assert_eq!(line["product"]["id"], line["product_id"]);
            assert!(line["product"]["product_name"].is_string(), "{line}");
        }
    }
}

async fn products_over_a_price(admin: &Actor, directory: &Path) {
    let found = all(admin, "/v1/products?category_id=1&unit_price[gt]=18.00&sort=unit_price&limit=5").await;
    let price = |product: &Value| -> f64 { product["unit_price"].as_str().unwrap().parse().unwrap() };
    let mut expected: Vec<Value> = source(directory, "products")
        .into_iter()
        .filter(|product| product["category_id"] == 1 && price(product) > 18.0)
        .collect();
    expected.sort_by(|left, right| price(left).total_cmp(&price(right)));
    let ids = |products: &[Value], name: &str| products.iter().map(|product| product[name].clone()).collect::<HashSet<_>>();
    assert!(!found.is_empty());
    assert_eq!(ids(&found, "id"), ids(&expected, "product_id"));
    assert_eq!(found.iter().map(price).collect::<Vec<_>>(), expected.iter().map(price).collect::<Vec<_>>());
}

async fn everything_is_there_once(admin: &Actor, directory: &Path) {
    for (plural, _) in FILES {
        let records = all(admin, &format!("/v1/{plural}?limit=100")).await;
        let ids: HashSet<String> = records.iter().map(|record| record["id"].to_string()).collect();
        let expected = source(directory, plural).len();
        assert_eq!((records.len(), ids.len()), (expected, expected), "{plural}");
    }
    let reports = admin.get("/v1/employees/2?include=reports").await.expect(200);
    let expected = source(directory, "employees").iter().filter(|employee| employee["reports_to"] == 2).count();
    assert_eq!(reports.body["reports"].as_array().unwrap().len(), expected);
}

async fn a_restricted_delete_is_refused(admin: &Actor) {
    admin.delete("/v1/customers/VINET").await.expect_problem(409, "restricted");
    admin.get("/v1/customers/VINET").await.expect(200);
}

/// Pages through all lines while others insert and delete elsewhere: every line that stays is seen exactly once.
async fn pages_while_others_write(admin: &Actor) {
    let before: HashSet<String> =
        all(admin, "/v1/order_lines?limit=100").await.iter().map(|line| line["id"].to_string()).collect();
    let writer = admin.clone();
    let writing = tokio::spawn(async move {
        for round in 0..30 {
            let line = json!({ "order_id": 10_300 + round, "product_id": 77, "unit_price": "1.00", "quantity": 1 });
            let created = writer.post("/v1/order_lines", line).await;
            if created.status == 201 {
                let id = created.body["id"].as_str().unwrap().to_owned();
                writer.delete(&format!("/v1/order_lines/{id}")).await.expect(204);
            }
        }
    });
    let seen = all(admin, "/v1/order_lines?limit=20").await;
    writing.await.unwrap();
    let mut ids: Vec<String> = seen.iter().map(|line| line["id"].to_string()).collect();
    ids.retain(|id| before.contains(id));
    let distinct: HashSet<String> = ids.iter().cloned().collect();
    assert_eq!(ids.len(), distinct.len(), "a line was shown twice");
    assert_eq!(distinct, before, "a line was skipped");
}

//! The demo: records that fit `model.yaml`, loaded at the first start through the API as `import` does, and whom the tokens of
//! a start stand for.

use holdfast::core::clock::Env;
use serde_json::{Map, Value, json};

use crate::import::{LoadError, Loader, Report, Reshape, rows};
use holdfast::model::Model;

/// Files of records by the plural of their entity.
const FILES: [(&str, &str); 9] = [
    ("shelves", include_str!("../demo/shelves.ndjson")),
    ("publishers", include_str!("../demo/publishers.ndjson")),
    ("authors", include_str!("../demo/authors.ndjson")),
    ("books", include_str!("../demo/books.ndjson")),
    ("customers", include_str!("../demo/customers.ndjson")),
    ("orders", include_str!("../demo/orders.ndjson")),
    ("order_lines", include_str!("../demo/order_lines.ndjson")),
    ("reviews", include_str!("../demo/reviews.ndjson")),
    ("vouchers", include_str!("../demo/vouchers.ndjson")),
];

/// Whether the demo's records belong to a model: it has all their entities.
pub fn fits(model: &Model) -> bool {
    FILES.iter().all(|(plural, _)| model.by_plural(plural).is_some())
}

/// Loads the demo through the API at `base`.
///
/// # Errors
/// As [`Loader::load`].
pub async fn load(base: &str, token: &str) -> Result<Report, LoadError> {
    let loader = Loader::new(base, token, Env::system())?;
    let reshape = Reshape::default();
    let all = FILES
        .iter()
        .flat_map(|(plural, text)| rows(plural, &format!("demo/{plural}.ndjson"), text.as_bytes(), &reshape))
        .collect::<Vec<_>>();
    loader.load(all.into_iter(), |_| {}).await
}

/// The plan with the highest rate, for those who load data and try things out: the default plan may be made for strangers.
pub fn widest_plan(model: &Model) -> Option<String> {
    let slowest = |plan: &holdfast::model::RatePlan| {
        let per_second = plan.rates.iter().map(|rate| rate.rate as f64 / rate.per.as_secs_f64());
        per_second.fold(f64::INFINITY, f64::min)
    };
    model.plans.iter().max_by(|left, right| slowest(left).total_cmp(&slowest(right))).map(|plan| plan.name.clone())
}

/// Subject of the token of a role: a person of the demo, so that "own records" are not empty; otherwise the role itself.
pub fn identity(model: &Model, role: &str) -> (String, Map<String, Value>) {
    let (subject, claims) = match role {
        "customer" => ("ada", json!({ "customer_id": "ada" })),
        "packer" => ("pia", json!({})),
        other => (other, json!({})),
    };
    match claims {
        Value::Object(claims) if fits(model) => (subject.to_owned(), claims),
        _ => (role.to_owned(), Map::new()),
    }
}

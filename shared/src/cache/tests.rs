//! What an answer is called and what it depends on, from model, question and caller alone.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::{EntryDescriptor, Mode, reads_others};
use crate::core::caller::Caller;
use crate::identity::auth::Principal;
use crate::model::{Entity, Model, parse};
use crate::query::plan;
use crate::query::policy::{Permitted, permit_get, permit_list};
use crate::query::{ListQuery, parse_get, parse_list};
use crate::store::constraints::States;

const MODEL: &str = "
name: Test
version: 1.0.0
entities:
  country:
    id: string
    cache: {bounded: 30s}
    fields: {name: {type: string, max: 20, filter: scan}}
  customer:
    id: string
    cache: {bounded: 10s}
    fields:
      name: {type: string, max: 20}
      region: {type: string, max: 5}
      country: {ref: country, inverse: customers}
    indexes:
      by_region: {equality: region}
      by_name: {sort: name, fields: [name]}
  order:
    id: string
    contention: 1000
    fields:
      status: {enum: [open, paid]}
      customer: {ref: customer, inverse: orders}
    indexes:
      by_status: {equality: status}
      by_customer_region: {equality: customer.region}
  secret:
    id: string
    cache: off
    fields: {order: {ref: order, inverse: secrets}}
roles:
  admin: {all: true}
  local: {entities: {customer: {view: {rows: {country.name: $claim.country}}}}}
  buyer: {entities: {order: {view: {rows: {customer_id: $subject}, fields: [status]}}}}
  seller: {entities: {order: {view: {rows: {customer_id: $subject}, fields: [status]}}}}
auth: {claims: [country]}
";

fn model() -> Model {
    parse("model.yaml", MODEL).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

fn caller(subject: &str, roles: &[&str], country: &str) -> Principal {
    Principal::unverified(Caller {
        subject: subject.to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        claims: [("country".to_owned(), json!(country))].into(),
        ..Caller::default()
    })
}

fn admin() -> Principal {
    caller("root", &["admin"], "")
}

fn permitted(model: &Model, who: &Principal, entity: &Entity, query: &str) -> Permitted<ListQuery> {
    permit_list(model, who, parse_list(model, entity, &crate::query::Everything, query).unwrap()).unwrap()
}

/// `address`: an entity, perhaps with a query.
fn list(model: &Model, who: &Principal, address: &str) -> Option<EntryDescriptor> {
    list_in(model, &States::default(), who, address)
}

fn list_in(model: &Model, states: &States, who: &Principal, address: &str) -> Option<EntryDescriptor> {
    let (entity, query) = address.split_once('?').unwrap_or((address, ""));
    let permitted = permitted(model, who, model.by_name(entity).unwrap(), query);
    let plan = plan::plan(model, states, &permitted).unwrap();
    EntryDescriptor::of_list(model, states, &permitted, &plan)
}

fn tags(descriptor: &EntryDescriptor) -> BTreeSet<String> {
    descriptor
        .tags
        .iter()
        .map(|tag| format!("{}/{}", tag.pk, tag.sk.iter().map(ToString::to_string).collect::<String>()))
        .collect()
}

#[test]
fn an_answer_depends_on_all_that_it_reads_and_on_nothing_else() {
    let (model, admin) = (model(), admin());
    let orders = ["t#e#order/00", "t#e#order/01", "t#e#order/02"];
    let customers = ["t#e#customer/00"];
    let countries = ["t#e#country/00"];
    let cases: [(&Principal, &str, Vec<&[&str]>); 8] = [
        (&admin, "customer", vec![&customers]),
        (&admin, "order", vec![&orders]),
        (&admin, "order?include=customer", vec![&orders, &customers]),
        (&admin, "order?include=customer.country", vec![&orders, &customers, &countries]),
        (&admin, "customer?include=orders,country", vec![&customers, &orders, &countries]),
        // Rows that do not carry everything are completed from their records.
        (&admin, "customer?sort=name", vec![&customers]),
        // A join: its parents and its partitions are known only once it is read.
        (&admin, "order?customer.region=north", vec![&orders, &customers]),
        // Who may see what.
        (&caller("a", &["local"], "DE"), "customer", vec![&customers, &countries]),
    ];
    for (who, address, expected) in cases {
        let descriptor = list(&model, who, address).unwrap();
        let expected = expected.concat().into_iter().chain(["t#*/0"]).map(str::to_owned).collect();
        assert_eq!(tags(&descriptor), expected, "{address}");
    }
    let north = list(&model, &admin, "customer?region=north").unwrap();
    assert_eq!(north.tags.len(), 2);
    assert_ne!(north.tags, list(&model, &admin, "customer?region=south").unwrap().tags, "each partition has its own");
}

#[test]
fn a_record_depends_on_its_own_tag_and_on_what_it_embeds() {
    let (model, admin) = (model(), admin());
    let order = model.by_name("order").unwrap();
    let of =
        |query: &str| permit_get(&model, &admin, parse_get(&model, order, &crate::query::Everything, query).unwrap()).unwrap();
    let descriptor = EntryDescriptor::of_record(&model, &States::default(), &of("include=customer"), "o1").unwrap();
    assert_eq!(descriptor.tags.len(), 3, "{:?}", descriptor.tags);
    let other = EntryDescriptor::of_record(&model, &States::default(), &of("include=customer"), "o2").unwrap();
    assert_ne!(descriptor.key, other.key);
    assert!(reads_others(&model, &of("include=customer")) && !reads_others(&model, &of("")));
}

#[test]
fn what_depends_on_too_much_is_not_kept() {
    let (model, admin) = (model(), admin());
    let many = |count: usize| {
        let regions: Vec<String> = (0..count).map(|number| format!("r{number}")).collect();
        list(&model, &admin, &format!("customer?region[in]={}", regions.join(",")))
    };
    assert_eq!(many(98).map(|descriptor| descriptor.tags.len()), Some(99));
    assert_eq!(many(99), None);
}

#[test]
fn the_mode_is_the_strictest_of_all_that_is_shown_or_consulted() {
    let (model, admin) = (model(), admin());
    let mode = |who: &Principal, address: &str| list(&model, who, address).map(|descriptor| descriptor.mode);
    let bounded = |seconds| Some(Mode::Bounded(Duration::from_secs(seconds)));
    assert_eq!(mode(&admin, "country"), bounded(30));
    assert_eq!(mode(&admin, "country?include=customers"), bounded(10));
    assert_eq!(mode(&caller("a", &["local"], "DE"), "customer"), bounded(10));
    assert_eq!(mode(&admin, "customer?include=orders"), Some(Mode::Strict));
    assert_eq!(mode(&admin, "secret"), None);
    assert_eq!(mode(&admin, "order?include=secrets"), None);
}

#[test]
fn everything_that_can_change_the_answer_is_in_its_name() {
    let (model, admin) = (model(), admin());
    let addresses = [
        "order",
        "order?limit=5",
        "order?count=true",
        "order?fields=id",
        "order?fields=id,status",
        "order?sort=-id",
        "order?status=open",
        "order?status=paid",
        "order?status[in]=open,paid",
        "order?include=customer",
        "order?include=customer.orders",
        "order?include=customer.orders&include[customer.orders][limit]=2",
        "order?include=customer.orders&include[customer.orders][sort]=-id",
        "order?cursor=abc",
        "customer",
    ];
    let names: BTreeSet<_> = addresses.iter().map(|address| list(&model, &admin, address).unwrap().key).collect();
    assert_eq!(names.len(), addresses.len());
    let name = |who: &Principal, address: &str| list(&model, who, address).unwrap().key;
    assert_eq!(name(&admin, "order"), name(&caller("somebody else", &["admin"], "DE"), "order"), "equal access is shared");
    let buyer = |subject| caller(subject, &["buyer"], "");
    assert_eq!(name(&buyer("a"), "order"), name(&caller("a", &["seller"], ""), "order"), "by whatever role");
    assert_ne!(name(&buyer("a"), "order"), name(&buyer("b"), "order"), "a condition on the caller makes it private");
    assert_ne!(name(&buyer("a"), "order"), name(&caller("a", &["buyer", "admin"], ""), "order"));
    let local = |country| caller("a", &["local"], country);
    assert_ne!(name(&local("DE"), "customer"), name(&local("FR"), "customer"));
    assert_eq!(
        name(&buyer("a"), "order"),
        name(&caller("a", &["buyer"], "unused"), "order"),
        "claims that no rule uses do not count"
    );
    let other = parse("model.yaml", &MODEL.replace("max: 5", "max: 6")).unwrap();
    assert_ne!(name(&admin, "order"), list(&other, &admin, "order").unwrap().key);
}

//! What is said of a list that cannot be served.

use super::{IncludePlan, ReadPlan, Reads, plan, to_count};
use serde_json::json;

use crate::core::caller::Caller;
use crate::identity::auth::Principal;
use crate::model::{EntityIx, IdKind, IndexIx, Model, parse};
use crate::query::policy::{Permitted, permit_list};
use crate::query::{Everything, ListQuery, Relation, parse_list};
use crate::store::constraints::States;

const MODEL: &str = "
name: T
entities:
  customer:
    id: string
    fields:
      name: {type: string, max: 20}
      country: {type: string, max: 2}
      city: {type: string, max: 20}
      bio: text
      scanned: {type: text, filter: scan}
      extra: json
      secret: {type: string, max: 20}
    indexes:
      by_country: {equality: [country], sort: [name]}
      by_secret: {equality: [secret]}
  order:
    id: string
    fields:
      customer: {ref: customer, on_delete: restrict, inverse: orders}
    indexes:
      by_customer_country: {equality: [customer.country]}
roles:
  admin: {all: true}
  clerk: {entities: {customer: {list: {fields: {except: [secret]}}}}}
";

fn model() -> Model {
    parse("m.yaml", MODEL).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn permitted(model: &Model, role: &str, entity: &str, query: &str) -> Permitted<ListQuery> {
    let principal = Principal::unverified(Caller { roles: vec![role.to_owned()], ..Caller::default() });
    let entity = model.by_name(entity).unwrap();
    permit_list(model, &principal, parse_list(model, entity, &Everything, query).unwrap()).unwrap()
}

fn index(model: &Model, entity: &str, name: &str) -> (EntityIx, IndexIx) {
    let entity = model.by_name(entity).unwrap();
    (entity.ix, entity.by_index(name).unwrap().ix)
}

#[test]
fn an_index_is_named_only_where_the_model_could_have_it() {
    let model = model();
    for (query, parameter, help) in [
        ("city=a", "city", "declare one with equality: [city] and sort: [], or mark a filtered field"),
        ("country=DE&city[gt]=a", "city", "declare one with equality: [country] and sort: [city]"),
        ("sort=-bio", "sort", "no index can serve this sort: values of bio have no order"),
        ("sort=city", "sort", "declare one with equality: [] and sort: [city]"),
        ("bio=a", "bio", "no index can serve bio: mark bio with filter: scan"),
        ("bio[prefix]=a&city=b", "bio[prefix]", "no index can serve bio[prefix]: mark bio with filter: scan"),
        ("extra[null]=true", "extra[null]", "no index can serve extra[null]: filter by other fields"),
        ("name[ne]=a", "name[ne]", "mark name with filter: scan, or filter by its values"),
        ("id[ne]=a", "id[ne]", "no index can serve id[ne]: filter by its values"),
        // What may be scanned stands in nobody's way, and in no index.
        ("scanned=a&city=b", "city", "declare one with equality: [city] and sort: []"),
    ] {
        let none = plan(&model, &States::default(), &permitted(&model, "admin", "customer", query)).unwrap_err();
        assert_eq!(none.parameter, parameter, "{query}");
        assert!(none.help.contains(help), "{query}: {}", none.help);
        assert!(!none.help.contains("equality: [bio") && !none.help.contains("[scanned"), "{query}: {}", none.help);
    }
    let none = plan(&model, &States::default(), &permitted(&model, "admin", "customer", "sort=city")).unwrap_err();
    assert!(!none.help.contains("scan"), "nothing is filtered: {}", none.help);
}

#[test]
fn an_index_that_is_declared_and_not_built_is_said_to_need_migrate() {
    let model = model();
    let missing = States::without(vec![index(&model, "customer", "by_country")]);
    for (entity, query) in [("customer", "country=DE"), ("order", "customer.country=DE")] {
        let permitted = permitted(&model, "admin", entity, query);
        plan(&model, &States::default(), &permitted).unwrap();
        let none = plan(&model, &missing, &permitted).unwrap_err();
        assert!(none.is_building && none.help.contains("(customer by_country)"), "{query}: {}", none.help);
        assert!(!none.help.contains("declare one"), "{query}: {}", none.help);
    }
    let none = plan(&model, &missing, &permitted(&model, "admin", "customer", "city=a")).unwrap_err();
    assert!(none.help.contains("declare one"), "building would not help: {}", none.help);
}

#[test]
fn a_count_beyond_the_budget_names_what_would_be_counted() {
    let model = model();
    let said = |role: &str, query: &str| to_count(&model, &permitted(&model, role, "customer", query));
    assert!(said("admin", "city=a&count=true").contains("declare an index with equality: [city] and sort: []"));
    assert!(said("admin", "country=DE&city=a&scanned=x").contains("equality: [country, city]"));
    assert!(said("admin", "country=DE&city[gt]=a").contains("equality: [country] and sort: [city]"));
    for query in ["country=DE", "country=DE&name[gt]=a", "country=DE&scanned=x"] {
        let said = said("admin", query);
        assert!(said.contains("narrow it") && !said.contains("declare"), "{query}: {said}");
    }
    let all = said("admin", "");
    assert!(all.contains("country=") && all.contains("secret=") && !all.contains("declare"), "{all}");
    let masked = said("clerk", "scanned[prefix]=x");
    assert!(masked.contains("country=") && !masked.contains("secret"), "{masked}");
}

/// Relations whose lists are served by an index on the reference, by its order, and by several alternatives of a policy.
const RELATIONS: &str = "
name: T
entities:
  shop:
    id: integer
    fields:
      city: {type: string, max: 20}
  order:
    id: string
    fields:
      shop: {ref: shop, on_delete: restrict, inverse: orders}
      rank: {type: integer, required: true}
      owner: {type: string, max: 20, required: true}
      open: {type: boolean, required: true}
    indexes:
      by_shop: {equality: [shop], sort: [-rank]}
      by_owner: {equality: [owner], sort: [-rank]}
      by_owner_and_shop: {equality: [owner, shop], sort: [-rank]}
      by_open: {equality: [open], sort: [shop]}
  line:
    id: string
    fields:
      order: {ref: order, on_delete: cascade, inverse: lines}
      amount: {type: integer, required: true}
    indexes:
      by_order: {equality: [order], sort: [amount]}
      by_order_owner: {equality: [order.owner], sort: [amount]}
roles:
  admin: {all: true}
  owner:
    entities:
      shop: {list: {}}
      order: {list: {rows: {owner: $claim.owner}}}
      line: {list: {rows: {order.owner: $claim.owner}}}
  team:
    entities:
      shop: {list: {}}
      order: {list: {rows: {or: [{owner: $claim.owner}, {open: true}]}}}
      line: {list: {}}
auth: {claims: [owner]}
";

/// Compares the plans of a list's children, bound to parents, with those that planning anew makes; how many.
fn bound_and_anew(model: &Model, permitted: &Permitted<ListQuery>) -> usize {
    let anew = |query: &Permitted<ListQuery>| plan(model, &States::default(), query).unwrap();
    let read = ReadPlan::of_list(model, &States::default(), permitted).unwrap();
    assert_eq!(read.own, anew(permitted));
    let long = "x".repeat(100);
    let mut includes: Vec<_> = read.includes.iter().map(|include| (permitted.query().entity, include)).collect();
    let mut compared = 0;
    while let Some((entity, IncludePlan { include, reads, includes: below })) = includes.pop() {
        let target = &include.target;
        includes.extend(below.iter().map(|plan| (target.query().entity, plan)));
        let (Reads::Children(children), Relation::Many(position)) = (reads, include.relation) else { continue };
        let field = model.entity(entity).to_many[usize::from(position)].field;
        let integer = model.entity(entity).id == IdKind::Integer;
        let parents =
            if integer { [json!(0), json!(-7), json!(9_007_199_254_740_991_i64)] } else { [json!("a"), json!("b"), json!(long)] };
        for parent in parents {
            let (list, bound) = children.bind(model, parent.clone()).unwrap();
            assert_eq!(list, target.of_parent(model, field, parent.clone()));
            assert_eq!(bound, anew(&list), "{parent}");
            assert!(!bound.scans.is_empty(), "{parent}");
            compared += 1;
        }
    }
    compared
}

#[test]
fn a_plan_that_is_bound_to_a_parent_is_the_one_that_planning_anew_makes() {
    let model = parse("m.yaml", RELATIONS).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let (shop, claims) = (model.by_name("shop").unwrap(), [("owner".to_owned(), json!("ada"))]);
    for (query, relations) in [
        ("include=orders", 1),
        ("include=orders&include[orders][limit]=2&include[orders][sort]=-rank", 1),
        ("include=orders.lines", 2),
        ("include=orders.lines&include[orders][sort]=-rank&include[orders.lines][sort]=-amount", 2),
    ] {
        for role in ["admin", "owner", "team"] {
            let verified = Caller { roles: vec![role.to_owned()], claims: claims.clone().into(), ..Caller::default() };
            let query = parse_list(&model, shop, &Everything, query).unwrap();
            let permitted = permit_list(&model, &Principal::unverified(verified), query).unwrap();
            assert_eq!(bound_and_anew(&model, &permitted), relations * 3, "{role}");
        }
    }
}

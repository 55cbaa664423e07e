//! What is refused, and what the refusal names.

use super::{BadParameter, Everything, Visibility, parse_get, parse_list};
use crate::model::{Entity, FieldMask, Model, parse};

const MODEL: &str = "
name: T
entities:
  customer:
    id: string
    fields:
      name: {type: string, max: 20}
      country: {type: string, max: 2}
      bio: text
      secret: {type: string, max: 20}
    indexes:
      by_name: {equality: [name]}
      by_country: {equality: [country]}
  order:
    id: string
    fields:
      customer: {ref: customer, on_delete: restrict}
      note: text
      total: integer
    indexes:
      by_customer: {equality: [customer]}
      by_customer_country: {equality: [customer.country]}
";

fn model() -> Model {
    parse("m.yaml", MODEL).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// Whoever may not read the secret.
struct Masked<'a>(&'a Model);

fn all_but_the_secret(entity: &Entity) -> FieldMask {
    entity.fields.iter().filter(|field| field.name != "secret").map(|field| field.ix).collect()
}

impl Visibility for Masked<'_> {
    fn own(&self) -> FieldMask {
        all_but_the_secret(self.0.by_name("customer").unwrap())
    }

    fn reached(&self, entity: &Entity) -> Option<FieldMask> {
        Some(all_but_the_secret(entity))
    }
}

fn wrong(entity: &str, sight: Option<&dyn Visibility>, query: &str) -> Vec<BadParameter> {
    let model = model();
    let entity = model.by_name(entity).unwrap();
    parse_list(&model, entity, sight.unwrap_or(&Everything), query).expect_err(query)
}

#[test]
fn a_name_that_nothing_has_is_answered_with_those_that_there_are() {
    for (entity, query, expected) in [
        (
            "customer",
            "zzz=1",
            &["no field \"zzz\"", "name, country, bio", "id", "limit, cursor, sort, fields, include, count"][..],
        ),
        ("customer", "limti=1", &["did you mean \"limit\"?"]),
        ("customer", "fields=zzz", &["no field \"zzz\"", "there are id, name, country, bio, secret"]),
        ("customer", "sort=zzz", &["no field \"zzz\"", "there are id, name, country, secret"]),
        ("customer", "sort=-contry", &["did you mean \"country\"?"]),
        ("customer", "name[zz]=1", &["unknown operator \"zz\"", "eq, ne"]),
        ("order", "include=zzz", &["no relation \"zzz\"", "customer"]),
        ("order", "zzz.country=DE", &["no to-one relation \"zzz\"", "customer"]),
        ("order", "customer.zzz=DE", &["no field \"zzz\"", "there are country"]),
        ("order", "customer.name=A", &["needs an index of order with equality [customer.name]"]),
        ("order", "customer.bio=A", &["no index can hold"]),
    ] {
        let found = wrong(entity, None, query);
        for part in expected {
            assert!(found[0].why.contains(part), "{query}: {part} in {}", found[0].why);
        }
        assert!(!found[0].why.contains("equality [customer.bio]"), "no index could be declared");
    }
}

#[test]
fn a_field_that_the_caller_may_not_read_is_neither_listed_nor_told_from_one_that_nobody_has() {
    let model = model();
    let sight = Masked(&model);
    for query in ["secret=1", "secret[gt]=1", "sort=secret", "fields=secret", "secrets=1", "sort=secrt"] {
        let found = &wrong("customer", Some(&sight), query)[0];
        let asked = query.split(['=', '[']).find(|part| part.contains("secr")).unwrap();
        let elsewhere = found.why.replacen(&format!("\"{asked}\""), "", 1);
        assert!(!elsewhere.contains("secret"), "{query}: {}", found.why);
        let nobodys = &wrong("customer", Some(&sight), &query.replace(asked, "qqqqqq"))[0];
        assert_eq!(found.why.replace(asked, "qqqqqq"), nobodys.why, "{query}");
    }
    let found = &wrong("order", Some(&sight), "customer.secret=1")[0];
    assert!(found.why.starts_with("customer has no field \"secret\""), "{}", found.why);
}

#[test]
fn an_operator_needs_both_brackets() {
    for query in ["name[gt=1", "name[=1", "name[gt]x=1", "name[[gt]]=1", "name[]=1", "name[eq=a"] {
        let found = wrong("customer", None, query);
        assert_eq!(found.len(), 1, "{query}");
        assert!(found[0].why.contains("operator"), "{query}: {}", found[0].why);
    }
    assert!(wrong("customer", None, "name]=1")[0].why.contains("no field \"name]\""));
}

#[test]
fn a_filter_and_its_long_form_are_one_parameter() {
    for query in ["name=a&name[eq]=a", "name[eq]=a&name=b", "id=a&id[eq]=b", "name%5Beq%5D=a&name=a"] {
        let found = wrong("customer", None, query);
        assert!(found.len() == 1 && found[0].why.contains("repeated"), "{query}: {found:?}");
    }
    let model = model();
    let customer = model.by_name("customer").unwrap();
    let parsed = parse_list(&model, customer, &Everything, "name[gte]=a&name[lt]=b&name=a&name[in]=a,b").unwrap();
    assert_eq!(parsed.filters.len(), 4);
    assert!(parse_get(&model, customer, &Everything, "zzz=1").unwrap_err()[0].why.contains("fields and include"));
}

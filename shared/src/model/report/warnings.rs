//! What is legal in a model and hardly meant: printed by `model check` after the mistakes, of which there are none by then.

use std::fmt;

use crate::model::schema::{Action, Entity, EntityIx, Field, FieldType, IdKind, Index, Model, RatePlan, Role, TextLimits};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Path of keys in the file: `entities.book.fields.title`.
    pub place: String,
    /// The effect, and what would be right.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.message)
    }
}

/// The warnings about a model, in the order of the documentation.
pub fn warnings(model: &Model) -> Vec<Warning> {
    let mut found = Warnings { list: Vec::new() };
    for entity in &model.entities {
        let place = format!("entities.{}", entity.name);
        found.plural(&place, entity);
        found.circle(&place, model, entity);
        for field in &entity.fields {
            found.field(&format!("{place}.fields.{}", field.name), entity, field);
        }
        for index in &entity.indexes {
            found.index(&format!("{place}.indexes.{}", index.name), entity, index);
        }
    }
    found.roles(model);
    for role in &model.roles {
        found.role(&format!("roles.{}", role.name), role);
    }
    for plan in &model.plans {
        found.plan(&format!("plans.{}", plan.name), model, plan);
    }
    found.auth(model);
    found.list
}

struct Warnings {
    list: Vec<Warning>,
}

impl Warnings {
    fn add(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.list.push(Warning { place: place.into(), message: message.into() });
    }

    /// The plural that English has, where the default adds an `s` to what takes another ending.
    fn plural(&mut self, place: &str, entity: &Entity) {
        let Some(better) = plural(&entity.name).filter(|_| entity.plural == format!("{}s", entity.name)) else { return };
        self.add(place, format!("its path is /v1/{}; write `plural: {better}` if that is meant", entity.plural));
    }

    /// Required references that lead back: none of these records can be the first.
    fn circle(&mut self, place: &str, model: &Model, entity: &Entity) {
        let Some(names) = required_circle(model, entity) else { return };
        // One warning for all that are in it.
        if entity.name == names.iter().min().map_or("", |name| name) {
            let names = names.join(" -> ");
            self.add(
                place,
                format!("{names} -> {} require each other, so no first record can be created; drop one `required`", entity.name),
            );
        }
    }

    fn field(&mut self, place: &str, entity: &Entity, field: &Field) {
        if field.required && field.default.is_some() && !entity.id_parts().contains(&field.ix) {
            self.add(place, "`required` has no effect beside `default`: a create may leave the field out");
        }
        if field.read_only && field.default.is_none() && !is_server_set(field) {
            self.add(place, "read_only without a default: it is null in every record, and nobody can set it");
        }
        if field.write_only && field.read_only {
            self.add(place, "nobody can write it, and nobody can read it");
        }
        let few = match &field.kind {
            FieldType::Boolean => Some(2),
            FieldType::Enum(words) => Some(words.len()),
            _ => None,
        };
        if let Some(few) = few.filter(|_| field.unique) {
            self.add(place, format!("unique with {few} possible values: there can be at most {few} records that have one"));
        }
        self.limits(place, &field.kind);
    }

    fn limits(&mut self, place: &str, kind: &FieldType) {
        match kind {
            FieldType::String(TextLimits { max: Some(0), .. }) | FieldType::Text(TextLimits { max: Some(0), .. }) => {
                self.add(place, "`max: 0` allows only the empty text");
            }
            FieldType::Integer { min, max } if min == max => {
                self.add(place, format!("{min} is the only value that `min` and `max` allow"));
            }
            FieldType::Decimal { scale, min, max } => {
                for (key, bound) in [("min", min), ("max", max)] {
                    if let Some(bound) = bound.filter(|bound| bound.normalize().scale() > *scale) {
                        let digits = format!("values have at most {scale} digits after the point");
                        self.add(place, format!("`{key}: {bound}` is finer than the values: {digits}; set `scale` or round it"));
                    }
                }
            }
            FieldType::Enum(words) if words.len() == 1 => self.add(place, "an enum of one word can have no other value"),
            FieldType::List { item, .. } => self.limits(place, item),
            _ => {}
        }
    }

    /// Indexes that another one serves as well.
    fn index(&mut self, place: &str, entity: &Entity, index: &Index) {
        if !index.declared || !index.is_stored() {
            return;
        }
        let covers = |other: &&Index| {
            let stored = other.is_stored() && other.ix != index.ix;
            // Of two equal ones, the later is too many.
            let longer = other.sort.len() > index.sort.len() || (other.sort.len() == index.sort.len() && other.ix.0 < index.ix.0);
            stored && longer && index.projection.is_none() && other.projection.is_none()
                && other.equality == index.equality
                && other.sort.starts_with(&index.sort)
                // The order of records that are equal in `sort` is by id in the one, by further fields in the other.
                && (other.sort.len() == index.sort.len() || index.sort.is_empty())
        };
        if let Some(other) = entity.indexes.iter().find(covers) {
            self.add(place, format!("`{}` serves the same queries; every write pays for both", other.name));
        }
    }

    fn roles(&mut self, model: &Model) {
        if model.roles.is_empty() {
            self.add("roles", "there are none, so nobody may do anything; begin with `roles: {admin: {all: true, system: all}}`");
        }
        for entity in &model.entities {
            let granted = |role: &Role| Action::ALL.iter().any(|action| role.grants.contains_key(&(entity.ix, *action)));
            if !model.roles.is_empty() && !model.roles.iter().any(granted) {
                self.add(format!("entities.{}", entity.name), "no role may do anything with it");
            }
        }
    }

    fn role(&mut self, place: &str, role: &Role) {
        if role.grants.is_empty() && role.system.is_empty() {
            self.add(place, "it permits nothing");
        }
    }

    fn plan(&mut self, place: &str, model: &Model, plan: &RatePlan) {
        for cost in &plan.costs {
            let entity = cost.entity.map(|ix| model.entity(ix).name.as_str());
            let operation = cost.operation.map(|operation| operation.name());
            let name = [entity, operation].into_iter().flatten().collect::<Vec<_>>().join(".");
            let too_small =
                plan.quotas.iter().find(|quota| quota.limit < cost.units).map(|quota| format!("quotas.{}", quota.name));
            let bursts =
                plan.rates.iter().filter(|rate| rate.only.is_empty() || rate.only.contains(&(cost.entity, cost.operation)));
            let too_small = too_small.or_else(|| {
                let burst = bursts.into_iter().find(|rate| rate.burst < cost.units);
                burst.map(|rate| format!("rates.{}", rate.name))
            });
            if let Some(limit) = too_small {
                self.add(
                    format!("{place}.costs"),
                    format!("`{name}: {}` is more than `{limit}` ever allows: it is always refused", cost.units),
                );
            }
        }
    }

    fn auth(&mut self, model: &Model) {
        if !model.plans.is_empty() && model.auth.default_plan.is_none() {
            self.add("auth", "there are plans and no `default_plan`: a consumer without a plan is not limited");
        }
    }
}

/// Whether the server sets the field by itself.
fn is_server_set(field: &Field) -> bool {
    matches!(field.kind, FieldType::File(_))
        || (field.kind == FieldType::Timestamp && ["created_at", "updated_at"].contains(&field.name.as_str()))
}

/// Entities from this one along required references back to it, without itself at the end.
fn required_circle<'m>(model: &'m Model, start: &'m Entity) -> Option<Vec<&'m str>> {
    fn follow<'m>(model: &'m Model, start: EntityIx, at: &'m Entity, path: &mut Vec<EntityIx>) -> bool {
        for field in at.fields.iter().filter(|field| field.required && field.default.is_none()) {
            let FieldType::Ref { target, .. } = field.kind else { continue };
            // A record may refer to itself where the client chooses its id.
            if target == start && (target != at.ix || at.id == IdKind::Uuid) {
                return true;
            }
            if target != at.ix && !path.contains(&target) {
                path.push(target);
                if follow(model, start, model.entity(target), path) {
                    return true;
                }
                path.pop();
            }
        }
        false
    }
    let mut path = vec![start.ix];
    follow(model, start.ix, start, &mut path).then(|| path.into_iter().map(|ix| model.entity(ix).name.as_str()).collect())
}

/// The plural of an English word that does not simply take an `s`.
fn plural(name: &str) -> Option<String> {
    let vowel = |letter: char| "aeiou".contains(letter);
    if let Some(stem) = name.strip_suffix('y').filter(|stem| stem.chars().last().is_some_and(|letter| !vowel(letter))) {
        return Some(format!("{stem}ies"));
    }
    ["s", "x", "z", "ch", "sh"].iter().any(|end| name.ends_with(end)).then(|| format!("{name}es"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(model: &str) -> Vec<String> {
        let model = crate::model::parse("model.yaml", model).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        warnings(&model).iter().map(ToString::to_string).collect()
    }

    const ROLES: &str = "roles: {admin: {all: true}}\n";

    /// The warnings about an entity `thing` with these fields.
    fn fields(fields: &str) -> Vec<String> {
        warned(&format!("name: T\nentities: {{thing: {{timestamps: false, fields: {{{fields}}}}}}}\n{ROLES}"))
    }

    #[test]
    fn a_model_that_means_what_it_says_has_none() {
        assert_eq!(warned(include_str!("../../../../model.yaml")), Vec::<String>::new());
        let fine = "a: {type: decimal, scale: 3, min: 0.001, max: 1.0000}, b: {type: string, required: true, unique: true}, \
                    c: {type: integer, read_only: true, default: 0}, d: {enum: [x, y]}, e: file";
        assert_eq!(fields(fine), Vec::<String>::new());
    }

    #[test]
    fn limits_that_leave_next_to_nothing() {
        for (field, expected) in [
            ("{type: string, max: 0}", "`max: 0` allows only the empty text"),
            ("{list: {type: string, max: 0}}", "`max: 0` allows only the empty text"),
            ("{type: integer, min: 3, max: 3}", "3 is the only value that `min` and `max` allow"),
            ("{enum: [only]}", "an enum of one word can have no other value"),
            ("{type: boolean, unique: true}", "unique with 2 possible values: there can be at most 2 records that have one"),
            (
                "{type: decimal, scale: 1, max: 0.25}",
                "`max: 0.25` is finer than the values: values have at most 1 digits after the point; set `scale` or round it",
            ),
            (
                "{type: string, required: true, default: x}",
                "`required` has no effect beside `default`: a create may leave the field out",
            ),
            ("{type: string, read_only: true}", "read_only without a default: it is null in every record, and nobody can set it"),
        ] {
            assert_eq!(fields(&format!("a: {field}")), [format!("entities.thing.fields.a: {expected}")], "{field}");
        }
    }

    #[test]
    fn entities_that_require_each_other() {
        let model = |first: &str, second: &str| {
            format!(
                "name: T\nentities:\n  a: {{fields: {{b: {{ref: b{first}}}}}}}\n  b: {{fields: {{a: {{ref: a{second}}}}}}}\n{ROLES}"
            )
        };
        let both = warned(&model(", required: true", ", required: true"));
        assert_eq!(both, ["entities.a: a -> b -> a require each other, so no first record can be created; drop one `required`"]);
        assert_eq!(warned(&model(", required: true", "")), Vec::<String>::new());
        let own =
            |id: &str| format!("name: T\nentities: {{a: {{id: {id}, fields: {{up: {{ref: a, required: true}}}}}}}}\n{ROLES}");
        assert_eq!(warned(&own("uuid")).len(), 1);
        assert_eq!(warned(&own("string")), Vec::<String>::new(), "a record may name itself");
    }

    #[test]
    fn plurals_that_english_writes_otherwise() {
        let of = |entity: &str| warned(&format!("name: T\nentities: {{{entity}: {{fields: {{x: string}}}}}}\n{ROLES}"));
        assert_eq!(of("category"), ["entities.category: its path is /v1/categorys; write `plural: categories` if that is meant"]);
        assert_eq!(of("box"), ["entities.box: its path is /v1/boxs; write `plural: boxes` if that is meant"]);
        assert_eq!(of("day"), Vec::<String>::new());
        let said = format!("name: T\nentities: {{box: {{plural: boxs2, fields: {{x: string}}}}}}\n{ROLES}");
        assert_eq!(warned(&said), Vec::<String>::new());
    }

    #[test]
    fn indexes_that_another_one_serves() {
        let of = |indexes: &str| {
            let fields = "x: {type: string, max: 9}, y: integer";
            warned(&format!("name: T\nentities: {{thing: {{fields: {{{fields}}}, indexes: {{{indexes}}}}}}}\n{ROLES}"))
        };
        let twice = of("one: {equality: x, sort: [-y]}, two: {equality: x, sort: [-y]}");
        assert_eq!(twice, ["entities.thing.indexes.two: `one` serves the same queries; every write pays for both"]);
        assert_eq!(of("one: {equality: x}, two: {equality: x, sort: y}").len(), 1, "any order will do for the first");
        assert_eq!(of("one: {equality: x, sort: y}, two: {equality: x, sort: [-y]}"), Vec::<String>::new());
    }

    #[test]
    fn roles_and_plans_that_do_nothing() {
        let thing = "name: T\nentities: {thing: {fields: {x: string}}}\n";
        assert_eq!(
            warned(thing),
            ["roles: there are none, so nobody may do anything; begin with `roles: {admin: {all: true, system: all}}`"]
        );
        let empty = warned(&format!("{thing}roles: {{nobody: {{description: x}}}}\n"));
        assert_eq!(empty, ["entities.thing: no role may do anything with it", "roles.nobody: it permits nothing"]);
        let plan =
            |plan: &str, auth: &str| warned(&format!("{thing}{ROLES}plans: {{p: {plan}}}\nauth: {{default_plan: p{auth}}}\n"));
        assert_eq!(plan("{rates: {r: {rate: 100}}, quotas: {day: 10}, costs: {list: 11}}", "").len(), 1);
        let unplanned = warned(&format!("{thing}{ROLES}plans: {{p: {{rates: {{r: {{rate: 9}}}}}}}}\n"));
        assert_eq!(unplanned, ["auth: there are plans and no `default_plan`: a consumer without a plan is not limited"]);
    }
}

//! Row conditions: `{customer_id: $claim.customer_id, status: {in: [open, paid]}, or: [{...}, {...}]}`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::constant;
use super::names::{find, find_or_say, is_broken, to_one_or_say};
use crate::model::body::normalise_id;
use crate::model::report::{SUBJECT, can_hold_subject};
use crate::model::schema::{Entity, FieldType, Op, Operand, Path, Rule, is_sortable};
use crate::model::source::{At, Data, Node, Reader, Spot, to_json};
use crate::model::suggest::{list, nearest, synonym};

/// What rules may refer to, and the claims that they use.
pub(super) struct RuleScope<'s> {
    pub entities: &'s [Entity],
    /// Claims that `auth.claims` declares.
    pub claims: &'s [String],
    /// Claims that rules use so far.
    pub used: BTreeSet<String>,
}

const COMBINATORS: [&str; 3] = ["and", "or", "not"];

impl Reader<'_> {
    /// The condition of a mapping: the conjunction of its members.
    pub(super) fn rule(&mut self, node: &Node, entity: &Entity, scope: &mut RuleScope<'_>) -> Rule {
        if !matches!(node.data, Data::Mapping(_)) {
            let help = "for example `rows: {customer_id: $claim.customer_id}`";
            self.mistake(node.spot, "a row condition must be a mapping", help);
            return Rule::Any(Vec::new());
        }
        let mut all = Vec::new();
        for (key, value) in self.named(node, "a row condition") {
            match key.value {
                "and" => all.extend(self.rules(value, entity, scope)),
                "or" => {
                    let any = self.rules(value, entity, scope);
                    all.push(Rule::Any(any));
                }
                "not" => {
                    let inner = self.rule(value, entity, scope);
                    all.push(Rule::Not(Box::new(inner)));
                }
                _ => self.comparisons(key, value, entity, scope, &mut all),
            }
        }
        if all.len() == 1 { all.remove(0) } else { Rule::All(all) }
    }

    fn rules(&mut self, node: &Node, entity: &Entity, scope: &mut RuleScope<'_>) -> Vec<Rule> {
        match &node.data {
            Data::Sequence(items) if !items.is_empty() => items.iter().map(|item| self.rule(item, entity, scope)).collect(),
            _ => {
                self.mistake(node.spot, "`and` and `or` take a list of conditions", "for example `or: [{a: 1}, {b: 2}]`");
                Vec::new()
            }
        }
    }

    fn comparisons(&mut self, key: At<&str>, node: &Node, entity: &Entity, scope: &mut RuleScope<'_>, all: &mut Vec<Rule>) {
        let Some((path, kind)) = self.path(&key, entity, scope.entities) else { return };
        match &node.data {
            Data::Mapping(_) => {
                for (op, operand) in self.named(node, "a comparison") {
                    match Op::parse(op.value) {
                        Some(parsed) => all.extend(self.compare(&key, path, kind.as_ref(), parsed, operand, entity, scope)),
                        None => {
                            let known = Op::ALL.map(Op::name);
                            let help = match (op.value, synonym(op.value, &known)) {
                                ("between", _) => "write `{gte: 1, lte: 5}`".to_owned(),
                                ("=" | "==", _) => "here it is `eq`".to_owned(),
                                ("!=" | "<>", _) => "here it is `ne`".to_owned(),
                                (">" | ">=" | "<" | "<=", _) => "here they are `gt`, `gte`, `lt`, `lte`".to_owned(),
                                (_, Some("contains")) => "here it is `contains`, or `prefix` for a beginning".to_owned(),
                                (_, Some(right)) => format!("here it is `{right}`"),
                                _ => nearest(op.value, known),
                            };
                            self.mistake(op.spot, format!("unknown operator `{}`", op.value), help);
                        }
                    }
                }
            }
            Data::Sequence(_) => all.extend(self.compare(&key, path, kind.as_ref(), Op::In, node, entity, scope)),
            Data::Scalar { .. } => all.extend(self.compare(&key, path, kind.as_ref(), Op::Eq, node, entity, scope)),
        }
    }

    /// Path and type of what a key names; the type is `None` for the id.
    fn path(&mut self, key: &At<&str>, entity: &Entity, entities: &[Entity]) -> Option<(Path, Option<FieldType>)> {
        if key.value == "id" {
            return Some((Path::Id, None));
        }
        let Some((relation, field)) = key.value.split_once('.') else {
            let name = At { spot: key.spot, value: key.value.to_owned() };
            if is_broken(self, entity, key.value) {
                return None;
            }
            if find(entity, key.value).is_none() && entity.to_one(key.value).is_none() {
                let known = entity.fields.iter().map(|field| field.name.as_str()).chain(COMBINATORS).chain(["id"]);
                let message = format!("entity `{}` has no field `{}`", entity.name, key.value);
                let help = match entity.to_many(key.value) {
                    Some(_) => format!("`{}` are records that refer to it; conditions reach over a ref", key.value),
                    None => nearest(key.value, known),
                };
                self.mistake(key.spot, message, help);
                return None;
            }
            let ix = find_or_say(self, entity, &name)?;
            return Some((Path::Own(ix), Some(entity.field(ix).kind.clone())));
        };
        let name = At { spot: key.spot, value: key.value.to_owned() };
        let to_one = to_one_or_say(self, entity, &name, (relation, field), "a condition")?;
        if field == "id" {
            return Some((Path::Own(to_one.field), Some(entity.field(to_one.field).kind.clone())));
        }
        let target = &entities[usize::from(to_one.target.0)];
        let ix = find_or_say(self, target, &At { spot: key.spot, value: field.to_owned() })?;
        Some((Path::Via(to_one.field, ix), Some(target.field(ix).kind.clone())))
    }

    #[allow(clippy::too_many_arguments)]
    fn compare(
        &mut self,
        key: &At<&str>,
        path: Path,
        kind: Option<&FieldType>,
        op: Op,
        node: &Node,
        entity: &Entity,
        scope: &mut RuleScope<'_>,
    ) -> Option<Rule> {
        let compare = |op, operands| Some(Rule::Compare { path, op, operands });
        if op == Op::Null {
            return compare(Op::Null, vec![Operand::Constant(Value::Bool(self.boolean(node, "`null`")?))]);
        }
        if node.is_null() && matches!(op, Op::Eq | Op::Ne) {
            return compare(Op::Null, vec![Operand::Constant(Value::Bool(op == Op::Eq))]);
        }
        if let Some(kind) = kind {
            self.comparable(key, kind, op, node.spot)?;
        }
        let many = matches!(op, Op::In | Op::Nin);
        let nodes = if many { self.items(node) } else { std::slice::from_ref(node) };
        let mut operands = Vec::new();
        for node in nodes {
            operands.push(self.operand(key, kind, op, node, entity, scope)?);
        }
        compare(op, operands)
    }

    fn comparable(&mut self, key: &At<&str>, kind: &FieldType, op: Op, spot: Spot) -> Option<()> {
        let texts = matches!(kind, FieldType::String(_) | FieldType::Text(_) | FieldType::Formatted(_) | FieldType::Enum(_));
        let list_field = matches!(kind, FieldType::List { .. });
        let fits = match op {
            Op::Prefix => texts,
            Op::Contains => texts || list_field,
            Op::Gt | Op::Gte | Op::Lt | Op::Lte => is_sortable(kind),
            _ => is_sortable(kind) || matches!(kind, FieldType::Text(_)),
        };
        if fits {
            return Some(());
        }
        self.mistake(
            spot,
            format!("`{}` cannot be compared by `{}`", key.value, op.name()),
            "its type does not have that comparison",
        );
        None
    }

    fn operand(
        &mut self,
        key: &At<&str>,
        kind: Option<&FieldType>,
        op: Op,
        node: &Node,
        entity: &Entity,
        scope: &mut RuleScope<'_>,
    ) -> Option<Operand> {
        if let Data::Scalar { text, .. } = &node.data
            && let Some(name) = text.strip_prefix('$').filter(|name| !name.starts_with('$'))
        {
            if name == SUBJECT && !can_hold_subject(kind, entity, scope.entities) {
                let message = format!("`{}` can never equal `$subject`, which is `<issuer alias>:<sub>`", key.value);
                self.mistake(node.spot, message, "make it a string, or compare with a claim: `$claim.sub`");
                return None;
            }
            return self.claim(node, name, scope);
        }
        let constant = match kind {
            None => normalise_id(&entity.id, &to_json(node)),
            // Part of a text, as `prefix` and `contains` take it, need not be a value of the type.
            Some(kind) if matches!(op, Op::Prefix | Op::Contains) && !matches!(kind, FieldType::List { .. }) => {
                Ok(Value::String(self.text(node, "the text to look for")?.value))
            }
            Some(FieldType::List { item, .. }) => constant::value(scope.entities, item, node),
            Some(kind) => constant::value(scope.entities, kind, node),
        };
        match constant {
            Ok(Value::String(text)) if text.starts_with("$$") => Some(Operand::Constant(Value::String(text[1..].to_owned()))),
            Ok(value) => Some(Operand::Constant(value)),
            Err(fault) => {
                self.mistake(node.spot, format!("the value for `{}` {}", key.value, fault.message), "");
                None
            }
        }
    }

    /// `$subject`, `$consumer` or `$claim.name`.
    fn claim(&mut self, node: &Node, name: &str, scope: &mut RuleScope<'_>) -> Option<Operand> {
        if matches!(name, SUBJECT | "consumer") {
            return Some(Operand::Claim(name.to_owned()));
        }
        let Some(claim) = name.strip_prefix("claim.") else {
            let help = "known are `$subject`, `$consumer` and `$claim.<name>`; a constant that begins with `$` begins with `$$`";
            self.mistake(node.spot, format!("unknown variable `${name}`"), help);
            return None;
        };
        if self.is_broken("auth", "claims") {
            return None;
        }
        if !scope.claims.iter().any(|known| known == claim) {
            let help = if scope.claims.is_empty() {
                format!("declare it: `auth: {{claims: [{claim}]}}`")
            } else {
                format!("`auth.claims` declares {}", list(scope.claims.iter().map(String::as_str)))
            };
            self.mistake(node.spot, format!("unknown claim `{claim}`"), help);
            return None;
        }
        scope.used.insert(claim.to_owned());
        Some(Operand::Claim(claim.to_owned()))
    }
}

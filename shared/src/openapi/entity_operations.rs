//! What all operations of one entity have in common: names, headers of deprecations, contents with examples.

use serde_json::{Map, Value, json};

use super::parts::{refer, with_example};
use super::source::Source;
use super::{examples, names, parameters, records, responses};
use crate::model::{Action, Deprecation, Entity, Operation};

/// Of an operation that callers without credentials may use too: either alternative will do.
pub(super) fn optional_credentials() -> Value {
    json!([{"bearer": []}, {}])
}

/// Source of the operations of one entity, with its names.
pub(super) struct EntityOperations<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) entity: &'a Entity,
    /// In Pascal case, for schemas and operations: `OrderLine`.
    pub(super) name: String,
    /// In Pascal case: `OrderLines`.
    pub(super) plural: String,
    /// In words: `an order line`.
    pub(super) one: String,
    /// In words: `order lines`.
    pub(super) many: String,
}

impl<'a> EntityOperations<'a> {
    pub(super) fn new(source: &'a Source<'a>, entity: &'a Entity) -> Self {
        let name = names::humanize(&entity.name);
        Self {
            source,
            entity,
            name: names::entity(source.model, entity),
            plural: names::plural(source.model, entity),
            one: format!("{} {name}", names::article(&name)),
            many: names::humanize(&entity.plural),
        }
    }

    /// The content of a body or an answer: a reference to a schema, and an example.
    pub(super) fn content(&self, suffix: &str, example: Option<Value>) -> Value {
        let name = if suffix.is_empty() { self.name.clone() } else { names::schema(self.source.model, self.entity, suffix) };
        with_example(refer("schemas", &name), example)
    }

    /// An example of a record in an answer.
    pub(super) fn shown(&self) -> Option<Value> {
        examples::record(&records::read(self.source, self.entity))
    }

    /// An example of a body.
    pub(super) fn body_example(&self, suffix: &str) -> Option<Value> {
        let schema = records::written(self.source, self.entity, suffix)?;
        if suffix == "Patch" { examples::patch(&schema) } else { examples::body(&schema) }
    }

    /// An operation with the members that all have.
    pub(super) fn operation(
        &self,
        of: Option<Operation>,
        id: String,
        summary: String,
        description: &str,
        parameters: Vec<Value>,
        mut answers: Map<String, Value>,
    ) -> Value {
        let deprecated = self.entity.deprecation(of);
        // Only some of the operations of a `_bulk` may be deprecated.
        let announced = of.map_or(self.entity.deprecated.as_ref(), |_| deprecated);
        let of_file = matches!(of, Some(Operation::Upload | Operation::Download));
        for (_, answer) in answers.iter_mut().filter(|(status, _)| status.starts_with(['2', '3'])) {
            self.announce_deprecations(announced, !of_file, answer);
        }
        let description = match deprecated {
            Some(deprecation) => format!("{description} {}", deprecation.in_words()).trim_start().to_owned(),
            None => description.to_owned(),
        };
        let mut operation = json!({"operationId": id, "summary": summary, "tags": [self.entity.plural]});
        if !description.is_empty() {
            operation["description"] = json!(description);
        }
        if let Some(deprecation) = deprecated {
            operation["deprecated"] = json!(true);
            deprecation.annotate(&mut operation);
        }
        let action = match of {
            Some(Operation::List) => Some(Action::List),
            Some(Operation::Read) => Some(Action::Read),
            _ => None,
        };
        if action.is_some_and(|action| self.source.is_open(self.entity, action)) {
            operation["security"] = optional_credentials();
            if let Some(age) = self.entity.public {
                let about = format!("Without credentials, shared caches may answer what was so up to {} s ago.", age.as_secs());
                operation["description"] = json!(format!("{description} {about}").trim_start());
            }
        }
        operation["parameters"] = json!(parameters);
        operation["responses"] = Value::Object(answers);
        operation
    }

    /// A successful answer with headers and perhaps a body.
    pub(super) fn answer(&self, description: &str, headers: &[&str], content: Option<Value>) -> Value {
        let headers = responses::headers(headers);
        let mut answer = json!({"description": description, "headers": headers});
        if let Some(content) = content {
            answer["content"] = json!({crate::http::JSON: content});
        }
        answer
    }

    /// Adds the headers of an answer that announces deprecations: of the operation and, if it shows records, of their fields and of
    /// what can be embedded.
    fn announce_deprecations(&self, operation: Option<&Deprecation>, of_records: bool, answer: &mut Value) {
        let mut found: Vec<&Deprecation> = operation.into_iter().collect();
        let shown = of_records && answer.get("content").is_some();
        let reached = if shown { parameters::reached(self.source, self.entity) } else { Vec::new() };
        for (entity, fields) in reached {
            let visible = entity.fields.iter().filter(|field| fields.contains(field.ix));
            found.extend(visible.filter_map(|field| field.deprecated.as_ref()));
            found.extend(entity.deprecation(None).filter(|_| entity.ix != self.entity.ix));
        }
        if found.is_empty() || answer.get("$ref").is_some() {
            return;
        }
        let sunset = found.iter().any(|deprecation| deprecation.sunset.is_some()).then_some("Sunset");
        for name in ["Deprecation", "Link"].into_iter().chain(sunset) {
            answer["headers"][name] = refer("headers", name);
        }
    }

    /// A record in an answer.
    pub(super) fn record(&self) -> Option<Value> {
        Some(self.content("", self.shown()))
    }
}

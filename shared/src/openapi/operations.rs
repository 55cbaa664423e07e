//! Operations on records.

use serde_json::{Map, Value, json};

use super::{Source, components, examples, files, names, object, parameters, refer, references, responses};
use crate::model::{Action, CacheMode, Deprecation, Entity, IdKind, Operation};

/// All paths of the entities that the caller may do something with.
pub(super) fn paths(source: &Source<'_>) -> Map<String, Value> {
    let mut paths = Map::new();
    for entity in source.entities() {
        let made = EntityOperations::new(source, entity);
        let writes = [Action::Create, Action::Update, Action::Delete].iter().any(|action| source.allows(entity, *action));
        let collection = object([
            ("get", made.allowed(Action::List, EntityOperations::list)),
            ("post", made.allowed(Action::Create, EntityOperations::create)),
        ]);
        let bulk = object([("post", writes.then(|| made.bulk()))]);
        let one = object([
            ("get", made.allowed(Action::Read, EntityOperations::get)),
            ("put", source.replaces(entity).map(|_| made.replace())),
            ("patch", made.allowed(Action::Update, EntityOperations::patch)),
            ("delete", made.allowed(Action::Delete, EntityOperations::delete)),
        ]);
        let base = format!("/v1/{}", entity.plural);
        for (path, mut item, id) in
            [(base.clone(), collection, false), (format!("{base}/_bulk"), bulk, false), (format!("{base}/{{id}}"), one, true)]
        {
            if item.is_empty() {
                continue;
            }
            if id {
                item.insert("parameters".to_owned(), json!([parameters::id(source, entity)]));
            }
            paths.insert(path, Value::Object(item));
        }
        paths.extend(files::paths(&made));
    }
    paths
}

/// What the operations of one entity are made from.
pub(super) struct EntityOperations<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) entity: &'a Entity,
    pub(super) name: String,
    plural: String,
    pub(super) one: String,
    many: String,
}

impl<'a> EntityOperations<'a> {
    fn new(source: &'a Source<'a>, entity: &'a Entity) -> Self {
        let humanize = names::humanize(&entity.name);
        Self {
            source,
            entity,
            name: names::entity(source.model, entity),
            plural: names::plural(source.model, entity),
            one: format!("{} {humanize}", names::article(&humanize)),
            many: names::humanize(&entity.plural),
        }
    }

    /// The operation, if the caller may do the action.
    fn allowed(&self, action: Action, operation: fn(&Self) -> Value) -> Option<Value> {
        self.source.allows(self.entity, action).then(|| operation(self))
    }

    /// The content of a body or an answer: the schema of a component with an example of it.
    fn content(&self, suffix: &str, example: Option<Value>) -> Value {
        let name = if suffix.is_empty() { self.name.clone() } else { names::schema(self.source.model, self.entity, suffix) };
        with_example(refer("schemas", &name), example)
    }

    fn shown(&self) -> Option<Value> {
        examples::record(&components::read(self.source, self.entity))
    }

    fn body_example(&self, suffix: &str) -> Option<Value> {
        let schema = components::written(self.source, self.entity, suffix)?;
        if suffix == "Patch" { examples::patch(&schema) } else { examples::body(&schema) }
    }

    /// An operation with what all have.
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
        // Of the operations of a `_bulk` some may be deprecated.
        let told = of.map_or(self.entity.deprecated.as_ref(), |_| deprecated);
        let of_file = matches!(of, Some(Operation::Upload | Operation::Download));
        for (_, answer) in answers.iter_mut().filter(|(status, _)| status.starts_with(['2', '3'])) {
            self.tell_of_deprecations(told, !of_file, answer);
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

    /// The headers of an answer that may tell of something deprecated: the operation and, where records are shown, fields of them
    /// and of what can be embedded.
    fn tell_of_deprecations(&self, operation: Option<&Deprecation>, of_records: bool, answer: &mut Value) {
        let mut found: Vec<&Deprecation> = operation.into_iter().collect();
        let shown = of_records && answer.get("content").is_some();
        let reached = if shown { parameters::reached(self.source, self.entity) } else { Vec::new() };
        for (entity, fields) in reached {
            let seen = entity.fields.iter().filter(|field| fields.contains(field.ix));
            found.extend(seen.filter_map(|field| field.deprecated.as_ref()));
            found.extend(entity.deprecation(None).filter(|_| entity.ix != self.entity.ix));
        }
        if found.is_empty() || answer.get("$ref").is_some() {
            return;
        }
        let sunset = found.iter().any(|one| one.sunset.is_some()).then_some("Sunset");
        for name in ["Deprecation", "Link"].into_iter().chain(sunset) {
            answer["headers"][name] = refer("headers", name);
        }
    }

    /// A record in an answer.
    pub(super) fn record(&self) -> Option<Value> {
        Some(self.content("", self.shown()))
    }

    /// What can be done next with a record that an answer shows, whose id is at `pointer`.
    fn linked(&self, mut answer: Value, pointer: &str) -> Value {
        let operations = [
            ("get", Action::Read, "Reads it."),
            ("patch", Action::Update, "Changes it."),
            ("delete", Action::Delete, "Deletes it."),
        ];
        for (verb, action, about) in operations {
            if self.source.allows(self.entity, action) {
                let id = format!("{verb}{}", self.name);
                answer["links"][&id] =
                    json!({"operationId": id, "description": about, "parameters": {"id": format!("$response.body#{pointer}")}});
            }
        }
        answer
    }

    /// The headers of a read.
    fn read_headers(&self, more: &[&'static str]) -> Vec<&'static str> {
        let cached = (self.entity.cache != CacheMode::Off).then_some("Cache-Status");
        more.iter().copied().chain(["ETag"]).chain(cached).collect()
    }

    fn list(&self) -> Value {
        let mut answers = object([
            (
                "200",
                Some(self.linked(self.answer("A page of them.", &self.read_headers(&["Link"]), Some(self.page())), "/data/0/id")),
            ),
            ("304", Some(refer("responses", "NotModified"))),
        ]);
        answers.extend(responses::errors(&[406]));
        self.operation(
            Some(Operation::List),
            format!("list{}", self.plural),
            format!("List {}", self.many),
            "Filters are combined by and; a filter or order that no index serves is refused with the name of the one to add.",
            parameters::list(self.source, self.entity),
            answers,
        )
    }

    fn get(&self) -> Value {
        let mut answers = object([
            ("200", Some(self.answer("The record.", &self.read_headers(&[]), self.record()))),
            ("304", Some(refer("responses", "NotModified"))),
        ]);
        answers.extend(responses::errors(&[404, 406]));
        let parameters = parameters::get(self.source, self.entity);
        let description = "One record by its id, as far as the caller may see it.";
        self.operation(
            Some(Operation::Read),
            format!("get{}", self.name),
            format!("Get {}", self.one),
            description,
            parameters,
            answers,
        )
    }

    fn create(&self) -> Value {
        let headers = ["Location", "ETag", "Idempotency-Replayed"];
        let mut answers = object([("201", Some(self.linked(self.answer("It was created.", &headers, self.record()), "/id")))]);
        answers.extend(responses::errors(&[406, 409, 415]));
        let parameters = vec![refer("parameters", "IdempotencyKey"), refer("parameters", "CorrelationId")];
        let description = match self.entity.id {
            IdKind::Uuid => "The API makes the id; `Location` has the address of the new record.",
            _ => "The id is the client's; one that exists is a conflict. `Location` has the address of the new record.",
        };
        let mut operation = self.operation(
            Some(Operation::Create),
            format!("create{}", self.name),
            format!("Create {}", self.one),
            &references::described(self.source, self.entity, Action::Create, description),
            parameters,
            answers,
        );
        operation["requestBody"] = body(&[(crate::http::JSON, self.content("Create", self.body_example("Create")))]);
        operation
    }

    /// Parameters of a change of one record.
    fn changing(&self, may_create: bool) -> Vec<Value> {
        // Where a PUT may create, a first one has no ETag to send.
        let required = self.entity.require_if_match && !may_create;
        let mut all = vec![refer("parameters", if required { "IfMatchRequired" } else { "IfMatch" })];
        all.extend(may_create.then(|| refer("parameters", "IfNoneMatchNew")));
        all.extend([refer("parameters", "IdempotencyKey"), refer("parameters", "CorrelationId")]);
        all
    }

    /// Errors of a change of one record.
    fn change_errors(&self, more: &[u16]) -> Map<String, Value> {
        let mut statuses = vec![404, 406, 409, 412];
        statuses.extend(self.entity.require_if_match.then_some(428));
        statuses.extend(more);
        responses::errors(&statuses)
    }

    fn replace(&self) -> Value {
        let generated = self.entity.id == IdKind::Uuid;
        let creates = !generated && self.source.allows(self.entity, Action::Create);
        let headers = ["ETag", "Idempotency-Replayed"];
        let mut answers = object([
            ("200", Some(self.answer("It was replaced.", &headers, self.record()))),
            (
                "201",
                creates.then(|| self.answer("It was created.", &["Location", "ETag", "Idempotency-Replayed"], self.record())),
            ),
        ]);
        answers.extend(self.change_errors(&[415]));
        let mut description = "Replaces all members that the caller may write; one that is missing gets its default. \
            Members that cannot be written are accepted if they equal what is stored, so what was read can be sent back."
            .to_owned();
        if creates {
            description.push_str(" Where there is no such record yet it is created, with the members that a POST wants.");
        }
        let summary = format!("Replace {}", self.one);
        let action = self.source.replaces(self.entity).unwrap_or(Action::Update);
        let mut operation = self.operation(
            Some(Operation::Update),
            format!("replace{}", self.name),
            summary,
            &references::described(self.source, self.entity, action, &description),
            self.changing(creates),
            answers,
        );
        operation["requestBody"] = body(&[(crate::http::JSON, self.content("Replace", self.body_example("Replace")))]);
        operation
    }

    fn patch(&self) -> Value {
        let headers = ["ETag", "Idempotency-Replayed"];
        let mut answers = object([("200", Some(self.answer("It was changed.", &headers, self.record())))]);
        answers.extend(self.change_errors(&[415]));
        let description = "Changes some members: a JSON merge patch (RFC 7396) or a JSON Patch (RFC 6902).";
        let summary = format!("Change {}", self.one);
        let mut operation = self.operation(
            Some(Operation::Update),
            format!("patch{}", self.name),
            summary,
            &references::described(self.source, self.entity, Action::Update, description),
            self.changing(false),
            answers,
        );
        let example = self.body_example("Patch");
        let steps = example.as_ref().and_then(Value::as_object).map(|members| {
            let step = |(name, value): (&String, &Value)| json!({"op": "replace", "path": format!("/{name}"), "value": value});
            members.iter().map(step).collect::<Vec<Value>>()
        });
        operation["requestBody"] = body(&[
            (crate::http::JSON, self.content("Patch", example.clone())),
            ("application/merge-patch+json", self.content("Patch", example)),
            ("application/json-patch+json", with_example(refer("schemas", "JsonPatch"), steps.map(Value::from))),
        ]);
        operation
    }

    fn delete(&self) -> Value {
        let mut answers = object([("204", Some(self.answer("It was deleted.", &["Idempotency-Replayed"], None)))]);
        answers.extend(self.change_errors(&[]));
        let summary = format!("Delete {}", self.one);
        let description = "What refers to the record decides whether it may go, goes with it, or refers to nothing afterwards.";
        let description = if self.entity.is_referenced() { description } else { "Removes the record." };
        self.operation(
            Some(Operation::Delete),
            format!("delete{}", self.name),
            summary,
            description,
            self.changing(false),
            answers,
        )
    }

    fn bulk(&self) -> Value {
        let about = "What became of each operation.";
        let answer = self.answer(about, &["Idempotency-Replayed"], Some(self.content("BulkResults", None)));
        let mut answers = object([("200", Some(answer))]);
        answers.extend(responses::errors(&[404, 406, 409, 412, 415, 428]));
        let parameters = vec![refer("parameters", "IdempotencyKey"), refer("parameters", "CorrelationId")];
        let description = "At most 100 operations in one request. With `atomic` they all happen or none does; an error then names \
            the operations by pointers such as `/operations/3`.";
        let summary = format!("Write many {}", self.many);
        let mut operation = self.operation(None, format!("bulk{}", self.plural), summary, description, parameters, answers);
        operation["requestBody"] = body(&[(crate::http::JSON, self.content("Bulk", self.bulk_example()))]);
        operation
    }

    fn bulk_example(&self) -> Option<Value> {
        let id = || examples::value("id", &crate::model::id_schema(&self.entity.id));
        let operation = if let Some(data) = self.body_example("Create") {
            json!({"op": "create", "data": data})
        } else if let Some(data) = self.body_example("Patch") {
            json!({"op": "update", "id": id()?, "data": data})
        } else if self.source.allows(self.entity, Action::Delete) {
            json!({"op": "delete", "id": id()?})
        } else {
            return None;
        };
        Some(json!({"operations": [operation], "atomic": true}))
    }

    fn page(&self) -> Value {
        self.content("List", self.shown().map(|record| json!({"data": [record], "next_cursor": null})))
    }
}

/// The content of a body or an answer: a schema and a value that fits it.
pub(super) fn with_example(schema: Value, example: Option<Value>) -> Value {
    Value::Object(object([("schema", Some(schema)), ("example", example)]))
}

pub(super) fn body(contents: &[(&str, Value)]) -> Value {
    let content: Map<String, Value> =
        contents.iter().map(|(media_type, content)| ((*media_type).to_owned(), content.clone())).collect();
    json!({"required": true, "content": content})
}

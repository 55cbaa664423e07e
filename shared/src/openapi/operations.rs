//! Operations on the records of one entity.

use serde_json::{Map, Value, json};

use super::entity_operations::EntityOperations;
use super::parts::{body, object, refer, with_example};
use super::{examples, parameters, references, responses};
use crate::model::{Action, CacheMode, IdKind, Operation};

/// The paths of the records that the caller may use.
pub(super) fn paths(operations: &EntityOperations<'_>) -> Map<String, Value> {
    let (source, entity) = (operations.source, operations.entity);
    let mut paths = Map::new();
    let writes = [Action::Create, Action::Update, Action::Delete].iter().any(|action| source.allows(entity, *action));
    let collection = object([
        ("get", operations.allowed(Action::List, EntityOperations::list)),
        ("post", operations.allowed(Action::Create, EntityOperations::create)),
    ]);
    let bulk = object([("post", writes.then(|| operations.bulk()))]);
    let one = object([
        ("get", operations.allowed(Action::Read, EntityOperations::get)),
        ("put", source.replaces(entity).map(|_| operations.replace())),
        ("patch", operations.allowed(Action::Update, EntityOperations::patch)),
        ("delete", operations.allowed(Action::Delete, EntityOperations::delete)),
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
    paths
}

impl EntityOperations<'_> {
    /// The operation, if the caller may do the action.
    fn allowed(&self, action: Action, operation: fn(&Self) -> Value) -> Option<Value> {
        self.source.allows(self.entity, action).then(|| operation(self))
    }

    /// The answer with links to the operations on a record that it shows; `pointer` leads to the id.
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

    /// Headers of a read.
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
        // A PUT that creates has no ETag to send.
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

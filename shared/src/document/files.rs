//! Operations on files: each where the caller may do it with that field of some record.

use serde_json::{Map, Value, json};

use super::operations::body;
use super::{Source, names, object, parameters, refer, responses};
use crate::http::JSON;
use crate::model::{Action, Entity, Field, FileLimits};
use crate::object as stored;

/// All paths about file fields, by entity and field.
pub(super) fn paths(source: &Source<'_>) -> Map<String, Value> {
    let mut paths = Map::new();
    for entity in &source.model.entities {
        for field in stored::fields(entity) {
            let Some(limits) = stored::limits(field) else { continue };
            let of = File { source, entity, field, limits };
            for (path, item) in of.paths() {
                if !item.is_empty() {
                    let mut item = item;
                    item.insert("parameters".to_owned(), json!([parameters::id(entity)]));
                    paths.insert(format!("/v1/{}/{{id}}/{}/{path}", entity.plural, field.name), Value::Object(item));
                }
            }
        }
    }
    paths
}

/// Whether the caller may put a file into the field.
pub(super) fn may_upload(source: &Source<'_>, entity: &Entity, field: &Field) -> bool {
    source.access(entity, Action::Upload).widest().contains(field.ix)
}

/// Whether the caller may get a file out of the field: to download what may be read.
pub(super) fn may_download(source: &Source<'_>, entity: &Entity, field: &Field) -> bool {
    [Action::Download, Action::Read].iter().all(|action| source.access(entity, *action).widest().contains(field.ix))
}

struct File<'a> {
    source: &'a Source<'a>,
    entity: &'a Entity,
    field: &'a Field,
    limits: &'a FileLimits,
}

impl File<'_> {
    fn paths(&self) -> [(&'static str, Map<String, Value>); 5] {
        let (up, down) = (may_upload(self.source, self.entity, self.field), may_download(self.source, self.entity, self.field));
        let shared = self.limits.share_expiry.is_some();
        let (makes, sees) = (shared && down && !self.source.principal.anonymous, shared && (down || up));
        [
            ("upload", object([("post", up.then(|| self.upload()))])),
            ("complete", object([("post", up.then(|| self.complete()))])),
            ("download", object([("get", down.then(|| self.download()))])),
            (
                "shares",
                object([
                    ("get", sees.then(|| self.shares())),
                    ("post", makes.then(|| self.share())),
                    ("delete", sees.then(|| self.revoke_all())),
                ]),
            ),
            ("shares/{share_id}", object([("delete", sees.then(|| self.revoke()))])),
        ]
    }

    fn operation(
        &self,
        verb: &str,
        summary: &str,
        description: &str,
        parameters: Vec<Value>,
        answers: Map<String, Value>,
    ) -> Value {
        let mut parameters = parameters;
        parameters.push(refer("parameters", "CorrelationId"));
        let spoken = names::spoken(&self.field.name);
        let mut operation = json!({
            "operationId": format!("{verb}{}_{}", names::entity(self.source.model, self.entity), self.field.name),
            "summary": summary.replace("{}", &format!("the {spoken} of {} {}", names::article(&self.entity.name), names::spoken(&self.entity.name))),
            "tags": [self.entity.plural],
            "parameters": parameters,
            "responses": answers,
        });
        if !description.is_empty() {
            operation["description"] = json!(description);
        }
        operation
    }

    fn upload(&self) -> Value {
        let mut content_type = json!({"type": "string", "maxLength": 255, "description": "The media type."});
        if !self.limits.content_types.is_empty() {
            content_type["description"] = json!(format!("The media type, one of {}.", self.limits.content_types.join(", ")));
        }
        let schema = json!({
            "type": "object",
            "properties": {
                "filename": {"type": "string", "minLength": 1, "maxLength": 255, "description": "Any Unicode text."},
                "content_type": content_type,
                "size": {"type": "integer", "format": "int64", "minimum": 0, "maximum": self.limits.max_size, "description": "Bytes."},
                "sha256": {"type": "string", "description": "SHA-256 of the content: 64 hexadecimal digits, or base64."},
            },
            "required": ["filename", "content_type", "size", "sha256"],
            "additionalProperties": false,
        });
        let link = json!({
            "type": "object",
            "properties": {
                "url": {"type": "string", "format": "uri", "description": "Where to send the content."},
                "method": {"const": "PUT"},
                "headers": {"type": "object", "additionalProperties": {"type": "string"},
                    "description": "To be sent exactly so: type, size and checksum are part of the signature."},
                "expires_at": {"type": "string", "format": "date-time"},
            },
            "required": ["url", "method", "headers", "expires_at"],
        });
        let mut answers = object([("201", Some(answer("A link for one PUT of exactly what was announced.", Some(link))))]);
        answers.extend(responses::errors(&[404, 406, 415]));
        let about = "Send the content to `url` by `method` with `headers`, then call complete. What is not completed vanishes.";
        let mut operation = self.operation("upload", "Begin to upload {}", about, vec![], answers);
        operation["requestBody"] = body(&[(JSON, schema)]);
        operation
    }

    fn complete(&self) -> Value {
        let record = refer("schemas", &names::entity(self.source.model, self.entity));
        let mut done = answer("The record, which shows the file.", Some(record));
        done["headers"] = json!(responses::headers(&["ETag"]));
        let mut answers = object([("200", Some(done))]);
        answers.extend(responses::errors(&[404, 406, 409, 410, 412]));
        let about =
            "Size, type and checksum of what arrived are verified before the record shows it. To do it twice is to do it once.";
        self.operation("complete", "Complete the upload of {}", about, vec![refer("parameters", "IfMatch")], answers)
    }

    fn download(&self) -> Value {
        let link = json!({
            "type": "object",
            "properties": {
                "url": {"type": "string", "format": "uri"},
                "expires_at": {"type": "string", "format": "date-time"},
                "filename": {"type": "string"},
                "content_type": {"type": "string"},
                "size": {"type": "integer", "format": "int64", "minimum": 0},
            },
            "required": ["url", "expires_at", "filename", "content_type", "size"],
        });
        let mut answers = object([
            ("200", Some(answer("The link, for whoever asks for `application/json` by name.", Some(link)))),
            ("302", Some(redirect("The link."))),
        ]);
        answers.extend(responses::errors(&[404]));
        let longest = self.limits.link_expiry.as_secs();
        let expires_in = json!({
            "name": "expires_in", "in": "query",
            "description": format!("Seconds for which the link holds; more than {longest} is {longest}."),
            "schema": {"type": "integer", "minimum": 1, "default": longest},
        });
        let about = "A link to the content for a limited time; whoever has it needs no credentials. Range and conditional requests work on it.";
        self.operation("download", "Get a link to {}", about, vec![expires_in, disposition()], answers)
    }

    fn share(&self) -> Value {
        let longest = self.limits.share_expiry.map_or(0, |longest| longest.as_secs());
        let schema = json!({
            "type": "object",
            "properties": {
                "expires_in": {"type": ["integer", "null"], "minimum": 1,
                    "description": format!("Seconds for which the share lives; more than {longest}, or nothing, is {longest}.")},
                "max_downloads": {"type": ["integer", "null"], "minimum": 1, "maximum": 1_000_000, "description": "How often it may be used."},
            },
            "additionalProperties": false,
        });
        let made = json!({
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "url": {"type": "string", "format": "uri", "description": "Needs no credentials; only this answer has it."},
                "expires_at": {"type": "string", "format": "date-time"},
            },
            "required": ["id", "url", "expires_at"],
        });
        let mut answers = object([("201", Some(answer("It is shared.", Some(made))))]);
        answers.extend(responses::errors(&[404, 406, 415]));
        let about = "An address for somebody without an account. Each use asks whether the caller may still read the file.";
        let mut operation = self.operation("share", "Share {}", about, vec![], answers);
        operation["requestBody"] = body(&[(JSON, schema)]);
        operation["requestBody"]["required"] = json!(false);
        operation
    }

    fn shares(&self) -> Value {
        let mut answers = object([("200", Some(answer("Shares that live.", Some(page()))))]);
        answers.extend(responses::errors(&[404, 406]));
        let about = "The caller's own; all of them for whoever may replace the file.";
        let pages = vec![refer("parameters", "Limit"), refer("parameters", "Cursor")];
        self.operation("listShares", "List shares of {}", about, pages, answers)
    }

    fn revoke_all(&self) -> Value {
        let mut answers = object([("204", Some(answer("They are revoked.", None)))]);
        answers.extend(responses::errors(&[404]));
        let about = "The caller's own; all of them for whoever may replace the file.";
        self.operation("revokeShares", "Revoke the shares of {}", about, vec![], answers)
    }

    fn revoke(&self) -> Value {
        let mut answers = object([("204", Some(answer("It is revoked.", None)))]);
        answers.extend(responses::errors(&[404]));
        let share = json!({"name": "share_id", "in": "path", "required": true, "description": "Id of the share.", "schema": {"type": "string"}});
        self.operation("revokeShare", "Revoke a share of {}", "", vec![share], answers)
    }
}

/// Shares, as lists show them.
pub(super) fn page() -> Value {
    json!({
        "type": "object",
        "properties": {
            "data": {"type": "array", "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "resource": {"type": "string", "description": "The entity of the record."},
                    "resource_id": {"type": "string"},
                    "field": {"type": "string"},
                    "consumer": {"type": "string"},
                    "subject": {"type": "string"},
                    "created_at": {"type": "string", "format": "date-time"},
                    "expires_at": {"type": "string", "format": "date-time"},
                    "max_downloads": {"type": ["integer", "null"]},
                    "downloads": {"type": "integer", "minimum": 0},
                },
                "required": ["id", "resource", "resource_id", "field", "consumer", "subject", "created_at", "expires_at", "max_downloads", "downloads"],
            }},
            "next_cursor": {"type": ["string", "null"]},
        },
        "required": ["data", "next_cursor"],
    })
}

/// The parameter `disposition`.
pub(super) fn disposition() -> Value {
    json!({
        "name": "disposition", "in": "query",
        "description": "What a browser is to do with the content; it shows only types that the model lets it show.",
        "schema": {"enum": ["inline", "attachment"], "default": "attachment"},
    })
}

/// An answer that leads elsewhere.
pub(super) fn redirect(description: &str) -> Value {
    let mut answer = answer(description, None);
    answer["headers"]["Location"] = json!({"description": "The signed link.", "schema": {"type": "string", "format": "uri"}});
    answer
}

fn answer(description: &str, schema: Option<Value>) -> Value {
    let mut answer = json!({"description": description, "headers": responses::headers(&[])});
    if let Some(schema) = schema {
        answer["content"] = json!({JSON: {"schema": schema}});
    }
    answer
}

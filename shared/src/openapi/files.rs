//! Operations on files that the caller may use on some record: upload, complete, download, shares.

use serde_json::{Map, Value, json};

use super::entity_operations::{EntityOperations, optional_credentials};
use super::parts::{body, object, refer, with_example, with_idempotency};
use super::{examples, kinds, names, parameters, responses};
use crate::core::id::MAX_SAFE_INTEGER;
use crate::model::{Action, Field, FieldType, FileLimits, Operation};

/// SHA-256 as digits or as either base64; the last symbol of base64 carries four bits.
const HASH: &str = "^([0-9A-Fa-f]{64}|[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=|[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]=?)$";
/// A media type without parameters (RFC 9110, 8.3.1).
const MEDIA_TYPE: &str = "^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,60}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,60}$";

/// The paths of the files of an entity that the caller may use.
pub(super) fn paths(operations: &EntityOperations<'_>) -> Map<String, Value> {
    let mut paths = Map::new();
    for field in &operations.entity.fields {
        let FieldType::File(limits) = &field.kind else { continue };
        let file = File { operations, field, limits, name: format!("{}{}", operations.name, names::pascal(&field.name)) };
        let base = format!("/v1/{}/{{id}}/{}", operations.entity.plural, field.name);
        let may = |action| operations.source.access(operations.entity, action).widest().contains(field.ix);
        // A download needs the right to read the field as well.
        let (up, down) = (may(Action::Upload), may(Action::Download) && may(Action::Read));
        let shared = limits.share_expiry.is_some();
        // A share belongs to a caller who is identified.
        let shared = shared && !operations.source.caller.anonymous;
        let (makes, sees) = (shared && down, shared && (down || up));
        let share_id = json!({
            "name": "share_id", "in": "path", "required": true, "description": "Id of the share.", "schema": kinds::id(),
        });
        let places = [
            ("upload", object([("post", up.then(|| file.upload()))])),
            ("complete", object([("post", up.then(|| file.complete()))])),
            ("download", object([("get", down.then(|| file.download()))])),
            (
                "shares",
                object([
                    ("get", sees.then(|| file.list_shares())),
                    ("post", makes.then(|| file.create_share())),
                    ("delete", sees.then(|| file.delete_shares())),
                ]),
            ),
            ("shares/{share_id}", object([("delete", sees.then(|| file.delete_share()))])),
        ];
        for (place, mut item) in places.into_iter().filter(|(_, item)| !item.is_empty()) {
            let mut parameters = vec![parameters::id(operations.source, operations.entity)];
            parameters.extend(place.contains('{').then(|| share_id.clone()));
            item.insert("parameters".to_owned(), Value::Array(parameters));
            paths.insert(format!("{base}/{place}"), Value::Object(item));
        }
    }
    paths
}

/// A file field, with the names of its entity.
struct File<'a> {
    operations: &'a EntityOperations<'a>,
    field: &'a Field,
    limits: &'a FileLimits,
    name: String,
}

impl File<'_> {
    fn upload(&self) -> Value {
        let mut content_type = kinds::text(255);
        let types = &self.limits.content_types;
        if !types.is_empty() && types.iter().all(|of| !of.contains('*')) {
            content_type = kinds::word(types);
        } else if !types.is_empty() {
            let families: Vec<String> = types
                .iter()
                .map(|of| of.replace('.', "[.]").replace('+', "[+]").replace('*', "[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,60}"))
                .collect();
            content_type["pattern"] = json!(format!("^({})$", families.join("|")));
            content_type["description"] = json!(format!("One of {}.", types.join(", ")));
        } else {
            content_type["pattern"] = json!(MEDIA_TYPE);
        }
        let example =
            types.first().map_or("application/pdf", String::as_str).replace("image/*", "image/png").replace('*', "plain");
        let size = i64::try_from(self.limits.max_size).unwrap_or(MAX_SAFE_INTEGER);
        let name = json!({"type": "string", "minLength": 1, "maxLength": 255, "examples": ["file"]});
        let hash = json!({"type": "string", "pattern": HASH, "maxLength": 64,
            "description": "SHA-256 of the content: 64 hexadecimal digits, or base64."});
        let schema = kinds::object(
            json!({"filename": name, "content_type": content_type, "size": kinds::whole(0, size), "sha256": hash}),
            &["filename", "content_type", "size", "sha256"],
        );
        let file = json!({
            "filename": "file", "content_type": example, "size": 1024,
            "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        });
        let about = format!(
            "A link to send the content to, by PUT with the headers of the answer, within {} seconds; then `complete`. At most {} bytes. Repeated with its `Idempotency-Key` it is the same link, which ends when the first one does.",
            self.limits.link_expiry.as_secs(),
            self.limits.max_size
        );
        let content = Some(json!({"schema": refer("schemas", "UploadLink")}));
        let answer = ("201", self.operations.answer("The link. It is kept nowhere.", &["Referrer-Policy"], content));
        let mut operation = self.operation("upload", "Upload", &about, vec![], answer, &[404, 406, 409, 415]);
        operation["requestBody"] = body(&[(crate::http::JSON, with_example(schema, Some(file)))]);
        with_idempotency(operation)
    }

    fn complete(&self) -> Value {
        let about = "What arrived under the link is held against what was announced; then the record shows the file.";
        let answer = ("200", self.operations.answer("The record.", &["ETag"], self.operations.record()));
        let guard = vec![refer("parameters", "IfMatch")];
        let errors = [404, 406, 409, 410, 412, 415];
        with_idempotency(self.operation("complete", "Complete the upload of", about, guard, answer, &errors))
    }

    fn download(&self) -> Value {
        let longest = self.limits.link_expiry.as_secs();
        let about = format!(
            "A link that ends after {longest} seconds, or as `expires_in` says if that is sooner. Every link is in the audit trail."
        );
        let seconds = json!({"name": "expires_in", "in": "query", "schema": kinds::whole(1, MAX_SAFE_INTEGER),
            "description": "Seconds that the link shall live; it may shorten the limit, never lengthen it."});
        let link = json!({"schema": refer("schemas", "FileLink")});
        let given = self.operations.answer("The link, to those who accept `application/json`.", &["Referrer-Policy"], Some(link));
        let mut operation =
            self.operation("download", "Download", &about, vec![seconds, parameters::disposition()], ("200", given), &[404]);
        let open = |action| self.operations.source.is_open(self.operations.entity, action);
        if open(Action::Download) && open(Action::Read) {
            operation["security"] = optional_credentials();
        }
        operation["responses"]["302"] = self.operations.answer("The file is there.", &["Location", "Referrer-Policy"], None);
        operation
    }

    fn list_shares(&self) -> Value {
        let content = Some(json!({"schema": refer("schemas", "ShareList")}));
        let answer = ("200", self.operations.answer("Those that live.", &["Link"], content));
        let pages = vec![refer("parameters", "Limit"), refer("parameters", "Cursor")];
        let mut operation = self.operation(
            "shares",
            "List the shares of",
            "The caller's own, without their addresses; all of them for whoever may replace the file.",
            pages,
            answer,
            &[404, 406],
        );
        operation["operationId"] = json!(format!("list{}Shares", self.name));
        operation
    }

    fn create_share(&self) -> Value {
        let longest = self.limits.share_expiry.map_or(0, |end| end.as_secs());
        let about = format!(
            "An address for whoever has it, at most {longest} seconds long. Each use asks whether the sharer still may read the file. Repeated with its `Idempotency-Key` it makes no second share and shows the first without its address."
        );
        let content = Some(json!({"schema": refer("schemas", "Share")}));
        let answer = ("201", self.operations.answer("The address: only this answer has it.", &["Referrer-Policy"], content));
        let mut operation = self.operation("share", "Share", &about, vec![], answer, &[404, 406, 409, 415]);
        let wish = || kinds::or_null(kinds::whole(1, MAX_SAFE_INTEGER));
        let schema = kinds::object(
            json!({
                "expires_in": kinds::about(wish(), "Seconds; it may shorten the limit, never lengthen it."),
                "max_downloads": kinds::about(kinds::or_null(kinds::whole(1, 1_000_000)), "How often it may be used."),
            }),
            &[],
        );
        let example = examples::body(&schema).map(|_| json!({"expires_in": 3600, "max_downloads": 3}));
        operation["requestBody"] = body(&[(crate::http::JSON, with_example(schema, example))]);
        operation["requestBody"]["required"] = json!(false);
        with_idempotency(operation)
    }

    fn delete_shares(&self) -> Value {
        let about = "The caller's own; all of them for whoever may replace the file.";
        let answer = ("204", self.operations.answer("Their addresses lead nowhere from now on.", &[], None));
        let mut operation = self.operation("unshare", "End all shares of", about, vec![], answer, &[404]);
        operation["operationId"] = json!(format!("deleteAll{}Shares", self.name));
        operation
    }

    fn delete_share(&self) -> Value {
        let answer = ("204", self.operations.answer("Its address leads nowhere from now on.", &[], None));
        let mut operation =
            self.operation("unshare", "End a share of", "Ends a share before its time.", vec![], answer, &[404, 409]);
        operation["operationId"] = json!(format!("delete{}Share", self.name));
        with_idempotency(operation)
    }

    fn operation(
        &self,
        verb: &str,
        summary: &str,
        about: &str,
        mut parameters: Vec<Value>,
        answer: (&'static str, Value),
        errors: &[u16],
    ) -> Value {
        parameters.push(refer("parameters", "CorrelationId"));
        let mut answers = object([(answer.0, Some(answer.1))]);
        answers.extend(responses::errors(errors));
        let summary = format!("{summary} the {} of {}", names::humanize(&self.field.name), self.operations.one);
        let of = if matches!(verb, "upload" | "complete") { Operation::Upload } else { Operation::Download };
        self.operations.operation(Some(of), format!("{verb}{}", self.name), summary, about, parameters, answers)
    }
}

//! Validation of one body: the entity's JSON Schema, then the normalised form of each value.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value};

use super::messages;
use super::violation::{FieldViolation, escape};
use crate::core::id::is_id_part;
use crate::model::body::json_schema::json_schema;
use crate::model::body::scalar;
use crate::model::schema::{Entity, Field, FieldType, Masks, Model, Purpose};
use crate::model::suggest::nearest;

/// Validation of one body.
pub(super) struct Check<'m> {
    pub(super) model: &'m Model,
    pub(super) entity: &'m Entity,
    pub(super) masks: &'m Masks,
    pub(super) violations: Vec<FieldViolation>,
}

impl<'m> Check<'m> {
    pub(super) fn new(model: &'m Model, entity: &'m Entity, masks: &'m Masks) -> Self {
        Self { model, entity, masks, violations: Vec::new() }
    }

    /// Adds a violation.
    pub(super) fn refuse(&mut self, pointer: impl Into<String>, code: &str, message: impl Into<String>) {
        self.violations.push(FieldViolation::new(pointer, code, message));
    }

    /// Adds what the schema refuses. Returns the members, if the body is an object.
    pub(super) fn schema<'b>(&mut self, purpose: Purpose, body: &'b Value) -> Option<&'b Map<String, Value>> {
        let (model, entity, masks) = (self.model, self.entity, self.masks);
        let key = (entity.ix, purpose, masks.clone());
        match model.validators.get(key, || json_schema(model, entity, purpose, masks)) {
            Ok(validator) => {
                for error in validator.iter_errors(body) {
                    self.note(&error);
                }
            }
            // Only a defect of ours gives a schema that does not compile: refuse rather than let pass.
            Err(error) => self.refuse("", "schema", error),
        }
        body.as_object()
    }

    fn note(&mut self, error: &ValidationError<'_>) {
        let pointer = error.instance_path().as_str();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                for member in unexpected {
                    self.unexpected(pointer, member);
                }
            }
            ValidationErrorKind::Required { property } => {
                let member = property.as_str().unwrap_or_default();
                self.refuse(format!("{pointer}/{}", escape(member)), "required", "must be given");
            }
            // A nullable field with a schema of its own: only what that schema says helps the caller.
            ValidationErrorKind::AnyOf { context } if messages::is_nullable_json(error) => {
                context.first().into_iter().flatten().for_each(|error| self.note(error));
            }
            kind => {
                let (code, message) = messages::said(kind, error);
                self.refuse(pointer, &code, message);
            }
        }
    }

    fn unexpected(&mut self, pointer: &str, member: &str) {
        let at = format!("{pointer}/{}", escape(member));
        if !pointer.is_empty() {
            return self.refuse(at, "unknown_member", "is not known here");
        }
        match self.entity.by_field(member) {
            Some(field) if self.masks.may_read(field) && matches!(field.kind, FieldType::File(_)) => {
                self.refuse(at, "read_only", "a file is changed by upload and complete");
            }
            Some(field) if self.masks.may_read(field) => self.refuse(at, "read_only", "cannot be set"),
            _ if member == "id" => self.refuse(at, "read_only", "is made by the server"),
            _ => {
                let (entity, masks) = (self.entity, self.masks);
                let known = entity.fields.iter().filter(|field| masks.may_write(field)).map(|field| field.name.as_str());
                self.refuse(at, "unknown_member", format!("is not known; {}", nearest(member, known)));
            }
        }
    }

    /// The normalised form of a value. For a violation it is null, which is never used.
    pub(super) fn normalised(&mut self, field: &Field, value: &Value) -> Value {
        if value.is_null() {
            if !field.nullable {
                let fault = scalar::Fault { code: "type", message: "must not be null".to_owned() };
                self.better(format!("/{}", field.name), &fault);
            }
            return Value::Null;
        }
        let model = self.model;
        match scalar::normalise(&field.kind, &|target| &model.entity(target).id, value) {
            Ok(value) => {
                self.id_part(field, &value);
                value
            }
            Err(fault) => {
                self.fault(field, value, &fault);
                Value::Null
            }
        }
    }

    /// Adds a fault at the element that has it.
    fn fault(&mut self, field: &Field, value: &Value, fault: &scalar::Fault) {
        let pointer = format!("/{}", field.name);
        if let (FieldType::List { item, .. }, Value::Array(items)) = (&field.kind, value) {
            let model = self.model;
            for (at, element) in items.iter().enumerate() {
                if let Err(fault) = scalar::normalise(item, &|target| &model.entity(target).id, element) {
                    self.better(format!("{pointer}/{at}"), &fault);
                }
            }
            return;
        }
        self.better(pointer, fault);
    }

    /// Adds a fault, or replaces the message that the schema gave for it: this one is better.
    pub(super) fn better(&mut self, pointer: String, fault: &scalar::Fault) {
        match self.violations.iter_mut().find(|known| known.pointer == pointer) {
            Some(known) if known.code == fault.code => known.message.clone_from(&fault.message),
            Some(_) => {}
            None => self.refuse(pointer, fault.code, fault.message.clone()),
        }
    }

    /// Adds a violation if a part of an id cannot stand in a path.
    fn id_part(&mut self, field: &Field, value: &Value) {
        let text = match value {
            Value::String(text) => text,
            _ => return,
        };
        if self.entity.id_parts().contains(&field.ix) && !is_id_part(text) {
            let fault = scalar::Fault {
                code: "pattern",
                message: "must begin with a letter or digit and go on with letters, digits and ._:@-, at most 128".to_owned(),
            };
            self.better(format!("/{}", field.name), &fault);
        }
    }

    /// The fields, or all violations in the order of their pointers.
    pub(super) fn finish(mut self, fields: Map<String, Value>) -> Result<Map<String, Value>, Vec<FieldViolation>> {
        let size = serde_json::to_vec(&fields).map_or(usize::MAX, |json| json.len());
        if size > self.entity.max_bytes {
            let message = format!("the record takes {size} bytes, at most {} are stored", self.entity.max_bytes);
            self.refuse("", "max_bytes", message);
        }
        if self.violations.is_empty() {
            return Ok(fields);
        }
        self.violations.sort();
        self.violations.dedup();
        Err(self.violations)
    }
}

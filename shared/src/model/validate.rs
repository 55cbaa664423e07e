//! Request bodies to normalised fields, or all violations at once.
//!
//! A body goes through the entity's JSON Schema (the one that the documents publish), then every value gets its normalised form.
//! [`create`], [`replace`], [`merge_patch`] and [`document`] all give back the complete new fields of the record: every declared
//! field is there, null where it has no value. `created_at` and `updated_at` come back as they were stored (not at all for a
//! new record): the store sets them.

use std::borrow::Cow;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value};

use super::mistake::nearest;
use super::schema::{Entity, Field, FieldType, IdKind, Model};
use super::schema_json::{Masks, Purpose};
use super::{messages, scalar};
use crate::core::id::is_id_part;

/// One way in which a body is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldViolation {
    /// JSON pointer (RFC 6901) to the value, or to where a missing member should be.
    pub pointer: String,
    /// The keyword of JSON Schema that is broken (`minimum`, `required`, `type`, ...), or `unknown_member`, `read_only`,
    /// `immutable`, `max_bytes`.
    pub code: String,
    /// What would be right. Shows nothing but what the caller sent or may know.
    pub message: String,
}

impl FieldViolation {
    fn new(pointer: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.to_owned(), message: message.into() }
    }
}

/// A validated new record.
#[derive(Debug, Clone, PartialEq)]
pub struct New {
    /// Its id as it stands in paths; `None`: the server makes one.
    pub id: Option<String>,
    /// All fields, normalised.
    pub fields: Map<String, Value>,
}

/// The stored state that a change begins from.
#[derive(Debug, Clone, Copy)]
pub struct Current<'a> {
    /// The id as it stands in paths.
    pub id: &'a str,
    /// The stored fields.
    pub fields: &'a Map<String, Value>,
}

/// Validates the body of a creation.
///
/// # Errors
/// All violations, in the order of their pointers.
pub fn create(model: &Model, entity: &Entity, masks: &Masks, body: &Value) -> Result<New, Vec<FieldViolation>> {
    let mut check = Check::new(model, entity, masks);
    let given = check.schema(Purpose::Create, body);
    let mut fields = Map::new();
    for field in own_fields(entity) {
        let value = given.and_then(|given| given.get(&field.name)).filter(|_| masks.may_write(field));
        fields.insert(field.name.clone(), check.value_or_default(field, value));
    }
    let id = check.new_id(given, &fields);
    check.finish(fields).map(|fields| New { id, fields })
}

/// Validates the body of a PUT: fields that the caller may write and that the body leaves out get their default or null, all
/// others stay. `current` is `None` when the PUT creates; `id` stands in the path, and the parts of a composite one that the body
/// leaves out are those of the path. Null that the caller read of a field that cannot be null, because the record is older than
/// the field, counts as left out: what GET shows can be PUT.
///
/// # Errors
/// All violations.
pub fn replace(
    model: &Model,
    entity: &Entity,
    masks: &Masks,
    id: &str,
    current: Option<&Map<String, Value>>,
    body: &Value,
) -> Result<Map<String, Value>, Vec<FieldViolation>> {
    let mut body = Cow::Borrowed(body);
    fill_parts(model, entity, masks, id, &mut body);
    leave_out_unset(entity, masks, current, &mut body);
    let mut check = Check::new(model, entity, masks);
    let given = check.schema(Purpose::Replace, &body);
    check.same_id(given, id);
    if current.is_none() {
        check.id_parts_agree(given, id);
    }
    let fields = check.replaced(given, current, |_| true);
    check.finish(fields)
}

/// Validates a JSON merge patch (RFC 7396): members that are absent stay, null clears.
///
/// # Errors
/// All violations.
pub fn merge_patch(
    model: &Model,
    entity: &Entity,
    masks: &Masks,
    current: Current<'_>,
    patch: &Value,
) -> Result<Map<String, Value>, Vec<FieldViolation>> {
    let merged = merged(entity, masks, current.fields, patch);
    let mut check = Check::new(model, entity, masks);
    let given = check.schema(Purpose::Patch, &merged);
    check.same_id(given, current.id);
    let mut fields = Map::new();
    for field in &entity.fields {
        let stored = current.fields.get(&field.name).cloned().unwrap_or(Value::Null);
        let value = match given.and_then(|given| given.get(&field.name)) {
            Some(value) => check.changed(field, value, Some(&stored)),
            None => stored,
        };
        fields.insert(field.name.clone(), value);
    }
    check.finish(fields)
}

/// Validates the whole document that a JSON Patch (RFC 6902), applied to what the caller may read ([`readable`]), gave: a member
/// that was removed gets its default or null; fields that the caller cannot read stay unless the patch added them.
///
/// # Errors
/// All violations.
pub fn document(
    model: &Model,
    entity: &Entity,
    masks: &Masks,
    current: Current<'_>,
    document: &Value,
) -> Result<Map<String, Value>, Vec<FieldViolation>> {
    let mut document = Cow::Borrowed(document);
    leave_out_unset(entity, masks, Some(current.fields), &mut document);
    let mut check = Check::new(model, entity, masks);
    let given = check.schema(Purpose::Replace, &document);
    check.id_parts_stay(given);
    // What the caller cannot read was never in the document: it stays.
    let hidden =
        |pointer: &str| entity.fields.iter().any(|field| pointer == format!("/{}", field.name) && !masks.may_read(field));
    check.violations.retain(|violation| violation.code != "required" || !hidden(&violation.pointer));
    check.same_id(given, current.id);
    let fields = check.replaced(given, Some(current.fields), |field| masks.may_read(field));
    check.finish(fields)
}

/// The representation that a JSON Patch works on: id and readable fields, null where they have no value.
pub fn readable(entity: &Entity, masks: &Masks, id: Value, fields: &Map<String, Value>) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("id".to_owned(), id);
    for field in entity.fields.iter().filter(|field| masks.may_read(field)) {
        shown.insert(field.name.clone(), fields.get(&field.name).cloned().unwrap_or(Value::Null));
    }
    shown
}

/// Adds the parts of a composite id that a body leaves out, as they stand in the path.
fn fill_parts(model: &Model, entity: &Entity, masks: &Masks, id: &str, body: &mut Cow<'_, Value>) {
    for (ix, part) in entity.id_parts().iter().zip(id.split(',')) {
        let field = entity.field(*ix);
        if !masks.may_write(field) || body.get(&field.name).is_some() {
            continue;
        }
        let Value::Object(members) = body.to_mut() else { return };
        let number = is_numeric(model, &field.kind).then(|| part.parse::<i64>().ok()).flatten();
        members.insert(field.name.clone(), number.map_or_else(|| Value::from(part), Value::from));
    }
}

fn is_numeric(model: &Model, kind: &FieldType) -> bool {
    match kind {
        FieldType::Integer { .. } => true,
        FieldType::Ref { target, .. } => model.entity(*target).id == IdKind::Integer,
        _ => false,
    }
}

/// Removes nulls that only repeat what GET shows of a record from before the field was there.
fn leave_out_unset(entity: &Entity, masks: &Masks, current: Option<&Map<String, Value>>, body: &mut Cow<'_, Value>) {
    let Some(current) = current else { return };
    for field in entity.fields.iter().filter(|field| masks.may_read(field)) {
        let is_unset = is_unset(field, current.get(&field.name));
        if is_unset && body.get(&field.name).is_some_and(Value::is_null) {
            let Value::Object(members) = body.to_mut() else { return };
            members.remove(&field.name);
        }
    }
}

/// Whether a stored record is older than a field that would have begun with its default.
fn is_unset(field: &Field, stored: Option<&Value>) -> bool {
    !field.nullable && field.default.is_some() && stored.is_none_or(Value::is_null)
}

/// The declared fields: all but the timestamps that the store sets.
fn own_fields(entity: &Entity) -> impl Iterator<Item = &Field> {
    entity.fields.iter().filter(|field| !is_stamp(field))
}

fn is_stamp(field: &Field) -> bool {
    field.read_only && !field.nullable && field.default.is_none() && field.kind == FieldType::Timestamp
}

/// The patch with objects of `json` fields merged into what is stored.
fn merged(entity: &Entity, masks: &Masks, stored: &Map<String, Value>, patch: &Value) -> Value {
    let Value::Object(members) = patch else { return patch.clone() };
    let mut merged = members.clone();
    for (name, value) in &mut merged {
        let json = entity.by_field(name).filter(|field| matches!(field.kind, FieldType::Json { .. }) && masks.may_read(field));
        if let (Some(field), true) = (json, value.is_object()) {
            let mut target = stored.get(&field.name).cloned().unwrap_or(Value::Null);
            json_patch::merge(&mut target, value);
            *value = target;
        }
    }
    Value::Object(merged)
}

/// Validation of one body.
struct Check<'m> {
    model: &'m Model,
    entity: &'m Entity,
    masks: &'m Masks,
    violations: Vec<FieldViolation>,
}

impl<'m> Check<'m> {
    fn new(model: &'m Model, entity: &'m Entity, masks: &'m Masks) -> Self {
        Self { model, entity, masks, violations: Vec::new() }
    }

    fn refuse(&mut self, pointer: impl Into<String>, code: &str, message: impl Into<String>) {
        self.violations.push(FieldViolation::new(pointer, code, message));
    }

    /// Notes what the schema refuses; the members, if the body is an object at all.
    fn schema<'b>(&mut self, purpose: Purpose, body: &'b Value) -> Option<&'b Map<String, Value>> {
        match self.model.validators.get(self.model, self.entity, purpose, self.masks) {
            Ok(validator) => {
                for error in validator.iter_errors(body) {
                    self.note(&error);
                }
            }
            // `parse` has compiled the same schemas, so this tells of a defect of ours: refuse rather than let pass.
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
            // A nullable field with a schema of its own: what that schema says is of use, "nor is it null" is not.
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

    /// The violation-free part has a normalised form; anything else is null and never used.
    fn normalised(&mut self, field: &Field, value: &Value) -> Value {
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

    /// Notes a fault at the element that has it. Where the schema has found the same, its words give way to the better ones.
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

    fn better(&mut self, pointer: String, fault: &scalar::Fault) {
        match self.violations.iter_mut().find(|known| known.pointer == pointer) {
            Some(known) if known.code == fault.code => known.message.clone_from(&fault.message),
            Some(_) => {}
            None => self.refuse(pointer, fault.code, fault.message.clone()),
        }
    }

    /// Parts of an id stand in paths.
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

    fn value_or_default(&mut self, field: &Field, given: Option<&Value>) -> Value {
        match given {
            Some(value) => self.normalised(field, value),
            None => field.default.clone().unwrap_or(Value::Null),
        }
    }

    /// A member that is there, of a record that exists or (`stored` is `None`) does not yet.
    fn changed(&mut self, field: &Field, value: &Value, stored: Option<&Value>) -> Value {
        // A new record has what it begins with where the caller may not say otherwise.
        let before = stored.cloned().unwrap_or_else(|| field.default.clone().unwrap_or(Value::Null));
        if !self.masks.may_write(field) && !self.masks.may_read(field) {
            // The schema has refused it as unknown; a comparison would tell what is stored.
            return before;
        }
        let file = matches!(field.kind, FieldType::File(_));
        if file && (value.is_null() || *value == before) && (self.masks.may_write(field) || *value == before) {
            return value.clone();
        }
        if file || !self.masks.may_write(field) {
            if !self.same(field, value, &before) {
                let message = if file { "a file is changed by upload and complete; null clears it" } else { "cannot be changed" };
                self.refuse(format!("/{}", field.name), "read_only", message);
            }
            return before;
        }
        let after = self.normalised(field, value);
        if stored.is_some() && field.immutable && after != before {
            let noted = self.violations.iter().any(|known| known.pointer == format!("/{}", field.name));
            if !noted {
                self.refuse(format!("/{}", field.name), "immutable", "cannot change after creation");
            }
        }
        after
    }

    fn same(&self, field: &Field, value: &Value, before: &Value) -> bool {
        let model = self.model;
        value == before
            || scalar::normalise(&field.kind, &|target| &model.entity(target).id, value).is_ok_and(|value| value == *before)
    }

    /// All fields after a PUT or a JSON Patch; writable fields that are absent are cleared if `clears` says so.
    fn replaced(
        &mut self,
        given: Option<&Map<String, Value>>,
        current: Option<&Map<String, Value>>,
        clears: impl Fn(&Field) -> bool,
    ) -> Map<String, Value> {
        let entity = self.entity;
        let mut fields = Map::new();
        for field in &entity.fields {
            let stored = current.map(|current| current.get(&field.name).cloned().unwrap_or(Value::Null));
            let value = match given.and_then(|given| given.get(&field.name)) {
                Some(value) => self.changed(field, value, stored.as_ref()),
                None => self.absent(field, stored, &clears),
            };
            if !(is_stamp(field) && value.is_null()) {
                fields.insert(field.name.clone(), value);
            }
        }
        fields
    }

    fn absent(&mut self, field: &Field, stored: Option<Value>, clears: &impl Fn(&Field) -> bool) -> Value {
        let Some(stored) = stored else { return field.default.clone().unwrap_or(Value::Null) };
        let kept = matches!(field.kind, FieldType::File(_)) || !self.masks.may_write(field) || !clears(field);
        // A required one that is absent has been refused by the schema.
        if kept || (field.required && !is_unset(field, Some(&stored))) {
            return stored;
        }
        let after = field.default.clone().unwrap_or(Value::Null);
        if field.immutable && after != stored && !is_unset(field, Some(&stored)) {
            self.refuse(
                format!("/{}", field.name),
                "immutable",
                "cannot change after creation, and leaving it out would clear it",
            );
        }
        after
    }

    /// The id of a new record.
    fn new_id(&mut self, given: Option<&Map<String, Value>>, fields: &Map<String, Value>) -> Option<String> {
        let sent = given.and_then(|given| given.get("id"));
        match &self.entity.id {
            IdKind::Uuid => None,
            IdKind::Composite(_) => {
                let id = composite_id(self.entity, fields)?;
                if sent.is_some_and(|sent| sent.as_str() != Some(&id)) {
                    self.refuse("/id", "read_only", "does not agree with its parts");
                }
                Some(id)
            }
            kind @ (IdKind::String | IdKind::Integer) => match scalar::id(kind, sent?) {
                Ok(Value::String(id)) => Some(id),
                Ok(id) => Some(id.to_string()),
                Err(fault) => {
                    self.better("/id".to_owned(), &fault);
                    None
                }
            },
        }
    }

    /// An id in a body must be the one in the path.
    fn same_id(&mut self, given: Option<&Map<String, Value>>, id: &str) {
        let Some(sent) = given.and_then(|given| given.get("id")) else { return };
        let same = match scalar::id(&self.entity.id, sent) {
            Ok(Value::String(text)) => text == id,
            // An integer id: `u64`, written as paths have it.
            Ok(number) => number.as_u64().map(|number| number.to_string()).as_deref() == Some(id),
            Err(_) => false,
        };
        if !same {
            self.refuse("/id", "read_only", "must be the id of the path");
        }
    }

    /// A PUT that creates: the parts must give the id of the path.
    fn id_parts_agree(&mut self, given: Option<&Map<String, Value>>, id: &str) {
        let entity = self.entity;
        for (ix, part) in entity.id_parts().iter().zip(id.split(',')) {
            let field = entity.field(*ix);
            let Some(value) = given.and_then(|given| given.get(&field.name)) else { continue };
            if part_text(value).as_deref() != Some(part) {
                self.refuse(format!("/{}", field.name), "read_only", "must agree with the id of the path");
            }
        }
    }

    /// What a JSON Patch makes of the parts of an id: they cannot be removed.
    fn id_parts_stay(&mut self, given: Option<&Map<String, Value>>) {
        let (entity, masks) = (self.entity, self.masks);
        let Some(given) = given else { return };
        let parts = entity.id_parts().iter().map(|ix| entity.field(*ix));
        for field in parts.filter(|field| masks.may_read(field) && masks.may_write(field) && !given.contains_key(&field.name)) {
            self.refuse(format!("/{}", field.name), "required", "must be given");
        }
    }

    fn finish(mut self, fields: Map<String, Value>) -> Result<Map<String, Value>, Vec<FieldViolation>> {
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

/// The id that the fields of a composite id make, if all are there.
pub fn composite_id(entity: &Entity, fields: &Map<String, Value>) -> Option<String> {
    let parts: Option<Vec<String>> =
        entity.id_parts().iter().map(|ix| fields.get(&entity.field(*ix).name).and_then(part_text)).collect();
    parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join(","))
}

fn part_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A member's name in a JSON pointer.
fn escape(member: &str) -> String {
    member.replace('~', "~0").replace('/', "~1")
}

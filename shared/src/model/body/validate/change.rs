//! Values of fields after a change: given, absent, or fixed.

use serde_json::{Map, Value};

use super::check::Check;
use super::stored::{is_stamp, is_unset};
use crate::model::body::scalar;
use crate::model::schema::{Field, FieldType};

impl Check<'_> {
    /// Value of a field of a new record.
    pub(super) fn value_or_default(&mut self, field: &Field, given: Option<&Value>) -> Value {
        match given {
            Some(value) => self.normalised(field, value),
            None => field.default.clone().unwrap_or(Value::Null),
        }
    }

    /// Value of a field that the body gives; `stored` is `None` for a record that does not exist yet.
    pub(super) fn changed(&mut self, field: &Field, value: &Value, stored: Option<&Value>) -> Value {
        // Fields that the caller may not write start with their default.
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

    /// All fields after a PUT or a JSON Patch. Absent fields that are writable are cleared if `clears` holds for them.
    pub(super) fn replaced(
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
}

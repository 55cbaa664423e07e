//! Ids in bodies: they must agree with the path and with their parts.

use serde_json::{Map, Value};

use super::check::Check;
use crate::model::body::scalar;
use crate::model::schema::{Entity, IdKind};

impl Check<'_> {
    /// The id of a new record.
    pub(super) fn new_id(&mut self, given: Option<&Map<String, Value>>, fields: &Map<String, Value>) -> Option<String> {
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
    pub(super) fn same_id(&mut self, given: Option<&Map<String, Value>>, id: &str) {
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

    /// The parts in the body of a PUT that creates must give the id of the path.
    pub(super) fn id_parts_agree(&mut self, given: Option<&Map<String, Value>>, id: &str) {
        let entity = self.entity;
        for (ix, part) in entity.id_parts().iter().zip(id.split(',')) {
            let field = entity.field(*ix);
            let Some(value) = given.and_then(|given| given.get(&field.name)) else { continue };
            if part_text(value).as_deref() != Some(part) {
                self.refuse(format!("/{}", field.name), "read_only", "must agree with the id of the path");
            }
        }
    }

    /// A JSON Patch must not remove the parts of an id.
    pub(super) fn id_parts_stay(&mut self, given: Option<&Map<String, Value>>) {
        let (entity, masks) = (self.entity, self.masks);
        let Some(given) = given else { return };
        let parts = entity.id_parts().iter().map(|ix| entity.field(*ix));
        for field in parts.filter(|field| masks.may_read(field) && masks.may_write(field) && !given.contains_key(&field.name)) {
            self.refuse(format!("/{}", field.name), "required", "must be given");
        }
    }
}

/// The composite id that the fields give, if all parts have a value.
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

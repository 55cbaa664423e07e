//! Compiled JSON Schemas, made when they are first needed and kept.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use jsonschema::Validator;
use serde_json::Value;

use super::schema::{Entity, EntityIx, Model};
use super::schema_json::{Masks, Purpose, json_schema};

/// A compiled JSON Schema (2020-12). Regular expressions run in linear time, and nothing is fetched.
///
/// # Errors
/// What is wrong with the schema.
pub(super) fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .map_err(|error| error.to_string())
}

/// Most compiled schemas kept: one per entity, purpose and pair of masks. Masks come from roles, so they are few.
const MAX_COMPILED: usize = 1024;

type Compiled = HashMap<(EntityIx, Purpose, Masks), Arc<Validator>>;

/// Compiled schemas of a model, made when they are first needed.
#[derive(Default)]
pub(crate) struct Validators(RwLock<Compiled>);

impl std::fmt::Debug for Validators {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Validators")
    }
}

impl Validators {
    pub fn get(&self, model: &Model, entity: &Entity, purpose: Purpose, masks: &Masks) -> Result<Arc<Validator>, String> {
        let key = (entity.ix, purpose, masks.clone());
        if let Some(found) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(found));
        }
        let compiled = Arc::new(compile(&json_schema(model, entity, purpose, masks))?);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_COMPILED {
            all.clear();
        }
        all.insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }
}

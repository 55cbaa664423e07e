//! Compiled JSON Schemas: made when they are first needed, and kept as long as the model.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use jsonschema::Validator;
use serde_json::Value;

use super::mask::Masks;
use super::positions::EntityIx;

/// Purpose of the JSON Schema of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A record in an answer.
    Read,
    /// The body of a POST.
    Create,
    /// The body of a PUT.
    Replace,
    /// A JSON merge patch.
    Patch,
}

/// A compiled JSON Schema (2020-12). Regular expressions run in linear time, and nothing is fetched.
///
/// # Errors
/// The reason why the value is no schema.
pub(in crate::model) fn compile(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .map_err(|error| error.to_string())
}

/// Maximum number of compiled schemas: one per entity, purpose and pair of masks. Masks come from roles, so they are few.
const MAX_COMPILED: usize = 1024;

/// What the schema of an entity depends on within one model.
type SchemaKey = (EntityIx, Purpose, Masks);

/// Compiled schemas of one model.
#[derive(Default)]
pub(crate) struct Validators(RwLock<HashMap<SchemaKey, Arc<Validator>>>);

impl std::fmt::Debug for Validators {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Validators")
    }
}

impl Validators {
    /// The compiled schema for a key; `schema` makes the document of one that is not there yet.
    ///
    /// # Errors
    /// As [`compile`].
    pub(in crate::model) fn get(&self, key: SchemaKey, schema: impl FnOnce() -> Value) -> Result<Arc<Validator>, String> {
        if let Some(found) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(found));
        }
        let compiled = Arc::new(compile(&schema())?);
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_COMPILED {
            all.clear();
        }
        all.insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }
}

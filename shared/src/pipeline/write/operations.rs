//! JSON Patch (RFC 6902) on what the caller may read.

use json_patch::{Patch, PatchErrorKind, PatchOperation};
use serde_json::Value;

use crate::core::json;
use crate::http::problem::{Code, FieldError, Problem};
use crate::model::Entity;

/// Most operations of a patch.
const MAX_PATCH_OPERATIONS: usize = 1000;

/// The document after all operations.
///
/// # Errors
/// 409 `conflict` for a `test` that fails; 422 for an operation that cannot be done, or for too many of them.
pub(super) fn apply(entity: &Entity, patch: &Patch, mut document: Value) -> Result<Value, Problem> {
    if patch.0.len() > MAX_PATCH_OPERATIONS {
        return Err(invalid(
            "",
            "maxItems",
            format!("has {} operations, at most {MAX_PATCH_OPERATIONS} are taken", patch.0.len()),
        ));
    }
    for (at, operation) in patch.0.iter().enumerate() {
        if is_met(operation, &document) {
            continue;
        }
        let result = json_patch::patch(&mut document, std::slice::from_ref(operation));
        result.map_err(|error| match error.kind {
            PatchErrorKind::TestFailed => {
                let message = format!("the value at {} is another", error.path);
                Problem::conflict(format!("Operation {at} of the patch, a `test`, failed; nothing was done."))
                    .with_errors(vec![FieldError::new(format!("/{at}"), "test", message)])
            }
            kind => invalid(&format!("/{at}"), "json_patch", format!("cannot be done at {}: {kind}", error.path)),
        })?;
        // Copies can double a document with every operation.
        if matches!(operation, PatchOperation::Copy(_)) && document.to_string().len() > 4 * entity.max_bytes {
            return Err(invalid(&format!("/{at}"), "max_bytes", "makes the record larger than can be stored".to_owned()));
        }
    }
    Ok(document)
}

/// Whether this is a `test` that succeeds. The library's own compares how numbers are written, not what they are.
fn is_met(operation: &PatchOperation, document: &Value) -> bool {
    let PatchOperation::Test(test) = operation else { return false };
    document.pointer(test.path.as_str()).is_some_and(|found| json::equal(found, &test.value))
}

fn invalid(pointer: &str, code: &str, message: String) -> Problem {
    Problem::new(Code::ValidationFailed, "The patch cannot be applied; `errors` says why.")
        .with_errors(vec![FieldError::new(pointer, code, message)])
}

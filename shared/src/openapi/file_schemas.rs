//! Schemas of links to files and of shares.

use serde_json::{Map, Value, json};

use super::kinds;
use super::parts::object;

/// All schemas of files.
pub(super) fn schemas() -> Map<String, Value> {
    let address = || json!({"type": "string", "format": "uri", "maxLength": 4096});
    let headers = json!({"type": "object", "description": "To be sent with the content as they are.", "additionalProperties": kinds::text(4096)});
    let url =
        kinds::about(address(), "The address itself: it cannot be shown again, not even to a repetition by Idempotency-Key.");
    let made = json!({"id": kinds::id(), "url": url, "expires_at": kinds::moment()});
    let listed = json!({
        "id": kinds::id(),
        "resource": kinds::text(64),
        "resource_id": kinds::text(1024),
        "field": kinds::text(64),
        "consumer": kinds::text(256),
        "subject": kinds::subject(),
        "created_at": kinds::moment(),
        "expires_at": kinds::moment(),
        "max_downloads": kinds::or_null(kinds::count()),
        "downloads": kinds::count(),
    });
    object([
        (
            "UploadLink",
            Some(kinds::object(
                json!({"url": address(), "method": json!({"type": "string", "const": "PUT"}), "headers": headers, "expires_at": kinds::moment()}),
                &["url", "method", "headers", "expires_at"],
            )),
        ),
        (
            "FileLink",
            Some(kinds::object(
                json!({"url": address(), "expires_at": kinds::moment(), "filename": kinds::text(255), "content_type": kinds::text(255), "size": kinds::count()}),
                &["url", "expires_at", "filename", "content_type", "size"],
            )),
        ),
        ("Share", Some(kinds::object(made, &["id", "expires_at"]))),
        (
            "ShareList",
            Some(kinds::page(
                kinds::object(
                    listed,
                    &[
                        "id",
                        "resource",
                        "resource_id",
                        "field",
                        "consumer",
                        "subject",
                        "created_at",
                        "expires_at",
                        "max_downloads",
                        "downloads",
                    ],
                ),
                None,
            )),
        ),
    ])
}

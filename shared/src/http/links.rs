//! Paths of resources, for `Location` and the audit trail.

/// The path of an API consumer.
pub fn consumer(id: &str) -> String {
    format!("/v1/_consumers/{id}")
}

/// The path of an API key of a consumer.
pub fn key(consumer_id: &str, key_id: &str) -> String {
    format!("{}/keys/{key_id}", consumer(consumer_id))
}

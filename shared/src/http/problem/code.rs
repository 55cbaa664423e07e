//! The catalogue of error codes: from it come statuses, titles, the problem `type` addresses and their documentation.

use http::StatusCode;

macro_rules! codes {
    ($($variant:ident, $name:literal, $status:ident, $title:literal, $meaning:literal;)*) => {
        /// Every code that a problem can have. There is none with a status below 400.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $meaning] $variant,)* }

        impl Code {
            /// All of them, by status.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in the member `code`, and the fragment of its `type`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The status of every answer with it.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// What it is, in a few words that never change.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// When it comes and what to do, one line for the documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    MalformedRequest, "malformed_request", BAD_REQUEST, "Malformed request",
        "The body is not well-formed JSON, or a header does not follow its syntax.";
    InvalidParameter, "invalid_parameter", BAD_REQUEST, "Invalid parameter",
        "A query parameter is unknown, repeated, malformed, or asks for what no index serves; `detail` says what would be accepted.";
    Unauthenticated, "unauthenticated", UNAUTHORIZED, "Not authenticated",
        "The credentials are missing, wrong or expired; `WWW-Authenticate` says what is asked for.";
    Forbidden, "forbidden", FORBIDDEN, "Forbidden",
        "The caller is known and may not do this; other credentials may.";
    InsufficientScope, "insufficient_scope", FORBIDDEN, "Insufficient scope",
        "The caller's roles allow this and the scopes of its credentials do not; `WWW-Authenticate` names the scope that is missing.";
    MissingClaim, "missing_claim", FORBIDDEN, "Missing claim",
        "The caller's roles allow this for rows that a claim tells, which its credentials do not carry; `claims` lists such claims.";
    NotFound, "not_found", NOT_FOUND, "Not found",
        "There is nothing at this address that the caller may see.";
    MethodNotAllowed, "method_not_allowed", METHOD_NOT_ALLOWED, "Method not allowed",
        "The resource does not have this method; `Allow` lists those that it has.";
    NotAcceptable, "not_acceptable", NOT_ACCEPTABLE, "Not acceptable",
        "`Accept` admits no media type in which the resource can be sent.";
    Conflict, "conflict", CONFLICT, "Conflict",
        "The state of the resource forbids it: its id exists already, or a `test` of a JSON Patch failed.";
    UniqueViolation, "unique_violation", CONFLICT, "Value is taken",
        "Another record has this value in a field whose values are unique.";
    Restricted, "restricted", CONFLICT, "Still referred to",
        "Other records refer to this one and forbid its deletion.";
    RequestInProgress, "request_in_progress", CONFLICT, "Request in progress",
        "The outcome of the request with this idempotency key is not known yet; repeat it after `Retry-After` with the same key.";
    Gone, "gone", GONE, "Gone",
        "It was here and will not come back, such as a share that has ended.";
    PreconditionFailed, "precondition_failed", PRECONDITION_FAILED, "Precondition failed",
        "The record is no longer in the state that `If-Match` or `If-None-Match` names; read it again.";
    PayloadTooLarge, "payload_too_large", PAYLOAD_TOO_LARGE, "Request too large",
        "The body, a record or a transaction is larger than is accepted; `detail` says what fits.";
    ResponseTooLarge, "response_too_large", PAYLOAD_TOO_LARGE, "Response too large",
        "The answer would be larger than can be sent; ask for fewer records, fields or embedded records.";
    UnsupportedMediaType, "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "Unsupported media type",
        "The body is in a media type or coding that the resource does not take.";
    ValidationFailed, "validation_failed", UNPROCESSABLE_ENTITY, "Validation failed",
        "The request is well-formed and breaks rules of the model; `errors` lists all of them with their places.";
    ReferenceNotFound, "reference_not_found", UNPROCESSABLE_ENTITY, "Reference not found",
        "A record that the body refers to does not exist; `errors` names the fields.";
    CostExceedsLimit, "cost_exceeds_limit", UNPROCESSABLE_ENTITY, "Cost exceeds limit",
        "The request costs more than the plan ever admits at once, so waiting would not help.";
    IdempotencyKeyReused, "idempotency_key_reused", UNPROCESSABLE_ENTITY, "Idempotency key reused",
        "The idempotency key was used for another request within the last 24 hours.";
    PreconditionRequired, "precondition_required", PRECONDITION_REQUIRED, "Precondition required",
        "Changes of this resource need `If-Match` with the record's ETag.";
    RateLimited, "rate_limited", TOO_MANY_REQUESTS, "Too many requests",
        "A rate of the plan is used up; one request is admitted after `Retry-After` seconds.";
    QuotaExceeded, "quota_exceeded", TOO_MANY_REQUESTS, "Quota exceeded",
        "A quota of the plan is used up until its window ends, which is what `Retry-After` says.";
    Internal, "internal", INTERNAL_SERVER_ERROR, "Internal error",
        "The fault is ours; the log has the cause under `correlation_id`.";
    Unavailable, "unavailable", SERVICE_UNAVAILABLE, "Unavailable for the moment",
        "A service that we depend on does not answer; repeat the request after `Retry-After` seconds.";
    Building, "building", SERVICE_UNAVAILABLE, "Constraint not built yet",
        "The model has changed over stored data, and what the request asks for cannot be decided before `holdfast migrate` has built it.";
    Timeout, "timeout", GATEWAY_TIMEOUT, "Timed out",
        "The request could not be finished in time; a write may be repeated safely with its idempotency key.";
}

impl Code {
    /// The address that identifies it: an anchor of the documentation page (RFC 9457, 3.1.1).
    pub fn address(self, base_url: &str) -> String {
        format!("{base_url}/v1/docs#{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// The list of the HTTP contract, word for word.
    const CONTRACT: &str = "malformed_request 400, invalid_parameter 400, unauthenticated 401, forbidden 403, insufficient_scope 403, missing_claim 403, not_found 404, \
        method_not_allowed 405, not_acceptable 406, conflict 409, unique_violation 409, restricted 409, request_in_progress 409, \
        gone 410, precondition_failed 412, payload_too_large 413, response_too_large 413, unsupported_media_type 415, \
        validation_failed 422, reference_not_found 422, cost_exceeds_limit 422, idempotency_key_reused 422, \
        precondition_required 428, rate_limited 429, quota_exceeded 429, internal 500, unavailable 503, \
        building 503, timeout 504";

    #[test]
    fn the_catalogue_is_that_of_the_contract() {
        let ours: Vec<String> = Code::ALL.iter().map(|code| format!("{} {}", code.name(), code.status().as_u16())).collect();
        assert_eq!(ours, CONTRACT.split(", ").collect::<Vec<_>>());
    }

    #[test]
    fn every_code_has_its_own_title_meaning_and_address() {
        let texts: [fn(Code) -> String; 3] =
            [|code| code.title().to_owned(), |code| code.meaning().to_owned(), |code| code.address("https://a")];
        for text in texts {
            let all: HashSet<String> = Code::ALL.iter().map(|code| text(*code)).collect();
            assert_eq!(all.len(), Code::ALL.len());
        }
        assert_eq!(Code::Gone.address("https://api.example"), "https://api.example/v1/docs#gone");
    }
}

//! Keys of every mapping of the format. The readers, the JSON Schema of the format and the tests of the documentation and of `model
//! diff` all go by these.

/// Keys of a model.
pub(in crate::model) const MODEL: [&str; 9] =
    ["name", "description", "version", "entities", "roles", "plans", "auth", "cors", "limits"];

/// Keys of an entity.
pub(in crate::model) const ENTITY: [&str; 13] = [
    "was",
    "plural",
    "description",
    "id",
    "fields",
    "indexes",
    "cache",
    "public",
    "contention",
    "require_if_match",
    "deprecated",
    "max_bytes",
    "timestamps",
];

/// Keys of every field; [`super::types`] has those of each type.
pub(in crate::model) const FIELD: [&str; 13] = [
    "was",
    "required",
    "nullable",
    "default",
    "fill",
    "unique",
    "immutable",
    "read_only",
    "write_only",
    "description",
    "example",
    "deprecated",
    "filter",
];

/// Keys of an index.
pub(in crate::model) const INDEX: [&str; 3] = ["equality", "sort", "fields"];

/// Keys of `cache`, where it is a mapping.
pub(in crate::model) const CACHE: [&str; 1] = ["bounded"];

/// Keys of a deprecation; that of a field has no `operations`.
pub(in crate::model) const DEPRECATION: [&str; 4] = ["since", "sunset", "replacement", "operations"];

/// Keys of a role.
pub(in crate::model) const ROLE: [&str; 5] = ["description", "inherits", "all", "entities", "system"];

/// Keys of a permission.
pub(in crate::model) const PERMISSION: [&str; 2] = ["rows", "fields"];

/// Keys of a plan.
pub(in crate::model) const PLAN: [&str; 6] = ["description", "rates", "quotas", "costs", "thresholds", "when_unavailable"];

/// Keys of a rate.
pub(in crate::model) const RATE: [&str; 4] = ["rate", "per", "burst", "only"];

/// Keys of `auth`.
pub(in crate::model) const AUTH: [&str; 5] = ["issuers", "claims", "anonymous_role", "default_plan", "max_key_age"];

/// Keys of an issuer.
pub(in crate::model) const ISSUER: [&str; 11] = [
    "provider",
    "issuer",
    "jwks_uri",
    "audiences",
    "clients",
    "algorithms",
    "claims",
    "scopes",
    "max_lifetime",
    "leeway",
    "default_roles",
];

/// Keys of the `claims` of an issuer.
pub(in crate::model) const CLAIMS: [&str; 6] = ["consumer", "subject", "roles", "plan", "scopes", "client"];

/// Keys of the `scopes` of an issuer.
pub(in crate::model) const SCOPES: [&str; 3] = ["prefix", "map", "required"];

/// Keys of `cors`.
pub(in crate::model) const CORS: [&str; 2] = ["origins", "max_age"];

/// Keys of `limits`.
pub(in crate::model) const LIMITS: [&str; 2] = ["examine", "per_address"];

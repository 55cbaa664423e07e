//! Kinds of requests: what a path and a method ask for.

use http::Method;

use crate::model::{EntityIx, FieldIx};

/// What is asked for. `HEAD` is routed as `GET`. Ids are well-formed, integer ids canonical, UUIDs in lower case.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    /// `/v1/{plural}` and below, files apart.
    Records(EntityIx, Records),
    /// `/v1/{plural}/{id}/{field}/download`.
    Download(FileRef),
    /// What else there is below `/v1/{plural}/{id}/{field}`.
    Files(FileRef, Files),
    /// `/v1/_consumers/{id}/shares`.
    ConsumerShares(String, ConsumerShares),
    /// `/v1/_...` for callers who are known.
    System(System),
    /// Documents of the API.
    Document(Document),
    /// `/v1/_shares/{secret}`.
    Share {
        /// The last segment.
        secret: String,
    },
    /// `/v1/_health`.
    Health,
    /// `/v1/_health/ready`.
    Ready,
    /// `OPTIONS` of a path that has these methods.
    Preflight {
        /// All methods of the path.
        allow: Vec<Method>,
    },
}

/// Operations on records.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the rows of the table say it")]
pub enum Records {
    List,
    Create,
    Bulk,
    Get { id: String },
    Replace { id: String },
    Patch { id: String },
    Delete { id: String },
}

/// A file field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRef {
    /// Entity of the record.
    pub entity: EntityIx,
    /// Id of the record.
    pub id: String,
    /// The field.
    pub field: FieldIx,
}

/// Operations on the content of a file field.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the rows of the table say it")]
pub enum Files {
    Upload,
    Complete,
    CreateShare,
    ListShares,
    DeleteShares,
    DeleteShare { share: String },
}

/// Operations on all shares of a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the rows of the table say it")]
pub enum ConsumerShares {
    List,
    Revoke,
}

/// System resources.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the rows of the table say it")]
pub enum System {
    Consumers,
    CreateConsumer,
    Consumer { id: String },
    ReplaceConsumer { id: String },
    PatchConsumer { id: String },
    DeleteConsumer { id: String },
    CreateKey { id: String },
    DeleteKey { id: String, key_id: String },
    Me,
    Purge,
    Usage,
    UsageDashboard,
    UsageMetrics,
    Notifications,
    Audit,
}

/// Forms of the API's document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the rows of the table say it")]
pub enum Document {
    Json,
    Yaml,
    Page,
    Llms,
}

//! The table of endpoints: one row for each method of each path, and below it the [`Route`]s that the rows make. Routing, `Allow`,
//! preflights, costs, the order of admission and effect, and the tests of documents and template all read it; a new route begins with a
//! row and a variant here.

use http::Method;

use super::endpoint::{Auth, Charge, Effect, Endpoint, FileRef, Function, Make};
use crate::model::{EntityIx, Operation};

/// All endpoints. The first pattern that a path fits counts; rows of one pattern stand together.
pub(super) const ENDPOINTS: &[Endpoint<Route>] = &[
    account(Method::GET, "/v1/_consumers", Effect::Read, |_| Route::System(System::Consumers)),
    account(Method::POST, "/v1/_consumers", Effect::Write, |_| Route::System(System::CreateConsumer)),
    account(Method::GET, "/v1/_consumers/{consumer}", Effect::Read, |found| Route::System(System::Consumer { id: found.id })),
    account(Method::PUT, "/v1/_consumers/{consumer}", Effect::Write, |found| {
        Route::System(System::ReplaceConsumer { id: found.id })
    }),
    account(Method::PATCH, "/v1/_consumers/{consumer}", Effect::Write, |found| {
        Route::System(System::PatchConsumer { id: found.id })
    }),
    account(Method::DELETE, "/v1/_consumers/{consumer}", Effect::Write, |found| {
        Route::System(System::DeleteConsumer { id: found.id })
    }),
    account(Method::GET, "/v1/_consumers/{consumer}/keys", Effect::Read, |found| Route::System(System::Keys { id: found.id })),
    account(Method::POST, "/v1/_consumers/{consumer}/keys", Effect::Write, |found| {
        Route::System(System::CreateKey { id: found.id })
    }),
    account(Method::DELETE, "/v1/_consumers/{consumer}/keys/{key_id}", Effect::Write, |found| {
        Route::System(System::DeleteKey { id: found.id, key_id: found.other })
    }),
    of_shares(Method::GET, "/v1/_consumers/{consumer}/shares", Effect::Read, |found| {
        Route::ConsumerShares(found.id, ConsumerShares::List)
    }),
    of_shares(Method::DELETE, "/v1/_consumers/{consumer}/shares", Effect::Write, |found| {
        Route::ConsumerShares(found.id, ConsumerShares::Revoke)
    }),
    account(Method::GET, "/v1/_me", Effect::Read, |_| Route::System(System::Me)),
    system(Method::POST, "/v1/_cache/purge", Effect::Write, |_| Route::System(System::Purge)),
    account(Method::GET, "/v1/_usage", Effect::Read, |_| Route::System(System::Usage)),
    page("/v1/_usage/dashboard", |_| Route::System(System::UsageDashboard)),
    account(Method::GET, "/v1/_usage/metrics", Effect::Read, |_| Route::System(System::UsageMetrics)),
    account(Method::GET, "/v1/_notifications", Effect::Read, |_| Route::System(System::Notifications)),
    system(Method::GET, "/v1/_audit", Effect::Read, |_| Route::System(System::Audit)),
    open("/v1/_health", Effect::Read, Function::DataApi, |_| Route::Health),
    open("/v1/_health/ready", Effect::Read, Function::DataApi, |_| Route::Ready),
    open("/v1/_shares/{secret}", Effect::Write, Function::Download, |found| Route::Share { secret: found.other }),
    document("/v1/openapi.json", |_| Route::Document(Document::Json)),
    document("/v1/openapi.yaml", |_| Route::Document(Document::Yaml)),
    document("/v1/docs", |_| Route::Document(Document::Page)),
    document("/v1/docs/llms.txt", |_| Route::Document(Document::Llms)),
    open_records("/v1/{plural}", Operation::List, |found| Route::Records(found.entity, Records::List)),
    records(Method::POST, "/v1/{plural}", Charge::Entity(Operation::Create), Effect::Write, |found| {
        Route::Records(found.entity, Records::Create)
    }),
    records(Method::POST, "/v1/{plural}/_bulk", Charge::Bulk, Effect::Write, |found| Route::Records(found.entity, Records::Bulk)),
    open_records("/v1/{plural}/{id}", Operation::Read, |found| Route::Records(found.entity, Records::Get { id: found.id })),
    records(Method::PUT, "/v1/{plural}/{id}", Charge::Entity(Operation::Update), Effect::Write, |found| {
        Route::Records(found.entity, Records::Replace { id: found.id })
    }),
    records(Method::PATCH, "/v1/{plural}/{id}", Charge::Entity(Operation::Update), Effect::Write, |found| {
        Route::Records(found.entity, Records::Patch { id: found.id })
    }),
    records(Method::DELETE, "/v1/{plural}/{id}", Charge::Entity(Operation::Delete), Effect::Write, |found| {
        Route::Records(found.entity, Records::Delete { id: found.id })
    }),
    file(Method::POST, "/v1/{plural}/{id}/{field}/upload", Operation::Upload, Effect::Write, |found| {
        Route::Files(found.file(), Files::Upload)
    }),
    file(Method::POST, "/v1/{plural}/{id}/{field}/complete", Operation::Upload, Effect::Write, |found| {
        Route::Files(found.file(), Files::Complete)
    }),
    open_file("/v1/{plural}/{id}/{field}/download", |found| Route::Download(found.file())),
    file(Method::GET, "/v1/{plural}/{id}/{field}/shares", Operation::Download, Effect::Read, |found| {
        Route::Files(found.file(), Files::ListShares)
    }),
    file(Method::POST, "/v1/{plural}/{id}/{field}/shares", Operation::Download, Effect::Write, |found| {
        Route::Files(found.file(), Files::CreateShare)
    }),
    file(Method::DELETE, "/v1/{plural}/{id}/{field}/shares", Operation::Download, Effect::Write, |found| {
        Route::Files(found.file(), Files::DeleteShares)
    }),
    file(Method::DELETE, "/v1/{plural}/{id}/{field}/shares/{share_id}", Operation::Download, Effect::Write, |found| {
        Route::Files(found.file(), Files::DeleteShare { share: found.other })
    }),
];

const fn records(method: Method, pattern: &'static str, charge: Charge, effect: Effect, make: Make<Route>) -> Endpoint<Route> {
    Endpoint { method, pattern, charge, effect, auth: Auth::Authorizer, function: Function::DataApi, make }
}

const fn file(method: Method, pattern: &'static str, operation: Operation, effect: Effect, make: Make<Route>) -> Endpoint<Route> {
    let charge = Charge::Entity(operation);
    Endpoint { method, pattern, charge, effect, auth: Auth::Authorizer, function: Function::Download, make }
}

/// Reads that callers without credentials may do, where the model has a role for them.
const fn open_records(pattern: &'static str, operation: Operation, make: Make<Route>) -> Endpoint<Route> {
    let (charge, effect) = (Charge::Entity(operation), Effect::Read);
    Endpoint { method: Method::GET, pattern, charge, effect, auth: Auth::Optional, function: Function::DataApi, make }
}

const fn open_file(pattern: &'static str, make: Make<Route>) -> Endpoint<Route> {
    let (charge, effect) = (Charge::Entity(Operation::Download), Effect::Write);
    Endpoint { method: Method::GET, pattern, charge, effect, auth: Auth::Optional, function: Function::Download, make }
}

const fn system(method: Method, pattern: &'static str, effect: Effect, make: Make<Route>) -> Endpoint<Route> {
    Endpoint { method, pattern, charge: Charge::System, effect, auth: Auth::Authorizer, function: Function::DataApi, make }
}

const fn account(method: Method, pattern: &'static str, effect: Effect, make: Make<Route>) -> Endpoint<Route> {
    let charge = Charge::Allowance;
    Endpoint { method, pattern, charge, effect, auth: Auth::Authorizer, function: Function::DataApi, make }
}

const fn of_shares(method: Method, pattern: &'static str, effect: Effect, make: Make<Route>) -> Endpoint<Route> {
    Endpoint { method, pattern, charge: Charge::System, effect, auth: Auth::Authorizer, function: Function::Download, make }
}

const fn page(pattern: &'static str, make: Make<Route>) -> Endpoint<Route> {
    let (charge, effect) = (Charge::Allowance, Effect::Read);
    Endpoint { method: Method::GET, pattern, charge, effect, auth: Auth::Optional, function: Function::DataApi, make }
}

const fn document(pattern: &'static str, make: Make<Route>) -> Endpoint<Route> {
    Endpoint {
        method: Method::GET,
        pattern,
        charge: Charge::Allowance,
        effect: Effect::Read,
        auth: Auth::Optional,
        function: Function::Docs,
        make,
    }
}

const fn open(pattern: &'static str, effect: Effect, function: Function, make: Make<Route>) -> Endpoint<Route> {
    Endpoint { method: Method::GET, pattern, charge: Charge::Free, effect, auth: Auth::Open, function, make }
}

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
    Keys { id: String },
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

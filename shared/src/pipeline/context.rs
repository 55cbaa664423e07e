//! Context of a request: what all of its stages know, and what those behind authentication know besides.

use std::ops::Deref;
use std::sync::OnceLock;

use tokio::sync::SetOnce;

use crate::app::App;
use crate::core::clock::Micros;
use crate::http::ApiRequest;
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::route::{self, Matched};
use crate::identity::auth::Principal;
use crate::model::Model;
use crate::usage::RequestMetrics;

/// Context of a request, from its arrival to its count.
pub struct RequestContext<'a> {
    /// Parts of the process.
    pub app: &'a App,
    /// Request as it arrived.
    pub request: &'a ApiRequest,
    /// Its body.
    pub body: Body<'a>,
    /// Time of its arrival.
    pub begun: Micros,
    /// Correlation id of the answer.
    pub correlation: String,
    /// Name that it is counted under: `GET /v1/orders/{id}`.
    pub route: String,
    /// Its endpoint, or the answer where there is none.
    pub matched: Result<Matched, Problem>,
    /// Notes for the count of usage.
    pub metrics: RequestMetrics,
    /// Its caller, for the log; once there is one.
    pub who: OnceLock<Who>,
}

/// A caller as the line of a request in the log has it: where no authorizer was asked, nothing else tells of it.
#[derive(Debug)]
pub struct Who {
    /// Subject.
    pub subject: String,
    /// Key that was used.
    pub key_id: Option<String>,
    /// Scopes that narrow it, with blanks between.
    pub scope: Option<String>,
}

impl<'a> RequestContext<'a> {
    /// The context of a request that has just arrived; matches its path.
    pub fn new(app: &'a App, request: &'a ApiRequest) -> Self {
        let begun = app.env.now();
        let correlation = request.correlation(&app.env);
        let (route, matched) = route::find(&app.model, &request.method, &request.path);
        let (body, metrics, who) = (Body::new(request), RequestMetrics::default(), OnceLock::new());
        Self { app, request, body, begun, correlation, route, matched, metrics, who }
    }

    /// Notes the caller for the log.
    pub fn note(&self, principal: &Principal) {
        let scope = principal.scopes.as_ref().map(|scopes| scopes.join(" "));
        // Whoever is verified a second time is the same.
        self.who.get_or_init(|| Who { subject: principal.subject.clone(), key_id: principal.key_id.clone(), scope });
    }

    /// The model.
    pub fn model(&self) -> &'a Model {
        &self.app.model
    }
}

/// Context of a request whose caller is known.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Context of the request.
    pub inner: &'a RequestContext<'a>,
    /// Caller.
    pub principal: &'a Principal,
    /// Gate that opens when the caller's limits have let the request through.
    pub gate: &'a Gate,
}

impl<'a> Deref for Context<'a> {
    type Target = RequestContext<'a>;

    fn deref(&self) -> &Self::Target {
        self.inner
    }
}

/// What a request waits at before its first effect: until then it may read and prepare beside its admission.
#[derive(Debug)]
pub struct Gate {
    opened: SetOnce<()>,
    /// Whether it is as good as certain that it opens, so that what does no harm may go ahead.
    pub is_sure: bool,
}

impl Gate {
    /// Of a request whose admission is under way.
    pub fn closed(is_sure: bool) -> Self {
        Self { opened: SetOnce::new(), is_sure }
    }

    /// Of a request that is admitted.
    pub fn open() -> Self {
        Self { opened: SetOnce::new_with(Some(())), is_sure: true }
    }

    /// Lets the request go on.
    pub fn admit(&self) {
        // Whoever opens an open gate changes nothing.
        let _was_open = self.opened.set(());
    }

    /// Waits for admission. A request that is refused never gets past this: it is dropped here.
    pub async fn passed(&self) {
        self.opened.wait().await;
    }
}

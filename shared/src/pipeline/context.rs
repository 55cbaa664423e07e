//! What every stage behind admission knows of its request.

use tokio::sync::SetOnce;

use crate::app::App;
use crate::core::principal::Principal;
use crate::http::ApiRequest;
use crate::usage::RequestMetrics;

/// A request of a known caller.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// What the process works with.
    pub app: &'a App,
    /// The request.
    pub request: &'a ApiRequest,
    /// Who calls.
    pub principal: &'a Principal,
    /// The correlation id of the answer.
    pub correlation: &'a str,
    /// Opens when the caller's limits have let the request through.
    pub gate: &'a Gate,
    /// What is noted for the count of usage.
    pub metrics: &'a RequestMetrics,
}

/// What a request waits at before its first effect: until then it may read and prepare beside its admission.
#[derive(Debug)]
pub struct Gate(SetOnce<()>);

impl Gate {
    /// Of a request whose admission is under way.
    pub fn closed() -> Self {
        Self(SetOnce::new())
    }

    /// Of a request that is admitted.
    pub fn open() -> Self {
        Self(SetOnce::new_with(Some(())))
    }

    /// Lets the request go on.
    pub fn admit(&self) {
        // Whoever opens an open gate changes nothing.
        let _was_open = self.0.set(());
    }

    /// Waits for admission. A request that is refused never gets past this: it is dropped here.
    pub async fn passed(&self) {
        self.0.wait().await;
    }
}

impl<'a> Context<'a> {
    /// The model.
    pub fn model(&self) -> &'a crate::model::Model {
        &self.app.model
    }
}

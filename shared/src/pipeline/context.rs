//! What every stage behind admission knows of its request.

use crate::app::App;
use crate::http::ApiRequest;
use crate::principal::Principal;

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
}

impl<'a> Context<'a> {
    /// The model.
    pub fn model(&self) -> &'a crate::model::Model {
        &self.app.model
    }
}

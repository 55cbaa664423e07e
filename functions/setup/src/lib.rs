//! A custom resource of the stack: the first API key of a deployment, made once and put where only the operator may read it.
//! Without it nobody could call `/v1/_consumers` to make the others.
//!
//! It may be repeated at any point. What says that it is done is the filled secret: keys of an attempt that died before that were
//! handed to nobody, and are revoked by the next.

mod cloudformation;

use cloudformation::ResourceAnswer;
use holdfast::core::clock::Env;
use holdfast::identity::consumer::{Change, ConsumerError, Consumers};
use holdfast::identity::secret::SecretSlot;
use holdfast::model::Model;
use holdfast::store::audit;
use holdfast::store::table::{Table, TableName, Write};
use serde::Deserialize;
use serde_json::json;

/// Id of the consumer that the key belongs to.
pub const CONSUMER: &str = "deployment";
/// The resource's name, which never changes.
const PHYSICAL_ID: &str = "first-admin-key";

/// An event of CloudFormation, as far as it matters here.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResourceEvent {
    /// `Create`, `Update` or `Delete`.
    pub request_type: String,
    /// Where the answer goes: signed, so never logged.
    #[serde(rename = "ResponseURL")]
    pub response_url: String,
    /// Comes back in the answer.
    pub stack_id: String,
    /// Comes back in the answer.
    pub request_id: String,
    /// Comes back in the answer.
    pub logical_resource_id: String,
    /// What the template says.
    pub resource_properties: Properties,
}

/// What the template says of the resource.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Properties {
    /// The secret that the key is put into.
    pub secret_arn: String,
    /// The role of the model that the key has.
    pub role: String,
}

/// What is needed to make the key.
pub struct FirstKey<'a> {
    /// The consumers.
    pub table: &'a dyn Table,
    /// Knows the roles.
    pub model: &'a Model,
    /// Clock and randomness.
    pub env: &'a Env,
    /// Stands in the key: `hf_<environment>_...`.
    pub environment: &'a str,
    /// Where the key goes.
    pub slot: &'a dyn SecretSlot,
}

/// Handles one event, and answers CloudFormation, also that it failed.
///
/// # Errors
/// When the answer does not get through: Lambda repeats the event.
pub async fn handle(first: &FirstKey<'_>, event: ResourceEvent) -> Result<(), String> {
    let done = match event.request_type.as_str() {
        // The table outlives the stack, and so does the key.
        "Delete" => Ok(false),
        _ => first.ensure(&event.resource_properties.role).await,
    };
    match &done {
        Ok(made) => tracing::info!(request = event.request_type, made, "first key"),
        Err(why) => tracing::error!(request = event.request_type, why, "first key"),
    }
    let answer = ResourceAnswer {
        status: if done.is_ok() { "SUCCESS" } else { "FAILED" },
        reason: done.err(),
        physical_resource_id: PHYSICAL_ID.to_owned(),
        stack_id: event.stack_id,
        request_id: event.request_id,
        logical_resource_id: event.logical_resource_id,
    };
    cloudformation::answer(&event.response_url, &answer).await
}

impl FirstKey<'_> {
    /// Makes the key unless the secret holds one; whether it did.
    ///
    /// # Errors
    /// Why there is none, for the operator.
    pub async fn ensure(&self, role: &str) -> Result<bool, String> {
        if !self.slot.is_empty().await? {
            return Ok(false);
        }
        let riders = |change: &Change| {
            let entry = change.entry(audit::Entry::of(CONSUMER, "cloudformation"));
            vec![(TableName::Data, Write::Put { item: audit::item(entry, self.env), condition: None })]
        };
        let consumers = Consumers { table: self.table, model: self.model, env: self.env, riders: &riders };
        let body = json!({ "id": CONSUMER, "name": "First key of the deployment", "roles": [role] });
        match consumers.create(&body).await {
            Ok(_) => {}
            Err(ConsumerError::Exists) => {
                for key in consumers.keys(CONSUMER).await.map_err(text)? {
                    consumers.delete_key(CONSUMER, &key.id).await.map_err(text)?;
                }
            }
            Err(error) => return Err(text(error)),
        }
        let made = consumers.create_key(CONSUMER, self.environment, &json!({})).await.map_err(text)?;
        self.slot.fill(made.key).await.map(|()| true)
    }
}

fn text(error: ConsumerError) -> String {
    match error {
        ConsumerError::Invalid(wrong) => {
            wrong.iter().map(|wrong| format!("{} {}", wrong.pointer, wrong.message)).collect::<Vec<_>>().join("; ")
        }
        error => error.to_string(),
    }
}

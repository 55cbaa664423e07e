//! Consumers as recipients of notices: their `notify` addresses, for the reporter.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::json;

use super::{Change, ConsumerError, Consumers};
use crate::core::clock::Env;
use crate::model::Model;
use crate::notify::{Addresses, Recipient};
use crate::store::audit;
use crate::store::table::{SharedTable, TableError, TableName, Write};

/// Subject, in the audit trail, of the removal of an address whose receiver is gone.
const ACTOR: &str = "holdfast";
/// Attempts at taking an address out while others change the consumer.
const ATTEMPTS: u32 = 4;

/// The consumers of a table as recipients of notices.
pub struct Recipients {
    /// Table that holds them.
    pub table: SharedTable,
    /// Names of roles, plans and limits.
    pub model: Arc<Model>,
    /// Clock and randomness.
    pub env: Env,
    /// From which webhook secrets are derived.
    pub master: [u8; 32],
}

impl Recipients {
    async fn find(&self, id: &str) -> Result<Recipient, TableError> {
        let consumers = Consumers { table: &*self.table, model: &self.model, env: &self.env, riders: &|_| Vec::new() };
        match consumers.get(id).await {
            Ok(consumer) => {
                let salts = consumer.webhook.iter();
                let secrets = salts.flat_map(|salts| salts.secrets(&self.master, id, self.env.now())).collect();
                Ok(Recipient { addresses: consumer.notify, secrets })
            }
            // A token's consumer without a record wants to be told nowhere.
            Err(ConsumerError::NotFound) => Ok(Recipient::default()),
            Err(error) => Err(TableError::Broken(error.to_string())),
        }
    }

    async fn take_out(&self, id: &str, address: &str) -> Result<(), TableError> {
        let riders = |change: &Change| {
            let entry = change.entry(audit::Entry::of(ACTOR, ACTOR));
            vec![(TableName::Data, Write::Put { item: audit::item(entry, &self.env), condition: None })]
        };
        let consumers = Consumers { table: &*self.table, model: &self.model, env: &self.env, riders: &riders };
        for _ in 0..ATTEMPTS {
            let consumer = match consumers.get(id).await {
                Err(ConsumerError::NotFound) => return Ok(()),
                other => other.map_err(|error| TableError::Broken(error.to_string()))?,
            };
            let left: Vec<&String> = consumer.notify.iter().filter(|one| *one != address).collect();
            if left.len() == consumer.notify.len() {
                return Ok(());
            }
            tracing::warn!(consumer = id, address, "a webhook's receiver says that it is gone (410)");
            match consumers.patch(id, &json!({ "notify": left }), Some(&consumer.version)).await {
                Ok(_) => return Ok(()),
                Err(ConsumerError::Precondition) => {}
                Err(error) => return Err(TableError::Broken(error.to_string())),
            }
        }
        Err(TableError::Busy("the consumer is being changed by others".to_owned()))
    }
}

impl Addresses for Recipients {
    fn of<'a>(&'a self, consumer: &'a str) -> BoxFuture<'a, Result<Recipient, TableError>> {
        Box::pin(self.find(consumer))
    }

    fn gone<'a>(&'a self, consumer: &'a str, address: &'a str) -> BoxFuture<'a, Result<(), TableError>> {
        Box::pin(self.take_out(consumer, address))
    }
}

//! Secrets in AWS Secrets Manager. Of a master secret the stages `AWSCURRENT` and `AWSPREVIOUS` are the versions that count, so
//! `aws secretsmanager update-secret` is a rotation.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Builder;
use futures::future::BoxFuture;

use crate::identity::secret::{SecretSlot, SecretSource, Versions};

/// After this time without an answer a call has failed; there are two attempts.
const ATTEMPT: Duration = Duration::from_secs(2);

/// A client of Secrets Manager, patient for 4 s at most.
pub fn client(config: &SdkConfig) -> Client {
    let timeouts = TimeoutConfig::builder().connect_timeout(Duration::from_secs(1)).operation_attempt_timeout(ATTEMPT).build();
    let retries = RetryConfig::standard().with_max_attempts(2);
    Client::from_conf(Builder::from(config).retry_config(retries).timeout_config(timeouts).build())
}

/// One secret.
pub struct ManagedSecret {
    client: Client,
    id: String,
}

impl ManagedSecret {
    /// The secret of this name or ARN. No call is made.
    pub fn new(config: &SdkConfig, id: &str) -> Self {
        Self { client: client(config), id: id.to_owned() }
    }

    /// The text of a stage; `None` where the secret has no such version, or an empty one.
    async fn stage(&self, stage: &str) -> Result<Option<Vec<u8>>, String> {
        match self.client.get_secret_value().secret_id(&self.id).version_stage(stage).send().await {
            Ok(found) => Ok(found.secret_string.filter(|text| !text.is_empty()).map(String::into_bytes)),
            Err(error) => match error.into_service_error() {
                error if error.is_resource_not_found_exception() => Ok(None),
                // The SDK's words name the secret, never its value.
                error => Err(format!("{stage}: {error:?}")),
            },
        }
    }
}

impl SecretSource for ManagedSecret {
    fn fetch(&self) -> BoxFuture<'_, Result<Versions, String>> {
        Box::pin(async {
            let (current, previous) = futures::try_join!(self.stage("AWSCURRENT"), self.stage("AWSPREVIOUS"))?;
            let current = current.filter(|text| text.len() >= 32).ok_or("the secret has no value of 32 characters or more")?;
            Ok(Versions { current, previous })
        })
    }
}

impl SecretSlot for ManagedSecret {
    fn is_empty(&self) -> BoxFuture<'_, Result<bool, String>> {
        Box::pin(async { Ok(self.stage("AWSCURRENT").await?.is_none()) })
    }

    fn fill(&self, text: String) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            let put = self.client.put_secret_value().secret_id(&self.id).secret_string(text).send().await;
            put.map(|_| ()).map_err(|error| format!("put: {:?}", error.into_service_error()))
        })
    }
}

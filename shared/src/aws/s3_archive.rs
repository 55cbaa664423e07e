//! The archive of the audit trail on S3: a bucket whose object lock keeps what was put.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata as _, SdkError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use sha2::{Digest as _, Sha256};

use crate::store::audit::export::{Archive, ArchiveError};

/// One attempt at a call; a part is some megabytes at most.
const ATTEMPT: Duration = Duration::from_secs(10);

/// A bucket. How long what is put in it cannot be changed is a setting of the bucket, so nobody who writes here can shorten it.
#[derive(Clone)]
pub struct S3Archive {
    client: Client,
    bucket: String,
}

impl S3Archive {
    /// A client for a bucket. No call is made.
    pub fn new(config: &SdkConfig, bucket: &str) -> Self {
        let config = aws_sdk_s3::config::Builder::from(config)
            // Emulations have no name for each bucket.
            .force_path_style(config.endpoint_url().is_some())
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build())
            .build();
        Self { client: Client::from_conf(config), bucket: bucket.to_owned() }
    }
}

fn failed<E, R>(error: &SdkError<E, R>) -> ArchiveError
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    ArchiveError(DisplayErrorContext(error).to_string())
}

impl Archive for S3Archive {
    fn put<'a>(&'a self, key: &'a str, content: Vec<u8>) -> BoxFuture<'a, Result<bool, ArchiveError>> {
        async move {
            // A bucket with object lock wants a checksum of what is put.
            let checksum = STANDARD.encode(Sha256::digest(&content));
            let put = self.client.put_object().bucket(&self.bucket).key(key).if_none_match("*");
            let put = put.content_type("application/gzip").checksum_sha256(checksum).body(content.into());
            match put.send().await {
                Ok(_) => Ok(true),
                Err(SdkError::ServiceError(refused)) if refused.err().code() == Some("PreconditionFailed") => Ok(false),
                Err(error) => Err(failed(&error)),
            }
        }
        .boxed()
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, ArchiveError>> {
        async move {
            let found = match self.client.get_object().bucket(&self.bucket).key(key).send().await {
                Ok(found) => found,
                Err(SdkError::ServiceError(refused)) if refused.err().is_no_such_key() => return Ok(None),
                Err(error) => return Err(failed(&error)),
            };
            let body = found.body.collect().await.map_err(|error| ArchiveError(error.to_string()))?;
            Ok(Some(body.to_vec()))
        }
        .boxed()
    }
}

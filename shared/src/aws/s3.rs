//! The store of objects on S3: the only module that knows its SDK.
//!
//! Links are signed with the credentials of the function (nothing of the caller's stands in them). What an upload's link binds is
//! signed as headers: S3 refuses a PUT with another type, length or checksum, and computes the checksum of what arrives itself.

use std::time::{Duration, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{DisplayErrorContext, SdkError};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::types::ChecksumMode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::core::clock::Micros;
use crate::store::object::{Download, ObjectError, Objects, Signed, Stored, Upload};

/// The tag of an object whose upload was not completed; the bucket's lifecycle lets it vanish.
const PENDING: &str = "state=pending";
/// What browsers and proxies may do with an answer: each use of a link asks the store.
const CACHING: &str = "private, no-cache";
const ATTEMPT: Duration = Duration::from_secs(5);

/// A bucket.
#[derive(Clone)]
pub struct S3Objects {
    client: Client,
    bucket: String,
}

impl S3Objects {
    /// A client for a bucket. No call is made.
    pub fn new(config: &SdkConfig, bucket: &str) -> Self {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build();
        let config = aws_sdk_s3::config::Builder::from(config)
            // Emulations have no name for each bucket.
            .force_path_style(config.endpoint_url().is_some())
            .timeout_config(timeouts)
            .build();
        Self { client: Client::from_conf(config), bucket: bucket.to_owned() }
    }
}

fn window(now: Micros, window: Duration) -> Result<PresigningConfig, ObjectError> {
    let start = UNIX_EPOCH + Duration::from_secs(u64::try_from(now.seconds()).unwrap_or(0));
    let config = PresigningConfig::builder().start_time(start).expires_in(window).build();
    config.map_err(|error| ObjectError::Broken(error.to_string()))
}

fn signed(request: &PresignedRequest) -> Signed {
    let headers = request.headers().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Signed { url: request.uri().to_owned(), headers }
}

/// The error, as temporary or permanent. The text may name bucket and key: it is for the log.
fn failed<E, R>(error: &SdkError<E, R>) -> ObjectError
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let text = DisplayErrorContext(error).to_string();
    match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => ObjectError::Unavailable(text),
        _ => ObjectError::Broken(text),
    }
}

impl Objects for S3Objects {
    fn sign_upload<'a>(&'a self, upload: Upload<'a>, now: Micros, span: Duration) -> BoxFuture<'a, Result<Signed, ObjectError>> {
        async move {
            let size = i64::try_from(upload.size).map_err(|error| ObjectError::Broken(error.to_string()))?;
            let put = self.client.put_object().bucket(&self.bucket).key(upload.key).tagging(PENDING);
            // Once: a repetition would put the mark on again after it was taken off.
            let put = put.if_none_match("*");
            let put = put.content_type(upload.content_type).content_length(size).checksum_sha256(STANDARD.encode(upload.sha256));
            put.presigned(window(now, span)?).await.map(|request| signed(&request)).map_err(|error| failed(&error))
        }
        .boxed()
    }

    fn sign_download<'a>(
        &'a self,
        download: Download<'a>,
        now: Micros,
        span: Duration,
    ) -> BoxFuture<'a, Result<Signed, ObjectError>> {
        async move {
            let get = self.client.get_object().bucket(&self.bucket).key(download.key).response_cache_control(CACHING);
            let get = get.response_content_type(download.content_type).response_content_disposition(download.disposition);
            get.presigned(window(now, span)?).await.map(|request| signed(&request)).map_err(|error| failed(&error))
        }
        .boxed()
    }

    fn head<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Stored>, ObjectError>> {
        async move {
            let head = self.client.head_object().bucket(&self.bucket).key(key).checksum_mode(ChecksumMode::Enabled);
            match head.send().await {
                Ok(found) => Ok(Some(Stored {
                    size: found.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                    content_type: found.content_type().map(str::to_owned),
                    sha256: found.checksum_sha256().and_then(|text| STANDARD.decode(text).ok()),
                })),
                Err(SdkError::ServiceError(refused)) if refused.err().is_not_found() => Ok(None),
                Err(error) => Err(failed(&error)),
            }
        }
        .boxed()
    }

    fn keep<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), ObjectError>> {
        async move {
            let call = self.client.delete_object_tagging().bucket(&self.bucket).key(key);
            call.send().await.map(drop).map_err(|error| failed(&error))
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), ObjectError>> {
        async move {
            let call = self.client.delete_object().bucket(&self.bucket).key(key);
            call.send().await.map(drop).map_err(|error| failed(&error))
        }
        .boxed()
    }
}

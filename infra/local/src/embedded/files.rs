//! The embedded S3: s3s over a directory. Signatures are checked, so an address that works here is a signed one.
//!
//! [`guard`] adds in front of it what real S3 does and this library does not, as far as links depend on it.

mod answers;
mod guard;
mod incoming;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use holdfast::core::clock::Env;
use hyper::service::service_fn;
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;

use self::guard::Guard;
use super::{AUDIT_BUCKET, BUCKET, CREDENTIAL, loopback};
use crate::server::{Server, serve};

/// A running S3.
pub struct Files {
    /// `http://127.0.0.1:PORT`; buckets stand in the path.
    pub endpoint: String,
    server: Server,
}

impl Files {
    /// Starts it over a directory, which is made with the two buckets where they are missing. Links end by the clock of `env`; pages of
    /// `origins` (`*` for any) may use them.
    ///
    /// # Errors
    /// When the directory cannot be used or the port is taken.
    pub async fn start(directory: &Path, port: u16, env: Env, origins: Vec<String>) -> std::io::Result<Self> {
        for bucket in [BUCKET, AUDIT_BUCKET] {
            std::fs::create_dir_all(directory.join(bucket))?;
        }
        let store = FileSystem::new(directory).map_err(|error| std::io::Error::other(format!("embedded S3: {error:?}")))?;
        let mut builder = S3ServiceBuilder::new(store);
        // The guard holds links to the clock of the process, which may be ahead of the system's.
        let mut config = S3Config::default();
        config.presigned_url_max_skew_time_secs = u32::MAX;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        builder.set_auth(SimpleAuth::from_single(CREDENTIAL, CREDENTIAL));
        let guard = Arc::new(Guard::new(builder.build(), directory, env, origins));
        let server = serve(loopback(port).await?, move |_| {
            let guard = guard.clone();
            service_fn(move |request| {
                let guard = guard.clone();
                async move { Ok::<_, Infallible>(guard.answer(request).await) }
            })
        })?;
        Ok(Self { endpoint: format!("http://{}", server.address), server })
    }

    /// Lets transfers under way end.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

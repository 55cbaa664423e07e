//! The embedded S3: s3s over a directory. Signatures are checked, so an address that works here is a signed one.

use std::path::Path;

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;

use super::{BUCKET, CREDENTIAL, loopback};
use crate::server::{Server, serve};

/// A running S3.
pub struct Files {
    /// `http://127.0.0.1:PORT`; buckets stand in the path.
    pub endpoint: String,
    server: Server,
}

impl Files {
    /// Starts it over a directory, which is made with the one bucket where it is missing.
    ///
    /// # Errors
    /// When the directory cannot be used or the port is taken.
    pub async fn start(directory: &Path, port: u16) -> std::io::Result<Self> {
        std::fs::create_dir_all(directory.join(BUCKET))?;
        let store = FileSystem::new(directory).map_err(|error| std::io::Error::other(format!("embedded S3: {error:?}")))?;
        let mut builder = S3ServiceBuilder::new(store);
        builder.set_auth(SimpleAuth::from_single(CREDENTIAL, CREDENTIAL));
        let service = builder.build();
        let server = serve(loopback(port).await?, move |_| service.clone())?;
        Ok(Self { endpoint: format!("http://{}", server.address), server })
    }

    /// Lets transfers under way end.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

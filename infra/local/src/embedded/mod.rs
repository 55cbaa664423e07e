//! DynamoDB and S3 in this process, spoken to by the same SDK that speaks to AWS: DynamoDB by calls, S3 over loopback.

mod dynamo;
mod files;

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

pub use dynamo::{Durability, Dynamo};
pub use files::Files;

/// Access key and secret key that the embedded services take: they listen on loopback only and hold development data.
pub const CREDENTIAL: &str = "local";
/// Name of the data table.
pub const DATA_TABLE: &str = "holdfast-data";
/// Name of the volatile table.
pub const VOLATILE_TABLE: &str = "holdfast-volatile";
/// Name of the bucket of files.
pub const BUCKET: &str = "holdfast-files";
/// Name of the bucket of the exported audit trail; nothing locks it here.
pub const AUDIT_BUCKET: &str = "holdfast-audit";

/// A listener on loopback; port 0 picks a free one.
///
/// # Errors
/// When the port is taken or may not be used.
pub async fn loopback(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}

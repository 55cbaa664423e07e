//! An embedded DynamoDB for tests, spoken to over the network by the real SDK.

use std::time::Duration;

use tokio::sync::oneshot;

use super::{DynamoTable, Options};
use crate::aws;
use crate::core::clock::Env;

/// A DynamoDB in memory with both tables; ends with its value.
pub(crate) struct Embedded {
    /// A client of it.
    pub(crate) table: DynamoTable,
    /// Its address.
    #[allow(dead_code, reason = "for tests that put something between client and store")]
    pub(crate) endpoint: String,
    _stop: oneshot::Sender<()>,
}

impl Embedded {
    /// Starts one on a free port of the loopback interface.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let database = dynoxide::Database::memory().unwrap();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, async {
            let _ = stopped.await;
        }));
        let config = aws::local_config(&endpoint, aws::plain_http_client());
        let mut options = Options::new("holdfast-data", "holdfast-volatile");
        options.attempt_timeout = Duration::from_secs(20);
        let table = DynamoTable::new(&config, options, Env::system());
        table.create_tables().await.unwrap();
        Self { table, endpoint, _stop: stop }
    }
}

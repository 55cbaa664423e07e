//! The sockets of the gateway: HTTP/1.1 on loopback, drained before it stops.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Gateway;

/// How long open requests may take to end once the server is asked to stop; as long as a request may take at all.
const DRAIN: Duration = Duration::from_secs(31);

/// A running server.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Server {
    /// Takes no new connections, lets requests under way end, and returns when all have.
    pub async fn stop(self) {
        // Nobody listening means that the server has ended already.
        if self.stop.send(()).is_ok()
            && let Err(error) = self.running.await
        {
            tracing::error!(%error, "the server did not end well");
        }
    }
}

/// Serves a gateway on a listener until it is stopped.
///
/// # Errors
/// When the listener has no address.
pub fn serve(listener: TcpListener, gateway: Arc<Gateway>) -> std::io::Result<Server> {
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(accept(listener, gateway, stopped));
    Ok(Server { address, stop, running })
}

async fn accept(listener: TcpListener, gateway: Arc<Gateway>, mut stopped: oneshot::Receiver<()>) {
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, for example: that passes, and spinning would not help.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
            _ = &mut stopped => break,
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let gateway = gateway.clone();
        let service = service_fn(move |request| {
            let answering = gateway.clone().handle(request, peer.ip().to_string());
            async move { Ok::<_, Infallible>(answering.await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(30))
            .serve_connection(TokioIo::new(stream), service);
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
}

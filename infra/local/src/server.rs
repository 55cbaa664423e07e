//! Sockets on loopback: HTTP/1.1 for the gateway and for the embedded S3, drained before they stop.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Time that open requests have to end once the server stops: as long as any request may take.
const DRAIN: Duration = Duration::from_secs(31);
/// How long a client may take to send its request line and headers.
const HEAD: Duration = Duration::from_secs(30);

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

    /// Runs `serving` until it is stopped; `serving` ends when the receiver that it is given resolves.
    pub fn spawn<F: Future<Output = ()> + Send + 'static>(
        listener: TcpListener,
        serving: impl FnOnce(TcpListener, oneshot::Receiver<()>) -> F,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        Ok(Self { address, stop, running: tokio::spawn(serving(listener, stopped)) })
    }
}

/// Serves until it is stopped; `service` makes the service of a connection from the client's address.
///
/// # Errors
/// When the listener has no address.
pub fn serve<S, B>(listener: TcpListener, service: impl Fn(SocketAddr) -> S + Send + 'static) -> std::io::Result<Server>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    Server::spawn(listener, |listener, stopped| accept(listener, service, stopped))
}

async fn accept<S, B>(listener: TcpListener, service: impl Fn(SocketAddr) -> S, mut stopped: oneshot::Receiver<()>)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
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
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(stream), service(peer));
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

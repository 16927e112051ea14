//! The HTTP/1.1 server: connections, their limits, and their orderly end.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use crate::client_address::Peer;
use crate::config::Http;

/// The most bytes of a request's head; more gets 431.
const MAX_HEAD: usize = 16 * 1024;

/// The most headers of a request; more gets 431.
const MAX_HEADERS: usize = 64;

/// Connections that wait to be accepted; the system's own limit (`net.core.somaxconn`) may be smaller. Whoever finds this
/// full is not refused, but tries again after one, three and seven seconds, so a crowd that comes at once must fit in.
const BACKLOG: u32 = 4096;

/// Listens at an address, with room for a crowd that comes at once.
///
/// # Errors
/// The address is taken or not ours.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port that was ours a moment ago can be had again, as with `TcpListener::bind`.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `shutdown`, then lets requests under way end, at most so long as the limits say.
///
/// Event streams must end by `shutdown` themselves, or are cut when that time is over.
///
/// # Errors
/// If the listener has no address: it is broken.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &Http,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    let connections = TaskTracker::new();
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let server = Server { router, builder: builder(limits), shutdown: shutdown.clone(), cut: CancellationToken::new() };
    while let Some((stream, peer, slot)) = next(&listener, &slots, &shutdown).await {
        connections.spawn(server.clone().run(stream, peer, slot));
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain, connections.wait()).await.is_err() {
        tracing::warn!(left = connections.len(), "cutting connections that did not end in time");
        server.cut.cancel();
        connections.wait().await;
    }
    Ok(())
}

fn builder(limits: &Http) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
    builder.max_header_size(MAX_HEAD).max_headers(MAX_HEADERS).max_buf_size(8 * MAX_HEAD);
    builder
}

/// The next connection, once there is room for it; `None` when stopping.
async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let accept = async {
        let slot = slots.clone().acquire_owned().await.expect("nobody closes the semaphore");
        loop {
            match listener.accept().await {
                Ok((stream, address)) => return (stream, Peer(address.ip()), slot),
                // Of this one connection, or too many open files: neither ends the server.
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => None,
        accepted = accept => Some(accepted),
    }
}

#[derive(Clone)]
struct Server {
    router: Router,
    builder: http1::Builder,
    shutdown: CancellationToken,
    cut: CancellationToken,
}

impl Server {
    async fn run(self, stream: TcpStream, peer: Peer, slot: OwnedSemaphorePermit) {
        let _slot = slot;
        let open = metrics::gauge!("http_connections");
        open.increment(1.0);
        // Answers are small and somebody waits for them.
        let _ = stream.set_nodelay(true);
        let router = self.router;
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            router.clone().call(request.map(Body::new))
        });
        // A connection that becomes a WebSocket is its handler's from then on.
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service).with_upgrades());
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = self.shutdown.cancelled() => None,
        };
        if ended.is_none() {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                _ = connection.as_mut() => {}
                () = self.cut.cancelled() => {}
            }
        }
        open.decrement(1.0);
    }
}

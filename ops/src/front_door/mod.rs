//! One address for both APIs: a small streaming reverse proxy, as any other that stands before them in production.

mod proxy;
mod route;

pub use proxy::Proxy;
pub use route::{Upstream, upstream};

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use http::uri::Authority;
use service_kit::config::Http;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long the front door waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a connection to a service.
    pub connect: Duration,
    /// For the whole body of a request.
    pub body: Duration,
    /// For the head of an answer, plus what `Prefer: wait` asks; more than the services themselves take.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(1), body: Duration::from_secs(30), answer: Duration::from_secs(15) }
    }
}

/// Where the services are.
#[derive(Debug, Clone)]
pub struct Upstreams {
    /// `host:port` of the write side.
    pub command: Authority,
    /// `host:port` of the read side.
    pub query: Authority,
}

#[derive(Debug, Clone)]
struct Door {
    proxy: Proxy,
    upstreams: Upstreams,
}

/// Everything that comes in is passed on.
pub fn router(upstreams: Upstreams, limits: Limits) -> Router {
    Router::new().fallback(pass).with_state(Door { proxy: Proxy::new(limits), upstreams })
}

/// Serves until `shutdown`; streams are cut soon after.
///
/// # Errors
/// The listener is broken.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> io::Result<()> {
    let limits = Http { drain: Duration::from_secs(2), ..Http::default() };
    service_kit::http::serve(listener, router, &limits, shutdown).await
}

async fn pass(State(door): State<Door>, request: Request) -> Response {
    let to = match upstream(request.method(), request.uri().path()) {
        Upstream::Command => &door.upstreams.command,
        Upstream::Query => &door.upstreams.query,
    };
    door.proxy.pass(to, request).await
}

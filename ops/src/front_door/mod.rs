//! One address for both APIs: a small streaming reverse proxy, as any other that stands before them in production.

mod forwarded;
mod proxy;
mod route;
mod tunnel;
mod upstreams;

pub use proxy::Proxy;
pub use route::{Route, Upstream, route};
pub use upstreams::Upstreams;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use service_kit::config::Http;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use upstreams::Pools;

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

/// What passes everything on that comes in, except what services say to each other.
#[derive(Debug, Clone)]
pub struct Door {
    proxy: Proxy,
    pools: Arc<Pools>,
}

impl Door {
    /// Before these services.
    ///
    /// # Panics
    /// If there is none of a kind.
    pub fn new(upstreams: Upstreams, limits: Limits) -> Self {
        Self { proxy: Proxy::new(limits), pools: Arc::new(Pools::new(upstreams)) }
    }
}

/// Serves until `shutdown`; WebSockets end then, and other streams are cut soon after.
///
/// # Errors
/// The listener is broken.
pub async fn serve(listener: TcpListener, door: Door, shutdown: CancellationToken) -> io::Result<()> {
    let limits = Http { drain: Duration::from_secs(2), ..Http::default() };
    let watching = Arc::clone(&door.pools).watch(door.proxy.clone(), shutdown.clone());
    let tunnels = door.proxy.tunnels();
    let ending = async {
        shutdown.cancelled().await;
        tunnels.end().await;
    };
    let router = Router::new().fallback(pass).with_state(door);
    let serving = service_kit::http::serve(listener, router, &limits, shutdown.clone());
    let (served, (), ()) = tokio::join!(serving, watching, ending);
    served
}

async fn pass(State(door): State<Door>, request: Request) -> Response {
    match route(request.method(), request.uri().path()) {
        Route::To(upstream) => door.proxy.pass(door.pools.of(upstream), request).await,
        Route::Nowhere => door.proxy.refuse(&request),
    }
}

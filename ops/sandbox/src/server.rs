//! Starting and stopping a sandbox.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

use crate::app::App;
use crate::books::Books;
use crate::provider::Provider;
use crate::settings::Settings;
use crate::{control, delivery, page, sale};

const DRAIN: Duration = Duration::from_secs(2);
/// Connections that wait to be accepted: many may pay at once.
const BACKLOG: u32 = 1024;

/// A sandbox that answers; it ends when stopped or dropped.
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    app: Arc<App>,
    server: JoinHandle<()>,
}

impl Running {
    /// The base URL for the shop's client and for the control API, without a trailing slash.
    pub fn base_url(&self) -> String {
        self.app.base_url.clone()
    }

    /// Stops listening, ends every task and waits briefly for open requests.
    pub async fn stop(mut self) {
        self.app.stop();
        if tokio::time::timeout(DRAIN, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.app.stop();
    }
}

/// Starts a sandbox in this process.
///
/// # Errors
/// When the address is taken, or the journal cannot be read or written.
pub async fn start(settings: Settings) -> anyhow::Result<Running> {
    // An Err only says that the process has installed one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = listen(settings.listen).with_context(|| format!("listen on {}", settings.listen))?;
    let addr = listener.local_addr().context("read the sandbox's address")?;
    let app = Arc::new(build(settings, addr)?);
    delivery::resume(&app);
    sale::resume(&app);
    let shared = control::router().merge(page::router());
    let all = Provider::ALL.into_iter().fold(shared, |all, provider| all.merge(provider.protocol().router()));
    let router = all.with_state(Arc::clone(&app));
    let stopping = Arc::clone(&app);
    let server = axum::serve(listener, router).with_graceful_shutdown(async move { stopping.stopped().await });
    let server = tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the sandbox stopped serving");
        }
    });
    Ok(Running { addr, app, server })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn build(settings: Settings, addr: SocketAddr) -> anyhow::Result<App> {
    let mut books = Books::open(settings.state.as_deref())?;
    for provider in Provider::ALL {
        if let Some(url) = settings.target_url(provider) {
            books.change_target(provider, |target| target.url = Some(url));
        }
    }
    // Webhooks go where they are sent: no proxy of the environment, no redirect.
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("build the webhook client")?;
    Ok(App::new(settings, base_url(addr), books, http))
}

fn base_url(addr: SocketAddr) -> String {
    if addr.ip().is_unspecified() {
        return format!("http://{}:{}", Ipv4Addr::LOCALHOST, addr.port());
    }
    format!("http://{addr}")
}

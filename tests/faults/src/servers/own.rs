//! Servers of a run's own, which may be hurt.

use anyhow::Context as _;
use local_stack::{EphemeralStack, Server, Signal, StackConfig};

use crate::fault::{Place, TWO};
use crate::run::Site;

/// Processes on a stack of their own, made as `change` says.
pub(super) async fn stack(change: impl FnOnce(&mut StackConfig) + Send + 'static) -> anyhow::Result<Place> {
    let started = tokio::task::spawn_blocking(|| EphemeralStack::with(change, &mut |line| eprintln!("{line}")));
    let stack = started.await.context("wait for the servers")??;
    let endpoints = stack.endpoints().clone();
    let place = Place { endpoints, counts: TWO, settings: Vec::new(), kept: std::sync::Arc::new(()) };
    Ok(place.keeping(stack))
}

/// Does something to the servers of this run.
pub(super) async fn to<T: Send + 'static>(
    site: &Site,
    work: impl FnOnce(&StackConfig) -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let config = site.kept::<EphemeralStack>().config().clone();
    tokio::task::spawn_blocking(move || work(&config)).await.context("wait for a server")?
}

/// `kill -9`; the fault.
pub(super) async fn kill(site: &Site, server: Server) -> anyhow::Result<()> {
    site.struck();
    to(site, move |config| local_stack::kill(config, server, Signal::Kill)).await
}

/// Sends a signal.
pub(super) async fn signal(site: &Site, server: Server, signal: Signal) -> anyhow::Result<()> {
    to(site, move |config| local_stack::kill(config, server, signal)).await
}

/// Starts a server again, and waits until it answers.
pub(super) async fn start(site: &Site, server: Server) -> anyhow::Result<()> {
    to(site, move |config| local_stack::start(config, server)).await
}

//! A whole Boxoffice in one process for tests: real Kafka, registry, Postgres and HTTP; the payment provider is played.

pub mod browser;
pub mod cleanup;
pub mod client;
pub mod entrance;
mod environment;
pub mod installation;
pub mod journal;
pub mod purchase;
pub mod queue;
pub mod room;
pub mod shop;
pub mod sums;
pub mod world;

use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

pub use client::{Answer, Client};
pub use installation::Installation;
pub use shop::Shop;
pub use world::World;

/// One for all tests, so that worlds and connections can be shared by them.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    // The first thing: every TLS client needs it. An Err only says that it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("threads can be started")
});

/// Runs a test.
pub fn run<F: Future>(test: F) -> F::Output {
    RUNTIME.block_on(test)
}

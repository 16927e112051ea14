//! What several tests need.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use local_stack::{Endpoints, StackConfig, find_root};
use ops::demo::{self, Args, Room};
use ops::dev::{self, DevOptions, Running};
use ops::topology::Counts;
use service_kit::random;

/// Until a whole installation answers.
const READY: Duration = Duration::from_secs(120);

/// Longer than anything here takes, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `look` finds something.
pub async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Fails a test that would hang.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Whether a process with this id runs.
pub fn runs(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

/// The servers that all tests of a checkout share; started by whoever comes first.
pub async fn stack() -> Endpoints {
    let started = tokio::task::spawn_blocking(|| {
        let config = StackConfig::for_tests(&find_root()?);
        local_stack::up(&config, &mut |line| eprintln!("{line}"))
    });
    started.await.unwrap().unwrap()
}

/// A small sale, the same at every run: sold out in half a minute, with someone of every kind in it.
pub fn small_sale() -> Args {
    Args {
        exit: true,
        show_tickets: 60,
        buyers: 80,
        seed: Some(42),
        over: 12,
        pay_within: 15,
        at_once: 50,
        room: Room { slots: 20, admission_batch: 5, tick: 200, enter_within: 5, token_ttl: 20, opens_after: 6 },
        kill: vec![],
        term: vec![],
    }
}

/// A whole installation for such a sale, ready; its namespace begins with `name`.
pub async fn installation(name: &str, counts: Counts, folder: &Path) -> Running {
    let id = random::opaque_id().simple().to_string();
    let mut options = DevOptions::new(stack().await, format!("{name}-{}", &id[..8]), folder);
    options.overrides = demo::SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    options.counts = counts;
    options.say = Arc::new(|line| eprintln!("{line}"));
    let running = dev::start(options).await.unwrap();
    running.wait_ready(READY).await.unwrap();
    running
}

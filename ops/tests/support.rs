//! What several tests need.

use std::future::Future;
use std::time::Duration;

use local_stack::{Endpoints, StackConfig, find_root};

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

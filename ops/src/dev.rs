//! stub

/// Stub.
#[derive(Debug, Clone)]
pub struct Running;

/// Waits for Ctrl-C or SIGTERM.
///
/// # Errors
/// Signals cannot be listened to.
pub async fn stop_asked() -> anyhow::Result<()> {
    use anyhow::Context as _;
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

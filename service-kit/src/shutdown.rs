//! Stopping: a signal cancels one token, tasks end by it, and the wait for them is bounded.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// One process's way to stop; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tracker: TaskTracker,
}

impl Shutdown {
    /// Begins at SIGTERM or SIGINT; a second signal ends the process at once.
    ///
    /// # Errors
    /// If the signals cannot be listened to.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::default();
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let token = shutdown.token.clone();
        tokio::spawn(async move {
            next(&mut terminate, &mut interrupt).await;
            tracing::info!("stopping; a second signal ends at once");
            token.cancel();
            next(&mut terminate, &mut interrupt).await;
            tracing::warn!("ending at once");
            std::process::exit(130);
        });
        Ok(shutdown)
    }

    /// Cancelled when stopping begins.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Begins to stop.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Waits until stopping begins.
    pub async fn begun(&self) {
        self.token.cancelled().await;
    }

    /// Runs a task that is waited for; it must end soon after the token is cancelled.
    pub fn spawn<F>(&self, task: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(task)
    }

    /// Runs a task whose end, good or bad, stops the whole process.
    pub fn spawn_vital<E: std::fmt::Display + Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let token = self.token.clone();
        // The guard stops the process also when the task panics.
        let guard = token.clone().drop_guard();
        self.tracker.spawn(async move {
            let _guard = guard;
            match task.await {
                Err(error) => tracing::error!(task = name, %error, "a vital task failed; stopping"),
                Ok(()) if !token.is_cancelled() => tracing::error!(task = name, "a vital task ended; stopping"),
                Ok(()) => {}
            }
        });
    }

    /// Begins to stop if nobody did, and waits for the tasks, at most so long.
    pub async fn drain(&self, limit: Duration) -> Drained {
        self.token.cancel();
        self.tracker.close();
        match tokio::time::timeout(limit, self.tracker.wait()).await {
            Ok(()) => Drained::All,
            Err(_) => {
                let left = self.tracker.len();
                tracing::warn!(left, "not everything ended in time");
                Drained::Left(left)
            }
        }
    }
}

/// How stopping went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every task ended.
    All,
    /// So many had not ended in time.
    Left(usize),
}

async fn next(terminate: &mut tokio::signal::unix::Signal, interrupt: &mut tokio::signal::unix::Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_are_waited_for_but_not_for_ever() {
        let shutdown = Shutdown::default();
        let token = shutdown.token();
        shutdown.spawn(async move { token.cancelled().await });
        assert_eq!(shutdown.drain(Duration::from_secs(5)).await, Drained::All);
        let stuck = Shutdown::default();
        stuck.spawn(std::future::pending::<()>());
        assert_eq!(stuck.drain(Duration::from_millis(20)).await, Drained::Left(1));
    }

    #[tokio::test]
    async fn the_end_of_a_vital_task_stops_everything() {
        for panics in [false, true] {
            let shutdown = Shutdown::default();
            shutdown.spawn_vital("test", async move {
                assert!(!panics, "as wanted");
                Err::<(), _>("broken")
            });
            tokio::time::timeout(Duration::from_secs(5), shutdown.begun()).await.unwrap();
        }
    }
}

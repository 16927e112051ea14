//! Keeps processes running: one that ends is started again, with growing pauses, until it crashes too often in a row.

mod back_off;
mod leftovers;
mod spawner;

pub use back_off::{BackOff, Ended, Next, Policy};
pub use leftovers::{PidFile, end_all};
pub use spawner::Spawner;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use local_stack::Signal;
use service_kit::clock;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a process may take to end in order before it is killed.
const FAREWELL: Duration = Duration::from_secs(10);
/// How long the system may take to remove a killed process.
const DEATH: Duration = Duration::from_secs(30);
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;
/// How much of its log is quoted when a process is given up.
const QUOTED_LINES: usize = 15;
const QUOTED_BYTES: usize = 8 << 10;

/// Where progress is told; a line each.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Its name in messages.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// What its environment has beside ours.
    pub env: BTreeMap<String, String>,
    /// What its environment does not have, even if ours has.
    pub unset: Vec<String>,
    /// Where its output is appended.
    pub log: PathBuf,
    /// Where its id is kept while it runs; ends with `.pid`.
    pub pid_file: PathBuf,
}

/// What a process is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is about to be started.
    Starting,
    /// It runs.
    Running {
        /// Its id.
        pid: u32,
    },
    /// It crashed too often.
    GaveUp {
        /// How it ended, and the end of its log.
        why: String,
    },
    /// It was stopped.
    Stopped,
}

/// A process that is kept running until it is stopped, or this value is dropped.
#[derive(Debug)]
pub struct Supervised {
    name: String,
    seen: watch::Receiver<Seen>,
    asked: Arc<AtomicBool>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Clone)]
struct Seen {
    state: State,
    starts: u32,
}

impl Supervised {
    /// Begins to run it.
    pub fn start(spec: Spec, spawner: Spawner, policy: Policy, say: Say) -> Self {
        let (seen, stop) = (watch::Sender::new(Seen { state: State::Starting, starts: 0 }), CancellationToken::new());
        let (name, receiver, asked) = (spec.name.clone(), seen.subscribe(), Arc::<AtomicBool>::default());
        let keeper = Keeper { spec, spawner, seen, asked: Arc::clone(&asked), stop: stop.clone(), say };
        let task = tokio::spawn(keeper.keep(policy));
        Self { name, seen: receiver, asked, stop, task: Mutex::new(Some(task)) }
    }

    /// What it is doing now.
    pub fn state(&self) -> State {
        self.seen.borrow().state.clone()
    }

    /// Its id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        match self.seen.borrow().state {
            State::Running { pid } => Some(pid),
            State::Starting | State::GaveUp { .. } | State::Stopped => None,
        }
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u32 {
        self.seen.borrow().starts.saturating_sub(1)
    }

    /// Sends it a signal. After [`Signal::Kill`] returns once that process is gone, otherwise at once. Who ends because it
    /// was asked to is started again, and did not crash.
    ///
    /// # Errors
    /// It does not run, or survives.
    pub async fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid().with_context(|| format!("{} does not run", self.name))?;
        if matches!(signal, Signal::Terminate | Signal::Interrupt) {
            self.asked.store(true, Ordering::SeqCst);
        }
        send(pid, signal).await?;
        if signal == Signal::Kill {
            let gone = |seen: &Seen| seen.state != State::Running { pid };
            let mut seen = self.seen.clone();
            let waited = tokio::time::timeout(DEATH, seen.wait_for(gone)).await;
            ensure!(waited.is_ok(), "{}: process {pid} survives being killed", self.name);
        }
        Ok(())
    }

    /// Ends it in order, or by force if that takes too long, and returns once it is gone.
    pub async fn stop(&self) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It ends by the token; a panic in it has killed the child already.
            drop(task.await);
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

/// The task that keeps one process running.
struct Keeper {
    spec: Spec,
    spawner: Spawner,
    seen: watch::Sender<Seen>,
    /// Somebody asked it to end.
    asked: Arc<AtomicBool>,
    stop: CancellationToken,
    say: Say,
}

impl Keeper {
    async fn keep(self, policy: Policy) {
        let mut back_off = BackOff::new(policy);
        while !self.stop.is_cancelled() {
            let since = clock::monotonic();
            let Some((ended, how)) = self.run_once().await else {
                break;
            };
            match back_off.next(since.elapsed(), ended) {
                Next::Again(pause) => self.pause(&how, pause).await,
                Next::GiveUp => self.give_up(&how).await,
            }
        }
        self.set(State::Stopped);
    }

    /// Runs it until it ends, or until it was to be stopped: then `None`.
    async fn run_once(&self) -> Option<(Ended, String)> {
        self.seen.send_modify(|seen| seen.starts += 1);
        let mut child = match self.spawner.spawn(&self.spec).await {
            Ok(child) => child,
            Err(error) => return Some((Ended::Crashed, format!("cannot be started: {error}"))),
        };
        let pid = child.id().expect("the id of a child is known until it is waited for");
        if let Some(Err(error)) = PidFile::of(pid, &self.spec.program).map(|file| file.write(&self.spec.pid_file)) {
            (self.say)(&format!("{}: cannot write its pid file: {error}", self.spec.name));
        }
        self.set(State::Running { pid });
        let ended = tokio::select! {
            status = child.wait() => Some(status),
            () = self.stop.cancelled() => None,
        };
        if ended.is_none() {
            self.end(&mut child, pid).await;
        }
        drop(fs::remove_file(&self.spec.pid_file));
        self.set(State::Starting);
        let asked = self.asked.swap(false, Ordering::SeqCst);
        ended.map(|status| match status {
            Ok(status) if asked => (Ended::Killed, format!("ended as it was asked to ({status})")),
            Ok(status) => (kind(status), format!("ended ({status})")),
            Err(error) => (Ended::Crashed, format!("cannot be waited for: {error}")),
        })
    }

    async fn pause(&self, how: &str, pause: Duration) {
        if self.stop.is_cancelled() {
            return;
        }
        let (name, seconds) = (&self.spec.name, pause.as_secs_f64());
        (self.say)(&format!("{name}: {how}; starting it again in {seconds} s"));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.stop.cancelled() => {}
        }
    }

    async fn give_up(&self, how: &str) {
        let (name, log) = (&self.spec.name, self.spec.log.display());
        let why = format!("{name}: {how}, too often in a row; the end of {log}:\n{}", self.log_end());
        (self.say)(&why);
        self.set(State::GaveUp { why });
        self.stop.cancelled().await;
    }

    async fn end(&self, child: &mut Child, pid: u32) {
        // Refused only if it is gone already. A frozen one would hear of it only when it goes on.
        drop(send(pid, Signal::Terminate).await);
        drop(send(pid, Signal::Continue).await);
        if tokio::time::timeout(FAREWELL, child.wait()).await.is_err() {
            let (name, seconds) = (&self.spec.name, FAREWELL.as_secs());
            (self.say)(&format!("{name}: killed, because it did not stop within {seconds} s"));
            drop(child.kill().await);
        }
    }

    fn set(&self, state: State) {
        self.seen.send_modify(|seen| seen.state = state);
    }

    fn log_end(&self) -> String {
        let bytes = fs::read(&self.spec.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(QUOTED_BYTES)..]).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n")
    }
}

fn kind(status: ExitStatus) -> Ended {
    match status.signal() {
        Some(SIGKILL | SIGTERM) => Ended::Killed,
        _ => Ended::Crashed,
    }
}

async fn send(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let sent = tokio::task::spawn_blocking(move || local_stack::send(pid, signal));
    sent.await.context("wait for the signal to be sent")?
}

//! A backup that follows while people buy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context as _;
use backup::manifest::{Folder, Manifest};
use backup::take::Taking;
use event_log::kafka::KafkaSettings;
use service_kit::clock;
use tokio::task::JoinHandle;

use crate::backup::take;

/// From one round to the next.
const EVERY: Duration = Duration::from_millis(500);

/// What it cost.
#[derive(Debug, Clone)]
pub struct Followed {
    /// Rounds that copied something.
    pub rounds: u64,
    /// In all of them.
    pub copying: Duration,
    /// The longest one.
    pub longest: Duration,
    /// After whoever bought was through: until nothing was left to copy.
    pub catching_up: Duration,
    /// What there is in the end.
    pub manifest: Manifest,
    /// Why it ended before it was told to.
    pub ended_by: Option<String>,
}

/// It goes on until it is told to catch up and end.
pub struct Following {
    stop: Arc<AtomicBool>,
    task: JoinHandle<anyhow::Result<Followed>>,
}

impl Following {
    /// Begins; in full swing it does not catch up, because the broker is gone by then.
    ///
    /// # Errors
    /// Kafka does not answer, or the folder cannot be written.
    pub async fn start(settings: &KafkaSettings, folder: &Folder, in_full_swing: bool) -> anyhow::Result<Self> {
        let taking = take::open(settings, folder).await?;
        let stop = Arc::<AtomicBool>::default();
        let (told, folder) = (Arc::clone(&stop), folder.clone());
        let task = tokio::task::spawn_blocking(move || follow(taking, &folder, &told, !in_full_swing));
        Ok(Self { stop, task })
    }

    /// Has it end.
    ///
    /// # Errors
    /// What it has cannot be read.
    pub async fn end(self) -> anyhow::Result<Followed> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.context("wait for the backup")?
    }
}

fn follow(mut taking: Taking, folder: &Folder, stop: &AtomicBool, catch_up: bool) -> anyhow::Result<Followed> {
    let (mut rounds, mut copying, mut longest) = (0, Duration::ZERO, Duration::ZERO);
    let mut ended_by = None;
    while !stop.load(Ordering::Relaxed) {
        let began = clock::monotonic();
        match taking.round() {
            Ok(round) => rounds += u64::from(round.records > 0),
            Err(error) => {
                ended_by = Some(format!("{error:#}"));
                break;
            }
        }
        let took = began.elapsed();
        (copying, longest) = (copying + took, longest.max(took));
        sleep(EVERY.saturating_sub(took));
    }
    let began = clock::monotonic();
    if ended_by.is_none() && catch_up {
        take::catch_up(&mut taking)?;
    }
    let catching_up = began.elapsed();
    // As somebody finds it who knows nothing else.
    let manifest = folder.manifest()?.context("the backup is gone")?;
    Ok(Followed { rounds, copying, longest, catching_up, manifest, ended_by })
}

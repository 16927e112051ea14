//! Many histories on several threads, with the counts of what was seen.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::breakage::{self, Breakage};
use schemas::Codec;
use serde::Serialize;

use crate::history::{Failure, Options, run};
use crate::seen::Seen;

/// Seeds that a thread takes at once.
const CHUNK: u64 = 64;

/// Which histories are run.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// Not begun any more after so long, though not before `at_least`.
    pub time: Option<Duration>,
    /// So many at least, however long it takes.
    pub at_least: u64,
    /// Threads.
    pub jobs: usize,
    /// What is broken on purpose.
    pub breakage: Option<Breakage>,
}

/// How far a campaign has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Histories run.
    pub done: u64,
    /// Since the beginning.
    pub elapsed: Duration,
}

/// What came of a campaign.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Counts over all histories that hold.
    pub seen: Seen,
    /// The failure with the lowest seed, as text, if there is one.
    pub failure: Option<String>,
    /// Its seed.
    pub failed_seed: Option<u64>,
    /// How long it took, seconds.
    pub seconds: f64,
}

#[allow(clippy::disallowed_methods, reason = "the time that a campaign takes is nothing that histories see")]
fn now() -> Instant {
    Instant::now()
}

/// Runs histories until all are done, the time is over, or one fails. `told` is called about twice a second.
pub fn campaign(campaign: &Campaign, told: &(dyn Fn(Progress) + Sync)) -> Outcome {
    let since = now();
    let (next, done) = (AtomicU64::new(campaign.from), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    let (all, failed) = (Mutex::new(Seen::default()), Mutex::new(None::<Box<Failure>>));
    let end = campaign.from.saturating_add(campaign.seeds);
    let work = || {
        let codec = Codec::in_memory();
        let options = Options { breakage: campaign.breakage, ..Options::default() };
        breakage::take_visits();
        let mut seen = Seen::default();
        loop {
            let first = next.fetch_add(CHUNK, Ordering::Relaxed);
            let late =
                campaign.time.is_some_and(|time| since.elapsed() >= time) && first >= campaign.from + campaign.at_least;
            if first >= end || late || stop.load(Ordering::Relaxed) {
                break;
            }
            for seed in first..end.min(first + CHUNK) {
                match run(seed, &codec, &options) {
                    Ok(one) => seen.add(&one),
                    Err(failure) => {
                        stop.store(true, Ordering::Relaxed);
                        let mut failed = failed.lock().expect("nobody panics with it");
                        if failed.as_ref().is_none_or(|known| known.seed > failure.seed) {
                            *failed = Some(failure);
                        }
                        break;
                    }
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        }
        seen.visited(breakage::take_visits());
        all.lock().expect("nobody panics with it").add(&seen);
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..campaign.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        while workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
            told(Progress { done: done.load(Ordering::Relaxed), elapsed: since.elapsed() });
        }
    });
    let failure = failed.into_inner().expect("nobody panics with it");
    Outcome {
        seen: all.into_inner().expect("nobody panics with it"),
        failed_seed: failure.as_ref().map(|it| it.seed),
        failure: failure.map(|it| it.to_string()),
        seconds: since.elapsed().as_secs_f64(),
    }
}

/// How many seeds it takes until a breakage is noticed, and by what; nothing if it is not within so many.
pub fn bites(breakage: Breakage, from: u64, seeds: u64, codec: &Codec) -> Option<(u64, Box<Failure>)> {
    let options = Options { as_it_is: true, ..Options::broken(breakage) };
    (from..from + seeds).find_map(|seed| run(seed, codec, &options).err().map(|failure| (seed - from + 1, failure)))
}

//! Second by second, while a run goes on: what is left to be done behind the answers, and what everybody uses.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use service_kit::clock;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::behind::{self, Buckets};
use crate::client::{Client, Limits};
use crate::machine::{self, Usage};
use crate::metrics::Metrics;
use crate::request::{Says, request};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// So far back ends of the log are remembered.
const REMEMBERED: usize = 900;
const LIMITS: Limits = Limits { connections: 1, waiting: 1, answer: Duration::from_secs(3) };

/// Who is watched.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// Instances of the write side.
    pub command: Vec<SocketAddr>,
    /// Those that fill the read models.
    pub projectors: Vec<SocketAddr>,
    /// Processes by name; each with its descendants.
    pub processes: BTreeMap<String, u32>,
}

/// One look.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sample {
    /// Seconds since the start; below 0 before it.
    pub at_s: f64,
    /// Events that have something in an outbox; none if nobody told.
    pub outbox: Option<f64>,
    /// Commands that wait for the partitions' owners.
    pub mailboxes: Option<f64>,
    /// Records that read models have not folded.
    pub lag_records: Option<f64>,
    /// How old the oldest of them is, milliseconds, by when the log was seen to be that long.
    pub lag_ms: Option<f64>,
    /// How far behind the events were that read models have shown so far, by read model.
    #[serde(skip)]
    pub behind: Buckets,
    /// Seconds of a processor used in this second, by process.
    pub processor: BTreeMap<String, f64>,
    /// Resident memory, MiB, by process.
    pub resident_mib: BTreeMap<String, f64>,
    /// How busy all processors are together, of 1.
    pub busy: f64,
    /// Load average of the last minute.
    pub load: f64,
}

impl Sample {
    /// Whether nothing is left to be done behind the answers; false if somebody did not tell.
    pub fn at_rest(&self) -> bool {
        [self.outbox, self.lag_records].iter().all(|it| it.is_some_and(|left| left <= 0.0))
    }
}

/// Looks every second until it is stopped.
#[derive(Debug)]
pub struct Monitor {
    seen: Arc<Mutex<Vec<Sample>>>,
    watched: Arc<Mutex<Watched>>,
    task: JoinHandle<()>,
}

impl Monitor {
    /// Begins to look; seconds count from `start`.
    pub fn start(watched: Watched, start: Instant) -> Self {
        let (seen, watched) = (Arc::<Mutex<Vec<Sample>>>::default(), Arc::new(Mutex::new(watched)));
        let task = tokio::spawn(look_on(Arc::clone(&watched), start, Arc::clone(&seen)));
        Self { seen, watched, task }
    }

    /// Also watches this process.
    pub fn add(&self, name: &str, pid: u32) {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).processes.insert(name.to_owned(), pid);
    }

    /// The last look.
    pub fn last(&self) -> Option<Sample> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    /// Stops looking; gives all looks.
    pub fn stop(self) -> Vec<Sample> {
        self.task.abort();
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn look_on(watched: Arc<Mutex<Watched>>, start: Instant, seen: Arc<Mutex<Vec<Sample>>>) {
    let now = watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let clients = |all: &[SocketAddr]| all.iter().map(|it| Client::new(*it, LIMITS)).collect::<Vec<_>>();
    let (command, projectors) = (clients(&now.command), clients(&now.projectors));
    let (mut before, mut busy) = (BTreeMap::<String, Usage>::new(), machine::processors());
    let (mut ends, mut last) = (Ends::default(), clock::monotonic());
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let roots = watched.lock().unwrap_or_else(PoisonError::into_inner).processes.clone();
        let (owners, models) = (ask(&command).await, ask(&projectors).await);
        let moment = clock::monotonic();
        let usage = machine::usage(&roots);
        let passed = moment.saturating_duration_since(last).as_secs_f64().max(1e-3);
        let used =
            |name: &str, it: &Usage| it.processor_s - before.get(name).map_or(it.processor_s, |it| it.processor_s);
        let processor = usage.iter().map(|(name, it)| (name.clone(), used(name, it).max(0.0) / passed)).collect();
        let all = machine::processors();
        let sum = |name: &str| owners.as_ref().map(|it| it.iter().map(|one| one.sum(name)).sum::<f64>());
        let lag = models.as_ref().map(|it| it.iter().map(|one| one.sum("projector_lag_records")).sum::<f64>());
        let (open, end) = (sum("boxoffice_partition_open_sends"), sum("boxoffice_partition_next_offset"));
        let sample = Sample {
            at_s: signed_s(start, moment),
            outbox: sum("boxoffice_partition_outbox").zip(open).map(|(outbox, open)| outbox + open),
            mailboxes: sum("boxoffice_partition_waiting"),
            lag_records: lag,
            behind: models.as_deref().map(behind::counted).unwrap_or_default(),
            lag_ms: end.zip(lag).map(|(end, lag)| ends.age_ms(moment, end, lag)),
            processor,
            resident_mib: usage.iter().map(|(name, it)| (name.clone(), it.resident_mib)).collect(),
            busy: (all.0 - busy.0) / (all.1 - busy.1).max(1e-3),
            load: machine::load_average(),
        };
        (before, busy, last) = (usage, all, moment);
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
    }
}

fn signed_s(start: Instant, moment: Instant) -> f64 {
    moment.saturating_duration_since(start).as_secs_f64() - start.saturating_duration_since(moment).as_secs_f64()
}

/// What each tells; none if one does not answer, or there is none.
async fn ask(clients: &[Client]) -> Option<Vec<Metrics>> {
    if clients.is_empty() {
        return None;
    }
    let asked = request("GET", "/metrics", Says::default(), None);
    let mut all = Vec::new();
    for client in clients {
        let answer = client.ask(&asked).await.ok().filter(|answer| answer.status == 200)?;
        all.push(Metrics::read(&String::from_utf8_lossy(&answer.body)));
    }
    Some(all)
}

/// How long the log was at which moment.
#[derive(Debug, Default)]
struct Ends(VecDeque<(Instant, f64)>);

impl Ends {
    /// How old what lies so many records before the end is. Between two looks the log is taken to have grown evenly.
    fn age_ms(&mut self, now: Instant, end: f64, lag: f64) -> f64 {
        self.0.push_back((now, end));
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
        if lag <= 0.0 {
            return 0.0;
        }
        let folded = end - lag;
        let later = self.0.iter().position(|(_, end)| *end > folded).unwrap_or(0);
        let (at, reached) = self.0[later];
        let since_then = now.saturating_duration_since(at).as_secs_f64() * 1e3;
        let Some((before, less)) = later.checked_sub(1).map(|at| self.0[at]) else { return since_then };
        let between = at.saturating_duration_since(before).as_secs_f64() * 1e3;
        since_then + between * (reached - folded) / (reached - less).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_a_lag_is_when_the_log_was_that_long() {
        let (mut ends, start) = (Ends::default(), clock::monotonic());
        let at = |s| start + Duration::from_secs(s);
        assert!(ends.age_ms(at(0), 100.0, 0.0).abs() < 1e-9);
        assert!(ends.age_ms(at(1), 200.0, 0.0).abs() < 1e-9);
        // The record 150 was written half a second before the second look.
        assert!((ends.age_ms(at(3), 400.0, 250.0) - 2500.0).abs() < 1.0);
        assert!((ends.age_ms(at(4), 400.0, 100.0) - 2000.0).abs() < 1.0);
    }

    #[test]
    fn who_did_not_tell_is_not_at_rest() {
        let sample = |outbox, lag_records| Sample { outbox, lag_records, ..Sample::default() };
        assert!(sample(Some(0.0), Some(0.0)).at_rest());
        assert!(!sample(None, Some(0.0)).at_rest() && !sample(Some(1.0), Some(0.0)).at_rest());
    }
}

//! Asks a partition something that changes nothing, all the time: the answer is a promise like every other one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use service_kit::clock;
use tokio::sync::Semaphore;

use super::Crowd;
use super::shows::CAPACITY;
use crate::client::Ask;

/// Between two questions to a partition.
const EVERY: Duration = Duration::from_millis(100);
/// So many questions to a partition may wait for their answers.
const AT_ONCE: usize = 24;

/// Per partition: when the last question was asked that was answered by now.
pub struct Served(Mutex<Vec<Vec<(Instant, Instant)>>>);

impl Served {
    pub(super) fn new(partitions: usize) -> Self {
        Self(Mutex::new(vec![Vec::new(); partitions]))
    }

    fn answered(&self, number: usize, asked: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all[number].push((asked, clock::monotonic()));
    }

    /// When each partition first answered what was asked since then; none if it has not.
    fn first(&self, since: Instant) -> Vec<Option<Instant>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = |answers: &Vec<(Instant, Instant)>| {
            answers.iter().filter(|(asked, _)| *asked >= since).map(|(_, answered)| *answered).min()
        };
        all.iter().map(first).collect()
    }

    pub(super) async fn since(&self, since: Instant, limit: Duration) -> anyhow::Result<Duration> {
        loop {
            let first = self.first(since);
            if let Some(all) = first.iter().copied().collect::<Option<Vec<Instant>>>() {
                let last = all.into_iter().max().expect("there are partitions");
                return Ok(last.saturating_duration_since(since));
            }
            if since.elapsed() > limit {
                let missing = first.iter().enumerate().filter(|(_, it)| it.is_none()).map(|(number, _)| number);
                let missing: Vec<usize> = missing.collect();
                anyhow::bail!("partitions {missing:?} are not served {} s after the fault", limit.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Asks until the load ends.
pub(super) async fn run(crowd: Arc<Crowd>, number: usize, organizer: String, served: Arc<Served>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let caller = crowd.caller("organizer-1").with(&organizer);
    while !crowd.is_ending() {
        tokio::time::sleep(EVERY).await;
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (caller, served, sale) = (caller.clone(), Arc::clone(&served), crowd.shows.open[number]);
        tokio::spawn(async move {
            let (path, body) = (
                format!("/v1/shows/{}/ticket-classes/{}/capacity", sale.show, sale.class),
                json!({"capacity": CAPACITY}),
            );
            let ask = Ask { method: Method::POST, path: &path, key: None, body: Some(&body), headers: &[] };
            let asked = clock::monotonic();
            if caller.counted(&ask).await.is_some_and(|answer| answer.status.is_success()) {
                served.answered(number, asked);
            }
            drop(place);
        });
    }
    // Whoever was asked last answers before the load is counted.
    let _ = places.acquire_many(u32::try_from(AT_ONCE).expect("few")).await;
}

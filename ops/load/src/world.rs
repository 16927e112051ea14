//! What all journeys of one worker share.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use service_kit::clock;
use uuid::Uuid;

use crate::chance::Chance;
use crate::client::{Client, ClientError, Limits};
use crate::plan::{Plan, Sale};
use crate::request::order_body;
use crate::tally::{Outcome, Tally};
use crate::wire::Answer;

/// Requests that wait for a connection at most.
const WAITING: u64 = 50_000;
/// An answer comes within so long.
const ANSWER: Duration = Duration::from_secs(30);
/// Between two looks at how far behind reads are.
const PROBE_EVERY: Duration = Duration::from_millis(200);

/// A server of several alike.
#[derive(Debug, Clone, Copy)]
pub enum Side {
    /// Writes.
    Command,
    /// Reads.
    Query,
    /// The payment provider.
    Sandbox,
}

/// What all journeys share.
#[derive(Debug)]
pub struct World {
    /// What was asked for.
    pub plan: Plan,
    clients: [Vec<Client>; 3],
    turn: AtomicUsize,
    tally: Mutex<Tally>,
    chance: Mutex<Chance>,
    /// How wanted the shows up to each one are together, of 1.
    wanted: Vec<f64>,
    /// Every account's order, where there is one show: writing it anew would cost as much as sending it.
    bodies: Vec<Vec<u8>>,
    began: OnceLock<Instant>,
    under_way: AtomicU64,
    acknowledged: Mutex<Vec<[u8; 32]>>,
    probed: Mutex<Option<Instant>>,
    /// Orders that can be read, with the bearer that may.
    pub placed: Mutex<Vec<(Uuid, usize)>>,
}

impl World {
    /// Of a plan.
    ///
    /// # Errors
    /// The plan has no server, no show or no account.
    pub fn new(plan: Plan) -> anyhow::Result<Self> {
        anyhow::ensure!(!plan.command.is_empty() && !plan.shows.is_empty() && !plan.bearers.is_empty(), "half a plan");
        let limits = Limits { connections: plan.connections, waiting: WAITING, answer: ANSWER };
        let of = |all: &[std::net::SocketAddr]| all.iter().map(|it| Client::new(*it, limits)).collect();
        let clients = [of(&plan.command), of(&plan.query), of(plan.sandbox.as_slice())];
        let chance = Mutex::new(Chance::of(plan.seed, plan.number * 2 + 1));
        let wanted = wanted(plan.shows.len(), plan.zipf);
        let bodies = match plan.shows[..] {
            [only] => (0..plan.bearers.len()).map(|buyer| order_body(only, buyer)).collect(),
            _ => Vec::new(),
        };
        Ok(Self {
            plan,
            clients,
            turn: AtomicUsize::new(0),
            tally: Mutex::default(),
            chance,
            wanted,
            bodies,
            began: OnceLock::new(),
            under_way: AtomicU64::new(0),
            acknowledged: Mutex::default(),
            probed: Mutex::default(),
            placed: Mutex::default(),
        })
    }

    /// Says when it begins, once.
    pub fn begin(&self, moment: Instant) {
        self.began.get_or_init(|| moment);
    }

    /// When it began; now, before it did.
    pub fn began(&self) -> Instant {
        self.began.get().copied().unwrap_or_else(clock::monotonic)
    }

    /// The second of a moment since the start.
    pub fn second(&self, moment: Instant) -> usize {
        usize::try_from(moment.saturating_duration_since(self.began()).as_secs()).unwrap_or(usize::MAX)
    }

    /// Counts an arrival that is sent now and was due at that moment.
    pub fn sent(&self, due: Instant) {
        let late = clock::monotonic().saturating_duration_since(due);
        let second = self.second(due);
        let mut tally = self.tally();
        tally.window(second).offered += 1;
        if self.counts(second) {
            tally.scheduling_lag.record(late);
        }
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts how an arrival ended.
    pub fn ended(&self, due: Instant, outcome: Outcome) {
        let now = clock::monotonic();
        let (scheduled, second) = (self.second(due), self.second(now));
        let mut tally = self.tally();
        tally.ended(scheduled, now.saturating_duration_since(due), second, outcome);
        tally.last_answer_s = now.saturating_duration_since(self.began()).as_secs_f64();
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a step that began then and ended now.
    pub fn step(&self, name: &str, since: Instant) {
        if self.counts(self.second(since)) {
            self.tally().step(name, since.elapsed());
        }
    }

    fn counts(&self, second: usize) -> bool {
        u64::try_from(second).is_ok_and(|second| second >= self.plan.warm_up_s)
    }

    /// Arrivals that have not ended.
    pub fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// What is counted.
    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What chance there is.
    pub fn chance(&self) -> MutexGuard<'_, Chance> {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an order that was acknowledged.
    pub fn acknowledge(&self, order: Uuid, show: Uuid) {
        let mut both = [0; 32];
        both[..16].copy_from_slice(order.as_bytes());
        both[16..].copy_from_slice(show.as_bytes());
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).push(both);
    }

    /// Every order that was acknowledged: its id and the show's.
    pub fn acknowledged(&self) -> MutexGuard<'_, Vec<[u8; 32]>> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is time for a look at how far behind reads are.
    pub fn probe_now(&self) -> bool {
        let mut probed = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        let due = probed.is_none_or(|at| at.elapsed() >= PROBE_EVERY);
        if due {
            *probed = Some(clock::monotonic());
        }
        due
    }

    /// A show, the wanted ones more often.
    pub fn sale(&self) -> Sale {
        if let [only] = self.plan.shows[..] {
            return only;
        }
        let drawn = self.chance().unit();
        let at = self.wanted.partition_point(|up_to| *up_to < drawn);
        self.plan.shows[at.min(self.plan.shows.len() - 1)]
    }

    /// The body of an account's order.
    pub fn body(&self, sale: Sale, buyer: usize) -> Cow<'_, [u8]> {
        match self.bodies.get(buyer) {
            Some(body) => Cow::Borrowed(body),
            None => Cow::Owned(order_body(sale, buyer)),
        }
    }

    /// Sends a written request to the next server of a side.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn ask(&self, side: Side, request: &[u8]) -> Result<Answer, ClientError> {
        let clients = &self.clients[side as usize];
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let client = clients.get(turn % clients.len().max(1)).expect("a journey asks only sides that its plan has");
        self.tally().requests += 1;
        client.ask(request).await
    }

    /// Every client.
    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        self.clients.iter().flatten()
    }
}

/// How wanted the first n of some things are together, if the n-th is wanted 1/n^s as much as the first one.
#[allow(clippy::cast_precision_loss, reason = "there are few shows")]
fn wanted(count: usize, exponent: f64) -> Vec<f64> {
    let weights: Vec<f64> = (1..=count).map(|rank| (rank as f64).powf(-exponent)).collect();
    let total: f64 = weights.iter().sum();
    let sum = |sum: &mut f64, weight: f64| {
        *sum += weight / total;
        Some(*sum)
    };
    weights.into_iter().scan(0.0, sum).collect()
}

#[cfg(test)]
mod tests {
    use super::wanted;

    #[test]
    fn the_second_is_half_as_wanted_as_the_first() {
        let all = wanted(1000, 1.0);
        assert!((all[999] - 1.0).abs() < 1e-9);
        assert!(((all[1] - all[0]) / all[0] - 0.5).abs() < 1e-9);
        let alike = wanted(4, 0.0);
        assert!((alike[0] - 0.25).abs() < 1e-9 && (alike[1] - 0.5).abs() < 1e-9);
    }
}

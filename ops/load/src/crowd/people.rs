//! What everybody of one process shares: the people, the servers, and what is counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use service_kit::clock;
use tokio::sync::watch;
use uuid::Uuid;

use super::person::{Noted, Person};
use super::plan::Plan;
use super::scan::Seen;
use super::tally::Tally;
use crate::chance::Chance;
use crate::client::{Client, ClientError, Limits};
use crate::source::Sources;
use crate::wire::Answer;

/// Requests that wait for a connection at most.
const WAITING: u64 = 100_000;
/// An answer comes within so long, the wait for a connection included.
const ANSWER: Duration = Duration::from_secs(60);
/// Who is not told when to come again comes after so long.
const AGAIN: Duration = Duration::from_secs(1);

/// Whether people who are admitted may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// They stay where they are.
    Shut,
    /// They enter and leave.
    Open,
}

/// A crowd of one process.
#[derive(Debug)]
pub struct People {
    /// What was asked for.
    pub plan: Plan,
    /// Where connections come from.
    pub sources: Arc<Sources>,
    /// Whether the admitted move.
    pub gate: watch::Sender<Gate>,
    command: Vec<Client>,
    query: Vec<Client>,
    all: Mutex<Vec<Person>>,
    tally: Mutex<Tally>,
    chance: Mutex<Chance>,
    placed: Mutex<Vec<[u8; 20]>>,
    began: Mutex<Instant>,
    under_way: AtomicU64,
}

/// Something under way, until dropped.
pub struct UnderWay<'a>(&'a AtomicU64);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl People {
    /// Of a plan; nobody has come yet.
    ///
    /// # Errors
    /// The plan has no server.
    pub fn new(plan: Plan) -> anyhow::Result<Self> {
        anyhow::ensure!(!plan.command.is_empty() && !plan.query.is_empty(), "a plan without a server");
        let sources = Arc::new(Sources::of(plan.number, plan.processes));
        let limits = Limits { connections: plan.connections, waiting: WAITING, answer: ANSWER };
        let of = |all: &[_]| all.iter().map(|it| Client::new(*it, limits).from_sources(&sources)).collect();
        let (command, query) = (of(&plan.command), of(&plan.query));
        let mut chance = Chance::of(plan.seed, u64::from(plan.number));
        let new = |_| Person::with_key(chance.id());
        let all = Mutex::new((0..plan.people).map(new).collect());
        Ok(Self {
            plan,
            sources,
            gate: watch::channel(Gate::Shut).0,
            command,
            query,
            all,
            tally: Mutex::default(),
            chance: Mutex::new(chance),
            placed: Mutex::default(),
            began: Mutex::new(clock::monotonic()),
            under_way: AtomicU64::new(0),
        })
    }

    /// Begins a stage.
    pub fn begin(&self, at: Instant) {
        *lock(&self.began) = at;
    }

    /// When this stage began.
    pub fn began(&self) -> Instant {
        *lock(&self.began)
    }

    /// One of them.
    pub fn with<T>(&self, who: usize, of: impl FnOnce(&mut Person) -> T) -> T {
        of(&mut lock(&self.all)[who])
    }

    /// What is counted.
    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    /// What is decided by lot.
    pub fn chance(&self) -> MutexGuard<'_, Chance> {
        lock(&self.chance)
    }

    /// Every place that was acknowledged.
    pub fn placed(&self) -> MutexGuard<'_, Vec<[u8; 20]>> {
        lock(&self.placed)
    }

    /// Something begins that has to end before the process may.
    pub fn under_way(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(&self.under_way)
    }

    /// How much is under way.
    pub fn count_under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Remembers what was acknowledged.
    pub fn acknowledge(&self, session: Uuid, number: u32) {
        let mut both = [0; 20];
        both[..16].copy_from_slice(session.as_bytes());
        both[16..].copy_from_slice(&number.to_be_bytes());
        self.placed().push(both);
    }

    /// Somebody looks at what `server` told.
    pub fn look(&self, who: usize, seen: &Seen<'_>, server: usize) -> Noted {
        let mut noted = self.with(who, |person| person.look(seen, server));
        let mut tally = self.tally();
        tally.behind += u64::from(noted.behind);
        tally.admitted += u64::from(noted.admitted);
        noted.faults.drain(..).for_each(|fault| tally.fault(fault));
        noted
    }

    /// Asks the read side's server of this number.
    pub async fn query(&self, server: usize, request: &[u8]) -> Result<Answer, ClientError> {
        self.tally().requests += 1;
        self.query[server % self.query.len()].ask(request).await
    }

    /// Tells the write side something until it is taken or refused for good: whoever is told to come again does, with the
    /// same request, and goes to another server if one does not answer. None if that took too long.
    pub async fn command(&self, who: usize, what: &str, request: &[u8], patience: Duration) -> Option<Answer> {
        let deadline = clock::monotonic() + patience;
        let mut server = who;
        loop {
            {
                let mut tally = self.tally();
                tally.requests += 1;
                tally.join_requests += u64::from(what == "join");
            }
            let answer = self.command[server % self.command.len()].ask(request).await;
            let again = match &answer {
                Ok(answer) => come_again(answer),
                Err(_) => Some(AGAIN),
            };
            if again.is_some() {
                self.tally().repeat(what, &answer);
            }
            let pause = match (answer, again) {
                (Ok(answer), None) => return Some(answer),
                (Ok(_), Some(pause)) => pause,
                (Err(_), _) => {
                    server += 1;
                    AGAIN
                }
            };
            if clock::monotonic() + pause > deadline {
                return None;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Connections that had been closed while nobody used them.
    pub fn made_again(&self) -> u64 {
        self.command.iter().chain(&self.query).map(|it| it.made_again.load(Ordering::Relaxed)).sum()
    }
}

/// After how long, if at all: too much is asked, the queue is still opening, or an earlier attempt is under way.
fn come_again(answer: &Answer) -> Option<Duration> {
    let told = answer.retry_after.as_deref().and_then(|it| it.parse().ok()).map(Duration::from_secs);
    match answer.status {
        429 | 503 => Some(told.unwrap_or(AGAIN)),
        409 => told,
        _ => None,
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Mixed load: purchases with and without a waiting room, some cancelled, some pondered over, some free; and a question to
//! every partition all the time, so that it is known when each is served again.

mod buyer;
mod probe;
mod shows;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use check::Promised;
use check::history::Recorder;
use service_kit::clock;
use system_tests::Installation;
use system_tests::purchase::OnSale;
use tokio::task::JoinSet;

use crate::client::{Caller, Counts};
pub use buyer::Hold;
pub use probe::Served;
pub use shows::Shows;

/// So many buyers are under way at once.
const AT_ONCE: u64 = 12;
/// Whoever is under way when the load ends gets so long to end.
const DRAIN: Duration = Duration::from_secs(150);
/// So many complaints are kept.
const KEPT: usize = 20;

/// What all clients share.
pub(crate) struct Crowd {
    pub(crate) counts: Arc<Counts>,
    pub(crate) shows: Shows,
    pub(crate) base: String,
    pub(crate) sandbox: String,
    http: reqwest::Client,
    recorder: Recorder,
    next: AtomicU64,
    ending: AtomicBool,
    pub(crate) promised: Mutex<Promised>,
    wrong: Mutex<Vec<String>>,
    /// Buyers that came to an end, by what they did.
    done: Mutex<BTreeMap<&'static str, u64>>,
}

/// Clients at work.
pub struct Load {
    crowd: Arc<Crowd>,
    buyers: JoinSet<()>,
    probes: JoinSet<()>,
    served: Arc<Served>,
    history: PathBuf,
}

/// What the load came to.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    /// What clients were promised.
    pub promised: Promised,
    /// What should not have happened to an honest client.
    pub wrong: Vec<String>,
    /// Buyers that came to an end, by what they did.
    pub done: BTreeMap<&'static str, u64>,
    /// Where every call was written down.
    pub history: PathBuf,
    /// Refusals that were a fault's doing: nothing can be concluded from them.
    pub tolerated: Vec<&'static str>,
}

impl Crowd {
    pub(crate) fn caller(&self, name: &str) -> Caller {
        Caller::new(name, &self.http, &self.base, &self.recorder, &self.counts)
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn complain(&self, what: String) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.len() < KEPT {
            wrong.push(what);
        }
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    fn end_of(&self, act: &'static str) {
        *self.done.lock().unwrap_or_else(PoisonError::into_inner).entry(act).or_default() += 1;
    }

    async fn buyers(self: Arc<Self>) {
        while !self.is_ending() {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            match buyer::play(&self, number).await {
                Ok(act) => self.end_of(act),
                Err(error) => self.complain(format!("{error:#}")),
            }
        }
    }
}

impl Load {
    /// Puts shows on sale and begins to buy; every call is written to `history`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn start(shop: &Installation, history: &Path) -> anyhow::Result<Self> {
        let crowd = Arc::new(Crowd {
            counts: Arc::default(),
            shows: Shows::open(shop, shop.running.plan().partitions).await,
            base: shop.running.base_url().to_owned(),
            sandbox: shop.running.sandbox_url(),
            http: Caller::connections()?,
            recorder: Recorder::create(history)?,
            next: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            promised: Mutex::default(),
            wrong: Mutex::default(),
            done: Mutex::default(),
        });
        let mut buyers = JoinSet::new();
        for _ in 0..AT_ONCE {
            buyers.spawn(Arc::clone(&crowd).buyers());
        }
        let served = Arc::new(Served::new(crowd.shows.open.len()));
        let organizer = shop.organizer().token().expect("an organizer has a token").to_owned();
        let mut probes = JoinSet::new();
        for number in 0..crowd.shows.open.len() {
            probes.spawn(probe::run(Arc::clone(&crowd), number, organizer.clone(), Arc::clone(&served)));
        }
        Ok(Self { crowd, buyers, probes, served, history: history.to_owned() })
    }

    /// What came of all calls.
    pub fn counts(&self) -> &Counts {
        &self.crowd.counts
    }

    pub(crate) fn shared_counts(&self) -> &Arc<Counts> {
        &self.crowd.counts
    }

    /// The shows that are bought.
    pub fn shows(&self) -> &Shows {
        &self.crowd.shows
    }

    /// Somebody else of this crowd.
    pub fn caller(&self, name: &str) -> Caller {
        self.crowd.caller(name)
    }

    /// An order that was acknowledged to somebody beside the buyers.
    pub fn promised(&self, key: check::Key) {
        self.crowd.promised.lock().unwrap_or_else(PoisonError::into_inner).orders.push(key);
    }

    /// Somebody takes free tickets from this very process, past the front door.
    ///
    /// # Errors
    /// As for a buyer: what should not happen to an honest client.
    pub async fn take_free_at(&self, name: &str, base: &str, sale: OnSale) -> anyhow::Result<()> {
        buyer::take_free_at(&self.crowd, name, base, sale).await
    }

    /// So many come to one queue at once, and go again: more than one of them is let in by one command.
    ///
    /// # Errors
    /// As for a buyer.
    pub async fn rush(&self, name: &str, count: u32) -> anyhow::Result<()> {
        let sale = self.crowd.shows.rooms[0];
        let names: Vec<String> = (0..count).map(|n| format!("{name}-{n}")).collect();
        let coming = futures::future::join_all(names.iter().map(|name| buyer::come_and_go(&self.crowd, name, sale)));
        coming.await.into_iter().collect()
    }

    /// Somebody holds a ticket and could pay now.
    ///
    /// # Errors
    /// As for a buyer.
    pub async fn hold(&self, name: &str, sale: OnSale) -> anyhow::Result<Hold> {
        buyer::hold(&self.crowd, name, sale).await
    }

    /// Pays for what was held, and waits for the tickets.
    ///
    /// # Errors
    /// It is held no more, or as for a buyer.
    pub async fn pay_held(&self, hold: &Hold) -> anyhow::Result<()> {
        buyer::pay_held(&self.crowd, hold).await
    }

    /// Something that should not have happened.
    pub fn complain(&self, what: String) {
        self.crowd.complain(what);
    }

    /// Waits until so many more writes were promised.
    ///
    /// # Errors
    /// That takes more than two minutes.
    pub async fn busy(&self, more: u64) -> anyhow::Result<()> {
        let (begun, until) = (clock::monotonic(), self.counts().now().acknowledged + more);
        while self.counts().now().acknowledged < until {
            anyhow::ensure!(begun.elapsed() < Duration::from_secs(120), "hardly anything is acknowledged");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Waits until every partition has acknowledged something that was asked after this moment; gives how long that took.
    ///
    /// # Errors
    /// It takes longer than `limit`; it says which partitions are not served.
    pub async fn served_since(&self, since: Instant, limit: Duration) -> anyhow::Result<Duration> {
        self.served.since(since, limit).await
    }

    /// Lets nobody begin any more, and waits until all who did have come to an end.
    pub async fn end(mut self) -> Ended {
        self.crowd.ending.store(true, Ordering::Relaxed);
        let drained = async { while self.buyers.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            let left = self.buyers.len();
            self.crowd.complain(format!("{left} buyers have not come to an end {} s after the load", DRAIN.as_secs()));
        }
        self.buyers.shutdown().await;
        while self.probes.join_next().await.is_some() {}
        let of = |all: &Mutex<Promised>| all.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ended {
            promised: of(&self.crowd.promised),
            wrong: self.crowd.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            done: self.crowd.done.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            history: self.history,
            tolerated: self.crowd.counts.inconclusive(),
        }
    }
}

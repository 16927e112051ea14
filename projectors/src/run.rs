//! Runs every read model until the process stops.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use domain::root::Context;
use event_log::kafka::{CompactedFollower, KafkaLog};
use event_log::log::{Following, Log, Partition};
use event_log::topics;
use schemas::Codec;
use service_kit::health::Health;
use sqlx::PgPool;
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::ends::Ends;
use crate::inventory::Inventory;
use crate::light::Light;
use crate::model::{Layout, ReadModel};
use crate::orders::Orders;
use crate::payments::Payments;
use crate::person_keys::{self, Filler};
use crate::schema::{BadNamespace, Names};
use crate::shows::Shows;
use crate::store::Store;
use crate::tickets::Tickets;
use crate::worker::{Pace, Refused, Worker};

/// How the read models are filled.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Prefix of schemas and channels; empty in production.
    pub namespace: String,
    /// Partitions of every event topic.
    pub partitions: u32,
    /// At most so many records in one transaction.
    pub batch_records: usize,
    /// How long a batch waits for more records: longer makes fewer transactions, shorter shows them sooner.
    pub linger: Duration,
    /// How often checkpoints (while nothing happens) and the log's ends are looked at.
    pub look_every: Duration,
    /// Where each read model shows whether it is ready.
    pub health: Health,
}

impl Settings {
    /// The usual pace.
    pub fn new(namespace: impl Into<String>, partitions: u32) -> Self {
        Self {
            namespace: namespace.into(),
            partitions,
            batch_records: 2000,
            linger: Duration::from_millis(2),
            look_every: Duration::from_secs(1),
            health: Health::default(),
        }
    }
}

/// Follows the compacted topic of persons' keys from its beginning.
pub type FollowKeys = Arc<dyn Fn(CompactedFollower) -> Box<dyn Following> + Send + Sync>;

/// What is read: the event topics, and the persons' keys where there are any.
#[derive(Clone)]
pub struct Logs {
    events: Arc<dyn Log>,
    keys: Option<FollowKeys>,
}

impl Logs {
    /// Event topics and keys.
    pub fn new(events: Arc<dyn Log>, keys: Option<FollowKeys>) -> Self {
        Self { events, keys }
    }

    /// Both on Kafka.
    pub fn kafka(log: Arc<KafkaLog>, partitions: u32) -> Self {
        let keys = Arc::clone(&log);
        let follow = move |follower| keys.follow_compacted(&topics::person_keys(keys.settings(), partitions), follower);
        Self { events: log, keys: Some(Arc::new(follow)) }
    }
}

impl From<Arc<dyn Log>> for Logs {
    /// Events without keys.
    fn from(events: Arc<dyn Log>) -> Self {
        Self { events, keys: None }
    }
}

/// Why the read models are not filled any more.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The namespace cannot name schemas.
    #[error(transparent)]
    Namespace(#[from] BadNamespace),
    /// The log is not the one that a read model was filled from.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A bug.
    #[error("a read model's task failed")]
    Task(#[from] JoinError),
}

/// Fills every read model until `shutdown`. Schemas are created, outages of the log and the database are waited out,
/// what was emptied is filled again. May run in several processes: they never count an event twice.
///
/// # Errors
/// [`RunError`]; at the start, if a stored position does not belong to the log.
pub fn run(
    settings: Settings,
    log: impl Into<Logs>,
    codec: Codec,
    pool: PgPool,
    shutdown: CancellationToken,
) -> impl Future<Output = Result<(), RunError>> + Send + 'static {
    // Before anything is awaited, so that nobody finds the process ready that has not begun.
    let models = Models::new(settings, log.into(), codec, pool);
    async move {
        let mut tasks = models?.start();
        // Dropping the tasks ends them; a transaction in the middle is rolled back, and done again by the next process.
        tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            Some(ended) = tasks.join_next() => match ended? {
                Ok(never) => match never {},
                Err(refused) => Err(refused.into()),
            },
        }
    }
}

/// Every read model, ready to be filled.
struct Models {
    shows: Worker<Shows>,
    inventory: Worker<Inventory>,
    orders: Worker<Orders>,
    payments: Worker<Payments>,
    tickets: Worker<Tickets>,
    person_keys: Option<Filler>,
    ends: Arc<Ends>,
    partitions: u32,
    look_every: Duration,
}

impl Models {
    fn new(settings: Settings, logs: Logs, codec: Codec, pool: PgPool) -> Result<Self, BadNamespace> {
        let names = Names::of(&settings.namespace)?;
        let Logs { events: log, keys } = logs;
        let ends = Arc::new(Ends::new(Arc::clone(&log)));
        let (partitions, look_every) = (settings.partitions, settings.look_every);
        let start = Start { settings, names, log, ends, codec, pool };
        let filler = |follow| {
            let (store, light) = (start.store(person_keys::LAYOUT), start.light(person_keys::LAYOUT.name));
            Filler::new(store, light, start.codec.clone(), follow, look_every)
        };
        Ok(Self {
            shows: start.worker(),
            inventory: start.worker(),
            orders: start.worker(),
            payments: start.worker(),
            tickets: start.worker(),
            person_keys: keys.map(filler),
            ends: Arc::clone(&start.ends),
            partitions,
            look_every,
        })
    }

    fn start(self) -> JoinSet<Result<Infallible, Refused>> {
        let mut tasks = JoinSet::new();
        tasks.spawn(self.shows.run());
        tasks.spawn(self.inventory.run());
        tasks.spawn(self.orders.run());
        tasks.spawn(self.payments.run());
        tasks.spawn(self.tickets.run());
        tasks.spawn(watch(self.ends, self.partitions, self.look_every));
        if let Some(filler) = self.person_keys {
            tasks.spawn(filler.run());
        }
        tasks
    }
}

/// What every read model starts with.
struct Start {
    settings: Settings,
    names: Names,
    log: Arc<dyn Log>,
    ends: Arc<Ends>,
    codec: Codec,
    pool: PgPool,
}

impl Start {
    fn worker<M: ReadModel>(&self) -> Worker<M> {
        let Settings { partitions, batch_records, linger, look_every, .. } = self.settings;
        let pace = Pace { batch_records: batch_records.max(1), linger, look_every };
        let log = (Arc::clone(&self.log), Arc::clone(&self.ends));
        let (store, light) = (self.store(M::LAYOUT), self.light(M::LAYOUT.name));
        Worker::new(log, self.codec.clone(), store, light, (pace, partitions))
    }

    fn store(&self, layout: Layout) -> Store {
        Store::new(self.pool.clone(), self.names.clone(), layout)
    }

    fn light(&self, name: &'static str) -> Light {
        Light::new(name, &self.settings.health)
    }
}

/// Keeps the log's ends known, for the lag.
async fn watch(ends: Arc<Ends>, partitions: u32, every: Duration) -> Result<Infallible, Refused> {
    loop {
        let ends = Arc::clone(&ends);
        let round = move || {
            let places =
                Context::ALL.into_iter().flat_map(|context| (0..partitions).map(move |number| (context, number)));
            places.map(|(context, number)| Partition { context, number }).try_for_each(|place| ends.refresh(place))
        };
        if let Err(error) = spawn_blocking(round).await.expect("asking the log never panics") {
            tracing::warn!(%error, "cannot ask the log where it ends");
        }
        tokio::time::sleep(every).await;
    }
}

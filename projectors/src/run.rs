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
use crate::model::ReadModel;
use crate::orders::Orders;
use crate::payments::Payments;
use crate::person_keys;
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
pub async fn run(
    settings: Settings,
    log: impl Into<Logs>,
    codec: Codec,
    pool: PgPool,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let Logs { events, keys } = log.into();
    let names = Names::of(&settings.namespace)?;
    let ends = Arc::new(Ends::new(Arc::clone(&events)));
    let start = Start { settings, names, log: events, ends, codec, pool };
    let mut tasks = JoinSet::new();
    tasks.spawn(start.worker::<Shows>().run());
    tasks.spawn(start.worker::<Inventory>().run());
    tasks.spawn(start.worker::<Orders>().run());
    tasks.spawn(start.worker::<Payments>().run());
    tasks.spawn(start.worker::<Tickets>().run());
    tasks.spawn(watch(Arc::clone(&start.ends), start.settings.partitions, start.settings.look_every));
    if let Some(follow) = keys {
        let (store, light) = (start.store(person_keys::LAYOUT), start.light(person_keys::LAYOUT.name));
        let codec = start.codec.clone();
        tasks.spawn(person_keys::Filler::new(store, light, codec, follow, start.settings.look_every).run());
    }
    // Dropping the tasks ends them; a transaction in the middle is rolled back, and done again by the next process.
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        Some(ended) = tasks.join_next() => match ended? {
            Ok(never) => match never {},
            Err(refused) => Err(refused.into()),
        },
    }
}

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

    fn store(&self, layout: crate::Layout) -> Store {
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
            let places = Context::ALL.into_iter().flat_map(|context| (0..partitions).map(move |number| (context, number)));
            places.map(|(context, number)| Partition { context, number }).try_for_each(|place| ends.refresh(place))
        };
        if let Err(error) = spawn_blocking(round).await.expect("asking the log never panics") {
            tracing::warn!(%error, "cannot ask the log where it ends");
        }
        tokio::time::sleep(every).await;
    }
}

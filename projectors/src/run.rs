//! Runs every read model until the process stops.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use domain::root::Context;
use event_log::kafka::membership::{Assignee, Membership};
use event_log::kafka::{CompactedFollower, KafkaLog};
use event_log::log::{Following, Log, LogError, Partition};
use event_log::topics;
use futures::future::BoxFuture;
use schemas::Codec;
use service_kit::health::Health;
use service_kit::random;
use sqlx::PgPool;
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::ends::Ends;
use crate::generations::{self, Control, Promoter, Watcher};
use crate::inventory::Inventory;
use crate::ledger::Ledger;
use crate::light::Light;
use crate::model::{Layout, ReadModel};
use crate::names::{BadNamespace, Names};
use crate::orders::Orders;
use crate::payments::Payments;
use crate::person_keys::{self, Filler};
use crate::queue::Queue;
use crate::schema::LAYOUTS;
use crate::share::Share;
use crate::shows::Shows;
use crate::store::Stores;
use crate::tickets::Tickets;
use crate::worker::{Pace, Refused, Worker};

/// The group of all processes that fill the same versions of read models: new code fills all of its own beside what
/// the old code goes on filling.
fn group() -> String {
    let versions = LAYOUTS.iter().fold(0x811c_9dc5_u32, |hash, layout| {
        let text = format!("{}:{};", layout.name, layout.version);
        text.bytes().fold(hash, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    });
    format!("projectors-{versions:08x}")
}

/// Leaving it takes no longer; then the others wait for our session's end.
const FAREWELL: Duration = Duration::from_secs(3);

/// How often the group is asked whether it knows us.
const HEAR_EVERY: Duration = Duration::from_millis(250);

/// How the read models are filled.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Prefix of schemas and channels; empty in production.
    pub namespace: String,
    /// Names this process among those that fill the same; no two have one name.
    pub instance: String,
    /// Partitions of every event topic.
    pub partitions: u32,
    /// At most so many records in one transaction.
    pub batch_records: usize,
    /// How long a batch waits for more records: longer makes fewer transactions, shorter shows them sooner.
    pub linger: Duration,
    /// At least so long from one writing of the waiting rooms' boards to the next.
    pub board_every: Duration,
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
            instance: random::opaque_id().simple().to_string(),
            partitions,
            batch_records: 2000,
            linger: Duration::from_millis(2),
            board_every: Duration::from_millis(500),
            look_every: Duration::from_secs(1),
            health: Health::default(),
        }
    }
}

/// Follows the compacted topic of persons' keys from its beginning.
pub type FollowKeys = Arc<dyn Fn(CompactedFollower) -> Box<dyn Following> + Send + Sync>;

/// Joins the group that shares the partitions, and tells it who is to be given them; whoever drops the answer leaves it.
type Join = Arc<dyn Fn(Arc<dyn Assignee>) -> Result<Membership, LogError> + Send + Sync>;

/// What is read: the event topics, and the persons' keys where there are any.
#[derive(Clone)]
pub struct Logs {
    pub(crate) events: Arc<dyn Log>,
    pub(crate) keys: Option<FollowKeys>,
    join: Option<Join>,
}

impl Logs {
    /// Event topics and keys.
    pub fn new(events: Arc<dyn Log>, keys: Option<FollowKeys>) -> Self {
        Self { events, keys, join: None }
    }

    /// Both on Kafka.
    pub fn kafka(log: Arc<KafkaLog>, partitions: u32) -> Self {
        let keys = Arc::clone(&log);
        let follow = move |follower| keys.follow_compacted(&topics::person_keys(keys.settings(), partitions), follower);
        Self { events: log, keys: Some(Arc::new(follow)), join: None }
    }

    /// Both on Kafka, sharing the event topics' partitions with every other process of this namespace. One that is not
    /// heard of for `session_timeout` loses its partitions to the others.
    pub fn in_group(log: Arc<KafkaLog>, partitions: u32, session_timeout: Duration) -> Self {
        let settings = log.settings().clone();
        let join = move |assignee| Membership::join(&settings, &group(), partitions, session_timeout, assignee);
        Self { join: Some(Arc::new(join)), ..Self::kafka(log, partitions) }
    }
}

impl From<Arc<dyn Log>> for Logs {
    /// Events without keys.
    fn from(events: Arc<dyn Log>) -> Self {
        Self::new(events, None)
    }
}

impl Assignee for Share {
    fn assigned(&self, numbers: &[u32]) {
        Self::assigned(self, numbers);
    }

    fn revoked(&self, numbers: &[u32]) {
        Self::revoked(self, numbers);
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
    /// A setting of Kafka's that makes no sense.
    #[error("cannot join the group that shares the partitions")]
    Join(#[from] LogError),
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
    let logs = log.into();
    let share = if logs.join.is_some() { Share::none_yet() } else { Share::all(settings.partitions) };
    let join = logs.join.clone();
    let models = Models::new(settings, logs, codec, pool, share.clone());
    async move {
        let mut tasks = models?.start();
        let told = share.clone();
        let group = join.map(|join| join(Arc::new(share))).transpose()?;
        // Dropping the tasks ends them; a transaction in the middle is rolled back, and done again by the next process.
        let ended = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            never = hear(group.as_ref(), &told) => match never {},
            Some(ended) = tasks.join_next() => match ended? {
                Ok(never) => match never {},
                Err(refused) => Err(refused.into()),
            },
        };
        // Nothing works on any partition any more, and so the others may have them.
        tasks.shutdown().await;
        if let Some(group) = group {
            spawn_blocking(move || group.leave(FAREWELL)).await?;
        }
        ended
    }
}

/// The group tells a member what it gets, not that it gets nothing: then there is nothing to wait for either.
async fn hear(group: Option<&Membership>, share: &Share) -> Infallible {
    loop {
        tokio::time::sleep(HEAR_EVERY).await;
        if group.is_some_and(|group| group.standing().member) {
            share.assigned(&[]);
            return std::future::pending().await;
        }
    }
}

/// Every read model, ready to be filled.
struct Models {
    fillings: Vec<Filling>,
    person_keys: Option<Filling>,
    watcher: Watcher,
    promoter: Promoter,
    ends: Arc<Ends>,
    share: Share,
    look_every: Duration,
}

impl Models {
    fn new(settings: Settings, logs: Logs, codec: Codec, pool: PgPool, share: Share) -> Result<Self, BadNamespace> {
        let names = Names::of(&settings.namespace)?;
        let Logs { events: log, keys, join: _ } = logs;
        let ends = Arc::new(Ends::new(Arc::clone(&log)));
        let look_every = settings.look_every;
        let usual = Pace {
            batch_records: settings.batch_records.max(1),
            linger: settings.linger,
            every: Duration::ZERO,
            look_every,
        };
        // Boards are folded in memory, so that a batch has no size, and are written whole, so that it has its time.
        let seldom = Pace { batch_records: usize::MAX, every: settings.board_every, ..usual };
        let pace = |name: &str| if name == Queue::LAYOUT.name { seldom } else { usual };
        let (watcher, control) = generations::watch(pool.clone(), names.clone(), settings.instance.clone(), look_every);
        let start = Start { settings, names, log, ends, codec, pool, share, control };
        Ok(Self {
            fillings: FILLINGS.iter().map(|(name, filling)| filling(&start, pace(name))).collect(),
            person_keys: keys.map(|follow| start.keys(follow)),
            watcher,
            promoter: start.promoter(),
            ends: Arc::clone(&start.ends),
            share: start.share,
            look_every,
        })
    }

    fn start(self) -> JoinSet<Result<Infallible, Refused>> {
        let mut tasks = JoinSet::new();
        for filling in self.fillings.into_iter().chain(self.person_keys) {
            tasks.spawn(filling);
        }
        tasks.spawn(async { Ok(self.watcher.run().await) });
        tasks.spawn(async { Ok(self.promoter.run().await) });
        tasks.spawn(watch(self.ends, self.share, self.look_every));
        tasks
    }
}

/// What every read model starts with.
pub(crate) struct Start {
    pub(crate) settings: Settings,
    pub(crate) names: Names,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) ends: Arc<Ends>,
    pub(crate) codec: Codec,
    pub(crate) pool: PgPool,
    pub(crate) share: Share,
    pub(crate) control: Control,
}

/// Fills a read model until it is dropped.
pub(crate) type Filling = BoxFuture<'static, Result<Infallible, Refused>>;

type Begin = fn(&Start, Pace) -> Filling;

/// What fills each read model of events.
const FILLINGS: [(&str, Begin); 7] = [
    (Shows::LAYOUT.name, filling::<Shows>),
    (Inventory::LAYOUT.name, filling::<Inventory>),
    (Orders::LAYOUT.name, filling::<Orders>),
    (Payments::LAYOUT.name, filling::<Payments>),
    (Ledger::LAYOUT.name, filling::<Ledger>),
    (Tickets::LAYOUT.name, filling::<Tickets>),
    (Queue::LAYOUT.name, filling::<Queue>),
];

fn filling<M: ReadModel>(start: &Start, pace: Pace) -> Filling {
    Box::pin(start.worker::<M>(pace).run())
}

impl Start {
    /// What fills the read model of this name; none if it is not one of events.
    pub(crate) fn filling(&self, name: &str, pace: Pace) -> Option<Filling> {
        let (_, filling) = FILLINGS.iter().find(|(known, _)| *known == name)?;
        Some(filling(self, pace))
    }

    /// What fills the persons' keys.
    pub(crate) fn keys(&self, follow: FollowKeys) -> Filling {
        let (place, light) = (self.place(person_keys::LAYOUT), self.light(person_keys::LAYOUT.name));
        let look_every = self.settings.look_every;
        Box::pin(Filler::new(place, light, self.codec.clone(), follow, look_every).run())
    }

    fn worker<M: ReadModel>(&self, pace: Pace) -> Worker<M> {
        let log = (Arc::clone(&self.log), Arc::clone(&self.ends));
        let (place, light) = (self.place(M::LAYOUT), self.light(M::LAYOUT.name));
        Worker::new(log, self.codec.clone(), place, light, (pace, self.share.clone()))
    }

    fn place(&self, layout: Layout) -> (Stores, Control) {
        (Stores { server: self.pool.clone(), names: self.names.clone(), layout }, self.control.clone())
    }

    fn promoter(&self) -> Promoter {
        Promoter {
            pool: self.pool.clone(),
            names: self.names.clone(),
            log: Arc::clone(&self.log),
            partitions: self.settings.partitions,
            control: self.control.clone(),
            every: self.settings.look_every,
        }
    }

    fn light(&self, name: &'static str) -> Light {
        Light::new(name, &self.settings.health)
    }
}

/// Keeps the ends of our partitions known, for the lag.
pub(crate) async fn watch(ends: Arc<Ends>, share: Share, every: Duration) -> Result<Infallible, Refused> {
    loop {
        let ends = Arc::clone(&ends);
        let numbers = share.watch().borrow().clone().unwrap_or_default();
        let round = move || {
            let of = |context| numbers.iter().map(move |number| Partition { context, number: *number });
            Context::ALL.into_iter().flat_map(of).try_for_each(|place| ends.refresh(place))
        };
        if let Err(error) = spawn_blocking(round).await.expect("asking the log never panics") {
            tracing::warn!(%error, "cannot ask the log where it ends");
        }
        tokio::time::sleep(every).await;
    }
}

//! Puts the process together: owners, outbox, effects, routes; and takes it apart again in order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use event_log::driver::Vouch;
use event_log::kafka::membership::{Assignee, Membership};
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::learning::Learning;
use event_log::log::{Following, Log};
use event_log::snapshot::{SnapshotSettings, Snapshots};
use event_log::topics;
use schemas::{Codec, Registry};
use service_kit::health::Health;
use service_kit::random;
use tokio::runtime::Handle;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::background::Background;
use crate::cluster::announce::Announcer;
use crate::cluster::directory::Directory;
use crate::cluster::peers::Peers;
use crate::cluster::receive::Receiver;
use crate::cluster::report::{Report, Row};
use crate::cluster::signature::InternalKey;
use crate::cluster::store;
use crate::cluster::succession::Succession;
use crate::config::{Config, OwnerSettings};
use crate::http::{self, App};
use crate::outbox;
use crate::owners::{Owners, Setup};

/// The running write side.
pub struct Service {
    owners: Arc<Owners>,
    membership: Arc<OnceLock<Membership>>,
    app: App,
    receiver: Receiver,
    background: Background,
    succession: Succession,
    handed_over: AtomicBool,
    _following: Box<dyn Following>,
}

/// Giving up partitions is bounded by itself; this is more.
const HAND_OVER: Duration = Duration::from_secs(25);
/// The consumer group that hands out partitions.
const GROUP: &str = "partition-owners";

impl Service {
    /// Waits until Kafka and the registry answer, checks them, and starts everything. It serves once `health` says so.
    ///
    /// # Errors
    /// What answers is wrong: topics, schemas, settings; or another instance keeps its snapshots elsewhere.
    pub async fn start(config: &Config, health: &Health) -> anyhow::Result<Self> {
        let store = store::identify(&config.cluster.snapshot_dir)?;
        let kafka = KafkaSettings::new(&config.common.kafka, &config.common.namespace, &config.common.instance);
        let ids = topics::check(&kafka, &config.common.registry, config.common.partitions).await?;
        let codec = Codec::new(ids, Registry::new(&config.common.registry)?);
        let kafka_log = Arc::new(KafkaLog::connect(kafka.clone())?);
        let key = InternalKey::new(&config.secrets.derive(InternalKey::PURPOSE));
        let peers = Peers::new(key.clone())?;
        let directory = Arc::new(Directory::default());
        let following = kafka_log.follow_compacted(&topics::partition_owners(&kafka), directory.follower());
        caught_up(&directory).await;
        store::shared(&config.cluster.snapshot_dir, store, &config.owners.url, &directory, &peers).await?;

        let membership = Arc::new(OnceLock::new());
        let (collector, wanted) = outbox::collect();
        let owners = Owners::new(Setup {
            log: Arc::new(Learning::over(Arc::clone(&kafka_log) as Arc<dyn Log>, codec.clone(), Handle::current())),
            codec: codec.clone(),
            settings: config.owners.clone(),
            outbox: collector,
            directory: Arc::clone(&directory),
            peers: Some(peers.clone()),
            vouch: vouch(&membership),
            snapshots: Some(snapshots(config)?),
            standbys: config.cluster.standbys,
        });
        let (background, app) = Background::start(config, &owners, health, wanted, codec, &kafka_log)?;
        let announcer = Announcer {
            topic: topics::partition_owners(&kafka),
            log: kafka_log,
            directory: Arc::clone(&directory),
            url: config.owners.url.clone(),
            instance: config.owners.instance.clone(),
            store,
        };
        background.announce(announcer, &owners);
        background.stand_by(&owners);
        let url = config.owners.url.clone();
        let succession = Succession { directory: Arc::clone(&directory), peers: peers.clone(), url };
        background.compare_stores(config, store, &directory, peers);
        let group = (config.common.partitions, config.cluster.session_timeout);
        let assignee = Arc::clone(&owners) as Arc<dyn Assignee>;
        let joined = Membership::join(&kafka, GROUP, group.0, group.1, assignee)?;
        assert!(membership.set(joined).is_ok(), "it is joined once");
        watch_health(health, &owners, &membership, &directory);
        let report = report(&config.owners, store, &owners, &membership);
        let receiver = Receiver::new(Arc::clone(&owners), key, report);
        let handed_over = AtomicBool::new(false);
        Ok(Self { owners, membership, app, receiver, background, succession, handed_over, _following: following })
    }

    /// The writing routes with their document.
    pub fn routes(&self) -> OpenApiRouter {
        http::routes(self.app.clone())
    }

    /// The routes for other instances and operators: beside the public ones, not among them, for they have limits of their
    /// own and are in no document.
    pub fn internal_routes(&self) -> Router {
        self.receiver.routes()
    }

    /// Hands every partition over: stops intake, waits (bounded) for what is in flight, writes snapshots, leaves the group,
    /// and waits (bounded) until others serve what was ours. Requests are still answered, from wherever their partition is
    /// served then.
    pub async fn hand_over(&self) {
        if self.handed_over.swap(true, Ordering::Relaxed) {
            return;
        }
        let (membership, ours) = (Arc::clone(&self.membership), self.owners.numbers());
        let owners = Arc::clone(&self.owners);
        let leave = move || {
            owners.stand_by_no_more();
            membership.wait().leave(HAND_OVER)
        };
        let left = tokio::task::spawn_blocking(leave).await;
        match left {
            Ok(true) => tracing::info!("every partition is handed over"),
            Ok(false) => tracing::warn!("not every partition was handed over in time"),
            Err(error) => tracing::error!(%error, "the partitions were not handed over in order"),
        }
        self.succession.wait(&ours).await;
    }

    /// Hands over what was not yet, and ends what runs in the background.
    pub async fn stop(self) {
        self.hand_over().await;
        self.background.stop().await;
        debug_assert!(self.owners.numbers().is_empty(), "whoever left the group has no partitions");
    }
}

/// Until it is, nobody knows where to send commands; what waits for it is dropped when the process is to end.
async fn caught_up(directory: &Directory) {
    while !directory.is_caught_up() {
        let _ = tokio::time::timeout(Duration::from_millis(100), directory.changed()).await;
    }
}

fn snapshots(config: &Config) -> anyhow::Result<Arc<Snapshots>> {
    let (folder, every_bytes) = (config.cluster.snapshot_dir.clone(), config.cluster.snapshot_bytes);
    Snapshots::open(SnapshotSettings { folder, every_bytes }, random::opaque_id)
        .context("starting the snapshots' thread")
}

/// Asks the group. An owner can be started before the membership has been put in its place: that is waited for.
fn vouch(membership: &Arc<OnceLock<Membership>>) -> Vouch {
    // The membership keeps the owners, so they must not keep it.
    let membership = Arc::downgrade(membership);
    Arc::new(move |partition, reply| match membership.upgrade() {
        Some(membership) => membership.wait().vouch(partition.number, reply),
        None => reply(false),
    })
}

fn report(
    settings: &OwnerSettings,
    store: Uuid,
    owners: &Arc<Owners>,
    membership: &Arc<OnceLock<Membership>>,
) -> impl Fn() -> Report + Send + Sync + 'static {
    let (instance, url) = (settings.instance.clone(), settings.url.clone());
    let (owners, membership) = (Arc::clone(owners), Arc::clone(membership));
    move || Report {
        instance: instance.clone(),
        url: url.clone(),
        store,
        member: membership.get().is_some_and(|it| it.standing().member),
        partitions: owners.statuses().iter().map(|(partition, status)| Row::of(*partition, status)).collect(),
    }
}

fn watch_health(
    health: &Health,
    owners: &Arc<Owners>,
    membership: &Arc<OnceLock<Membership>>,
    directory: &Arc<Directory>,
) {
    let (all, membership) = (Arc::clone(owners), Arc::clone(membership));
    health.register_probe("membership", move || match membership.get().map(Membership::standing) {
        Some(standing) if standing.member && standing.assigned.is_subset(&all.numbers()) => Ok(()),
        Some(standing) if standing.member => Err("a partition is ours and has no owner".to_owned()),
        _ => Err("not a member of the group that hands out partitions".to_owned()),
    });
    let owners = Arc::clone(owners);
    health.register_probe("partitions", move || owners.ready());
    let directory = Arc::clone(directory);
    health.register_probe("partition-owners", move || match directory.is_caught_up() {
        true => Ok(()),
        false => Err("it is not known yet who serves what".to_owned()),
    });
}

//! A whole local installation: topics, the payment sandbox, the three services and a front door on one port.
//!
//! The services are processes of their own, kept running; only the front door is in this process.

mod cli;
mod forget;
mod readiness;
mod running;
mod written;

pub(crate) use cli::pair;
pub use cli::{DevArgs, UpArgs, demo, run, stop_asked};
pub use forget::forget;
pub use running::Running;
pub use written::Written;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use domain::root::Context as EventContext;
use event_log::kafka::KafkaSettings;
use event_log::topics::{self, Layout};
use local_stack::Endpoints;
use service_kit::config::Env;
use tokio::net::TcpListener;

use crate::config::Tool;
use crate::front_door::{self, Door, Upstreams};
use crate::init::LOCAL_PARTITIONS;
use crate::local::LocalSecrets;
use crate::supervisor::{self, Policy, Say, Spawner};
use crate::topology::{self, Counts, Plan, Ports, Process};

/// What to bring up. The stack is up already.
#[derive(Clone)]
pub struct DevOptions {
    /// The stack.
    pub endpoints: Endpoints,
    /// Prefix of topics, groups, subjects and schemas; lets installations share a stack.
    pub namespace: String,
    /// Partitions of every event topic.
    pub partitions: u32,
    /// How many of each program run.
    pub counts: Counts,
    /// Where secrets, logs and process ids are kept; one installation at a time.
    pub folder: PathBuf,
    /// Where the services' programs are; beside ours, or where BOXOFFICE_BIN_DIR says, if left out.
    pub programs: Option<PathBuf>,
    /// The front door's port on loopback; a free one if left out.
    pub port: Option<u16>,
    /// Environment variables of the processes, `BOXOFFICE_…` or `SANDBOX_…`; they win over ours.
    pub overrides: BTreeMap<String, String>,
    /// When ended processes are started again.
    pub policy: Policy,
    /// Where progress is told.
    pub say: Say,
}

impl DevOptions {
    /// Four partitions, one of each program, a free port, and silence.
    pub fn new(endpoints: Endpoints, namespace: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        Self {
            endpoints,
            namespace: namespace.into(),
            partitions: LOCAL_PARTITIONS,
            counts: Counts::ONE,
            folder: folder.into(),
            programs: None,
            port: None,
            overrides: BTreeMap::new(),
            policy: Policy::default(),
            say: Arc::new(|_| {}),
        }
    }
}

impl std::fmt::Debug for DevOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevOptions").field("namespace", &self.namespace).field("folder", &self.folder).finish()
    }
}

/// Makes the topics and starts everything; [`Running::wait_ready`] waits until it can do its work.
///
/// # Errors
/// Another installation uses the folder, the port is taken, a program is missing, or the stack does not answer.
pub async fn start(options: DevOptions) -> anyhow::Result<Running> {
    // An Err only says that the process has installed one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let lock = lock(&options.folder)?;
    let programs = match &options.programs {
        Some(folder) => topology::all_in(folder)?,
        None => programs()?,
    };
    let (folder, say) = (options.folder.join("run"), Arc::clone(&options.say));
    tokio::task::spawn_blocking(move || supervisor::end_all(&folder, &*say)).await.context("clean up")??;
    let listener = listen(options.port)?;
    let plan = plan(&options, &listener)?;
    if make_topics(&options).await? {
        forget_snapshots(&plan)?;
    }
    Written::of(&plan).keep(&options.folder)?;
    let spawner = Spawner::start().context("start the thread that starts processes")?;
    if !spawner.ends_children() {
        (options.say)("setpriv is missing: if boxctl is killed, its services run on until the next start ends them");
    }
    let upstreams =
        Upstreams { command: authorities(&plan, Process::CommandApi)?, query: authorities(&plan, Process::QueryApi)? };
    let door = Door::new(upstreams, front_door::Limits::default());
    Ok(Running::start(plan, &programs, (listener, door), (spawner, options.policy), options.say, lock))
}

/// What would be started, without starting anything.
///
/// # Errors
/// An override is of no use, or the folder cannot be written.
pub fn describe(options: &DevOptions) -> anyhow::Result<Plan> {
    make_plan(options, options.port.unwrap_or(0))
}

fn plan(options: &DevOptions, listener: &TcpListener) -> anyhow::Result<Plan> {
    make_plan(options, listener.local_addr().context("ask for the front door's address")?.port())
}

fn make_plan(options: &DevOptions, port: u16) -> anyhow::Result<Plan> {
    let folder = &options.folder;
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let plan = Plan {
        endpoints: options.endpoints.clone(),
        namespace: options.namespace.clone(),
        partitions: options.partitions,
        counts: options.counts,
        base_url: format!("http://127.0.0.1:{port}"),
        ports: Ports::of(folder, options.counts.all())?,
        secrets: LocalSecrets::of(folder)?,
        overrides: options.overrides.clone(),
        folder: folder.clone(),
    };
    plan.check()?;
    let authority = plan.authority();
    fs::write(&authority, provider_sandbox::paypal::signing::AUTHORITY)
        .with_context(|| format!("write {}", authority.display()))?;
    Ok(plan)
}

fn programs() -> anyhow::Result<PathBuf> {
    let tool = Env::from_process().read(Tool::read)?;
    topology::programs(tool.programs.as_deref().map(Path::new))
}

/// Tells whether no event topic was there before: then this is a new stack.
async fn make_topics(options: &DevOptions) -> anyhow::Result<bool> {
    let DevOptions { endpoints, namespace, partitions, .. } = options;
    let settings = KafkaSettings::new(&endpoints.kafka, namespace, "boxctl");
    // Where there are three brokers, one of them may be away, as in production.
    let layout = if endpoints.brokers() < 3 { Layout::local(*partitions) } else { Layout::production(*partitions) };
    let report = topics::init(&settings, &endpoints.registry, layout).await;
    let report = report.with_context(|| format!("make the topics in Kafka at {}", endpoints.kafka))?;
    if !report.created.is_empty() || !report.copied.is_empty() {
        let (topics, schemas) = (report.created.len(), report.copied.len());
        (options.say)(&format!("topics: {topics} created, {schemas} schemas registered"));
    }
    Ok(EventContext::ALL.iter().all(|context| report.created.contains(&settings.name(context.topic()))))
}

/// Those of a stack that was wiped: nobody would go on beside them, because their log is lost.
fn forget_snapshots(plan: &Plan) -> anyhow::Result<()> {
    let folder = plan.snapshots();
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn listen(port: Option<u16>) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
    service_kit::http::listen(address).with_context(|| format!("listen on {address}; --port takes another"))
}

fn authorities(plan: &Plan, process: Process) -> anyhow::Result<Vec<http::uri::Authority>> {
    let one = |instance| {
        let text = format!("127.0.0.1:{}", plan.ports.get(instance));
        text.parse().with_context(|| format!("{text} is no address"))
    };
    plan.counts.instances(process).map(one).collect()
}

/// Locked as long as the file is open, also if we are killed.
fn lock(folder: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| format!("open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!("another boxctl uses {}; end it first", folder.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {}", path.display())),
    }
}

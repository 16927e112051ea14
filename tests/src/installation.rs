//! The real processes, supervised, for tests that kill them.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use domain::value::Role;
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::log::Partition;
use event_log::topics;
use local_stack::{Endpoints, Signal, find_root};
use ops::dev::{DevOptions, Running};
use ops::topology::{Counts, Instance, Process};
use schemas::{Codec, Registry};
use service_kit::random;
use sqlx::PgPool;
use tokio::sync::OnceCell;

use crate::cleanup::forget;
use crate::journal::{Claim, Journal};
use crate::shop::Shop;

/// How long all processes may take to be ready.
const READY: Duration = Duration::from_secs(120);

static BUILT: OnceCell<()> = OnceCell::const_new();

/// A Boxoffice whose services are processes.
pub struct Installation {
    /// What keeps them running.
    pub running: Running,
    shop: Shop,
    tokens: [String; 3],
}

/// A copy of the write side, from 1.
pub fn command_api(number: u16) -> Instance {
    Instance { process: Process::CommandApi, number }
}

impl Installation {
    /// Brings everything up on this stack, in a namespace of its own, with these settings beside short durations.
    ///
    /// # Panics
    /// If it does not come up.
    pub async fn start(endpoints: Endpoints, settings: &[(&str, &str)]) -> Self {
        Self::with(endpoints, Counts::ONE, settings).await
    }

    /// The same with so many processes of each program.
    ///
    /// # Panics
    /// If it does not come up.
    pub async fn with(endpoints: Endpoints, counts: Counts, settings: &[(&str, &str)]) -> Self {
        Self::try_start(endpoints, counts, settings).await.expect("the installation comes up")
    }

    async fn try_start(endpoints: Endpoints, counts: Counts, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        programs().await?;
        let namespace: String = format!("t{}", random::opaque_id().simple()).chars().take(14).collect();
        let folder = find_root()?.join("target/tmp/installations").join(&namespace);
        let ours = [("BOXOFFICE_TAKEOVER_GRACE_S", "1"), ("BOXOFFICE_STATUS_EVERY_MS", "1000")];
        let overrides = ours.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let overrides = overrides.collect();
        let say = Arc::new(|line: &str| eprintln!("{line}"));
        let options = DevOptions { overrides, say, counts, ..DevOptions::new(endpoints, namespace, folder) };
        let running = ops::dev::start(options).await?;
        running.wait_ready(READY).await?;
        let tokens = [
            running.token("organizer-1", &[Role::Organizer])?,
            running.token("admin-1", &[Role::Admin])?,
            running.token("support-1", &[Role::Support])?,
        ];
        let [organizer, admin, support] = &tokens;
        let shop = Shop::new(running.base_url(), &running.sandbox_url(), organizer, admin, support);
        Ok(Self { running, shop, tokens })
    }

    /// The same shop, with every request going to this one process.
    pub fn at(&self, instance: Instance) -> Shop {
        let [organizer, admin, support] = &self.tokens;
        Shop::new(&self.running.url(instance), &self.running.sandbox_url(), organizer, admin, support)
    }

    /// Waits until every process is ready, again if need be.
    ///
    /// # Panics
    /// If one does not come back.
    pub async fn wait_ready(&self) {
        self.running.wait_ready(READY).await.expect("every process comes back");
    }

    /// Kills a process as nothing else is killed: it learns nothing of it.
    ///
    /// # Panics
    /// If it does not run.
    pub async fn kill(&self, instance: impl Into<Instance>) {
        self.signal(instance, Signal::Kill).await;
    }

    /// Sends a signal to a process.
    ///
    /// # Panics
    /// If it does not run.
    pub async fn signal(&self, instance: impl Into<Instance>, signal: Signal) {
        self.running.kill(instance, signal).await.expect("it runs");
    }

    /// Which copy of the write side serves a partition, by the last claim in its log.
    ///
    /// # Panics
    /// If nobody has ever claimed it, or somebody unknown did.
    pub fn owner(&self, claims: &[Claim], partition: Partition) -> Instance {
        let last = claims.iter().rev().find(|claim| claim.partition == partition).expect("it was claimed");
        let mut all = self.running.plan().counts.instances(Process::CommandApi);
        all.find(|instance| self.running.url(*instance) == last.url).expect("only ours claim")
    }

    /// What a process counts under this name, all partitions together.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn metric(&self, instance: Instance, name: &str) -> f64 {
        let url = format!("{}/metrics", self.running.url(instance));
        let text = reqwest::get(url).await.expect("it answers").text().await.expect("it answers whole");
        let of_name = text
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' ')));
        of_name.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Reads every event topic from its beginning.
    ///
    /// # Panics
    /// If Kafka or the registry do not answer.
    pub async fn journal(&self) -> Journal {
        let (plan, endpoints) = (self.running.plan(), self.running.endpoints());
        let kafka = KafkaSettings::new(&endpoints.kafka, &plan.namespace, "test");
        let ids = topics::check(&kafka, &endpoints.registry, plan.partitions).await.expect("the topics are there");
        let codec = Codec::new(ids, Registry::new(&endpoints.registry).expect("the registry has an address"));
        let log = Arc::new(KafkaLog::connect(kafka).expect("the settings are good"));
        Journal::new(log, codec, plan.partitions)
    }

    /// A connection to Postgres.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn pool(&self) -> PgPool {
        PgPool::connect(&self.running.endpoints().postgres).await.expect("Postgres answers")
    }

    /// Stops every process, and forgets its files, topics and schemas.
    pub async fn stop(self) {
        self.running.stop().await;
        let plan = self.running.plan();
        forget(&plan.endpoints, &plan.namespace).await;
        let folder = plan.folder.clone();
        drop(self.running);
        drop(std::fs::remove_dir_all(folder));
    }
}

impl Deref for Installation {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}

/// Builds the programs once, and tells where they are.
///
/// # Errors
/// They cannot be built.
pub async fn programs() -> anyhow::Result<PathBuf> {
    // Programs are told apart from tests by their folder: `faults` was built together with those that it starts.
    if test_folder()?.is_some() {
        BUILT.get_or_try_init(|| async { tokio::task::spawn_blocking(build).await? }).await?;
    }
    ops::topology::programs(None)
}

/// The programs as the sources are now: testing yesterday's would tell nothing.
fn build() -> anyhow::Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--quiet", "--bins", "--profile", &profile()?])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    // The same packages as in `ops/test`, or features would differ and everything would be built anew.
    command.args(["-p", "ops"]);
    for process in Process::ALL {
        command.args(["-p", process.binary()]);
    }
    let built = command.status().context("run cargo")?;
    ensure!(built.success(), "the programs cannot be built");
    Ok(())
}

/// The profile that we were built with.
fn profile() -> anyhow::Result<String> {
    let folder = test_folder()?.context("only tests build")?;
    let name = folder.file_name().context("find the folder of programs")?;
    Ok(match name.to_string_lossy().as_ref() {
        "debug" => "dev".to_owned(),
        profile => profile.to_owned(),
    })
}

/// The folder of programs, if we are a test: tests lie in `<profile>/deps`.
fn test_folder() -> anyhow::Result<Option<PathBuf>> {
    let us = std::env::current_exe().context("find our own program")?;
    let deps = us.parent().filter(|folder| folder.ends_with("deps"));
    Ok(deps.and_then(Path::parent).map(Path::to_owned))
}

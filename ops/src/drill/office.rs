//! A box office on servers of its own, which may be hurt.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use local_stack::{EphemeralStack, Server, Signal, StackConfig};
use service_kit::{clock, random};
use tokio::time::sleep;

use crate::dev::{DevOptions, Running, start};
use crate::stack;
use crate::topology::{Counts, Instance, Process};

/// How long everything may take to be ready.
const READY: Duration = Duration::from_secs(120);
/// Whoever was killed answers again within so long.
const BACK: Duration = Duration::from_secs(60);
/// Between two questions.
const STEP: Duration = Duration::from_millis(50);
/// Short where a drill would otherwise wait for what only has to come some time.
const SETTINGS: [(&str, &str); 5] = [
    ("BOXOFFICE_TAKEOVER_GRACE_S", "2"),
    ("BOXOFFICE_HOLD_BACKSTOP_S", "30"),
    ("BOXOFFICE_STATUS_EVERY_MS", "2000"),
    ("BOXOFFICE_PROVIDER_TIMEOUT_MS", "1500"),
    ("BOXOFFICE_PROVIDER_ATTEMPTS", "2"),
];

/// A box office that runs, and the servers below it.
pub struct Office {
    /// What runs.
    pub running: Running,
    stack: EphemeralStack,
    folder: PathBuf,
    options: DevOptions,
}

impl Office {
    /// Brings servers and a box office up, two of each program.
    ///
    /// # Errors
    /// Something does not come up.
    pub async fn up(settings: &[(String, String)]) -> anyhow::Result<Self> {
        let started = tokio::task::spawn_blocking(|| EphemeralStack::start(&mut stack::say));
        let stack = started.await.context("wait for the servers")??;
        let id = random::opaque_id().simple().to_string();
        let namespace = format!("drill-{}", &id[..8]);
        let folder = local_stack::find_root()?.join("target/tmp/drill").join(&namespace);
        let mut options = DevOptions::new(stack.endpoints().clone(), &namespace, &folder);
        options.counts = Counts::TWO;
        options.overrides = SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        options.overrides.extend(settings.iter().cloned());
        options.say = Arc::new(stack::say);
        let office = Self { running: start(options.clone()).await?, stack, folder, options };
        match office.running.wait_ready(READY).await {
            Ok(()) => Ok(office),
            Err(error) => {
                office.down(true).await;
                Err(error)
            }
        }
    }

    /// `kill -9` of a command-api, which the supervisor starts again; how long until it was ready.
    ///
    /// # Errors
    /// It does not come back.
    pub async fn kill_writer(&self, number: u16) -> anyhow::Result<Duration> {
        let instance = Instance { process: Process::CommandApi, number };
        let (since, starts) = (clock::monotonic(), self.running.restarts(instance));
        self.running.kill(instance, Signal::Kill).await.with_context(|| format!("kill {instance}"))?;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1)).build()?;
        let url = format!("{}{}", self.running.url(instance), instance.process.ready_path());
        while since.elapsed() < BACK {
            sleep(STEP).await;
            let again = self.running.restarts(instance) > starts;
            if again && http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(since.elapsed());
            }
        }
        bail!("{instance} does not answer again within {} s", BACK.as_secs())
    }

    /// Ends the broker in order and starts it again; how long that took.
    ///
    /// # Errors
    /// It does not come back.
    pub async fn restart_broker(&self) -> anyhow::Result<Duration> {
        let (since, config): (Instant, StackConfig) = (clock::monotonic(), self.stack.config().clone());
        let restarted = tokio::task::spawn_blocking(move || local_stack::restart(&config, Server::Kafka));
        restarted.await.context("wait for the broker")??;
        Ok(since.elapsed())
    }

    /// Where logs and the sandbox's books are; whatever else lies there goes away with them.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills Kafka and deletes its data, as a disk does that dies, while services go on.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn lose_broker(&self) -> anyhow::Result<()> {
        self.servers(|config| local_stack::lose(config, Server::Kafka)).await
    }

    /// Ends the services and deletes everything that any server has, and every snapshot. Left are the secrets, and what
    /// providers know.
    ///
    /// # Errors
    /// Something cannot be ended or deleted.
    pub async fn destroy(&self) -> anyhow::Result<()> {
        self.running.stop().await;
        self.servers(|config| Server::ALL.iter().try_for_each(|server| local_stack::lose(config, *server))).await?;
        match std::fs::remove_dir_all(self.running.plan().snapshots()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).context("delete the snapshots"),
            _ => Ok(()),
        }
    }

    /// Starts the servers that were destroyed, with nothing in them.
    ///
    /// # Errors
    /// One does not start.
    pub async fn start_servers(&self) -> anyhow::Result<()> {
        self.servers(|config| local_stack::up(config, &mut |_| {}).map(drop)).await
    }

    /// Starts the services again, and waits until they can do their work.
    ///
    /// # Errors
    /// One does not.
    pub async fn start_services(self) -> anyhow::Result<Self> {
        let Self { running, stack, folder, options } = self;
        drop(running);
        let running = start(options.clone()).await?;
        running.wait_ready(READY).await?;
        Ok(Self { running, stack, folder, options })
    }

    async fn servers(
        &self,
        work: impl FnOnce(&StackConfig) -> anyhow::Result<()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let config = self.stack.config().clone();
        tokio::task::spawn_blocking(move || work(&config)).await.context("wait for servers")?
    }

    /// Stops everything and takes it away; logs and the sandbox's books stay if they are to be kept.
    pub async fn down(self, keep: bool) {
        self.running.stop().await;
        let Self { running, stack, folder, .. } = self;
        drop(running);
        // Ending servers takes its time.
        if tokio::task::spawn_blocking(move || drop(stack)).await.is_err() {
            stack::say("the servers were not taken down");
        }
        if keep {
            return stack::say(&format!("logs and the sandbox's books are kept in {}", folder.display()));
        }
        if let Err(error) = std::fs::remove_dir_all(&folder) {
            stack::say(&format!("{} is left behind: {error}", folder.display()));
        }
    }
}

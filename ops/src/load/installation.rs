//! A box office of its own for one measurement: brought up, filled with shows on sale, taken away.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use event_log::kafka::KafkaSettings;
use event_log::topics::{self, Layout};
use load::monitor::Watched;
use local_stack::{Endpoints, StackConfig};
use service_kit::random;

use crate::dev::{DevOptions, Running, forget, start};
use crate::stack;
use crate::topology::{Counts, Process};

/// How long everything may take to be ready.
const READY: Duration = Duration::from_secs(120);
/// Short where a run would otherwise end long before anything expires; else what a box office is set to.
const SETTINGS: [(&str, &str); 2] = [("BOXOFFICE_TAKEOVER_GRACE_S", "2"), ("BOXOFFICE_HOLD_BACKSTOP_S", "10")];

/// What an installation is to be like.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// On the servers that the tests share.
    pub tests: bool,
    /// Whether every append is on disk before it is answered (D1).
    pub synced: bool,
    /// Partitions of every topic.
    pub partitions: u32,
    /// How many of each program run.
    pub counts: Counts,
    /// Where the programs are; beside ours if left out.
    pub programs: Option<PathBuf>,
    /// More variables for the services.
    pub settings: Vec<(String, String)>,
}

/// A box office that runs.
#[derive(Debug)]
pub struct Installation {
    running: Running,
    config: StackConfig,
}

impl Installation {
    /// Brings it up on the servers asked for.
    ///
    /// # Errors
    /// Something does not come up.
    pub async fn up(wanted: &Wanted) -> anyhow::Result<Self> {
        let root = local_stack::find_root()?;
        let config = if wanted.tests { StackConfig::for_tests(&root) } else { StackConfig::local(&root) };
        let endpoints = stack::up(config.clone()).await?;
        let id = random::opaque_id().simple().to_string();
        let namespace = format!("load-{}", &id[..8]);
        let kafka = KafkaSettings::new(&endpoints.kafka, &namespace, "boxctl");
        topics::init(&kafka, &endpoints.registry, Layout::local(wanted.partitions)).await.context("make the topics")?;
        if wanted.synced {
            topics::sync_every_append(&kafka).await.context("have every append synced to disk")?;
        }
        let mut options = DevOptions::new(endpoints, &namespace, root.join("target/tmp/load").join(&namespace));
        options.partitions = wanted.partitions;
        options.counts = wanted.counts;
        options.programs.clone_from(&wanted.programs);
        options.overrides = SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        options.overrides.extend(wanted.settings.iter().cloned());
        options.say = Arc::new(stack::say);
        let running = start(options).await?;
        let installation = Self { running, config };
        if let Err(error) = installation.running.wait_ready(READY).await {
            installation.down(false).await;
            return Err(error);
        }
        Ok(installation)
    }

    /// What runs.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// The servers below.
    pub fn endpoints(&self) -> &Endpoints {
        self.running.endpoints()
    }

    /// Which servers those are.
    pub fn stack(&self) -> &StackConfig {
        &self.config
    }

    /// Where the instances of a program listen.
    ///
    /// # Errors
    /// An address of ours cannot be read.
    pub fn addresses(&self, process: Process) -> anyhow::Result<Vec<SocketAddr>> {
        let plan = self.running.plan();
        let one = |instance| {
            let url = plan.url(instance);
            url.trim_start_matches("http://").parse().with_context(|| format!("{url} is no address"))
        };
        plan.counts.instances(process).map(one).collect()
    }

    /// Everything to be watched: our processes, the servers below, and ourselves.
    ///
    /// # Errors
    /// The stack cannot be looked at.
    pub fn watched(&self) -> anyhow::Result<Watched> {
        let mut processes: BTreeMap<String, u32> = servers(&self.config)?;
        let plan = self.running.plan();
        let pids = plan.counts.all().filter_map(|it| Some((it.to_string(), self.running.pid(it)?)));
        processes.extend(pids);
        Ok(Watched {
            command: self.addresses(Process::CommandApi)?,
            projectors: self.addresses(Process::Projectors)?,
            processes,
        })
    }

    /// Stops it and, unless it is to be kept, takes away everything it made. What cannot be taken away is told.
    pub async fn down(self, keep: bool) {
        self.running.stop().await;
        let plan = self.running.plan();
        if keep {
            stack::say(&format!("namespace {} and {} are kept", plan.namespace, plan.folder.display()));
            return;
        }
        let folder = std::fs::remove_dir_all(&plan.folder).with_context(|| format!("remove {}", plan.folder.display()));
        let left = forget(&plan.endpoints, &plan.namespace).await;
        for error in folder.err().into_iter().chain(left) {
            stack::say(&format!("something is left behind: {error:#}"));
        }
    }
}

/// The servers of a stack that run, by their names.
///
/// # Errors
/// The stack cannot be looked at.
pub fn servers(config: &StackConfig) -> anyhow::Result<BTreeMap<String, u32>> {
    let all = local_stack::status(config)?;
    let running: BTreeMap<String, u32> =
        all.into_iter().filter_map(|it| Some((it.name.to_string(), it.pid?))).collect();
    ensure!(!running.is_empty(), "no server of the stack runs");
    Ok(running)
}

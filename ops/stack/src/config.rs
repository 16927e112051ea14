//! Where a stack keeps its files, and what its clients are told.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::servers::Server;
use crate::{ephemeral, world};

/// Where a stack lives and how durable it is.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// Data, ports and logs. Two stacks are the same if this is the same folder.
    pub folder: PathBuf,
    /// Downloaded servers; shared by any number of stacks and never wiped.
    pub cache: PathBuf,
    /// Whether the data may be lost when the machine (not merely a process) dies: Postgres then runs without fsync.
    pub ephemeral: bool,
    /// Durability class D1: Kafka syncs every append to disk before it answers.
    pub sync: bool,
    /// How many brokers there are, decided once for a stack.
    pub brokers: Brokers,
    /// The first broker's log lies on a disk of its own of so many bytes, which can be filled; decided once for a
    /// stack. Mounting it takes root.
    pub kafka_disk_bytes: Option<u64>,
}

/// How Kafka is made up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Brokers {
    /// One process for everything.
    #[default]
    One,
    /// Three, each of them a controller, too: one may be away, whichever it is.
    Three,
    /// Three, of which the first alone is controller: both others may be away at once, and the cluster notices it.
    ThreeOneController,
}

impl Brokers {
    /// The servers that make up this Kafka, the controller of all first.
    #[must_use]
    pub fn servers(self) -> &'static [Server] {
        match self {
            Self::One => &[Server::Kafka],
            Self::Three | Self::ThreeOneController => &[Server::Kafka, Server::Kafka2, Server::Kafka3],
        }
    }

    /// Which of them vote on who leads what.
    pub(crate) fn controllers(self) -> &'static [Server] {
        match self {
            Self::One | Self::ThreeOneController => &[Server::Kafka],
            Self::Three => self.servers(),
        }
    }
}

impl StackConfig {
    /// The stack of a checkout, whose data stay until they are wiped.
    pub fn local(root: &Path) -> Self {
        Self::new(root.join(".local/stack"), cache(root), false)
    }

    /// The stack that all tests of a checkout share; tests keep apart by namespaces.
    pub fn for_tests(root: &Path) -> Self {
        Self::new(root.join("target/test-stack"), cache(root), true)
    }

    /// A stack in a new temporary folder, for one test; [`EphemeralStack`](crate::EphemeralStack) also ends it.
    ///
    /// # Errors
    /// When no workspace is found to take the download cache from.
    pub fn ephemeral() -> Result<Self> {
        let cache = match world::servers_cache() {
            Some(cache) => cache,
            None => cache(&find_root()?),
        };
        Ok(Self::new(ephemeral::new_folder(), cache, true))
    }

    pub(crate) fn new(folder: PathBuf, cache: PathBuf, ephemeral: bool) -> Self {
        Self { folder, cache, ephemeral, sync: false, brokers: Brokers::One, kafka_disk_bytes: None }
    }

    /// The servers that run.
    pub(crate) fn servers(&self) -> Vec<Server> {
        Server::ALL.into_iter().filter(|it| !it.is_broker()).chain(self.brokers.servers().iter().copied()).collect()
    }

    /// The same with the folder as the servers' command lines name it: absolute, without links.
    pub(crate) fn resolved(&self) -> Self {
        let folder = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        Self { folder, ..self.clone() }
    }
}

/// Where the servers of a stack are reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// Kafka bootstrap addresses, `127.0.0.1:port`, separated by commas.
    pub kafka: String,
    /// Base URL of the schema registry's Confluent API, without a trailing slash.
    pub registry: String,
    /// Postgres URL of the superuser's database.
    pub postgres: String,
}

impl Endpoints {
    /// How many brokers there are.
    #[must_use]
    pub fn brokers(&self) -> usize {
        self.kafka.split(',').count()
    }
}

/// Finds the workspace: the nearest folder with `ops/pom.xml` above the running crate, else above the current folder.
///
/// # Errors
/// When neither lies inside a checkout.
pub fn find_root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("read the current folder")?;
    let starts = [world::crate_folder(), Some(here.clone())];
    let root = starts.iter().flatten().flat_map(|start| start.ancestors()).find(|it| it.join("ops/pom.xml").is_file());
    root.map(Path::to_owned)
        .with_context(|| format!("no workspace: neither {} nor a folder above it has ops/pom.xml", here.display()))
}

fn cache(root: &Path) -> PathBuf {
    world::servers_cache().unwrap_or_else(|| root.join(".local/servers"))
}

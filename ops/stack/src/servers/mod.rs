//! The three servers: what they are called, how they are recognized, started, probed and stopped.

mod kafka;
mod postgres;
mod registry;

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use serde::Serialize;

use crate::config::StackConfig;
use crate::download::{self, Tools};
use crate::ports::Ports;
use crate::process::{self, Signal};
use crate::{probe, shared_folder};

/// One server of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    /// One process that is Kafka broker and controller.
    Kafka,
    /// Apicurio Registry, spoken to through its Confluent API.
    Registry,
    /// Postgres.
    Postgres,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Server {
    /// Every server, the slowest to start first.
    pub const ALL: [Self; 3] = [Self::Registry, Self::Kafka, Self::Postgres];

    /// The name in files and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Registry => "registry",
            Self::Postgres => "postgres",
        }
    }

    /// The version that this build starts.
    #[must_use]
    pub fn version(self) -> &'static str {
        download::property(&format!("{self}.version"))
    }

    /// Its folder in the stack: data, settings and log.
    pub(crate) fn home(self, config: &StackConfig) -> PathBuf {
        config.folder.join(self.name())
    }

    pub(crate) fn log(self, config: &StackConfig) -> PathBuf {
        self.home(config).join("server.log")
    }

    /// The process that is this server of this stack, whoever started it.
    pub(crate) fn pid(self, config: &StackConfig) -> Option<u32> {
        let mark = match self {
            Self::Kafka | Self::Registry => vec![java_mark(self, config)],
            Self::Postgres => postgres::mark(config),
        };
        process::find(&mark)
    }

    /// Every process that does the server's work; Postgres has one for each client.
    pub(crate) fn processes(self, pid: u32) -> Vec<u32> {
        match self {
            Self::Kafka | Self::Registry => vec![pid],
            Self::Postgres => [pid].into_iter().chain(process::children(pid)).collect(),
        }
    }

    /// Makes settings and data ready where they are missing, and gives the command that runs the server.
    pub(crate) fn prepare(self, config: &StackConfig, ports: &Ports, tools: &Tools, say: Progress) -> Result<Command> {
        match self {
            Self::Kafka => kafka::prepare(config, ports, tools),
            Self::Registry => registry::prepare(config, ports, tools),
            Self::Postgres => postgres::prepare(config, ports, tools, say),
        }
    }

    /// Where its data are if they could not lie in its folder.
    pub(crate) fn data_elsewhere(self, config: &StackConfig) -> Option<PathBuf> {
        let home = self.home(config);
        let place = match self {
            Self::Kafka | Self::Registry => return None,
            Self::Postgres => shared_folder::reachable(&home),
        };
        (place != home).then_some(place)
    }

    /// Checks that the server does its work on this port.
    pub(crate) fn probe(self, port: u16) -> Result<()> {
        match self {
            Self::Kafka => probe::kafka(port),
            Self::Registry => probe::registry(port),
            Self::Postgres => probe::postgres(port),
        }
    }

    /// The signal upon which it ends in order, whatever its clients do.
    pub(crate) fn stop_signal(self) -> Signal {
        match self {
            Self::Kafka | Self::Registry => Signal::Terminate,
            Self::Postgres => Signal::Interrupt,
        }
    }
}

/// Told in a line what is going on.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(&str);

/// The argument by which a Java server is known to belong to a stack; Java itself ignores it.
fn java_mark(server: Server, config: &StackConfig) -> String {
    format!("-Dboxoffice.{server}={}", server.home(config).display())
}

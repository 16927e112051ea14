//! The servers: what they are called, how they are recognized, started, probed and stopped.

pub(crate) mod kafka;
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
    /// Kafka: its only broker, or the first of three; a controller, too.
    Kafka,
    /// Kafka's second broker, where there are three.
    #[serde(rename = "kafka-2")]
    Kafka2,
    /// Kafka's third broker, where there are three.
    #[serde(rename = "kafka-3")]
    Kafka3,
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
    /// The servers of a stack with one broker, the slowest to start first.
    pub const ALL: [Self; 3] = [Self::Registry, Self::Kafka, Self::Postgres];
    /// Every server of any stack.
    pub(crate) const ANY: [Self; 5] = [Self::Registry, Self::Kafka, Self::Kafka2, Self::Kafka3, Self::Postgres];

    /// The broker with this id, from 1.
    #[must_use]
    pub fn broker(id: i32) -> Option<Self> {
        [Self::Kafka, Self::Kafka2, Self::Kafka3].into_iter().find(|it| it.broker_id() == Some(id))
    }

    /// The id that Kafka calls this broker by.
    #[must_use]
    pub fn broker_id(self) -> Option<i32> {
        match self {
            Self::Kafka => Some(1),
            Self::Kafka2 => Some(2),
            Self::Kafka3 => Some(3),
            Self::Registry | Self::Postgres => None,
        }
    }

    pub(crate) fn is_broker(self) -> bool {
        self.broker_id().is_some()
    }

    /// The name in files and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Kafka2 => "kafka-2",
            Self::Kafka3 => "kafka-3",
            Self::Registry => "registry",
            Self::Postgres => "postgres",
        }
    }

    /// The version that this build starts.
    #[must_use]
    pub fn version(self) -> &'static str {
        let program = if self.is_broker() { Self::Kafka } else { self };
        download::property(&format!("{program}.version"))
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
            Self::Postgres => postgres::mark(config),
            _ => vec![java_mark(self, config)],
        };
        process::find(&mark)
    }

    /// Every process that does the server's work; Postgres has one for each client.
    pub(crate) fn processes(self, pid: u32) -> Vec<u32> {
        match self {
            Self::Postgres => [pid].into_iter().chain(process::children(pid)).collect(),
            _ => vec![pid],
        }
    }

    /// Makes settings and data ready where they are missing, and gives the command that runs the server.
    pub(crate) fn prepare(self, config: &StackConfig, ports: &Ports, tools: &Tools, say: Progress) -> Result<Command> {
        match self {
            Self::Kafka | Self::Kafka2 | Self::Kafka3 => kafka::prepare(self, config, ports, tools),
            Self::Registry => registry::prepare(config, ports, tools),
            Self::Postgres => postgres::prepare(config, ports, tools, say),
        }
    }

    /// The folder of its data, which it makes anew where it is missing.
    pub(crate) fn data(self, config: &StackConfig) -> PathBuf {
        match self {
            Self::Postgres => postgres::data(config),
            Self::Registry => self.home(config).join("data"),
            Self::Kafka | Self::Kafka2 | Self::Kafka3 => kafka::data(self, config),
        }
    }

    /// Where its data are if they could not lie in its folder.
    pub(crate) fn data_elsewhere(self, config: &StackConfig) -> Option<PathBuf> {
        let home = self.home(config);
        let place = match self {
            Self::Postgres => shared_folder::reachable(&home),
            _ => return None,
        };
        (place != home).then_some(place)
    }

    /// Checks that the server does its work on this port.
    pub(crate) fn probe(self, port: u16) -> Result<()> {
        match self {
            Self::Kafka | Self::Kafka2 | Self::Kafka3 => probe::kafka(port),
            Self::Registry => probe::registry(port),
            Self::Postgres => probe::postgres(port),
        }
    }

    /// The signal upon which it ends in order, whatever its clients do.
    pub(crate) fn stop_signal(self) -> Signal {
        match self {
            Self::Postgres => Signal::Interrupt,
            _ => Signal::Terminate,
        }
    }
}

/// Told in a line what is going on.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(&str);

/// The argument by which a Java server is known to belong to a stack; Java itself ignores it.
fn java_mark(server: Server, config: &StackConfig) -> String {
    format!("-Dboxoffice.{server}={}", server.home(config).display())
}

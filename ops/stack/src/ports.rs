//! The ports of a stack: chosen once, kept in its folder, so that clients reconnect after a restart.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::config::{Brokers, Endpoints};
use crate::servers::Server;
use crate::world::{now, random_id};

/// Below the range that systems hand to outgoing connections. A client that keeps dialling a dead server inside
/// that range may one day be given the same port and connect to itself, which would block the server's return.
const CHOICE: std::ops::Range<u16> = 20_000..32_000;

/// How long a port may stay taken after its server ended.
const LINGER: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    pub kafka: u16,
    pub kafka_controller: u16,
    /// Of the second and third broker: for clients and for controllers. Empty where there is one broker.
    #[serde(default)]
    pub more_brokers: Vec<(u16, u16)>,
    pub registry: u16,
    pub registry_management: u16,
    pub postgres: u16,
}

impl Ports {
    /// Reads the ports that a stack keeps, or `None` if it never ran.
    pub fn kept(folder: &Path) -> Result<Option<Self>> {
        let file = file(folder);
        match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .with_context(|| format!("{} does not hold ports; delete it to choose new ones", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
        }
    }

    /// Chooses different free ports and keeps them.
    pub fn choose(folder: &Path, brokers: Brokers) -> Result<Self> {
        let more_brokers = brokers.servers().len() - 1;
        let mut chosen: Vec<u16> = Vec::new();
        while chosen.len() < 5 + 2 * more_brokers {
            let port = free_port()?;
            if !chosen.contains(&port) {
                chosen.push(port);
            }
        }
        let ports = Self {
            kafka: chosen[0],
            kafka_controller: chosen[1],
            registry: chosen[2],
            registry_management: chosen[3],
            postgres: chosen[4],
            more_brokers: chosen[5..].chunks_exact(2).map(|two| (two[0], two[1])).collect(),
        };
        let text = serde_json::to_vec_pretty(&ports).expect("numbers are always JSON");
        let new = folder.join("ports.json.new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, file(folder)))
            .with_context(|| format!("write {}", file(folder).display()))?;
        Ok(ports)
    }

    pub fn of(&self, server: Server) -> u16 {
        match server {
            Server::Kafka | Server::Kafka2 | Server::Kafka3 => self.broker(server).0,
            Server::Registry => self.registry,
            Server::Postgres => self.postgres,
        }
    }

    /// A broker's ports for clients and for controllers.
    pub fn broker(&self, server: Server) -> (u16, u16) {
        let more = |index: usize| {
            *self.more_brokers.get(index).expect("a stack keeps as many ports as it had brokers when they were chosen")
        };
        match server {
            Server::Kafka2 => more(0),
            Server::Kafka3 => more(1),
            _ => (self.kafka, self.kafka_controller),
        }
    }

    pub fn endpoints(&self) -> Endpoints {
        let brokers = [self.kafka].into_iter().chain(self.more_brokers.iter().map(|(port, _)| *port));
        let brokers: Vec<String> = brokers.map(|port| format!("127.0.0.1:{port}")).collect();
        Endpoints {
            kafka: brokers.join(","),
            registry: format!("http://127.0.0.1:{}/apis/ccompat/v7", self.registry),
            postgres: format!("postgres://postgres@127.0.0.1:{}/postgres", self.postgres),
        }
    }

    /// Checks that nobody else listens on the ports of a server that is about to start.
    pub fn check_free(&self, server: Server, folder: &Path) -> Result<()> {
        let needed = match server {
            Server::Kafka | Server::Kafka2 | Server::Kafka3 => {
                let (clients, controllers) = self.broker(server);
                vec![clients, controllers]
            }
            Server::Registry => vec![self.registry, self.registry_management],
            Server::Postgres => vec![self.postgres],
        };
        for port in needed {
            let deadline = now() + LINGER;
            while !is_free(port) {
                if now() > deadline {
                    bail!(
                        "port {port}, which this stack keeps for {server}, is taken by another process; \
                         end that one, or take the stack down and delete {} to choose new ports",
                        file(folder).display()
                    );
                }
                sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    }
}

/// A port of the loopback address that nobody listens on now.
///
/// # Errors
/// When no free port is found.
pub fn free_port() -> Result<u16> {
    let width = u128::from(CHOICE.end - CHOICE.start);
    for _ in 0..200 {
        let offset = u16::try_from(random_id().as_u128() % width).expect("the width of the range fits");
        let port = CHOICE.start + offset;
        if is_free(port) {
            return Ok(port);
        }
    }
    bail!("no free port found on the loopback address between {} and {}", CHOICE.start, CHOICE.end)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn file(folder: &Path) -> PathBuf {
    folder.join("ports.json")
}

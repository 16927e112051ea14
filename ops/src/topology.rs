//! Which processes make up a local installation, and what each is told by its environment.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use local_stack::{Endpoints, free_port};
use serde::{Deserialize, Serialize};
use service_kit::config::Variable;

use crate::local::LocalSecrets;
use crate::supervisor::Spec;

/// A process of a local installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Process {
    /// Plays the payment provider.
    Sandbox,
    /// The write side.
    CommandApi,
    /// Fills the read models.
    Projectors,
    /// The read side.
    QueryApi,
}

impl Process {
    /// Every one, in the order they are started in.
    pub const ALL: [Self; 4] = [Self::Sandbox, Self::CommandApi, Self::Projectors, Self::QueryApi];

    /// Every one, in the order they are stopped in: who writes first.
    pub const STOPPING: [Self; 4] = [Self::CommandApi, Self::Projectors, Self::QueryApi, Self::Sandbox];

    /// The name of its program and of its files.
    pub fn binary(self) -> &'static str {
        match self {
            Self::Sandbox => "provider-sandbox",
            Self::CommandApi => "command-api",
            Self::Projectors => "projectors",
            Self::QueryApi => "query-api",
        }
    }

    /// What answers 200 once it can do its work.
    pub fn ready_path(self) -> &'static str {
        match self {
            Self::Sandbox => "/_control/summary",
            Self::CommandApi | Self::Projectors | Self::QueryApi => "/readyz",
        }
    }

    /// The variables that it declares; the sandbox, which stands for somebody else, has flags instead.
    pub fn variables(self) -> Vec<Variable> {
        match self {
            Self::Sandbox => Vec::new(),
            Self::CommandApi => command_api::config::variables(),
            Self::Projectors => projectors::variables(),
            Self::QueryApi => query_api::config::variables(),
        }
    }
}

/// Each process's own port on loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    sandbox: u16,
    command_api: u16,
    projectors: u16,
    query_api: u16,
}

impl Ports {
    /// Those that a folder keeps, so that links of the payment provider stay good, or others if one is taken.
    ///
    /// # Errors
    /// No port is free, or the file cannot be written.
    pub fn of(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("ports.json");
        let kept = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        if let Some(kept) = kept.filter(|kept| Process::ALL.into_iter().all(|it| is_free(kept.get(it)))) {
            return Ok(kept);
        }
        let mut chosen = Vec::new();
        while chosen.len() < Process::ALL.len() {
            let port = free_port()?;
            if !chosen.contains(&port) {
                chosen.push(port);
            }
        }
        let ports = Self { sandbox: chosen[0], command_api: chosen[1], projectors: chosen[2], query_api: chosen[3] };
        let text = serde_json::to_vec(&ports).context("write ports as JSON")?;
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(ports)
    }

    /// The port of one.
    pub fn get(&self, process: Process) -> u16 {
        match process {
            Process::Sandbox => self.sandbox,
            Process::CommandApi => self.command_api,
            Process::Projectors => self.projectors,
            Process::QueryApi => self.query_api,
        }
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Everything that the processes' environments are made from.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The local stack.
    pub endpoints: Endpoints,
    /// Prefix of topics, groups, subjects and schemas.
    pub namespace: String,
    /// Partitions of every event topic.
    pub partitions: u32,
    /// Where clients come in.
    pub base_url: String,
    /// Where the processes listen.
    pub ports: Ports,
    /// What they sign and encrypt by.
    pub secrets: LocalSecrets,
    /// Variables that were asked for; they win over ours.
    pub overrides: BTreeMap<String, String>,
    /// Where logs, process ids and the sandbox's books are.
    pub folder: PathBuf,
}

impl Plan {
    /// Refuses an override that no process reads.
    ///
    /// # Errors
    /// It names the variable.
    pub fn check(&self) -> anyhow::Result<()> {
        let known: Vec<&str> = Process::ALL.iter().flat_map(|it| it.variables()).map(|it| it.name).collect();
        let unknown =
            self.overrides.keys().find(|name| !name.starts_with("SANDBOX_") && !known.contains(&name.as_str()));
        match unknown {
            Some(name) => bail!("no process reads {name}; see `boxctl config`"),
            None => Ok(()),
        }
    }

    /// Where a process is reached.
    pub fn url(&self, process: Process) -> String {
        format!("http://127.0.0.1:{}", self.ports.get(process))
    }

    /// The file that a process's output is appended to.
    pub fn log(&self, process: Process) -> PathBuf {
        self.folder.join("logs").join(process.binary()).with_extension("log")
    }

    /// Where the ids of running processes are kept.
    pub fn run_folder(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// What a process is told: no more than it asks for.
    pub fn environment(&self, process: Process) -> BTreeMap<String, String> {
        let mut told = match process {
            Process::Sandbox => self.sandbox(),
            Process::CommandApi | Process::Projectors | Process::QueryApi => self.service(process),
        };
        told.extend(self.overrides.iter().map(|(name, value)| (name.clone(), value.clone())));
        let declared: Vec<&str> = process.variables().iter().map(|it| it.name).collect();
        told.retain(|name, _| match process {
            Process::Sandbox => name.starts_with("SANDBOX_"),
            _ => declared.contains(&name.as_str()),
        });
        told
    }

    /// How a process is run; its program is in `programs`.
    pub fn spec(&self, process: Process, programs: &Path) -> Spec {
        let every = Process::ALL.iter().flat_map(|it| it.variables()).map(|it| it.name.to_owned());
        Spec {
            name: process.binary().to_owned(),
            program: programs.join(process.binary()),
            args: Vec::new(),
            env: self.environment(process),
            unset: every.chain(self.sandbox().into_keys()).chain(["SANDBOX_DESCRIPTION_LIMIT".to_owned()]).collect(),
            log: self.log(process),
            pid_file: self.run_folder().join(process.binary()).with_extension("pid"),
        }
    }

    fn service(&self, process: Process) -> BTreeMap<String, String> {
        let (secrets, sandbox) = (&self.secrets, self.url(Process::Sandbox));
        map([
            ("BOXOFFICE_KAFKA", self.endpoints.kafka.clone()),
            ("BOXOFFICE_REGISTRY", self.endpoints.registry.clone()),
            ("BOXOFFICE_POSTGRES", self.endpoints.postgres.clone()),
            ("BOXOFFICE_NAMESPACE", self.namespace.clone()),
            ("BOXOFFICE_PARTITIONS", self.partitions.to_string()),
            ("BOXOFFICE_LISTEN", format!("127.0.0.1:{}", self.ports.get(process))),
            ("BOXOFFICE_PUBLIC_URL", self.base_url.clone()),
            // Shorter than a supervisor's patience.
            ("BOXOFFICE_SHUTDOWN_S", "5".to_owned()),
            ("BOXOFFICE_SECRET", secrets.secret.clone()),
            ("BOXOFFICE_MASTER_KEY", secrets.master_key.clone()),
            ("BOXOFFICE_TICKET_KEY", secrets.ticket_key.clone()),
            ("BOXOFFICE_TOKEN_KEY", secrets.token_key.clone()),
            ("BOXOFFICE_PAYOS_PAGE", format!("{sandbox}/pay/{{id}}")),
            ("BOXOFFICE_PAYOS_URL", sandbox),
            ("BOXOFFICE_PAYOS_CLIENT_ID", secrets.payos_client_id.clone()),
            ("BOXOFFICE_PAYOS_API_KEY", secrets.payos_api_key.clone()),
            ("BOXOFFICE_PAYOS_CHECKSUM_KEY", secrets.payos_checksum_key.clone()),
        ])
    }

    fn sandbox(&self) -> BTreeMap<String, String> {
        let books = match self.namespace.as_str() {
            "" => "sandbox.jsonl".to_owned(),
            namespace => format!("sandbox-{namespace}.jsonl"),
        };
        map([
            ("SANDBOX_LISTEN", format!("127.0.0.1:{}", self.ports.sandbox)),
            ("SANDBOX_CLIENT_ID", self.secrets.payos_client_id.clone()),
            ("SANDBOX_API_KEY", self.secrets.payos_api_key.clone()),
            ("SANDBOX_CHECKSUM_KEY", self.secrets.payos_checksum_key.clone()),
            ("SANDBOX_WEBHOOK_URL", format!("{}/v1/payments/payos/notify", self.base_url)),
            ("SANDBOX_STATE", self.folder.join(books).display().to_string()),
        ])
    }
}

fn map<const N: usize>(values: [(&str, String); N]) -> BTreeMap<String, String> {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The folder that holds every program: that of the running one, or the one asked for.
///
/// # Errors
/// A program is in neither.
pub fn programs(asked: Option<&Path>) -> anyhow::Result<PathBuf> {
    let us = std::env::current_exe().context("find our own program")?;
    // Test binaries lie in `deps`, one folder below the programs.
    let beside = us.ancestors().skip(1).take(2).map(Path::to_owned);
    let candidates: Vec<PathBuf> = beside.chain(asked.map(Path::to_owned)).collect();
    let missing = |folder: &&PathBuf| Process::ALL.iter().all(|it| folder.join(it.binary()).is_file());
    match candidates.iter().find(missing) {
        Some(folder) => Ok(folder.clone()),
        None => bail!(
            "the programs {} are not all in {}; build them with `cargo build --workspace --bins`, or set BOXOFFICE_BIN_DIR",
            Process::ALL.map(Process::binary).join(", "),
            candidates.iter().map(|it| it.display().to_string()).collect::<Vec<_>>().join(" or ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_kit::config::Env;

    fn plan() -> Plan {
        let folder = tempfile::tempdir().unwrap();
        let endpoints = Endpoints {
            kafka: "127.0.0.1:1".to_owned(),
            registry: "http://127.0.0.1:2/apis/ccompat/v7".to_owned(),
            postgres: "postgres://postgres@127.0.0.1:3/postgres".to_owned(),
        };
        Plan {
            endpoints,
            namespace: "t1".to_owned(),
            partitions: 2,
            base_url: "http://127.0.0.1:8080".to_owned(),
            ports: Ports { sandbox: 11, command_api: 12, projectors: 13, query_api: 14 },
            secrets: LocalSecrets::of(folder.path()).unwrap(),
            overrides: BTreeMap::new(),
            folder: folder.path().to_owned(),
        }
    }

    #[test]
    fn every_service_understands_what_it_is_told() {
        let plan = plan();
        let command = Env::from_map(plan.environment(Process::CommandApi)).read(command_api::config::Config::read);
        let command = command.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((command.common.namespace.as_str(), command.common.listen.port()), ("t1", 12));
        assert_eq!(command.payments.payos.map(|it| it.url), Some("http://127.0.0.1:11".to_owned()));
        let projectors = Env::from_map(plan.environment(Process::Projectors)).read(projectors::Config::read);
        assert_eq!(projectors.map(|it| it.common.partitions), Ok(2).map_err(|()| unreachable!()));
        let query = Env::from_map(plan.environment(Process::QueryApi)).read(query_api::config::Config::read);
        assert!(query.is_ok_and(|it| it.common.listen.port() == 14));
    }

    #[test]
    fn a_process_is_told_only_what_it_asks_for() {
        let plan = plan();
        let told = plan.environment(Process::Projectors);
        assert!(told.contains_key("BOXOFFICE_POSTGRES"));
        assert!(!told.contains_key("BOXOFFICE_MASTER_KEY") && !told.contains_key("BOXOFFICE_TOKEN_KEY"), "{told:?}");
        assert!(!plan.environment(Process::CommandApi).contains_key("BOXOFFICE_POSTGRES"));
        assert!(plan.environment(Process::Sandbox).keys().all(|name| name.starts_with("SANDBOX_")));
    }

    #[test]
    fn an_override_wins_and_an_unknown_one_is_refused() {
        let mut plan = plan();
        plan.overrides = map([("BOXOFFICE_LOG", "debug".to_owned()), ("SANDBOX_DESCRIPTION_LIMIT", "9".to_owned())]);
        plan.check().unwrap();
        assert_eq!(plan.environment(Process::CommandApi)["BOXOFFICE_LOG"], "debug");
        assert_eq!(plan.environment(Process::Sandbox)["SANDBOX_DESCRIPTION_LIMIT"], "9");
        plan.overrides = map([("BOXOFFICE_LOGS", "debug".to_owned())]);
        assert!(plan.check().unwrap_err().to_string().contains("BOXOFFICE_LOGS"));
    }

    #[test]
    fn ports_are_kept_unless_one_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let first = Ports::of(folder.path()).unwrap();
        assert_eq!(Ports::of(folder.path()).unwrap(), first);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first.query_api)).unwrap();
        assert_ne!(Ports::of(folder.path()).unwrap(), first);
    }
}

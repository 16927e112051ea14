//! Which processes make up a local installation, and what each is told by its environment.

mod instance;
mod ports;

pub use instance::{Counts, Instance, Process};
pub use ports::Ports;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use local_stack::Endpoints;

use crate::local::LocalSecrets;
use crate::supervisor::Spec;

/// Who does not answer Kafka for so long has lost its partitions: short, because here nothing is far away, and somebody
/// watches.
const SESSION_TIMEOUT_MS: u32 = 2000;

/// What tests may set beside the variables that processes declare. In a build without the switches nobody reads them.
pub const TEST_ONLY: [&str; 4] =
    ["BOXOFFICE_CRASH_AT", "BOXOFFICE_CRASH_FILE", "BOXOFFICE_CLOCK_DIR", "BOXOFFICE_PRODUCER_PROPERTIES"];

/// Everything that the processes' environments are made from.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The local stack.
    pub endpoints: Endpoints,
    /// Prefix of topics, groups, subjects and schemas.
    pub namespace: String,
    /// Partitions of every event topic.
    pub partitions: u32,
    /// How many of each program run.
    pub counts: Counts,
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
        let declared = Process::ALL.iter().flat_map(|it| it.variables()).map(|it| it.name);
        let known: Vec<&str> = declared.chain(TEST_ONLY).collect();
        let unknown =
            self.overrides.keys().find(|name| !name.starts_with("SANDBOX_") && !known.contains(&name.as_str()));
        match unknown {
            Some(name) => bail!("no process reads {name}; see `boxctl config`"),
            None => Ok(()),
        }
    }

    /// Where a process is reached.
    pub fn url(&self, instance: impl Into<Instance>) -> String {
        format!("http://{}", self.listen(instance.into()))
    }

    /// The file that a process's output is appended to.
    pub fn log(&self, instance: impl Into<Instance>) -> PathBuf {
        self.folder.join("logs").join(format!("{}.log", instance.into()))
    }

    /// Where command-apis keep snapshots, all of them in one folder: whoever takes a partition over finds the last one.
    pub fn snapshots(&self) -> PathBuf {
        let name = if self.namespace.is_empty() { "default" } else { &self.namespace };
        self.folder.join("snapshots").join(name)
    }

    /// Where the ids of running processes are kept.
    pub fn run_folder(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// What a process is told: no more than it asks for.
    pub fn environment(&self, instance: impl Into<Instance>) -> BTreeMap<String, String> {
        let instance = instance.into();
        let mut told = match instance.process {
            Process::Sandbox => self.sandbox(),
            Process::CommandApi | Process::Projectors | Process::QueryApi => self.service(instance),
        };
        told.extend(self.overrides.iter().map(|(name, value)| (name.clone(), value.clone())));
        let declared: Vec<&str> = instance.process.variables().iter().map(|it| it.name).collect();
        told.retain(|name, _| match instance.process {
            Process::Sandbox => name.starts_with("SANDBOX_"),
            _ => declared.contains(&name.as_str()) || TEST_ONLY.contains(&name.as_str()),
        });
        told
    }

    /// How a process is run; its program is in `programs`.
    pub fn spec(&self, instance: impl Into<Instance>, programs: &Path) -> Spec {
        let instance = instance.into();
        let every = Process::ALL.iter().flat_map(|it| it.variables()).map(|it| it.name.to_owned());
        Spec {
            name: instance.to_string(),
            program: programs.join(instance.process.binary()),
            args: Vec::new(),
            env: self.environment(instance),
            unset: every.chain(self.sandbox().into_keys()).chain(["SANDBOX_DESCRIPTION_LIMIT".to_owned()]).collect(),
            log: self.log(instance),
            pid_file: self.run_folder().join(format!("{instance}.pid")),
        }
    }

    fn listen(&self, instance: Instance) -> String {
        format!("127.0.0.1:{}", self.ports.get(instance))
    }

    fn service(&self, instance: Instance) -> BTreeMap<String, String> {
        let (secrets, sandbox) = (&self.secrets, self.url(Process::Sandbox));
        let providers = self.provider_keys().for_a_shop(&sandbox, &self.authority());
        let mut told = map(providers);
        told.extend(map([
            ("BOXOFFICE_KAFKA", self.endpoints.kafka.clone()),
            ("BOXOFFICE_REGISTRY", self.endpoints.registry.clone()),
            ("BOXOFFICE_POSTGRES", self.endpoints.postgres.clone()),
            ("BOXOFFICE_NAMESPACE", self.namespace.clone()),
            ("BOXOFFICE_PARTITIONS", self.partitions.to_string()),
            ("BOXOFFICE_INSTANCE", instance.to_string()),
            ("BOXOFFICE_LISTEN", self.listen(instance)),
            ("BOXOFFICE_ADVERTISED_URL", self.url(instance)),
            ("BOXOFFICE_PUBLIC_URL", self.base_url.clone()),
            ("BOXOFFICE_TRUSTED_PROXIES", "1".to_owned()),
            // Everybody here has the same address.
            ("BOXOFFICE_JOINS_PER_ADDRESS_PER_MIN", "0".to_owned()),
            ("BOXOFFICE_SESSION_TIMEOUT_MS", SESSION_TIMEOUT_MS.to_string()),
            ("BOXOFFICE_SNAPSHOT_DIR", self.snapshots().display().to_string()),
            // Shorter than a supervisor's patience.
            ("BOXOFFICE_SHUTDOWN_S", "5".to_owned()),
            ("BOXOFFICE_SECRET", secrets.secret.clone()),
            ("BOXOFFICE_MASTER_KEY", secrets.master_key.clone()),
            ("BOXOFFICE_TICKET_KEY", secrets.ticket_key.clone()),
            ("BOXOFFICE_TOKEN_KEY", secrets.token_key.clone()),
        ]));
        told
    }

    /// PayOS has keys of this installation; the others those that the sandbox is known for.
    fn provider_keys(&self) -> provider_sandbox::Settings {
        let secrets = &self.secrets;
        provider_sandbox::Settings {
            client_id: secrets.payos_client_id.clone(),
            api_key: secrets.payos_api_key.clone(),
            checksum_key: secrets.payos_checksum_key.clone(),
            ..provider_sandbox::Settings::default()
        }
    }

    /// The file with the roots of the sandbox's certificates.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("paypal-ca.pem")
    }

    fn sandbox(&self) -> BTreeMap<String, String> {
        let books = match self.namespace.as_str() {
            "" => "sandbox.jsonl".to_owned(),
            namespace => format!("sandbox-{namespace}.jsonl"),
        };
        map([
            ("SANDBOX_LISTEN", self.listen(Process::Sandbox.into())),
            ("SANDBOX_CLIENT_ID", self.secrets.payos_client_id.clone()),
            ("SANDBOX_API_KEY", self.secrets.payos_api_key.clone()),
            ("SANDBOX_CHECKSUM_KEY", self.secrets.payos_checksum_key.clone()),
            ("SANDBOX_WEBHOOK_BASE_URL", self.base_url.clone()),
            ("SANDBOX_STATE", self.folder.join(books).display().to_string()),
        ])
    }
}

fn map<'a>(values: impl IntoIterator<Item = (&'a str, String)>) -> BTreeMap<String, String> {
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

/// This folder, as a whole path, if it holds every program.
///
/// # Errors
/// One is missing.
pub fn all_in(folder: &Path) -> anyhow::Result<PathBuf> {
    let folder = folder.canonicalize().with_context(|| format!("find {}", folder.display()))?;
    match Process::ALL.into_iter().map(Process::binary).find(|name| !folder.join(name).is_file()) {
        Some(name) => bail!("{} has no {name}", folder.display()),
        None => Ok(folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_kit::config::Env;

    fn ports() -> Ports {
        Ports::from([
            (Process::Sandbox.into(), 11),
            (Process::CommandApi.into(), 12),
            (Process::Projectors.into(), 13),
            (Process::QueryApi.into(), 14),
            (Instance { process: Process::CommandApi, number: 2 }, 22),
        ])
    }

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
            counts: Counts::TWO,
            base_url: "http://127.0.0.1:8080".to_owned(),
            ports: ports(),
            secrets: LocalSecrets::of(folder.path()).unwrap(),
            overrides: BTreeMap::new(),
            folder: folder.path().to_owned(),
        }
    }

    #[test]
    fn every_service_understands_what_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan { folder: folder.path().to_owned(), ..plan() };
        let command = Env::from_map(plan.environment(Process::CommandApi)).read(command_api::config::Config::read);
        let command = command.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((command.common.namespace.as_str(), command.common.listen.port()), ("t1", 12));
        let (providers, sandbox) = (&command.payments.providers, "http://127.0.0.1:11");
        assert_eq!(providers.payos.as_ref().map(|it| it.url.as_str()), Some(sandbox));
        std::fs::write(plan.authority(), provider_sandbox::paypal::signing::AUTHORITY).unwrap();
        let gateways = providers.gateways(&command.common.public_url).unwrap();
        let offered: Vec<_> = gateways.offered().map(|(provider, _)| provider.as_str()).collect();
        assert_eq!(offered, ["payos", "stripe", "vnpay", "zalopay", "paypal"]);
        let projectors = Env::from_map(plan.environment(Process::Projectors)).read(projectors::Config::read);
        assert_eq!(projectors.map(|it| it.common.partitions), Ok(2).map_err(|()| unreachable!()));
        let query = Env::from_map(plan.environment(Process::QueryApi)).read(query_api::config::Config::read);
        let query = query.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(query.common.listen.port(), 14);
        // What buyers are offered is what can be collected.
        let codes =
            |codes: &[domain::value::Currency]| -> Vec<String> { codes.iter().map(ToString::to_string).collect() };
        let collected = gateways.offered().map(|(provider, takes)| (provider.as_str().to_owned(), codes(takes)));
        let shown = query.payment_methods.into_iter().map(|it| (it.provider, it.currencies));
        assert_eq!(shown.collect::<Vec<_>>(), collected.collect::<Vec<_>>());
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
    fn copies_of_a_program_share_snapshots_and_nothing_else_of_their_own() {
        let plan = plan();
        let [first, second] = [1, 2].map(|number| Instance { process: Process::CommandApi, number });
        let (ours, theirs) = (plan.environment(first), plan.environment(second));
        assert_eq!(ours["BOXOFFICE_LISTEN"], "127.0.0.1:12");
        assert_eq!(theirs["BOXOFFICE_LISTEN"], "127.0.0.1:22");
        assert_eq!(ours.get("BOXOFFICE_SNAPSHOT_DIR"), theirs.get("BOXOFFICE_SNAPSHOT_DIR"));
        assert_ne!(plan.log(first), plan.log(second));
        assert!(plan.snapshots().starts_with(&plan.folder) && plan.snapshots().ends_with("snapshots/t1"));
        let (ours, theirs) = (plan.spec(first, Path::new("/p")), plan.spec(second, Path::new("/p")));
        assert_eq!(
            (ours.program, ours.name.as_str(), theirs.name.as_str()),
            (theirs.program, "command-api-1", "command-api-2")
        );
        assert_ne!(ours.pid_file, theirs.pid_file);
    }
}

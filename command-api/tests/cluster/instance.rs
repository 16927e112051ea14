//! An installation of one namespace, and its instances: real processes that can be stopped, killed and frozen.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use command_api::cluster::peers::Peers;
use command_api::cluster::report::Report;
use command_api::cluster::signature::InternalKey;
use domain::value::Role;
use event_log::kafka::KafkaSettings;
use event_log::topics::{self, Layout};
use local_stack::{Endpoints, StackConfig, find_root};
use service_kit::auth::{NewToken, mint_bearer};
use service_kit::config::{Env, Secrets};
use service_kit::keys::Secret32;
use service_kit::{clock, random};
use tokio::time::{Instant, sleep};

pub const PARTITIONS: u32 = 4;
pub const PATIENCE: Duration = Duration::from_secs(40);
/// A frozen or killed instance loses its partitions after so long.
pub const SESSION_MS: &str = "2000";

/// One Boxoffice, whose instances share topics, keys and the store of snapshots.
pub struct Installation {
    endpoints: Endpoints,
    pub namespace: String,
    folder: PathBuf,
}

pub struct Instance {
    pub name: &'static str,
    pub url: String,
    process: Child,
    output: PathBuf,
}

impl Installation {
    pub async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let up = || local_stack::up(&StackConfig::for_tests(&find_root().unwrap()), &mut |line| eprintln!("{line}"));
        let endpoints = tokio::task::spawn_blocking(up).await.unwrap().unwrap();
        let namespace: String = format!("c{}", random::opaque_id().simple()).chars().take(12).collect();
        let kafka = KafkaSettings::new(&endpoints.kafka, &namespace, "test");
        topics::init(&kafka, &endpoints.registry, Layout::local(PARTITIONS)).await.unwrap();
        let folder = find_root().unwrap().join("target/tmp/clusters").join(&namespace);
        std::fs::create_dir_all(&folder).unwrap();
        Self { endpoints, namespace, folder }
    }

    /// Starts an instance and does not wait for it.
    pub fn start(&self, name: &'static str) -> Instance {
        self.start_with(name, &[])
    }

    /// As `start`, with other settings.
    pub fn start_with(&self, name: &'static str, settings: &[(&str, &str)]) -> Instance {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let listen = format!("127.0.0.1:{port}");
        let output = self.folder.join(format!("{name}-{port}.log"));
        let log = File::create(&output).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_command-api"));
        command.envs(self.environment()).env("BOXOFFICE_INSTANCE", name).env("BOXOFFICE_LISTEN", &listen);
        command.envs(settings.iter().copied()).stdin(Stdio::null());
        let process = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Instance { name, url: format!("http://{listen}"), process, output }
    }

    /// Starts instances one after the other, and waits until they have shared the partitions out evenly.
    pub async fn start_all<const N: usize>(&self, names: [&'static str; N]) -> [Instance; N] {
        let all = names.map(|name| self.start(name));
        self.until_shared(&all.iter().collect::<Vec<_>>()).await;
        all
    }

    /// Waits until these instances serve every partition between them, each its fair share.
    pub async fn until_shared(&self, instances: &[&Instance]) {
        let (count, deadline) = (instances.len(), Instant::now() + PATIENCE);
        let share = PARTITIONS as usize / count;
        loop {
            let mut served = Vec::new();
            for instance in instances {
                served.push(self.served(instance).await.unwrap_or_default());
            }
            let all: BTreeSet<u32> = served.iter().flatten().copied().collect();
            if all.len() == PARTITIONS as usize && served.iter().all(|its| its.len() >= share) {
                break;
            }
            assert!(Instant::now() < deadline, "{served:?}\n{}", instances[0].warnings());
            sleep(Duration::from_millis(50)).await;
        }
        for instance in instances {
            instance.until_ready().await;
        }
    }

    /// The numbers that an instance serves in every context; nothing if it does not answer.
    pub async fn served(&self, instance: &Instance) -> Option<BTreeSet<u32>> {
        let report = self.report(instance).await?;
        let whole = |number: &u32| {
            let rows = report.partitions.iter().filter(|row| row.partition == *number);
            rows.clone().count() == domain::root::Context::ALL.len() && rows.clone().all(|row| row.serving)
        };
        Some((0..PARTITIONS).filter(whole).collect())
    }

    pub async fn report(&self, instance: &Instance) -> Option<Report> {
        self.peers().partitions(&instance.url, Duration::from_secs(2)).await.ok()
    }

    pub fn peers(&self) -> Peers {
        Peers::new(InternalKey::new(&Secret32::new([0x11; 32]).derive(InternalKey::PURPOSE))).unwrap()
    }

    /// A bearer token.
    pub fn token(&self, subject: &str, role: Role) -> String {
        let secrets = Env::from_map(self.environment()).read(Secrets::read).unwrap();
        let roles = [role].into_iter().collect();
        let token = NewToken { subject, roles, expires: clock::now().plus_s(3600), rules: secrets.rules() };
        mint_bearer(&secrets.signing_key().unwrap(), &token)
    }

    fn environment(&self) -> Vec<(String, String)> {
        let snapshots = self.folder.join("snapshots").display().to_string();
        let hex = |byte: &str| byte.repeat(32);
        let all = [
            ("BOXOFFICE_KAFKA", self.endpoints.kafka.clone()),
            ("BOXOFFICE_REGISTRY", self.endpoints.registry.clone()),
            ("BOXOFFICE_NAMESPACE", self.namespace.clone()),
            ("BOXOFFICE_SECRET", hex("11")),
            ("BOXOFFICE_MASTER_KEY", hex("22")),
            ("BOXOFFICE_TOKEN_KEY", hex("44")),
            ("BOXOFFICE_SNAPSHOT_DIR", snapshots),
            ("BOXOFFICE_SESSION_TIMEOUT_MS", SESSION_MS.to_owned()),
            ("BOXOFFICE_TAKEOVER_GRACE_S", "0".to_owned()),
            ("BOXOFFICE_LOG_FORMAT", "text".to_owned()),
        ];
        all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Takes away what it leaves on the shared servers.
    pub async fn forget(self) {
        let settings = KafkaSettings::new(&self.endpoints.kafka, &self.namespace, "test");
        topics::forget(&settings).await.unwrap();
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

impl Instance {
    pub async fn until_ready(&self) {
        let (http, deadline) = (reqwest::Client::new(), Instant::now() + PATIENCE);
        loop {
            let answer = http.get(format!("{}/readyz", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            assert!(Instant::now() < deadline, "{} is not ready:\n{}", self.name, self.warnings());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// What it has warned of, and how it ended: an assertion that prints every request tells nothing.
    pub fn warnings(&self) -> String {
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR "));
        lines.chain(log.lines().last()).collect::<Vec<_>>().join("\n")
    }

    /// Sends a signal: TERM, KILL, STOP or CONT.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.process.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "{} does not end:\n{}", self.name, self.warnings());
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // One that has ended already has no process any more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

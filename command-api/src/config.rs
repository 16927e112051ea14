//! What the process is told by its environment.

use std::path::PathBuf;
use std::time::Duration;

use service_kit::config::{self, Common, Env, Format, Noted, Secrets, Variable};
use service_kit::env;
use service_kit::keys::Secret32;

use crate::payments::ProviderSettings;

/// Everything.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every process is told.
    pub common: Common,
    /// What things are signed, verified and recognised by.
    pub secrets: Secrets,
    /// What the keys of personal data are wrapped by.
    pub master_key: Secret32,
    /// Of the partition owners.
    pub owners: OwnerSettings,
    /// Of this instance among others.
    pub cluster: ClusterSettings,
    /// Of payments.
    pub payments: PaymentSettings,
    /// How many may join queues.
    pub joins: JoinSettings,
    /// How many keys for personal data are kept ready.
    pub key_pool: usize,
}

/// Settings of the partition owners.
#[derive(Debug, Clone)]
pub struct OwnerSettings {
    /// Partitions of every event topic.
    pub partitions: u32,
    /// This instance's name.
    pub instance: String,
    /// Where its commands are taken.
    pub url: String,
    /// No acknowledgement for so long means in doubt.
    pub ack_deadline: Duration,
    /// Answers that write nothing are collected so long.
    pub barrier_after: Duration,
    /// No timer fires so soon after a take-over.
    pub takeover_grace: Duration,
    /// At most so many commands wait in a mailbox.
    pub mailbox: usize,
}

/// Settings of an instance among others.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// An instance that is silent for so long loses its partitions.
    pub session_timeout: Duration,
    /// Where snapshots are kept, the same place for every instance.
    pub snapshot_dir: PathBuf,
    /// A snapshot is taken after so many bytes of log.
    pub snapshot_bytes: u64,
    /// At most so many partitions of others are kept ready here.
    pub standbys: usize,
}

/// How many may join queues. 0 is no limit.
#[derive(Debug, Clone, Copy)]
pub struct JoinSettings {
    /// From one address a minute.
    pub per_address_per_min: u32,
    /// By one account or guest a minute.
    pub per_visitor_per_min: u32,
    /// At the same time.
    pub at_once: usize,
}

/// Settings of payments.
#[derive(Debug, Clone)]
pub struct PaymentSettings {
    /// How long after `pay_by` stock is still held.
    pub hold_backstop: Duration,
    /// How often an open payment is asked for.
    pub status_every: Duration,
    /// An effect that fails for so long makes its order stuck.
    pub give_up: Duration,
    /// The providers that are set up.
    pub providers: ProviderSettings,
}

impl Config {
    /// Reads it.
    ///
    /// # Errors
    /// Noted in `env`.
    pub fn read(env: &mut Env) -> Result<Self, Noted> {
        let common = Common::read(env, "127.0.0.1:8081");
        let secrets = Secrets::read(env);
        let master_key = config::master_key(env);
        let owners = OwnerSettings::read(env);
        let cluster = ClusterSettings::read(env);
        let advertised = env.optional(
            "BOXOFFICE_ADVERTISED_URL",
            env::url(),
            "How the other instances reach this one; http:// and BOXOFFICE_LISTEN if not set.",
        );
        let payments = PaymentSettings::read(env);
        let joins = JoinSettings::read(env);
        let pool = env.with_default(
            "BOXOFFICE_KEY_POOL",
            "1024",
            env::whole(1..=100_000),
            "Keys for personal data kept ready, so that no order waits for one.",
        );
        let (common, mut owners, mut cluster) = (common?, owners?, cluster?);
        owners.partitions = common.partitions;
        owners.instance.clone_from(&common.instance);
        owners.url = match advertised? {
            Some(url) => url,
            None if common.listen.ip().is_unspecified() => {
                let problem = "is not set while BOXOFFICE_LISTEN is every address of this machine";
                return Err(env.refuse("BOXOFFICE_ADVERTISED_URL", problem, "how the other instances reach this one"));
            }
            None => format!("http://{}", common.listen),
        };
        if !common.namespace.is_empty() {
            cluster.snapshot_dir.push(&common.namespace);
        }
        let (secrets, master_key, payments) = (secrets?, master_key?, payments?);
        Ok(Self { common, secrets, master_key, owners, cluster, payments, joins: joins?, key_pool: pool? })
    }
}

impl ClusterSettings {
    fn read(env: &mut Env) -> Result<Self, Noted> {
        let session = env.with_default(
            "BOXOFFICE_SESSION_TIMEOUT_MS",
            "6000",
            env::millis(1000..=300_000),
            "An instance that is silent for so long loses its partitions; Kafka's group.min.session.timeout.ms allows 6000 or more by default.",
        );
        let folder = Format::new("a folder", |text: &str| Some(PathBuf::from(text)));
        let dir = env.with_default(
            "BOXOFFICE_SNAPSHOT_DIR",
            "snapshots",
            folder,
            "Where snapshots of partitions are kept; several instances must share it.",
        );
        let bytes = env.with_default(
            "BOXOFFICE_SNAPSHOT_BYTES",
            "67108864",
            env::whole(65_536..=1_099_511_627_776),
            "A partition's snapshot is taken after so many bytes of log, or as many as the last one took, if that was more.",
        );
        let standbys = env.with_default(
            "BOXOFFICE_STANDBYS",
            "4",
            env::whole(0..=100_000),
            "Partitions of other instances that are kept in memory here, at most, to serve them sooner if theirs ends; each costs what it costs its owner to fold.",
        );
        let (session_timeout, snapshot_dir, snapshot_bytes, standbys) = (session?, dir?, bytes?, standbys?);
        Ok(Self { session_timeout, snapshot_dir, snapshot_bytes, standbys })
    }
}

impl OwnerSettings {
    fn read(env: &mut Env) -> Result<Self, Noted> {
        let ack = env.with_default(
            "BOXOFFICE_ACK_DEADLINE_MS",
            "5000",
            env::millis(100..=60_000),
            "A batch that Kafka has not acknowledged by then is in doubt.",
        );
        let barrier = env.with_default(
            "BOXOFFICE_BARRIER_AFTER_MS",
            "20",
            env::millis(0..=1000),
            "Refusals are collected so long for one barrier.",
        );
        let grace = env.with_default(
            "BOXOFFICE_TAKEOVER_GRACE_S",
            "60",
            env::seconds(0..=3600),
            "No hold ends so soon after a partition was taken over.",
        );
        let mailbox = env.with_default(
            "BOXOFFICE_MAILBOX",
            "4096",
            env::whole(16..=1_000_000),
            "Commands that may wait for a partition's owner; more get 503.",
        );
        Ok(Self {
            partitions: 0,
            instance: String::new(),
            url: String::new(),
            ack_deadline: ack?,
            barrier_after: barrier?,
            takeover_grace: grace?,
            mailbox: mailbox?,
        })
    }
}

impl JoinSettings {
    fn read(env: &mut Env) -> Result<Self, Noted> {
        let address = env.with_default(
            "BOXOFFICE_JOINS_PER_ADDRESS_PER_MIN",
            "600",
            env::whole(0..=1_000_000),
            "Joins of queues from one address (IPv6: one /64) a minute; 0 for no limit.",
        );
        let visitor = env.with_default(
            "BOXOFFICE_JOINS_PER_VISITOR_PER_MIN",
            "30",
            env::whole(0..=1_000_000),
            "Joins of queues by one account or guest a minute, repeats included; 0 for no limit.",
        );
        let at_once = env.with_default(
            "BOXOFFICE_JOINS_AT_ONCE",
            "2000",
            env::whole(1..=1_000_000),
            "Joins of queues under way at the same time; more are told when to come back (429).",
        );
        Ok(Self { per_address_per_min: address?, per_visitor_per_min: visitor?, at_once: at_once? })
    }
}

impl PaymentSettings {
    fn read(env: &mut Env) -> Result<Self, Noted> {
        let backstop = env.with_default(
            "BOXOFFICE_HOLD_BACKSTOP_S",
            "300",
            env::seconds(1..=86_400),
            "How long after pay_by stock is still held while a provider is silent.",
        );
        let status = env.with_default(
            "BOXOFFICE_STATUS_EVERY_MS",
            "30000",
            env::millis(100..=3_600_000),
            "How often the provider is asked about an open payment.",
        );
        let give_up = env.with_default(
            "BOXOFFICE_EFFECT_GIVE_UP_S",
            "120",
            env::seconds(1..=86_400),
            "A provider call that fails for so long makes its order stuck.",
        );
        let providers = ProviderSettings::read(env);
        Ok(Self { hold_backstop: backstop?, status_every: status?, give_up: give_up?, providers: providers? })
    }
}

/// Every variable that this process reads.
pub fn variables() -> Vec<Variable> {
    Env::declared(Config::read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &[(&str, &str)]) -> Result<Config, config::Invalid> {
        let hex = "11".repeat(32);
        let needed = [
            ("BOXOFFICE_KAFKA", "127.0.0.1:9092"),
            ("BOXOFFICE_REGISTRY", "http://127.0.0.1:8081"),
            ("BOXOFFICE_SECRET", hex.as_str()),
            ("BOXOFFICE_TOKEN_KEY", hex.as_str()),
            ("BOXOFFICE_MASTER_KEY", hex.as_str()),
        ];
        Env::from_map(needed.iter().chain(more).copied()).read(Config::read)
    }

    #[test]
    fn an_instance_is_reached_where_it_listens_unless_that_is_no_address() {
        assert_eq!(read(&[]).unwrap().owners.url, "http://127.0.0.1:8081");
        let everywhere = ("BOXOFFICE_LISTEN", "0.0.0.0:8081");
        let refused = read(&[everywhere]).unwrap_err().to_string();
        assert!(refused.starts_with("BOXOFFICE_ADVERTISED_URL: is not set while BOXOFFICE_LISTEN"), "{refused}");
        let told = read(&[everywhere, ("BOXOFFICE_ADVERTISED_URL", "http://box-1:8081")]).unwrap();
        assert_eq!(told.owners.url, "http://box-1:8081");
        let wrong = read(&[("BOXOFFICE_ADVERTISED_URL", "box-1:8081")]).unwrap_err().to_string();
        assert!(wrong.starts_with("BOXOFFICE_ADVERTISED_URL: "), "{wrong}");
    }

    #[test]
    fn installations_do_not_share_snapshots() {
        let folder = ("BOXOFFICE_SNAPSHOT_DIR", "/var/boxoffice");
        assert_eq!(read(&[folder]).unwrap().cluster.snapshot_dir, PathBuf::from("/var/boxoffice"));
        let named = read(&[folder, ("BOXOFFICE_NAMESPACE", "one")]).unwrap();
        assert_eq!(named.cluster.snapshot_dir, PathBuf::from("/var/boxoffice/one"));
    }
}

//! The settings that several processes share. Each process reads them once, at start, beside its own.

use std::net::SocketAddr;
use std::time::Duration;

use crate::env;
pub use crate::env::{Env, Format, Invalid, Noted, Unset, Variable};
pub use crate::sampling::{Callers, Tracing};
pub use crate::secrets::{Secrets, master_key, ticket_key};

/// What every process needs to know.
#[derive(Debug, Clone)]
pub struct Common {
    /// Kafka's bootstrap servers.
    pub kafka: String,
    /// The schema registry.
    pub registry: String,
    /// Prefix of topics, groups, subjects and Postgres schemas; empty for none.
    pub namespace: String,
    /// Partitions of every event topic; fixed for life.
    pub partitions: u32,
    /// This instance's name in logs and claims.
    pub instance: String,
    /// Where to listen.
    pub listen: SocketAddr,
    /// How clients and payment providers reach us, without a slash at the end.
    pub public_url: String,
    /// How to log.
    pub log: Log,
    /// What is traced, and where to.
    pub tracing: Tracing,
    /// Limits of the HTTP server.
    pub http: Http,
}

/// How to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Which events, as tracing-subscriber's directives.
    pub filter: String,
    /// In which form.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Limits of the HTTP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http {
    /// A request that is not answered by then (plus what `Prefer: wait` asks) is given up.
    pub request_timeout: Duration,
    /// A connection that sends no whole request head for so long is closed.
    pub header_timeout: Duration,
    /// Requests answered at the same time; more get 503 `overloaded`.
    pub max_in_flight: usize,
    /// Connections at the same time; more wait to be accepted.
    pub max_connections: usize,
    /// How long a stopping process waits for what is under way.
    pub drain: Duration,
    /// Proxies of ours that every request comes through.
    pub trusted_proxies: usize,
}

impl Default for Http {
    fn default() -> Self {
        Env::default().read(Self::read).expect("every limit has a default")
    }
}

impl Common {
    /// Reads them; `listen` is the address of this process when none is set.
    ///
    /// # Errors
    /// Noted in `env`.
    pub fn read(env: &mut Env, listen: &'static str) -> Result<Self, Noted> {
        let kafka = env.required("BOXOFFICE_KAFKA", env::hosts(), "Kafka's bootstrap servers.");
        let registry = env.required("BOXOFFICE_REGISTRY", env::url(), "The schema registry (Confluent API).");
        let namespace = env.with_default(
            "BOXOFFICE_NAMESPACE",
            "",
            env::name(),
            "Prefix of topics, groups, subjects and Postgres schemas.",
        );
        let partitions = env.with_default(
            "BOXOFFICE_PARTITIONS",
            "4",
            env::whole(1..=1024),
            "Partitions of every event topic, fixed for life; 64 in production.",
        );
        let instance =
            env.with_default("BOXOFFICE_INSTANCE", "local", env::name(), "This instance's name in logs and claims.");
        let listen = env.with_default("BOXOFFICE_LISTEN", listen, env::socket_addr(), "Where this process listens.");
        let public_url = env.with_default(
            "BOXOFFICE_PUBLIC_URL",
            "http://127.0.0.1:8080",
            env::url(),
            "How clients and payment providers reach the service.",
        );
        let log = Log::read(env);
        let tracing = Tracing::read(env);
        let http = Http::read(env);
        Ok(Self {
            kafka: kafka?,
            registry: registry?,
            namespace: namespace?,
            partitions: partitions?,
            instance: instance?,
            listen: listen?,
            public_url: public_url?,
            log: log?,
            tracing: tracing?,
            http: http?,
        })
    }

    /// `name` with the namespace before it: `<ns>.<name>`.
    pub fn namespaced(&self, name: &str) -> String {
        if self.namespace.is_empty() { name.to_owned() } else { format!("{}.{name}", self.namespace) }
    }
}

impl Log {
    /// Reads them.
    ///
    /// # Errors
    /// Noted in `env`.
    pub fn read(env: &mut Env) -> Result<Self, Noted> {
        let valid = |text: &str| text.parse::<tracing_subscriber::filter::Targets>().is_ok().then(|| text.to_owned());
        let filter = Format::new("tracing directives, such as info,command_api=debug", valid);
        let format = Format::new("auto, json or text", |text| match text {
            "auto" => Some(LogFormat::Auto),
            "json" => Some(LogFormat::Json),
            "text" => Some(LogFormat::Text),
            _ => None,
        });
        let filter = env.with_default("BOXOFFICE_LOG", "info", filter, "What is logged.");
        let format = env.with_default(
            "BOXOFFICE_LOG_FORMAT",
            "auto",
            format,
            "The form of log lines; auto is text on a terminal, else JSON.",
        );
        Ok(Self { filter: filter?, format: format? })
    }
}

impl Http {
    /// Reads them.
    ///
    /// # Errors
    /// Noted in `env`.
    pub fn read(env: &mut Env) -> Result<Self, Noted> {
        let request = env.with_default(
            "BOXOFFICE_REQUEST_TIMEOUT_MS",
            "10000",
            env::millis(100..=600_000),
            "A request not answered by then, plus what Prefer: wait asks, is given up.",
        );
        let header = env.with_default(
            "BOXOFFICE_HEADER_TIMEOUT_S",
            "60",
            env::seconds(1..=3600),
            "A connection that sends no whole request head for so long is closed.",
        );
        let in_flight = env.with_default(
            "BOXOFFICE_MAX_IN_FLIGHT",
            "4096",
            env::whole(1..=1_000_000),
            "Requests answered at the same time; more get 503.",
        );
        let connections = env.with_default(
            "BOXOFFICE_MAX_CONNECTIONS",
            "10000",
            env::whole(1..=1_000_000),
            "Connections at the same time; more wait to be accepted.",
        );
        let drain = env.with_default(
            "BOXOFFICE_SHUTDOWN_S",
            "20",
            env::seconds(0..=3600),
            "How long a stopping process waits for what is under way.",
        );
        let proxies = env.with_default(
            "BOXOFFICE_TRUSTED_PROXIES",
            "0",
            env::whole(0..=16),
            "Reverse proxies before this process, whose entries in X-Forwarded-For tell who asks; 0 if clients come directly.",
        );
        Ok(Self {
            request_timeout: request?,
            header_timeout: header?,
            max_in_flight: in_flight?,
            max_connections: connections?,
            drain: drain?,
            trusted_proxies: proxies?,
        })
    }
}

/// The Postgres URL; for those who read or write tables.
///
/// # Errors
/// Noted in `env`.
pub fn postgres(env: &mut Env) -> Result<String, Noted> {
    let postgres = |text: &str| ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    let format = Format::new("a postgres:// URL", move |text| postgres(text).then(|| text.to_owned())).secret();
    env.required("BOXOFFICE_POSTGRES", format, "Postgres with the read models, user and password included.")
}

/// Every variable of this file and of `secrets`, as a process with everything reads them.
pub fn variables() -> Vec<Variable> {
    Env::declared(|env| {
        let common = Common::read(env, "127.0.0.1:8080");
        let secrets = Secrets::read(env);
        let rest = (postgres(env), master_key(env), ticket_key(env));
        let _ = (common, secrets, rest);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../docs/configuration.md");

    fn hex(byte: &str) -> String {
        byte.repeat(32)
    }

    #[test]
    fn the_document_has_every_variable_with_its_default() {
        let missing = env::undocumented(DOCUMENT, &variables());
        assert!(missing.is_empty(), "docs/configuration.md lacks these rows:\n{}", missing.join("\n"));
    }

    #[test]
    fn a_process_needs_only_three_addresses_and_keys() {
        let set = [
            ("BOXOFFICE_KAFKA", "127.0.0.1:9092".to_owned()),
            ("BOXOFFICE_REGISTRY", "http://127.0.0.1:8081/apis/ccompat/v7".to_owned()),
            ("BOXOFFICE_SECRET", hex("01")),
            ("BOXOFFICE_TOKEN_KEY", hex("02")),
        ];
        let read = |env: &mut Env| {
            let common = Common::read(env, "127.0.0.1:8080");
            let secrets = Secrets::read(env);
            Ok((common?, secrets?))
        };
        let (common, secrets) = Env::from_map(set).read(read).unwrap();
        assert_eq!((common.partitions, common.namespaced("t").as_str()), (4, "t"));
        assert_eq!(common.http, Http::default());
        assert!(secrets.signing_key().is_some());
        assert_eq!(format!("{secrets:?}"), "Secrets(…)");
    }

    #[test]
    fn a_namespace_comes_first() {
        let mut env = Env::from_map([
            ("BOXOFFICE_NAMESPACE", "t1"),
            ("BOXOFFICE_KAFKA", "a:1"),
            ("BOXOFFICE_REGISTRY", "http://a"),
        ]);
        assert_eq!(Common::read(&mut env, "127.0.0.1:0").unwrap().namespaced("order-events"), "t1.order-events");
    }
}

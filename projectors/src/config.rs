//! The settings of the process.

use std::time::Duration;

use service_kit::config::{self, Common, Env, Noted, Variable};
use service_kit::env;
use service_kit::health::Health;

use crate::run::Settings;

/// What the process needs to know. Not to be shown: the URL has a password.
#[derive(Clone)]
pub struct Config {
    /// What every process needs.
    pub common: Common,
    /// Where the read models are, user and password included.
    pub postgres: String,
    /// Connections to it at the same time.
    pub connections: u32,
    /// An instance that is silent for so long loses its partitions.
    pub session_timeout: Duration,
    batch_records: usize,
    linger: Duration,
    board_every: Duration,
}

impl Config {
    /// Reads it.
    ///
    /// # Errors
    /// Noted in `env`.
    pub fn read(env: &mut Env) -> Result<Self, Noted> {
        let common = Common::read(env, "127.0.0.1:8083");
        let postgres = config::postgres(env);
        let connections = env.with_default(
            "BOXOFFICE_PROJECTOR_CONNECTIONS",
            "4",
            env::whole(2..=1000),
            "Connections of each read model to Postgres, at most.",
        );
        let batch_records = env.with_default(
            "BOXOFFICE_PROJECTOR_BATCH",
            "2000",
            env::whole(1..=100_000),
            "Records in one transaction, at most.",
        );
        let linger = env.with_default(
            "BOXOFFICE_PROJECTOR_LINGER_MS",
            "2",
            env::millis(0..=10_000),
            "How long a transaction waits for more records.",
        );
        let board_every = env.with_default(
            "BOXOFFICE_BOARD_EVERY_MS",
            "500",
            env::millis(0..=60_000),
            "A waiting room's board is written at most so often.",
        );
        let session_timeout = env.with_default(
            "BOXOFFICE_SESSION_TIMEOUT_MS",
            "6000",
            env::millis(1000..=300_000),
            "An instance that is silent for so long loses its partitions; Kafka's group.min.session.timeout.ms allows 6000 or more by default.",
        );
        Ok(Self {
            common: common?,
            postgres: postgres?,
            connections: connections?,
            session_timeout: session_timeout?,
            board_every: board_every?,
            batch_records: batch_records?,
            linger: linger?,
        })
    }

    /// How the read models are filled.
    pub fn settings(&self, health: Health) -> Settings {
        let settings = Settings::new(self.common.namespace.clone(), self.common.partitions);
        let Self { batch_records, linger, board_every, .. } = *self;
        Settings { batch_records, linger, board_every, health, ..settings }
    }
}

/// Every variable that this process reads.
pub fn variables() -> Vec<Variable> {
    Env::declared(Config::read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_variable_with_its_default() {
        let document = include_str!("../../docs/configuration.md");
        let shared = ["BOXOFFICE_LISTEN"];
        let ours: Vec<Variable> = variables().into_iter().filter(|it| !shared.contains(&it.name)).collect();
        let missing = env::undocumented(document, &ours);
        assert!(missing.is_empty(), "docs/configuration.md lacks these rows:\n{}", missing.join("\n"));
    }

    #[test]
    fn a_process_needs_only_three_addresses() {
        let set = [
            ("BOXOFFICE_KAFKA", "127.0.0.1:9092"),
            ("BOXOFFICE_REGISTRY", "http://127.0.0.1:8081/apis/ccompat/v7"),
            ("BOXOFFICE_POSTGRES", "postgres://127.0.0.1/postgres"),
        ];
        let config = Env::from_map(set).read(Config::read).unwrap_or_else(|error| panic!("{error}"));
        let settings = config.settings(Health::default());
        assert_eq!((settings.partitions, settings.batch_records), (4, 2000));
        assert_eq!(config.connections, 4);
    }
}

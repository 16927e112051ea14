//! The world of one test: its own namespace on the shared stack, every service in this process, a provider sandbox.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use domain::value::Role;
use event_log::kafka::KafkaSettings;
use event_log::topics::{self, Layout};
use local_stack::{Endpoints, StackConfig, find_root};
use service_kit::auth::{NewToken, mint_bearer};
use service_kit::config::Env;
use service_kit::health::Health;
use service_kit::operations::Operations;
use service_kit::telemetry::Metrics;
use service_kit::{http, random};
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::Client;

/// How long a world may take to be ready.
const READY: Duration = Duration::from_secs(60);

/// A whole Boxoffice.
pub struct World {
    /// Where the servers are.
    pub endpoints: Endpoints,
    /// What tells this world's topics and tables from others'.
    pub namespace: String,
    /// An anonymous client.
    pub client: Client,
    /// A client of the sandbox's control API.
    pub sandbox: Client,
    environment: BTreeMap<String, String>,
    secrets: service_kit::config::Secrets,
    provider: Option<provider_sandbox::Running>,
    shutdown: CancellationToken,
    server: Option<JoinHandle<()>>,
}

/// The tests' own stack, started if it is not up.
///
/// # Errors
/// It cannot be started.
pub async fn stack() -> anyhow::Result<Endpoints> {
    tokio::task::spawn_blocking(|| {
        let config = StackConfig::for_tests(&find_root()?);
        local_stack::up(&config, &mut |line| eprintln!("{line}"))
    })
    .await?
}

impl World {
    /// A world with short durations.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A world with other settings.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        Self::try_start(settings).await.expect("the world starts")
    }

    async fn try_start(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoints = stack().await?;
        let namespace = format!("t{}", random::opaque_id().simple()).chars().take(14).collect::<String>();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let provider = provider_sandbox::start(provider_sandbox::Settings {
            webhook_url: Some(format!("{base}/v1/payments/payos/notify")),
            ..provider_sandbox::Settings::default()
        })
        .await?;
        let environment = environment(&endpoints, &namespace, &base, &provider.base_url(), settings);
        let kafka = KafkaSettings::new(&endpoints.kafka, &namespace, "init");
        topics::init(&kafka, &endpoints.registry, Layout::local(4)).await?;
        let secrets = Env::from_map(environment.clone()).read(service_kit::config::Secrets::read)?;
        let sandbox = Client::new(&provider.base_url());
        let mut world = Self {
            endpoints,
            namespace,
            client: Client::new(&base),
            sandbox,
            environment,
            secrets,
            provider: Some(provider),
            shutdown: CancellationToken::new(),
            server: None,
        };
        world.run(listener).await?;
        Ok(world)
    }

    async fn run(&mut self, listener: TcpListener) -> anyhow::Result<()> {
        let health = Health::default();
        let config = self.env().read(command_api::config::Config::read)?;
        let writing = command_api::service::Service::start(&config, &health).await?;
        self.project(&health).await?;
        let (router, openapi) = writing.routes().split_for_parts();
        let auth = Some(self.secrets.auth());
        let operations = Operations { health: health.clone(), metrics: Metrics::detached(), auth };
        let router = http::router(operations, &config.common.http, router, openapi);
        let shutdown = self.shutdown.clone();
        self.server = Some(tokio::spawn(async move {
            http::serve(listener, router, &config.common.http, shutdown).await.expect("the server serves");
            writing.stop().await;
        }));
        let ready = async {
            while !health.is_ready() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(READY, ready).await;
        in_time.with_context(|| format!("not ready: {:?}", health.not_ready()))
    }

    async fn project(&self, health: &Health) -> anyhow::Result<()> {
        let config = self.env().read(projectors::Config::read)?;
        let kafka = KafkaSettings::new(&config.common.kafka, &config.common.namespace, "projectors");
        let ids = topics::check(&kafka, &config.common.registry, config.common.partitions).await?;
        let codec = schemas::Codec::new(ids, schemas::Registry::new(&config.common.registry)?);
        let log = std::sync::Arc::new(event_log::kafka::KafkaLog::connect(kafka)?);
        let pool = self.pool().await?;
        let logs = projectors::Logs::kafka(log, config.common.partitions);
        let settings = config.settings(health.clone());
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move {
            if let Err(error) = projectors::run(settings, logs, codec, pool, shutdown).await {
                eprintln!("the projectors ended: {error:#}");
            }
        });
        Ok(())
    }

    fn env(&self) -> Env {
        Env::from_map(self.environment.clone())
    }

    /// A few connections to Postgres.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn pool(&self) -> anyhow::Result<sqlx::PgPool> {
        Ok(PgPoolOptions::new().max_connections(6).connect(&self.endpoints.postgres).await?)
    }

    /// The log's clients of this world.
    ///
    /// # Panics
    /// If they cannot be made.
    pub fn kafka(&self) -> event_log::kafka::KafkaLog {
        let settings = KafkaSettings::new(&self.endpoints.kafka, &self.namespace, "test");
        event_log::kafka::KafkaLog::connect(settings).expect("the settings are good")
    }

    /// A client with these roles; the same name is the same account.
    ///
    /// # Panics
    /// If no token can be made.
    pub fn as_account(&self, name: &str, roles: &[Role]) -> Client {
        let rules = self.secrets.rules();
        let roles = roles.iter().copied().collect();
        let expires = service_kit::clock::now().plus_s(3600);
        let token = NewToken { subject: name, roles, expires, rules };
        let key = self.secrets.signing_key().expect("the tests mint tokens");
        self.client.with(&mint_bearer(&key, &token))
    }

    /// An organizer.
    pub fn organizer(&self) -> Client {
        self.as_account("organizer-1", &[Role::Organizer])
    }

    /// An admin.
    pub fn admin(&self) -> Client {
        self.as_account("admin-1", &[Role::Admin])
    }

    /// Ends everything of this world.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(server) = self.server.take() {
            let _ = server.await;
        }
        if let Some(provider) = self.provider.take() {
            provider.stop().await;
        }
    }
}

fn environment(
    endpoints: &Endpoints,
    namespace: &str,
    base: &str,
    provider: &str,
    settings: &[(&str, &str)],
) -> BTreeMap<String, String> {
    let ours = [
        ("BOXOFFICE_KAFKA", endpoints.kafka.clone()),
        ("BOXOFFICE_REGISTRY", endpoints.registry.clone()),
        ("BOXOFFICE_POSTGRES", endpoints.postgres.clone()),
        ("BOXOFFICE_NAMESPACE", namespace.to_owned()),
        ("BOXOFFICE_PUBLIC_URL", base.to_owned()),
        ("BOXOFFICE_SECRET", "11".repeat(32)),
        ("BOXOFFICE_MASTER_KEY", "22".repeat(32)),
        ("BOXOFFICE_TICKET_KEY", "33".repeat(32)),
        ("BOXOFFICE_TOKEN_KEY", "44".repeat(32)),
        ("BOXOFFICE_PAYOS_URL", provider.to_owned()),
        ("BOXOFFICE_PAYOS_PAGE", format!("{provider}/pay/{{id}}")),
        ("BOXOFFICE_PAYOS_CLIENT_ID", "sandbox-client".to_owned()),
        ("BOXOFFICE_PAYOS_API_KEY", "sandbox-api-key".to_owned()),
        ("BOXOFFICE_PAYOS_CHECKSUM_KEY", "sandbox-checksum-key".to_owned()),
        ("BOXOFFICE_TAKEOVER_GRACE_S", "0".to_owned()),
        ("BOXOFFICE_STATUS_EVERY_MS", "1000".to_owned()),
        ("BOXOFFICE_KEY_POOL", "64".to_owned()),
        ("BOXOFFICE_HOLD_BACKSTOP_S", "20".to_owned()),
    ];
    let ours = ours.into_iter().map(|(name, value)| (name.to_owned(), value));
    let theirs = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ours.chain(theirs).collect()
}

//! The world of one test: its own namespace on the shared stack, every service in this process, a provider sandbox.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::root::Context;
use domain::value::Role;
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::log::Partition;
use event_log::topics::{self, Layout};
use local_stack::{Endpoints, StackConfig, find_root};
use schemas::{Codec, Ids, Registry};
use service_kit::auth::{NewToken, mint_bearer};
use service_kit::config::{Env, Secrets};
use service_kit::health::Health;
use service_kit::operations::Operations;
use service_kit::telemetry::Metrics;
use service_kit::{clock, http, random};
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cleanup::forget;
use crate::client::Client;
use crate::environment::{environment, snapshots};
use crate::installation::programs;
use crate::journal::Journal;
use crate::purchase::eventually;
use crate::shop::Shop;

/// How long a world may take to be ready.
const READY: Duration = Duration::from_secs(60);
/// So many worlds live at the same time, the shared one aside: each has some hundred threads' worth of clients.
static PLACES: Semaphore = Semaphore::const_new(3);
static SHARED: OnceCell<World> = OnceCell::const_new();

/// A whole Boxoffice.
pub struct World {
    /// Where the servers are.
    pub endpoints: Endpoints,
    /// What tells this world's topics and tables from others'.
    pub namespace: String,
    /// How far each service is.
    pub health: Health,
    shop: Shop,
    environment: BTreeMap<String, String>,
    secrets: Secrets,
    ids: Ids,
    log: Arc<KafkaLog>,
    provider: Option<provider_sandbox::Running>,
    projectors: Option<Projectors>,
    shutdown: CancellationToken,
    server: Option<JoinHandle<()>>,
    _place: Option<SemaphorePermit<'static>>,
}

struct Projectors {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
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
    /// The world that every test may use that looks only at its own shows and orders. It ends with the process.
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(|| async { Self::try_start(&[]).await.expect("the world starts") }).await
    }

    /// A world of one's own, with short durations.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A world of one's own, with other settings.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let place = PLACES.acquire().await.expect("nobody closes it");
        let world = Self::try_start(settings).await.expect("the world starts");
        Self { _place: Some(place), ..world }
    }

    async fn try_start(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let endpoints = stack().await?;
        let namespace: String = format!("t{}", random::opaque_id().simple()).chars().take(14).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let provider = provider_sandbox::start(provider_sandbox::Settings {
            webhook_base_url: Some(base.clone()),
            ..provider_sandbox::Settings::default()
        })
        .await?;
        let environment = environment(&endpoints, &namespace, &base, &provider.base_url(), settings);
        let kafka = KafkaSettings::new(&endpoints.kafka, &namespace, "test");
        topics::init(&kafka, &endpoints.registry, Layout::local(4)).await?;
        let ids = topics::check(&kafka, &endpoints.registry, 4).await?;
        let secrets = Env::from_map(environment.clone()).read(Secrets::read)?;
        let token = |name: &str, role| minted(&secrets, name, &[role], 3600);
        let mut world = Self {
            shop: Shop::new(
                &base,
                &provider.base_url(),
                &token("organizer-1", Role::Organizer),
                &token("admin-1", Role::Admin),
                &token("support-1", Role::Support),
            ),
            health: Health::default(),
            log: Arc::new(KafkaLog::connect(kafka)?),
            provider: Some(provider),
            projectors: None,
            shutdown: CancellationToken::new(),
            server: None,
            endpoints,
            namespace,
            environment,
            secrets,
            ids,
            _place: None,
        };
        world.serve(listener).await?;
        world.start_projectors().await?;
        world.wait_ready().await?;
        Ok(world)
    }

    async fn serve(&mut self, listener: TcpListener) -> anyhow::Result<()> {
        let config = self.env().read(command_api::config::Config::read)?;
        let writing = command_api::service::Service::start(&config, &self.health).await?;
        let reading = self.env().read(query_api::config::Config::read)?;
        let shutdown = self.shutdown.clone();
        let reading = query_api::service::Service::start(&reading, &self.health, shutdown.clone())?;
        let (router, openapi) = writing.routes().merge(reading.routes()).split_for_parts();
        let auth = Some(self.secrets.auth());
        let operations = Operations { health: self.health.clone(), metrics: Metrics::detached(), auth };
        let router = http::router(operations, &config.common.http, router, openapi);
        let router = writing.internal_routes().merge(router);
        self.server = Some(tokio::spawn(async move {
            http::serve(listener, router, &config.common.http, shutdown).await.expect("the server serves");
            writing.stop().await;
            reading.stop().await;
        }));
        Ok(())
    }

    /// Waits until every service can do its work.
    ///
    /// # Errors
    /// It takes too long.
    pub async fn wait_ready(&self) -> anyhow::Result<()> {
        let ready = async {
            while !self.health.is_ready() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(READY, ready).await;
        in_time.with_context(|| format!("not ready: {:?}", self.health.not_ready()))
    }

    /// Fills the read models from now on.
    ///
    /// # Errors
    /// The settings are wrong, or a server does not answer.
    pub async fn start_projectors(&mut self) -> anyhow::Result<()> {
        let config = self.env().read(projectors::Config::read)?;
        let kafka = KafkaSettings::new(&config.common.kafka, &config.common.namespace, "projectors");
        let log = Arc::new(KafkaLog::connect(kafka)?);
        let logs = projectors::Logs::kafka(log, config.common.partitions);
        let settings = config.settings(self.health.clone());
        let (codec, pool, shutdown) = (self.codec()?, self.pool().await?, CancellationToken::new());
        let running = projectors::run(settings, logs, codec, pool, shutdown.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = running.await {
                eprintln!("the projectors ended: {error:#}");
            }
        });
        self.projectors = Some(Projectors { shutdown, task });
        Ok(())
    }

    /// Stops filling the read models.
    ///
    /// # Panics
    /// If the projectors panicked.
    pub async fn stop_projectors(&mut self) {
        if let Some(Projectors { shutdown, task }) = self.projectors.take() {
            shutdown.cancel();
            task.await.expect("the projectors end in order");
        }
    }

    fn env(&self) -> Env {
        Env::from_map(self.environment.clone())
    }

    fn codec(&self) -> anyhow::Result<Codec> {
        Ok(Codec::new(self.ids.clone(), Registry::new(&self.endpoints.registry)?))
    }

    /// A few connections to Postgres.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn pool(&self) -> anyhow::Result<sqlx::PgPool> {
        Ok(PgPoolOptions::new().max_connections(6).connect(&self.endpoints.postgres).await?)
    }

    /// Reads every event topic from its beginning.
    ///
    /// # Panics
    /// If the registry's address makes no sense.
    pub fn journal(&self) -> Journal {
        Journal::new(Arc::clone(&self.log), self.codec().expect("the registry has an address"), 4)
    }

    /// Waits until every read model has folded what the journal has read.
    ///
    /// # Panics
    /// If one does not get there.
    pub async fn caught_up(&self, journal: &Journal) {
        let pool = self.pool().await.expect("Postgres answers");
        let views = projectors::Names::of(&self.namespace).expect("a test's namespace names schemas").views();
        let sql = format!("select context, partition, next_offset from {views}.checkpoints");
        eventually("the read models catch up", async || {
            let query = sqlx::query_as(sqlx::AssertSqlSafe(sql.clone()));
            let stored: Vec<(String, i32, i64)> = query.fetch_all(&pool).await.expect("Postgres answers");
            let behind = |(name, number, next): &(String, i32, i64)| {
                let context = Context::ALL.into_iter().find(|it| projectors::context_name(*it) == *name);
                let number = u32::try_from(*number).expect("partitions are counted from 0");
                context.is_some_and(|context| journal.read_up_to(Partition { context, number }) > *next)
            };
            (!stored.is_empty() && !stored.iter().any(behind)).then_some(())
        })
        .await;
    }

    /// Runs `boxctl` on this world; gives whether it ended well and what it said.
    ///
    /// # Panics
    /// If it cannot be built or run.
    pub async fn boxctl(&self, arguments: &[&str]) -> (bool, String) {
        let program = programs().await.expect("the programs can be built").join("boxctl");
        let told = ["BOXOFFICE_KAFKA", "BOXOFFICE_REGISTRY", "BOXOFFICE_POSTGRES", "BOXOFFICE_NAMESPACE"];
        let told = told.map(|name| (name, self.environment[name].clone()));
        let output = tokio::process::Command::new(program).args(arguments).envs(told).output().await;
        let output = output.expect("it can be run");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// What its tokens and queue tickets are signed by.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// A client with these roles; the same name is the same account.
    ///
    /// # Panics
    /// If no token can be made.
    pub fn as_account(&self, name: &str, roles: &[Role]) -> Client {
        self.client.with(&self.token(name, roles, 3600))
    }

    /// A bearer token that expires in so many seconds.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn token(&self, name: &str, roles: &[Role], expires_s: i64) -> String {
        minted(&self.secrets, name, roles, expires_s)
    }

    /// A buyer with an account.
    pub fn buyer(&self, name: &str) -> Client {
        self.as_account(name, &[Role::Buyer])
    }

    /// Ends everything of this world, and takes away what it leaves.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(server) = self.server.take() {
            drop(server.await);
        }
        self.stop_projectors().await;
        if let Some(provider) = self.provider.take() {
            provider.stop().await;
        }
        forget(&self.endpoints, &self.namespace).await;
        // There is none if nothing was worth one.
        drop(std::fs::remove_dir_all(snapshots(&self.namespace)));
    }
}

impl Deref for World {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}

fn minted(secrets: &Secrets, name: &str, roles: &[Role], expires_s: i64) -> String {
    let roles = roles.iter().copied().collect();
    let token = NewToken { subject: name, roles, expires: clock::now().plus_s(expires_s), rules: secrets.rules() };
    mint_bearer(&secrets.signing_key().expect("the tests mint tokens"), &token)
}

//! The read models' side as a process.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::topics;
use projectors::{Config, Logs};
use schemas::{Codec, Registry};
use service_kit::config::Env;
use service_kit::health::Health;
use service_kit::operations::Operations;
use service_kit::shutdown::Shutdown;
use service_kit::{http, telemetry};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;
use utoipa::openapi::{Info, OpenApi, Paths};

/// A connection that cannot be had by then is an error, and tried again.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(5);

/// Many small things come and go with every request and every row; docs/PERFORMANCE.md says what was seen.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The first thing: every TLS client needs it. It fails only if it was done before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Read models follow; who writes goes first.
    service_kit::priority::behind_others();
    let ended = start();
    service_kit::spans::flush();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the process ends");
            eprintln!("projectors: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn start() -> anyhow::Result<()> {
    domain::breakage::fit_to_serve()?;
    let config = Env::from_process().read(Config::read)?;
    let metrics = telemetry::init("projectors", &config.common.instance, &config.common.log, &config.common.tracing)?;
    let shutdown = Shutdown::on_signals()?;
    let listener = http::listen(config.common.listen)
        .with_context(|| format!("listening on BOXOFFICE_LISTEN {}", config.common.listen))?;
    let health = Health::default();
    health.drain_on(shutdown.token());
    let openapi = OpenApi::new(Info::new("Boxoffice projectors", env!("CARGO_PKG_VERSION")), Paths::new());
    let operations = Operations { health: health.clone(), metrics, auth: None };
    let router = http::router(operations, &config.common.http, Router::new(), openapi);
    let (limits, token) = (config.common.http, shutdown.token());
    let server = shutdown.spawn(async move { http::serve(listener, router, &limits, token).await });
    let projected = project(&config, &health, shutdown.token()).await;
    // Whatever ended it, the process ends; readiness says why until then.
    shutdown.begin();
    server.await.context("serving health and metrics")??;
    projected
}

/// Waits until Kafka and the registry answer, checks them, and fills the read models until the process stops.
async fn project(config: &Config, health: &Health, shutdown: CancellationToken) -> anyhow::Result<()> {
    let common = &config.common;
    let prepared = health.register("log");
    let settings = KafkaSettings::new(&common.kafka, &common.namespace, format!("projectors-{}", common.instance));
    let checked = topics::check(&settings, &common.registry, common.partitions);
    let Some(ids) = shutdown.run_until_cancelled(checked).await.transpose()? else {
        return Ok(());
    };
    let codec = Codec::new(ids, Registry::new(&common.registry)?);
    let log = Arc::new(KafkaLog::connect(settings)?);
    let pool = pool(config)?;
    prepared.ready();
    let logs = Logs::in_group(log, common.partitions, config.session_timeout);
    projectors::run(config.settings(health.clone()), logs, codec, pool, shutdown).await?;
    Ok(())
}

fn pool(config: &Config) -> anyhow::Result<PgPool> {
    let options = PgPoolOptions::new().max_connections(config.connections).acquire_timeout(ACQUIRE_LIMIT);
    // The error would show the URL with its password.
    let unusable = |_| anyhow::anyhow!("BOXOFFICE_POSTGRES is no usable postgres:// URL");
    let server: PgConnectOptions = config.postgres.parse().map_err(unusable)?;
    Ok(options.connect_lazy_with(server))
}

//! The read side as a process.

use std::process::ExitCode;

use anyhow::Context as _;
use query_api::config::Config;
use query_api::service::Service;
use service_kit::config::Env;
use service_kit::health::Health;
use service_kit::operations::Operations;
use service_kit::shutdown::Shutdown;
use service_kit::{http, telemetry};

/// Many small things come and go with every request and every row; docs/PERFORMANCE.md says what was seen.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The first thing: every TLS client needs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ended = run();
    service_kit::spans::flush();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the process ends");
            eprintln!("query-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run() -> anyhow::Result<()> {
    domain::breakage::fit_to_serve()?;
    let config = Env::from_process().read(Config::read)?;
    let metrics = telemetry::init("query-api", &config.common.instance, &config.common.log, &config.common.tracing)?;
    let shutdown = Shutdown::on_signals()?;
    let listener = http::listen(config.common.listen)
        .with_context(|| format!("listening on BOXOFFICE_LISTEN {}", config.common.listen))?;
    let health = Health::default();
    health.drain_on(shutdown.token());
    let service = Service::start(&config, &health, shutdown.token())?;
    let (router, openapi) = service.routes().split_for_parts();
    let operations = Operations { health, metrics, auth: Some(config.secrets.auth()) };
    let router = http::router(operations, &config.common.http, router, openapi);
    http::serve(listener, router, &config.common.http, shutdown.token()).await?;
    service.stop().await;
    Ok(())
}

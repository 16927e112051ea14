//! The write side as a process.

use std::process::ExitCode;

use anyhow::Context as _;
use command_api::config::Config;
use command_api::front::{self, Front};
use command_api::service::Service;
use service_kit::config::Env;
use service_kit::health::Health;
use service_kit::operations::Operations;
use service_kit::shutdown::Shutdown;
use service_kit::{http, telemetry};
use tokio_util::sync::CancellationToken;
use utoipa::openapi::{Info, OpenApi, Paths};

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
            eprintln!("command-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run() -> anyhow::Result<()> {
    domain::breakage::fit_to_serve()?;
    let config = Env::from_process().read(Config::read)?;
    let metrics = telemetry::init("command-api", &config.common.instance, &config.common.log, &config.common.tracing)?;
    let shutdown = Shutdown::on_signals()?;
    let listener = http::listen(config.common.listen)
        .with_context(|| format!("listening on BOXOFFICE_LISTEN {}", config.common.listen))?;
    let health = Health::default();
    health.drain_on(shutdown.token());
    let operations = Operations { health: health.clone(), metrics, auth: Some(config.secrets.auth()) };
    let (front, prepared) = (Front::default(), health.register("log"));
    let nothing = OpenApi::new(Info::new("Boxoffice command-api", env!("CARGO_PKG_VERSION")), Paths::new());
    let router = front.before(http::router(operations.clone(), &config.common.http, front::not_ready(), nothing));
    // Requests are answered while partitions are handed over, and end after that.
    let (handed_over, limits) = (CancellationToken::new(), config.common.http);
    let serving = tokio::spawn({
        let ended = handed_over.clone();
        async move { http::serve(listener, router, &limits, ended).await }
    });
    let token = shutdown.token();
    let Some(service) = token.run_until_cancelled(Service::start(&config, &health)).await.transpose()? else {
        handed_over.cancel();
        return serving.await.context("serving HTTP")?.context("serving HTTP");
    };
    let (router, openapi) = service.routes().split_for_parts();
    front.open(service.internal_routes().merge(http::router(operations, &config.common.http, router, openapi)));
    prepared.ready();
    shutdown.begun().await;
    service.hand_over().await;
    handed_over.cancel();
    serving.await.context("serving HTTP")??;
    service.stop().await;
    Ok(())
}

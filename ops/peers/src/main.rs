//! What a user would pick instead: four other designs of the reservation, behind the real service's edge.

mod batched;
mod cqrs;
mod edge;
mod order;
mod pipelined;
mod postgres;
mod redis_lua;
mod redis_server;
mod row_lock;
mod store;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use serde::Serialize;
use service_kit::auth::{Auth, Rules, Settings, SigningKey};
use service_kit::config::{Env, Http, Log, Tracing};
use service_kit::health::Health;
use service_kit::keys::{Keys, Secret32};
use service_kit::operations::Operations;
use service_kit::shutdown::Shutdown;
use service_kit::{env, http, random, telemetry};
use utoipa::openapi::{Info, OpenApi, Paths};
use uuid::Uuid;

use crate::batched::Batched;
use crate::cqrs::Cqrs;
use crate::order::Offer;
use crate::pipelined::Pipelined;
use crate::redis_lua::RedisLua;
use crate::row_lock::RowLock;
use crate::store::Store;

/// The services' own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serves PUT /v1/orders/{order} of one show with one ticket class (150,000 VND), by another design than Boxoffice's.
///
/// Limits and logs are set as those of the services are, by BOXOFFICE_… variables.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// How tickets are held.
    #[arg(long)]
    design: Design,
    /// What an answer promises: d1 is synced to disk, d2 survives the death of a process.
    #[arg(long)]
    durability: Durability,
    /// Tickets there are.
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..=1_000_000_000))]
    capacity: i64,
    /// The show.
    #[arg(long)]
    show: Uuid,
    /// Its one ticket class.
    #[arg(long)]
    ticket_class: Uuid,
    /// The seed that bearer tokens are minted by, 64 hex digits: as BOXOFFICE_TOKEN_KEY.
    #[arg(long, value_parser = seed)]
    token_key: Secret32,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A Postgres server, for all designs but redis; a schema of its own is made there and dropped at the end.
    #[arg(long, required_if_eq_any([("design", "row-lock"), ("design", "pipelined"), ("design", "batched"), ("design", "cqrs-es")]))]
    postgres: Option<String>,
    /// The program of Redis, which is started on loopback.
    #[arg(long, default_value = "redis-server")]
    redis_server: PathBuf,
    /// Where Redis keeps its files, which are deleted at the end; a temporary folder if not said.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// How tickets are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Design {
    /// Postgres: the row locked, four statements.
    RowLock,
    /// Postgres: one function call, one pipelined connection.
    Pipelined,
    /// Postgres: as pipelined, with one statement and commit for all that wait.
    Batched,
    /// Redis: one script.
    Redis,
    /// cqrs-es with postgres-es.
    CqrsEs,
}

/// What an answer promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// It is synced to disk.
    D1,
    /// It survives the death of a process.
    D2,
}

/// The line that says where.
#[derive(Serialize)]
struct Ready {
    listening: String,
    design: Design,
    durability: Durability,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run() -> anyhow::Result<()> {
    let args = Args::parse();
    let (url, class, capacity) = (args.postgres.as_deref().unwrap_or_default(), args.ticket_class, args.capacity);
    let settings = Env::from_process().read(|env| Ok((Log::read(env)?, Http::read(env)?)))?;
    let durability = args.durability;
    // From the first on, so that whatever is made is removed whenever the end comes.
    let shutdown = Shutdown::on_signals()?;
    match args.design {
        Design::RowLock => {
            serve(RowLock::start(url, durability, class, capacity).await?, &args, settings, shutdown).await
        }
        Design::Pipelined => {
            serve(Pipelined::start(url, durability, class, capacity).await?, &args, settings, shutdown).await
        }
        Design::Batched => {
            serve(Batched::start(url, durability, class, capacity).await?, &args, settings, shutdown).await
        }
        Design::CqrsEs => serve(Cqrs::start(url, durability, class, capacity).await?, &args, settings, shutdown).await,
        Design::Redis => {
            let store = RedisLua::start(&args.redis_server, args.folder.as_deref(), durability, capacity).await?;
            serve(store, &args, settings, shutdown).await
        }
    }
}

async fn serve<S: Store>(store: S, args: &Args, (log, limits): (Log, Http), shutdown: Shutdown) -> anyhow::Result<()> {
    let store = Arc::new(store);
    let served = answer(Arc::clone(&store), args, &log, &limits, &shutdown).await;
    let closed = store.close().await;
    served.and(closed)
}

async fn answer<S: Store>(
    store: Arc<S>,
    args: &Args,
    log: &Log,
    limits: &Http,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let metrics = telemetry::init("peer", "local", log, &Tracing::default())?;
    let auth = auth(&args.token_key);
    let offer = Offer { show: args.show, ticket_class: args.ticket_class };
    let routes = edge::routes(store, auth.clone(), Keys::new(&Secret32::new(random::bytes())), offer);
    let health = Health::default();
    health.drain_on(shutdown.token());
    let operations = Operations { health, metrics, auth: Some(auth) };
    let document = OpenApi::new(Info::new("Boxoffice peer", env!("CARGO_PKG_VERSION")), Paths::new());
    let router = http::router(operations, limits, routes, document);
    let listener = http::listen(args.listen).with_context(|| format!("listening on {}", args.listen))?;
    let listening = format!("http://{}", listener.local_addr()?);
    // Before anything is logged, so that it is the first line.
    let ready = Ready { listening, design: args.design, durability: args.durability };
    println!("{}", serde_json::to_string(&ready)?);
    http::serve(listener, router, limits, shutdown.token()).await.context("serving HTTP")
}

/// The same check of the same tokens as the services', with the same cache.
fn auth(seed: &Secret32) -> Auth {
    let accounts = vec![SigningKey::new(seed).public().clone()];
    let access = Secret32::new(random::bytes());
    Auth::new(&Settings { accounts, rules: Rules::default(), access, access_previous: None })
}

fn seed(text: &str) -> Result<Secret32, String> {
    env::hex32(text).map(Secret32::new).ok_or_else(|| "must be 64 hex digits".to_owned())
}

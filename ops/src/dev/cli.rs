//! `boxctl dev` and the frame of `boxctl demo`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use domain::value::Role;
use local_stack::{Endpoints, StackConfig};
use service_kit::random;
use tokio::signal::unix::{SignalKind, signal};

use super::{DevOptions, Running, describe, start};
use crate::topology::{Counts, Instance, Plan, Process};
use crate::{local, stack};

/// How long everything may take to be ready.
const READY: Duration = Duration::from_secs(120);

/// A whole local installation on one port, until Ctrl-C.
#[derive(Debug, Args)]
pub struct DevArgs {
    #[command(flatten)]
    up: UpArgs,
    /// Show which processes would be started with which settings, and start nothing.
    #[arg(long)]
    only_print: bool,
    /// At the end, take the local stack down, too.
    #[arg(long)]
    down: bool,
}

/// How the installation is brought up.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// The port of the front door on loopback.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Prefix of topics, groups, subjects and Postgres schemas.
    #[arg(long, default_value = "")]
    namespace: String,
    /// Where secrets, logs and process ids are kept, one installation at a time [default: .local/dev of the checkout].
    #[arg(long)]
    folder: Option<PathBuf>,
    #[command(flatten)]
    counts: CountArgs,
    /// Set an environment variable of the services: BOXOFFICE_LOG=debug. See `boxctl config`.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    overrides: Vec<(String, String)>,
}

/// How many of each program run [default: 1 each; 2 each in the demo].
#[derive(Debug, Clone, Copy, Default, Args)]
struct CountArgs {
    /// How many command-apis share the partitions among them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=9))]
    command_apis: Option<u16>,
    /// How many projectors share the partitions among them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=9))]
    projectors: Option<u16>,
    /// How many query-apis answer.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=9))]
    query_apis: Option<u16>,
}

impl CountArgs {
    /// These, or else those.
    fn or(self, others: Counts) -> Self {
        Self {
            command_apis: self.command_apis.or(Some(others.command_apis)),
            projectors: self.projectors.or(Some(others.projectors)),
            query_apis: self.query_apis.or(Some(others.query_apis)),
        }
    }

    fn counts(self) -> Counts {
        Counts {
            command_apis: self.command_apis.unwrap_or(Counts::ONE.command_apis),
            projectors: self.projectors.unwrap_or(Counts::ONE.projectors),
            query_apis: self.query_apis.unwrap_or(Counts::ONE.query_apis),
        }
    }
}

impl UpArgs {
    /// The same in a fresh namespace, unless one was named, with settings and counts that those of the command line win
    /// over.
    #[must_use]
    pub fn apart(mut self, name: &str, settings: &[(&str, &str)], counts: Counts) -> Self {
        self.counts = self.counts.or(counts);
        if self.namespace.is_empty() {
            let id = random::opaque_id().simple().to_string();
            self.namespace = format!("{name}-{}", &id[..8]);
        }
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.overrides = settings.chain(std::mem::take(&mut self.overrides)).collect();
        self
    }

    fn options(self, endpoints: Endpoints) -> anyhow::Result<DevOptions> {
        let folder = match self.folder {
            Some(folder) => std::path::absolute(&folder).with_context(|| format!("resolve {}", folder.display()))?,
            None => local::folder(&local_stack::find_root()?),
        };
        Ok(DevOptions {
            port: Some(self.port),
            counts: self.counts.counts(),
            overrides: self.overrides.into_iter().collect(),
            say: Arc::new(stack::say),
            ..DevOptions::new(endpoints, self.namespace, folder)
        })
    }
}

/// Brings everything up and keeps it up until Ctrl-C or SIGTERM.
///
/// # Errors
/// Something does not come up.
pub async fn run(args: DevArgs) -> anyhow::Result<()> {
    let config = StackConfig::local(&local_stack::find_root()?);
    if args.only_print {
        let endpoints =
            local_stack::endpoints(&config)?.context("the stack never ran; start it with `boxctl stack up`")?;
        return stack::print(&settings(&describe(&args.up.options(endpoints)?)?));
    }
    let ran = with(args.up, &config, |running| async move { stay(&running).await }).await;
    if args.down {
        let down = tokio::task::spawn_blocking(move || local_stack::down(&config, &mut stack::say));
        down.await.context("wait for the stack to stop")??;
    }
    ran
}

/// Brings everything up, runs `demo` against it, and stays up afterwards unless told otherwise.
///
/// # Errors
/// Something does not come up, or the demo fails.
pub async fn demo<F>(up: UpArgs, exit: bool, demo: impl FnOnce(Running) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let config = StackConfig::local(&local_stack::find_root()?);
    with(up, &config, |running| async move {
        demo(running.clone()).await?;
        match exit {
            true => Ok(()),
            false => stay(&running).await,
        }
    })
    .await
}

/// Waits for Ctrl-C or SIGTERM.
///
/// # Errors
/// Signals cannot be listened to.
pub async fn stop_asked() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Runs `work` with everything up, and stops it in order afterwards, also at Ctrl-C.
async fn with<F>(up: UpArgs, config: &StackConfig, work: impl FnOnce(Running) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let config = config.clone();
    let endpoints = stack::up(config).await?;
    let running = start(up.options(endpoints)?).await?;
    let ran = tokio::select! {
        ran = ready_then(&running, work) => ran,
        asked = stop_asked() => asked,
    };
    running.stop().await;
    ran
}

async fn ready_then<F>(running: &Running, work: impl FnOnce(Running) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    running.wait_ready(READY).await?;
    work(running.clone()).await
}

/// Says where everything is, and never returns.
async fn stay(running: &Running) -> anyhow::Result<()> {
    stack::print(&welcome(running)?)?;
    std::future::pending().await
}

fn welcome(running: &Running) -> anyhow::Result<String> {
    let base = running.base_url();
    let token = running.token("local", &[Role::Organizer, Role::Admin])?;
    let each = |process, path: &str| {
        let urls = running.plan().counts.instances(process).map(|it: Instance| format!("{}{path}", running.url(it)));
        urls.collect::<Vec<_>>().join("  ")
    };
    let rows = [
        ("shop", format!("{base}   (read side: {base}/docs)")),
        ("write side", format!("{}   (its documents: {}/docs)", each(Process::CommandApi, ""), running.command_url())),
        ("read side", each(Process::QueryApi, "")),
        ("projectors", each(Process::Projectors, "/readyz")),
        ("payments", format!("{}/_control/summary", running.sandbox_url())),
        ("kafka", running.endpoints().kafka.clone()),
        ("registry", running.endpoints().registry.clone()),
        ("postgres", running.endpoints().postgres.clone()),
        ("logs", running.plan().folder.join("logs").display().to_string()),
    ];
    let mut text = String::new();
    rows.iter().try_for_each(|(name, value)| writeln!(text, "{name:<12}{value}")).map_err(|error| anyhow!(error))?;
    Ok(format!("{text}\nA token of an organizer who is admin, too, good for a day:\n{token}\n\nCtrl-C ends it.\n"))
}

/// Every process with its settings; secrets are named only.
fn settings(plan: &Plan) -> String {
    let secret = |name: &str| name.ends_with("_KEY") || name.ends_with("_SECRET");
    let mut text = String::new();
    for instance in plan.counts.all() {
        text += &format!("{instance} ({})\n", plan.url(instance));
        for (name, value) in plan.environment(instance) {
            let shown = if secret(&name) { "…" } else { value.as_str() };
            text += &format!("  {name}={shown}\n");
        }
    }
    text + &format!("front door {}\nsecrets in {}\n", plan.base_url, plan.folder.join("secrets.json").display())
}

/// Reads `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), anyhow::Error> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => bail!("expected NAME=VALUE"),
    }
}

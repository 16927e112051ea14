//! `boxctl parked`: keys whose events wait behind one that cannot be folded. Projectors do what is asked for here, so that
//! each read model has one writer; we ask, and wait for what came of it.

mod event;
mod table;

use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use event_log::kafka::KafkaSettings;
use projectors::Names;
use projectors::parked::desk::{self, ParkedKey};
use serde_json::{Value, json};
use service_kit::clock;
use service_kit::config::Env;
use sqlx::PgPool;

use crate::audit::{self, Deed};
use crate::check::Place;
use crate::stack;

/// Something waits, or was not done.
const FOUND: u8 = 1;
/// Something does not answer, or what was asked makes no sense: nothing is known.
const COULD_NOT_LOOK: u8 = 2;
/// Between two looks at what became of a wish.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What to do with parked keys.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the keys that are parked. Ends with 0 if none is, 1 if one is, 2 if it could not look.
    List(ListArgs),
    /// Show the events of a parked key, as far as they can be read. Ends with 1 if it is not parked.
    Show(ShowArgs),
    /// Have the projectors fold what waits of a key, in order. Ends with 1 if it waits on.
    Retry(RetryArgs),
    /// Leave out the event that cannot be folded, for good; what lies behind it goes on. It is recorded who did so and why.
    Skip(SkipArgs),
}

/// Where the box office is: BOXOFFICE_KAFKA, BOXOFFICE_REGISTRY and BOXOFFICE_POSTGRES, or the local stack.
#[derive(Debug, Args)]
struct Where {
    /// Prefix of topics and Postgres schemas [default: BOXOFFICE_NAMESPACE].
    #[arg(long)]
    namespace: Option<String>,
    /// Only in this read model.
    #[arg(long, value_name = "NAME")]
    projection: Option<String>,
    /// As JSON, one object a line.
    #[arg(long)]
    json: bool,
}

/// Which ones.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    at: Where,
}

/// Which one.
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    at: Where,
    /// The aggregate's id.
    key: String,
    /// Show at most so many events of each queue.
    #[arg(long, default_value_t = 20)]
    most: u32,
}

/// Which ones.
#[derive(Debug, Args)]
pub struct RetryArgs {
    #[command(flatten)]
    at: Where,
    /// The aggregate's id.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    key: Option<String>,
    /// Every key that is parked.
    #[arg(long)]
    all: bool,
    /// Wait so long for the projectors.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    within: u64,
}

/// Which event, and why.
#[derive(Debug, Args)]
pub struct SkipArgs {
    #[command(flatten)]
    at: Where,
    /// The aggregate's id.
    key: String,
    /// Where the event lies that cannot be folded, as `list` says.
    #[arg(long)]
    offset: i64,
    /// Why it may be left out; never personal data.
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Wait so long for the projectors.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    within: u64,
}

/// A connected desk.
struct Desk {
    pool: PgPool,
    names: Names,
    kafka: KafkaSettings,
    registry: String,
    partitions: u32,
}

/// Does it.
pub async fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::List(args) => list(&args).await,
        Command::Show(args) => show(&args).await,
        Command::Retry(args) => retry(&args).await,
        Command::Skip(args) => skip(&args).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FOUND),
        Err(error) => {
            eprintln!("boxctl: {error:#}");
            ExitCode::from(COULD_NOT_LOOK)
        }
    }
}

impl Where {
    async fn desk(&self) -> anyhow::Result<Desk> {
        let place = Env::from_process().read(Place::read)?;
        let namespace = self.namespace.clone().unwrap_or_else(|| place.namespace.clone());
        let (partitions, endpoints) = (place.partitions, place.endpoints()?);
        // The error would show the URL with its password.
        let pool = PgPool::connect(&endpoints.postgres).await.context("connect to BOXOFFICE_POSTGRES")?;
        let kafka = KafkaSettings::new(&endpoints.kafka, &namespace, "boxctl");
        Ok(Desk { pool, names: Names::of(&namespace)?, kafka, registry: endpoints.registry, partitions })
    }

    /// Those keys, of this name if one is given.
    async fn keys(&self, desk: &Desk, key: Option<&str>) -> anyhow::Result<Vec<ParkedKey>> {
        let listed = desk::list(&desk.pool, &desk.names).await;
        let mut keys = listed.context("read the view `parked` (projectors make it when they start)")?;
        keys.retain(|it| self.projection.as_ref().is_none_or(|name| *name == it.projection));
        keys.retain(|it| key.is_none_or(|key| key.eq_ignore_ascii_case(&it.key)));
        Ok(keys)
    }
}

async fn list(args: &ListArgs) -> anyhow::Result<bool> {
    let desk = args.at.desk().await?;
    let keys = args.at.keys(&desk, None).await?;
    let text = if args.at.json { lines(keys.iter().map(table::json)) } else { table::of(&keys) };
    stack::print(&text)?;
    Ok(keys.is_empty())
}

async fn show(args: &ShowArgs) -> anyhow::Result<bool> {
    let desk = args.at.desk().await?;
    let keys = args.at.keys(&desk, Some(&args.key)).await?;
    let reader = event::Reader::of(&desk.kafka, &desk.registry, desk.partitions).await;
    for key in &keys {
        let events = desk::events(&desk.pool, &desk.names, key, i64::from(args.most)).await?;
        let mut shown = Vec::with_capacity(events.len());
        for event in &events {
            shown.push(reader.shown(key, event).await);
        }
        let text = if args.at.json { lines(shown.iter().map(|it| it.json(key))) } else { table::events(key, &shown) };
        stack::print(&text)?;
    }
    if keys.is_empty() {
        stack::print(&format!("{} is not parked\n", args.key))?;
    }
    Ok(!keys.is_empty())
}

async fn retry(args: &RetryArgs) -> anyhow::Result<bool> {
    let desk = args.at.desk().await?;
    let keys = args.at.keys(&desk, args.key.as_deref()).await?;
    if keys.is_empty() {
        stack::print(&format!("{} is not parked\n", args.key.as_deref().unwrap_or("nothing")))?;
        return Ok(args.all);
    }
    let mut wishes = Vec::with_capacity(keys.len());
    for key in keys {
        let wish = desk::wish(&desk.pool, &desk.names, &key, None).await.context("ask for it")?;
        wishes.push((key, wish));
    }
    let mut all = true;
    for (key, wish) in wishes {
        let outcome = desk.outcome(&key, wish, args.within).await?;
        all &= outcome.as_ref().is_some_and(|outcome| outcome.starts_with("unparked"));
        told(args.at.json, "retry", &key, outcome)?;
    }
    Ok(all)
}

async fn skip(args: &SkipArgs) -> anyhow::Result<bool> {
    let desk = args.at.desk().await?;
    let mut keys = args.at.keys(&desk, Some(&args.key)).await?;
    keys.retain(|key| key.offset == args.offset);
    let key = match keys.as_slice() {
        [] => {
            bail!(
                "no event of {} at offset {} is known to be poison; `boxctl parked list` says which is",
                args.key,
                args.offset
            )
        }
        [key] => key,
        several => {
            let names: Vec<&str> = several.iter().map(|key| key.projection.as_str()).collect();
            bail!("it is parked in {}: say which by --projection", names.join(" and "))
        }
    };
    if args.why.trim().is_empty() {
        bail!("--why must say why the event may be left out");
    }
    if !args.yes && !agreed(key)? {
        bail!("nothing was skipped");
    }
    let what = json!({
        "projection": key.projection, "context": key.context, "partition": key.partition, "key": key.key,
        "offset": key.offset, "event_type": key.event_type, "reason": key.reason,
    });
    // Before it is done: nothing is ever left out that nobody can find again.
    audit::record(&desk.kafka, Deed { command: "parked skip".to_owned(), what, why: Some(args.why.clone()) }).await?;
    let wish = desk::wish(&desk.pool, &desk.names, key, Some((args.offset, &args.why))).await.context("ask for it")?;
    let outcome = desk.outcome(key, wish, args.within).await?;
    let done = outcome.as_ref().is_some_and(|outcome| outcome.starts_with("skipped"));
    told(args.at.json, "skip", key, outcome)?;
    Ok(done)
}

impl Desk {
    /// What became of a wish; none if no projector took it up in time. Then it is withdrawn.
    async fn outcome(&self, key: &ParkedKey, wish: uuid::Uuid, within: u64) -> anyhow::Result<Option<String>> {
        let began = clock::monotonic();
        loop {
            if let Some(outcome) = desk::outcome(&self.pool, &self.names, key, wish).await? {
                return Ok(Some(outcome));
            }
            if began.elapsed() >= Duration::from_secs(within) {
                return match desk::withdraw(&self.pool, &self.names, key, wish).await? {
                    true => Ok(None),
                    false => Ok(desk::outcome(&self.pool, &self.names, key, wish).await?),
                };
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn told(as_json: bool, asked: &str, key: &ParkedKey, outcome: Option<String>) -> anyhow::Result<()> {
    let nobody = "no projector took it up in time, and it was withdrawn: nothing has changed";
    let outcome = outcome.as_deref().unwrap_or(nobody);
    let ParkedKey { projection, context, partition, key, .. } = key;
    let text = match as_json {
        true => {
            let line = json!({
                "asked": asked, "projection": projection, "context": context, "partition": partition, "key": key,
                "outcome": outcome,
            });
            format!("{line}\n")
        }
        false => format!("{projection}  {context}/{partition}  {key}: {outcome}\n"),
    };
    stack::print(&text)
}

fn agreed(key: &ParkedKey) -> anyhow::Result<bool> {
    let ParkedKey { projection, context, partition, key, offset, event_type, reason, waiting, .. } = key;
    let input = std::io::stdin();
    if !input.is_terminal() {
        bail!("nothing was skipped: there is nobody to ask; repeat it with --yes");
    }
    stack::say(&format!(
        "{event_type} at offset {offset} of {context}/{partition} (key {key}) will never be shown by the read model \
         {projection}, unless that is rebuilt; it stays in the log. It cannot be folded: {reason}. {waiting} events wait in \
         this key. Type `yes` to skip it:"
    ));
    let mut answer = String::new();
    input.lock().read_line(&mut answer).context("read the answer")?;
    Ok(answer.trim() == "yes")
}

fn lines(values: impl Iterator<Item = Value>) -> String {
    values.map(|value| format!("{value}\n")).collect()
}

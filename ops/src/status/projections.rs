//! The read models: how far each has come, in records and in time, which generation is live, and what is parked.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;
use domain::root::Context;
use event_log::kafka::KafkaLog;
use event_log::log::{Log as _, Partition};
use projectors::generations::{Overview, Standing, overview};
use projectors::{LAYOUTS, Names, READS, context_name};
use serde::Serialize;
use service_kit::clock;
use sqlx::{AssertSqlSafe, PgPool};

/// So many partitions of a read model are asked for the age of their next record: those that are furthest behind.
const AGED: usize = 4;

/// One read model.
#[derive(Debug, Clone, Serialize)]
pub struct Projection {
    /// Its name.
    pub name: &'static str,
    /// The generation that readers see, such as `v1 g2`; none before the first.
    pub generation: Option<String>,
    /// The other generations, with what each is there for: `g3 filling`.
    pub beside: Vec<String>,
    /// Whether an operator told it to wait.
    pub paused: bool,
    /// Records that are still to be folded.
    pub lag: Lag,
    /// Partitions in which it has not begun.
    pub not_begun: usize,
    /// Keys that are parked.
    pub parked: i64,
    /// Of these, keys with an event that could not be folded.
    pub poisoned: i64,
}

/// How far behind it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Lag {
    /// Records, all partitions together.
    pub records: i64,
    /// How long the oldest of them has waited, milliseconds.
    pub ms: i64,
}

/// A row of the view `checkpoints`.
type Checkpoint = (String, String, i32, i64);

/// Looks at all of them.
pub(super) async fn look(
    pool: &PgPool,
    log: &Arc<KafkaLog>,
    namespace: &str,
    partitions: u32,
) -> anyhow::Result<Vec<Projection>> {
    let names = Names::of(namespace)?;
    let sql = format!("select projection, context, partition, next_offset from {}.checkpoints", names.views());
    let checkpoints: Vec<Checkpoint> =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(pool).await.context("read how far projections have come")?;
    let generations = generations(pool, &names).await?;
    let parked = parked(pool, &names).await?;
    let positions = positions(&checkpoints);
    let (log, reads) = (Arc::clone(log), READS);
    let asked = tokio::task::spawn_blocking(move || lags(&log, &positions, &reads, partitions));
    let lags = asked.await.context("wait for Kafka")?.context("ask Kafka where partitions end")?;
    let keys_filled = checkpoints.iter().any(|(name, _, _, next)| name == "person_keys" && *next > 0);
    let one = |layout: &projectors::Layout| {
        let (lag, not_begun) = lags.get(layout.name).copied().unwrap_or((Lag::default(), usize::from(!keys_filled)));
        let standing = generations.get(layout.name);
        let (parked, poisoned) = parked.get(layout.name).copied().unwrap_or_default();
        Projection {
            name: layout.name,
            generation: standing.map(|it| format!("v{} g{}", it.live.version, it.live.number)),
            beside: standing.map(beside).unwrap_or_default(),
            paused: standing.is_some_and(|it| it.paused_at_us.is_some()),
            lag,
            not_begun,
            parked,
            poisoned,
        }
    };
    Ok(LAYOUTS.iter().map(one).collect())
}

type Positions = BTreeMap<(String, Partition), i64>;

fn positions(checkpoints: &[Checkpoint]) -> Positions {
    let of = |name: &str| Context::ALL.into_iter().find(|context| context_name(*context) == name);
    let position = |(projection, context, partition, next): &Checkpoint| {
        let at = Partition { context: of(context)?, number: u32::try_from(*partition).ok()? };
        Some(((projection.clone(), at), *next))
    };
    checkpoints.iter().filter_map(position).collect()
}

/// Of each read model of events: how far behind it is, and in how many partitions it has not begun.
fn lags(
    log: &KafkaLog,
    positions: &Positions,
    reads: &[(&'static str, &'static [Context])],
    partitions: u32,
) -> Result<BTreeMap<&'static str, (Lag, usize)>, event_log::log::LogError> {
    let contexts: BTreeSet<Context> = reads.iter().flat_map(|(_, contexts)| contexts.iter().copied()).collect();
    let mut ends = BTreeMap::new();
    for context in contexts {
        for number in 0..partitions {
            let at = Partition { context, number };
            ends.insert(at, log.bounds(at)?.end);
        }
    }
    let mut ages = BTreeMap::new();
    let mut lags = BTreeMap::new();
    for (name, contexts) in reads {
        let (mut lag, mut not_begun, mut behind) = (Lag::default(), 0, Vec::new());
        for (at, end) in ends.iter().filter(|(at, _)| contexts.contains(&at.context)) {
            let next = positions.get(&((*name).to_owned(), *at)).copied();
            not_begun += usize::from(next.is_none());
            let missing = (end - next.unwrap_or(0)).max(0);
            lag.records += missing;
            if missing > 0 {
                behind.push((missing, *at, next.unwrap_or(0)));
            }
        }
        behind.sort_by_key(|(missing, ..)| -missing);
        for (_, at, next) in behind.into_iter().take(AGED) {
            // Several read models wait for the same record.
            let age = match ages.entry((at, next)) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(unknown) => *unknown.insert(age_ms(log, at, next)?),
            };
            lag.ms = lag.ms.max(age);
        }
        lags.insert(*name, (lag, not_begun));
    }
    Ok(lags)
}

/// How long the record at an offset has been there; nothing if it is not there any more.
fn age_ms(log: &KafkaLog, at: Partition, offset: i64) -> Result<i64, event_log::log::LogError> {
    let record = log.record(at, offset)?;
    Ok(record.map_or(0, |record| (clock::now().0 - record.timestamp.0).max(0) / 1000))
}

/// The generations of every read model; none where nothing ever ran.
async fn generations(pool: &PgPool, names: &Names) -> anyhow::Result<Overview> {
    match exists(pool, &format!("{}.projections", names.control())).await? {
        true => overview(pool, names).await.context("read the generations of projections"),
        false => Ok(Overview::new()),
    }
}

/// The generations that readers do not see.
fn beside(standing: &Standing) -> Vec<String> {
    let others = standing.generations.iter().filter(|known| known.generation != standing.live);
    others.map(|known| format!("g{} {}", known.generation.number, known.state.as_str())).collect()
}

/// Parked keys, and those with an event that could not be folded, by projection.
async fn parked(pool: &PgPool, names: &Names) -> anyhow::Result<BTreeMap<String, (i64, i64)>> {
    let view = format!("{}.parked", names.views());
    if !exists(pool, &view).await? {
        return Ok(BTreeMap::new());
    }
    let sql = format!(
        "select projection, count(distinct (context, key)), count(distinct (context, key)) filter (where poison) \
         from {view} group by projection"
    );
    let rows: Vec<(String, i64, i64)> =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(pool).await.context("read what is parked")?;
    Ok(rows.into_iter().map(|(name, keys, poisoned)| (name, (keys, poisoned))).collect())
}

async fn exists(pool: &PgPool, relation: &str) -> anyhow::Result<bool> {
    let found = sqlx::query_scalar("select to_regclass($1) is not null").bind(relation).fetch_one(pool).await;
    found.with_context(|| format!("ask Postgres for {relation}"))
}

//! `boxctl projection list`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use domain::root::Context;
use event_log::kafka::KafkaLog;
use event_log::log::{Log as _, Partition};
use jiff::Timestamp;
use projectors::generations::{Generation, Known, Standing, fillers};
use projectors::verify::checkpoints;
use serde::Serialize;

use super::bar::grouped;
use super::{ListArgs, Office};
use crate::stack;

/// One generation, from outside.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Line {
    projection: String,
    generation: u32,
    version: u32,
    state: &'static str,
    paused: bool,
    created_at: String,
    /// Records of the log that are not in it; none if it does not hold events.
    lag: Option<u64>,
    places: Vec<At>,
    /// So many partitions are filled by projectors.
    filled_partitions: usize,
    size_bytes: u64,
}

/// How far it has come in one partition.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct At {
    topic: &'static str,
    partition: u32,
    next: i64,
    end: i64,
}

/// Prints every generation.
pub(super) async fn run(args: ListArgs) -> anyhow::Result<ExitCode> {
    let office = Office::of(args.at.namespace.as_deref())?;
    let overview = office.overview().await?;
    let log = Arc::new(KafkaLog::connect(office.kafka.clone())?);
    let partitions = office.partitions;
    let ends = tokio::task::spawn_blocking(move || {
        let of = |context| (0..partitions).map(move |number| Partition { context, number });
        let places = Context::ALL.into_iter().flat_map(of);
        places.map(|place| Ok((place, log.bounds(place)?.end))).collect::<anyhow::Result<BTreeMap<_, _>>>()
    });
    let ends = ends.await?.context("ask Kafka where the topics end")?;
    let mut lines = Vec::new();
    for standing in overview.values() {
        for known in standing.generations.iter().rev() {
            lines.push(line(&office, standing, known, &ends).await?);
        }
    }
    let text = match args.at.json {
        true => lines.iter().map(|line| Ok(serde_json::to_string(line)? + "\n")).collect::<anyhow::Result<String>>()?,
        false => table(&lines),
    };
    stack::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

async fn line(
    office: &Office,
    standing: &Standing,
    known: &Known,
    ends: &BTreeMap<Partition, i64>,
) -> anyhow::Result<Line> {
    let generation = known.generation;
    let schema = office.names.generation(&standing.name, generation);
    let events = projectors::READS.iter().any(|(name, _)| *name == standing.name);
    let positions = match events {
        true => checkpoints(&mut *office.pool.acquire().await?, &schema).await.unwrap_or_default(),
        false => BTreeMap::new(),
    };
    let at = |place: &Partition, next: i64| At {
        topic: place.context.topic(),
        partition: place.number,
        next,
        end: ends.get(place).copied().unwrap_or(next),
    };
    let places: Vec<At> = positions.iter().map(|(place, position)| at(place, position.next)).collect();
    let lag = places.iter().map(|at| (at.end - at.next).max(0).cast_unsigned()).sum();
    let fillers = fillers(&office.pool, &office.names, &standing.name).await?;
    let ours = fillers.iter().filter(|it| it.generation == generation.number);
    let mut filled: Vec<u32> = ours.flat_map(|it| it.partitions.iter().copied()).collect();
    filled.sort_unstable();
    filled.dedup();
    let created_at = Timestamp::from_microsecond(known.created_at_us).context("read when it was begun")?;
    Ok(Line {
        projection: standing.name.clone(),
        generation: generation.number,
        version: generation.version,
        state: known.state.as_str(),
        paused: standing.paused_at_us.is_some() && generation == standing.live,
        created_at: created_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        lag: events.then_some(lag),
        places,
        filled_partitions: filled.len(),
        size_bytes: size(office, &standing.name, generation).await?,
    })
}

/// What a generation takes in the database.
pub(super) async fn size(office: &Office, name: &str, generation: Generation) -> anyhow::Result<u64> {
    let sql = "select coalesce(sum(pg_total_relation_size(oid)), 0)::bigint from pg_class
        where relnamespace = to_regnamespace($1) and relkind = 'r'";
    let query = sqlx::query_scalar(sql).bind(office.names.generation(name, generation));
    let bytes: i64 = query.fetch_one(&office.pool).await.context("ask how large it is")?;
    Ok(bytes.cast_unsigned())
}

fn table(lines: &[Line]) -> String {
    let head = ["projection", "generation", "version", "state", "lag", "filled", "size", "begun"].map(str::to_owned);
    let row = |it: &Line| {
        let state = if it.paused { format!("{} (paused)", it.state) } else { it.state.to_owned() };
        let filled = match it.filled_partitions {
            0 => "nobody".to_owned(),
            1 => "1 partition".to_owned(),
            count => format!("{count} partitions"),
        };
        [
            it.projection.clone(),
            it.generation.to_string(),
            it.version.to_string(),
            state,
            it.lag.map_or_else(|| "-".to_owned(), grouped),
            filled,
            bytes(it.size_bytes),
            it.created_at.clone(),
        ]
    };
    let rows: Vec<[String; 8]> = std::iter::once(head).chain(lines.iter().map(row)).collect();
    let widths: [usize; 8] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(widths).enumerate().map(|(at, (cell, width))| match at {
            1 | 2 | 4 | 6 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// As people say it.
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..=9_999 => format!("{count} B"),
        10_000..=9_999_999 => format!("{} kB", grouped(count / 1000)),
        _ => format!("{} MB", grouped(count / 1_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generation_has_a_line() {
        let live = Line {
            projection: "orders".to_owned(),
            generation: 2,
            version: 1,
            state: "live",
            paused: true,
            created_at: "2026-11-22T16:00:00Z".to_owned(),
            lag: Some(12_345),
            places: Vec::new(),
            filled_partitions: 4,
            size_bytes: 123_456_789,
        };
        let keys = Line {
            projection: "person_keys".to_owned(),
            lag: None,
            paused: false,
            filled_partitions: 0,
            ..live.clone()
        };
        assert_eq!(
            table(&[live, keys]),
            "projection   generation  version  state             lag  filled          size  begun\n\
             orders                2        1  live (paused)  12,345  4 partitions  123 MB  2026-11-22T16:00:00Z\n\
             person_keys           2        1  live                -  nobody        123 MB  2026-11-22T16:00:00Z\n"
        );
    }
}

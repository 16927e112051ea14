//! A generation held against an independent fold of the log up to its own checkpoints: every row, every column.
//!
//! The fold is the services' own, on rows in memory, so that what is found is what a transaction, a restart or a hand did
//! to the rows. Memory is bounded: keys are taken in as many buckets as it takes, each with a reading of the log.

mod compare;
mod fold;
mod stored;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::root::Context;
use event_log::log::Partition;
use event_log::validity::Position;
use sqlx::{PgConnection, Postgres, Transaction};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

pub use compare::{Faults, PartitionSums, TableVerified, differences, short};
pub use stored::{Apart, BadCheckpoint, apart, checkpoints};

use crate::checkpoints::context_name;
use crate::generations::Generation;
use crate::memory::{Bucket, MemoryRows};
use crate::model::Layout;
use crate::rebuild::Job;
use crate::schema::READS;

/// A row in memory takes about so many bytes, and so many more for each column.
const ROW_BYTES: (u64, u64) = (200, 110);
/// Between two looks at how far the fold has come.
const LOOK: Duration = Duration::from_millis(100);

/// How a generation is held against the log.
#[derive(Debug, Clone, Copy)]
pub struct Verifying {
    /// Rows of about so many bytes are kept in memory at once.
    pub memory_bytes: u64,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Of which generation.
    pub generation: Generation,
    /// Where it stood.
    pub positions: BTreeMap<Partition, Position>,
    /// Its tables.
    pub tables: Vec<TableVerified>,
    /// Events of parked keys, which wait to be folded.
    pub waiting: u64,
    /// So often the log was read.
    pub passes: u64,
    /// Everything that is not as the log says, the first ones in words.
    pub faults: Faults,
}

impl Verified {
    /// Whether it is what the log says.
    pub fn holds(&self) -> bool {
        self.faults.count == 0
    }

    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(TableVerified::rows).sum()
    }

    /// Records of the log below the checkpoints.
    pub fn records(&self) -> i64 {
        self.positions.values().map(|position| position.next).sum()
    }
}

/// Why it could not be held against the log.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// What the database says.
    #[error("cannot read the rows")]
    Database(#[from] sqlx::Error),
    /// A checkpoint that nobody wrote like this.
    #[error(transparent)]
    Checkpoint(#[from] BadCheckpoint),
    /// The namespace cannot name schemas.
    #[error(transparent)]
    Namespace(#[from] crate::names::BadNamespace),
    /// The log does not answer.
    #[error("cannot read the log: {0}")]
    Log(String),
}

/// Holds a generation against the log as it was at one moment; `told` gets how many of how many records were folded. None
/// if it holds no events: then the topic itself is all there is.
///
/// # Errors
/// [`VerifyError`]; what is wrong with the rows is no error, but in what is returned.
pub async fn verify(
    job: &Job,
    generation: Generation,
    verifying: Verifying,
    told: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Option<Verified>, VerifyError> {
    let Some((_, contexts)) = READS.iter().find(|(name, _)| *name == job.layout.name) else {
        return Ok(None);
    };
    let schema = job.names()?.generation(job.layout.name, generation);
    let mut tx: Transaction<'_, Postgres> = job.pool.begin().await?;
    sqlx::raw_sql("set transaction isolation level repeatable read read only; set local statement_timeout to 0")
        .execute(&mut *tx)
        .await?;
    let positions = of_contexts(checkpoints(&mut tx, &schema).await?, contexts);
    let apart = apart(&mut tx, &schema).await?;
    let passes = passes(&mut tx, &schema, &job.layout, verifying).await?;
    let tables =
        job.layout.table_names.iter().map(|table| TableVerified::new(table, job.settings.partitions)).collect();
    let (waiting, faults) = (apart.0.len() as u64, Faults::default());
    let mut verified = Verified { generation, positions, tables, waiting, passes, faults };
    let (done, total) = (Arc::new(AtomicU64::new(0)), verified.records().cast_unsigned() * passes);
    for number in 0..passes {
        let bucket = Bucket { number, of: passes };
        let rows = folded(job, (&mut verified, &apart), bucket, (&done, total), told).await?;
        for table in 0..verified.tables.len() {
            let held = rows.held(&job.layout, verified.tables[table].table);
            let Verified { tables, faults, .. } = &mut verified;
            compare::table(&mut tx, (&schema, &job.layout), (&mut tables[table], faults), (held, bucket)).await?;
        }
    }
    tx.commit().await?;
    verified.faults.sums(&job.layout, &verified.tables);
    Ok(Some(verified))
}

async fn folded(
    job: &Job,
    (verified, apart): (&mut Verified, &Apart),
    bucket: Bucket,
    (done, total): (&Arc<AtomicU64>, u64),
    told: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<MemoryRows, VerifyError> {
    let rows = MemoryRows::only(bucket);
    let (log, codec, into, counted) = (Arc::clone(&job.logs.events), job.codec.clone(), rows.clone(), Arc::clone(done));
    let (name, positions, apart) = (job.layout.name, verified.positions.clone(), apart.clone());
    let handle = tokio::runtime::Handle::current();
    let folding =
        spawn_blocking(move || fold::fold(&*log, &codec, &handle, (name, &into), (&positions, apart), &counted));
    let watched = async {
        loop {
            told(done.load(Ordering::Relaxed), total);
            sleep(LOOK).await;
        }
    };
    let broken = tokio::select! {
        folded = folding => folded.expect("folding never panics")?,
        never = watched => never,
    };
    if bucket.number == 0 {
        broken.into_iter().for_each(|fault| verified.faults.add(fault));
        let folded = rows.positions(&job.layout);
        for (place, theirs) in &verified.positions {
            let ours = folded.get(place).copied().unwrap_or_default();
            if ours != *theirs {
                verified.faults.add(format!("{place}: it stands at {theirs:?}, a reader of the log at {ours:?}"));
            }
        }
    }
    Ok(rows)
}

fn of_contexts(all: BTreeMap<Partition, Position>, contexts: &[Context]) -> BTreeMap<Partition, Position> {
    all.into_iter().filter(|(place, _)| contexts.contains(&place.context)).collect()
}

/// So many readings of the log, for what is in memory at once.
async fn passes(
    tx: &mut PgConnection,
    schema: &str,
    layout: &Layout,
    verifying: Verifying,
) -> Result<u64, sqlx::Error> {
    let mut bytes = 0;
    for table in layout.table_names {
        let sql = format!("select count(*) from {schema}.{table}");
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&mut *tx).await?;
        let columns = layout.merges.iter().filter(|merge| merge.table == *table).map(|merge| merge.columns.len()).max();
        bytes += count.cast_unsigned() * (ROW_BYTES.0 + ROW_BYTES.1 * columns.unwrap_or(0) as u64);
    }
    Ok(bytes.div_ceil(verifying.memory_bytes.max(1)).max(1))
}

/// The name of a place as the checkpoints have it.
pub(crate) fn place_of(context: &str, partition: i32) -> Option<Partition> {
    let context = Context::ALL.into_iter().find(|known| context_name(*known) == context)?;
    Some(Partition { context, number: u32::try_from(partition).ok()? })
}

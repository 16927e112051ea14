//! Fills one generation in this process, several partitions at a time, whoever else fills it, too: the same workers as
//! those of the projectors, with large batches.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use event_log::log::{Log, LogError, Partition};
use service_kit::health::Health;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::{JoinSet, spawn_blocking};

use super::{Job, RebuildError};
use crate::checkpoints::{context_name, number};
use crate::ends::Ends;
use crate::generations::{Chase, Control, Generation};
use crate::names::Names;
use crate::person_keys;
use crate::run::{Start, watch};
use crate::schema::READS;
use crate::share::Share;
use crate::worker::{Pace, Refused};

/// The persons' keys have no offsets: once this is stored, they were read to the end.
const READ_TO_THE_END: i64 = 1;

/// A generation is filled until this is dropped.
pub struct Fill {
    tasks: JoinSet<Result<Infallible, Refused>>,
    reach: Reach,
}

/// Looks how far a generation has come, whoever fills it.
pub(super) struct Reach {
    log: Arc<dyn Log>,
    pool: PgPool,
    checkpoints: String,
    /// None of the persons' keys.
    places: Option<Vec<Partition>>,
    chase: Chase,
}

/// How far a generation has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// For each partition the next offset to read, and where the log ends.
    pub places: Vec<(Partition, i64, i64)>,
    /// Whether nothing is missing but what has just come.
    pub caught_up: bool,
    /// The persons' keys have no offsets.
    pub of_keys: bool,
}

impl Progress {
    /// Records that were taken in.
    pub fn done(&self) -> i64 {
        self.places.iter().map(|(_, next, _)| next).sum()
    }

    /// Records that there are.
    pub fn total(&self) -> i64 {
        self.places.iter().map(|(_, next, end)| end.max(next)).sum()
    }
}

impl Fill {
    /// Begins.
    ///
    /// # Errors
    /// The namespace cannot name schemas, or there are no keys to follow.
    pub fn start(job: &Job, generation: Generation) -> Result<Self, RebuildError> {
        let names = job.names()?;
        let name = job.layout.name;
        let ends = Arc::new(Ends::new(Arc::clone(&job.logs.events)));
        let mut tasks = JoinSet::new();
        let contexts = READS.iter().find(|(known, _)| *known == name).map(|(_, contexts)| *contexts);
        if contexts.is_some() {
            for lane in lanes(job) {
                let filling = start(job, &names, (&ends, lane), generation).filling(name, pace(job));
                tasks.spawn(filling.expect("whatever folds topics has a worker"));
            }
        } else {
            let follow = job.logs.keys.clone().ok_or(RebuildError::NoKeys)?;
            tasks.spawn(start(job, &names, (&ends, BTreeSet::from([0])), generation).keys(follow));
        }
        tasks.spawn(watch(ends, Share::all(job.settings.partitions), job.settings.look_every));
        Ok(Self { tasks, reach: Reach::of(job, generation)? })
    }

    /// How far the generation has come.
    ///
    /// # Errors
    /// What it is filled from is another log; or log or database do not answer.
    pub async fn progress(&mut self) -> Result<Progress, RebuildError> {
        if let Some(ended) = self.tasks.try_join_next() {
            match ended.expect("filling never panics") {
                Ok(never) => match never {},
                Err(refused) => return Err(refused.into()),
            }
        }
        self.reach.look().await
    }

    /// Ends it; what was not written is dropped.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

impl Reach {
    pub(super) fn of(job: &Job, generation: Generation) -> Result<Self, RebuildError> {
        let name = job.layout.name;
        let contexts = READS.iter().find(|(known, _)| *known == name).map(|(_, contexts)| *contexts);
        let of = |context| (0..job.settings.partitions).map(move |number| Partition { context, number });
        Ok(Self {
            log: Arc::clone(&job.logs.events),
            pool: job.pool.clone(),
            checkpoints: format!("{}.checkpoints", job.names()?.generation(name, generation)),
            places: contexts.map(|contexts| contexts.iter().copied().flat_map(of).collect()),
            chase: Chase::default(),
        })
    }

    pub(super) async fn look(&mut self) -> Result<Progress, RebuildError> {
        let sql = format!("select context, partition, next_offset from {}", self.checkpoints);
        let rows: Vec<(String, i32, i64)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        let next: BTreeMap<(String, i32), i64> =
            rows.into_iter().map(|(context, partition, next)| ((context, partition), next)).collect();
        let Some(places) = self.places.clone() else {
            let read = next.get(&(person_keys::CONTEXT.to_owned(), 0)).is_some_and(|next| *next >= READ_TO_THE_END);
            return Ok(Progress { places: Vec::new(), caught_up: read, of_keys: true });
        };
        let log = Arc::clone(&self.log);
        let asked = spawn_blocking(move || {
            let place = |at: &Partition| {
                let next = next.get(&(context_name(at.context).to_owned(), number(*at))).copied().unwrap_or(0);
                Ok::<_, LogError>((*at, next, log.bounds(*at)?.end))
            };
            places.iter().map(place).collect::<Result<Vec<_>, LogError>>()
        });
        let places = asked.await.expect("asking the log never panics")?;
        let caught_up = self.chase.caught_up(&places);
        Ok(Progress { places, caught_up, of_keys: false })
    }
}

/// The numbers of the partitions of each lane.
fn lanes(job: &Job) -> Vec<BTreeSet<u32>> {
    let lanes = job.lanes.clamp(1, job.settings.partitions);
    let of = |lane| (0..job.settings.partitions).filter(|number| number % lanes == lane).collect();
    (0..lanes).map(of).collect()
}

fn start(job: &Job, names: &Names, (ends, lane): (&Arc<Ends>, BTreeSet<u32>), generation: Generation) -> Start {
    Start {
        // Nobody asks this process whether it is ready.
        settings: crate::run::Settings { health: Health::default(), ..job.settings.clone() },
        names: names.clone(),
        log: Arc::clone(&job.logs.events),
        ends: Arc::clone(ends),
        codec: job.codec.clone(),
        pool: job.pool.clone(),
        share: Share::only(lane),
        control: Control::only(generation),
    }
}

fn pace(job: &Job) -> Pace {
    Pace {
        batch_records: job.settings.batch_records.max(1),
        linger: job.settings.linger,
        every: Duration::ZERO,
        look_every: job.settings.look_every,
    }
}

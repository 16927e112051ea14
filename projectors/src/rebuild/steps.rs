//! The steps from an empty generation to one that readers see.

use std::time::{Duration, Instant};

use service_kit::clock::monotonic;
use sqlx::PgPool;
use tokio::time::sleep;

use super::alone::Alone;
use super::fill::{Fill, Progress, Reach};
use super::hand_over::{HandOver, hand_over};
use super::{Job, RebuildError, indexes, skips};
use crate::generations::{Generation, Served, State, begin, mark, overview, switch};
use crate::names::Names;
use crate::schema::READS;
use crate::verify::{Verified, Verifying, verify};

/// Between two looks at how far it has come.
const LOOK: Duration = Duration::from_millis(250);
/// So long readers of long statements, and what is still on its way, are waited for.
const SWITCH_WITHIN: Duration = Duration::from_secs(60);
/// So long projectors may take to fill what readers see.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

/// What to do.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether readers are to see it in the end.
    pub switch: bool,
    /// How it is held against the log.
    pub verifying: Verifying,
}

/// What happens.
#[derive(Debug)]
pub enum News<'a> {
    /// This generation is filled; of what is there already.
    Begun(Generation, &'a Progress),
    /// It has come so far.
    Filled(&'a Progress),
    /// Its indexes are built.
    Indexing,
    /// It is held against the log: so many of so many records were folded.
    Verifying(u64, u64),
    /// It is what the log says.
    Verified(&'a Verified),
    /// Readers see it.
    Switched(Served),
    /// Who fills it from now on.
    HandedOver(HandOver),
}

/// What came of it.
#[derive(Debug)]
pub struct Rebuilt {
    /// Which generation.
    pub generation: Generation,
    /// Records that this process found to be done, at its beginning and when it had caught up.
    pub records: (i64, i64),
    /// How long filling took, until it had caught up.
    pub filling: Duration,
    /// How long building indexes took.
    pub indexing: Duration,
    /// How long verifying took.
    pub verifying: Duration,
    /// What was compared.
    pub verified: Option<Verified>,
    /// What readers see; none if they were not to.
    pub served: Option<Served>,
}

/// Fills the next generation, holds it against the log, and shows it.
///
/// # Errors
/// [`RebuildError`]; then readers go on seeing what they saw, and what was filled is gone on with the next time.
pub async fn rebuild(
    job: &Job,
    options: Options,
    news: &mut (dyn FnMut(News<'_>) + Send),
) -> Result<Rebuilt, RebuildError> {
    let names = job.names()?;
    let name = job.layout.name;
    crate::ensure(&job.pool, &names).await?;
    let _alone = Alone::take(&job.pool, &names, name).await??;
    let generation = begin(&job.pool, &names, &job.layout).await?;
    let began = monotonic();
    let (mut fill, records) = filled(job, &names, generation, news).await?;
    let mut rebuilt = Rebuilt {
        generation,
        records,
        filling: began.elapsed(),
        indexing: Duration::ZERO,
        verifying: Duration::ZERO,
        verified: None,
        served: None,
    };
    let began = monotonic();
    fill = indexed(job, &names, generation, fill, news).await?;
    rebuilt.indexing = began.elapsed();
    if READS.iter().any(|(known, _)| *known == name) {
        skips::carry_over(&job.pool, &names, (name, generation)).await?;
    }
    let began = monotonic();
    rebuilt.verified = checked(job, generation, options.verifying, news).await?;
    rebuilt.verifying = began.elapsed();
    mark(&job.pool, &names, (name, generation), (State::Ready, false)).await?;
    if options.switch {
        let served = switch(&job.pool, &names, name, generation.number, SWITCH_WITHIN).await?;
        news(News::Switched(served));
        rebuilt.served = Some(served);
        let whom = (name, generation, job.settings.partitions);
        news(News::HandedOver(hand_over(&job.pool, &names, whom, TAKEN_WITHIN).await?));
    }
    fill.stop().await;
    Ok(rebuilt)
}

/// Fills a generation until it has caught up. It is filled on until what is returned is stopped.
///
/// # Errors
/// [`RebuildError`].
pub async fn catch_up(
    job: &Job,
    generation: Generation,
    news: &mut (dyn FnMut(News<'_>) + Send),
) -> Result<(Fill, (i64, i64)), RebuildError> {
    let first = Reach::of(job, generation)?.look().await?;
    news(News::Begun(generation, &first));
    let mut fill = Fill::start(job, generation)?;
    loop {
        let now = progress(&mut fill).await?;
        news(News::Filled(&now));
        if now.caught_up {
            return Ok((fill, (first.done(), now.done())));
        }
        sleep(LOOK).await;
    }
}

/// What does not answer is asked again: filling goes on by itself when it does.
async fn progress(fill: &mut Fill) -> Result<Progress, RebuildError> {
    loop {
        match fill.progress().await {
            Err(error @ (RebuildError::Log(_) | RebuildError::Database(_))) => {
                tracing::warn!(%error, "cannot tell how far it has come; asking again");
                sleep(LOOK * 4).await;
            }
            other => return other,
        }
    }
}

async fn filled(
    job: &Job,
    names: &Names,
    generation: Generation,
    news: &mut (dyn FnMut(News<'_>) + Send),
) -> Result<(Fill, (i64, i64)), RebuildError> {
    let name = job.layout.name;
    let lacks = Reach::of(job, generation)?.look().await?;
    if lacks.total() - lacks.done() > job.bulk {
        mark(&job.pool, names, (name, generation), (State::Filling, true)).await?;
        indexes::drop_them(&job.pool, names, &job.layout, generation).await?;
    }
    catch_up(job, generation, news).await
}

/// Builds what is missing while nothing is written, and fills up again.
async fn indexed(
    job: &Job,
    names: &Names,
    generation: Generation,
    fill: Fill,
    news: &mut (dyn FnMut(News<'_>) + Send),
) -> Result<Fill, RebuildError> {
    fill.stop().await;
    if is_unindexed(&job.pool, names, job.layout.name, generation).await? {
        news(News::Indexing);
    }
    indexes::build(&job.pool, names, &job.layout, generation).await?;
    mark(&job.pool, names, (job.layout.name, generation), (State::Filling, false)).await?;
    let mut fill = Fill::start(job, generation)?;
    while !progress(&mut fill).await?.caught_up {
        sleep(LOOK).await;
    }
    Ok(fill)
}

async fn is_unindexed(pool: &PgPool, names: &Names, name: &str, generation: Generation) -> Result<bool, sqlx::Error> {
    let all = overview(pool, names).await?;
    let known = all.get(name).and_then(|standing| standing.numbered(generation.number));
    Ok(known.is_some_and(|known| known.unindexed))
}

async fn checked(
    job: &Job,
    generation: Generation,
    verifying: Verifying,
    news: &mut (dyn FnMut(News<'_>) + Send),
) -> Result<Option<Verified>, RebuildError> {
    let mut told: Option<Instant> = None;
    let mut tell = |done, total| {
        if told.is_none_or(|at| at.elapsed() >= LOOK) {
            news(News::Verifying(done, total));
            told = Some(monotonic());
        }
    };
    let verified = verify(job, generation, verifying, &mut tell).await;
    let Some(verified) = verified.map_err(|error| RebuildError::Verify(Box::new(error)))? else {
        return Ok(None);
    };
    news(News::Verified(&verified));
    if !verified.holds() {
        let name = job.layout.name.to_owned();
        return Err(RebuildError::Wrong { name, generation, verified: Box::new(verified) });
    }
    Ok(Some(verified))
}

//! Showing another generation to readers.
//!
//! Invariant: readers never go back. While the switch happens nobody moves the live generation's checkpoints, and it
//! happens only once the other one stands at least there.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::{AssertSqlSafe, FromRow, PgConnection, PgPool};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::control::{ControlError, forget, signed, standing, tell};
use super::overview::{Overview, Standing, overview};
use super::{Generation, State};
use crate::names::Names;
use crate::schema::{execute, lock, search_in};
use crate::{person_keys, views};

/// Readers wait behind the switch while it waits for a view that somebody reads; below the time after which Postgres
/// would look for a deadlock, and end one of them.
const LOCK_LIMIT: &str = "150ms";
/// So long one attempt holds the live generation's checkpoints and waits for the other one.
const HOLD: Duration = Duration::from_secs(1);
/// Between two looks at the other one's checkpoints.
const LOOK: Duration = Duration::from_millis(5);
/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(200);

/// What readers see now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// What they saw before; the same if nothing was to be done.
    pub before: Generation,
    /// What they see.
    pub now: Generation,
    /// Whether the one before is kept for the way back. One of persons' keys never is: who is forgotten later would live
    /// on in it.
    pub kept: bool,
}

/// A partition in which a generation does not stand where the live one does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The topic's context.
    pub context: String,
    /// Its number.
    pub partition: i32,
    /// Where it stands; none if it was never filled from there.
    pub at: Option<i64>,
    /// Where the live one stands.
    pub live: i64,
}

/// Why readers still see what they saw.
#[derive(Debug, thiserror::Error)]
pub enum NotSwitched {
    /// It would take them back in time.
    #[error("{generation} of {name} has not come as far as the live one in {} partitions, such as {}/{} at {} of {}",
        behind.len(), behind[0].context, behind[0].partition, behind[0].at.unwrap_or(0), behind[0].live)]
    Behind {
        /// Of which read model.
        name: String,
        /// Which.
        generation: Generation,
        /// Where; at least one.
        behind: Vec<Behind>,
    },
    /// Somebody reads a view for long.
    #[error("somebody reads the views of {0} for so long that they could not be changed")]
    Busy(String),
    /// There is no such thing.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// What the database says.
    #[error("cannot let the views show another generation")]
    Database(#[from] sqlx::Error),
}

#[derive(FromRow)]
struct At {
    context: String,
    partition: i32,
    next_offset: i64,
    identity: Option<Uuid>,
}

/// Lets every view show this generation, at once, and keeps the one before. Tries for as long as `patience`.
///
/// # Errors
/// [`NotSwitched`]; then nothing has changed.
pub async fn switch(
    pool: &PgPool,
    names: &Names,
    name: &str,
    number: u32,
    patience: Duration,
) -> Result<Served, NotSwitched> {
    let until = Instant::now() + patience;
    loop {
        let tried = attempt(pool, names, name, number).await;
        let passes = match &tried {
            Err(NotSwitched::Behind { .. } | NotSwitched::Busy(_)) => true,
            Err(NotSwitched::Control(_) | NotSwitched::Database(_)) | Ok(_) => false,
        };
        if !passes || Instant::now() >= until {
            return tried;
        }
        sleep(AGAIN).await;
    }
}

async fn attempt(pool: &PgPool, names: &Names, name: &str, number: u32) -> Result<Served, NotSwitched> {
    let mut tx = pool.begin().await?;
    execute(&mut tx, "set local client_min_messages to warning".to_owned()).await?;
    lock(&mut tx, names).await?;
    let standing = standing(&mut tx, names, name).await?;
    let no_such = || ControlError::NoGeneration { name: name.to_owned(), number };
    let to = standing.numbered(number).ok_or_else(no_such)?.generation;
    let before = standing.live;
    if to == before {
        return Ok(Served { before, now: to, kept: true });
    }
    reached(&mut tx, names, &standing, to).await?;
    note(&mut tx, names, name, (before, to)).await?;
    execute(&mut tx, format!("set local lock_timeout to '{LOCK_LIMIT}'")).await?;
    let kept = name != person_keys::LAYOUT.name;
    let all = overview(&mut *tx, names).await?;
    let shown = show(&mut tx, names, &all, (&standing, to)).await;
    shown.map_err(|error| busy(name, error))?;
    if !kept {
        forget(&mut tx, names, (name, before)).await.map_err(|error| busy(name, error))?;
    }
    tell(&mut tx, names, name).await?;
    tx.commit().await?;
    Ok(Served { before, now: to, kept })
}

fn busy(name: &str, error: sqlx::Error) -> NotSwitched {
    if is_busy(&error) { NotSwitched::Busy(name.to_owned()) } else { error.into() }
}

/// Lets the views show what is live now; those that only the generation before had are taken away.
async fn show(
    tx: &mut PgConnection,
    names: &Names,
    all: &Overview,
    (before, to): (&Standing, Generation),
) -> Result<(), sqlx::Error> {
    views::replace(tx, names, all, |_| true).await?;
    let views = |generation: Generation| before.numbered(generation.number).map(|known| &known.views);
    let (Some(had), Some(has)) = (views(before.live), views(to)) else {
        return Ok(());
    };
    for view in had.keys().filter(|view| !has.contains_key(*view)) {
        views::take_away(tx, names, view).await?;
    }
    Ok(())
}

/// Holds the live generation where it stands, and waits until the other one stands there, too.
async fn reached(tx: &mut PgConnection, names: &Names, standing: &Standing, to: Generation) -> Result<(), NotSwitched> {
    let live = checkpoints(tx, &names.generation(&standing.name, standing.live), "for update").await?;
    let until = Instant::now() + HOLD;
    loop {
        let behind = behind(&live, &checkpoints(tx, &names.generation(&standing.name, to), "").await?);
        if behind.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(NotSwitched::Behind { name: standing.name.clone(), generation: to, behind });
        }
        sleep(LOOK).await;
    }
}

type Checkpoints = BTreeMap<(String, i32), (i64, Option<Uuid>)>;

/// In key order, as projectors lock them.
async fn checkpoints(tx: &mut PgConnection, schema: &str, how: &str) -> Result<Checkpoints, sqlx::Error> {
    let exists: bool = sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(format!("{schema}.checkpoints"))
        .fetch_one(&mut *tx)
        .await?;
    if !exists {
        return Ok(Checkpoints::new());
    }
    let sql = format!(
        "select context, partition, next_offset, identity from {schema}.checkpoints order by context, partition {how}"
    );
    let rows: Vec<At> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(tx).await?;
    Ok(rows.into_iter().map(|at| ((at.context, at.partition), (at.next_offset, at.identity))).collect())
}

/// Where the live one is ahead, or of another log. A topic that the other one does not fold at all does not count.
fn behind(live: &Checkpoints, other: &Checkpoints) -> Vec<Behind> {
    if other.is_empty() {
        let nowhere = |((context, partition), (next, _)): (&(String, i32), &(i64, Option<Uuid>))| Behind {
            context: context.clone(),
            partition: *partition,
            at: None,
            live: *next,
        };
        return live.iter().map(nowhere).collect();
    }
    let folds = |context: &String| other.keys().any(|(it, _)| it == context);
    let places = live.iter().filter(|((context, _), (next, _))| folds(context) && *next > 0);
    let late = places.filter_map(|(place, (next, log))| {
        let (context, partition) = place;
        let at = other.get(place);
        // The identity of a reading of the keys is its own.
        let same = |(_, found): &&(i64, Option<Uuid>)| context == person_keys::CONTEXT || found == log;
        let there = at.filter(same).is_some_and(|(at, _)| at >= next);
        let (context, partition) = (context.clone(), *partition);
        (!there).then(|| Behind { context, partition, at: at.map(|(next, _)| *next), live: *next })
    });
    late.collect()
}

async fn note(
    tx: &mut PgConnection,
    names: &Names,
    name: &str,
    (before, to): (Generation, Generation),
) -> Result<(), sqlx::Error> {
    search_in(tx, &names.control()).await?;
    let kept = "update generations set state = $3, live_until = now() where name = $1 and generation = $2";
    let kept = sqlx::query(kept).bind(name).bind(signed(before.number)).bind(State::Kept.as_str());
    kept.execute(&mut *tx).await?;
    let live = "update generations set state = $3, live_since = now(), live_until = null
        where name = $1 and generation = $2";
    let live = sqlx::query(live).bind(name).bind(signed(to.number)).bind(State::Live.as_str());
    live.execute(&mut *tx).await?;
    let shown = "update projections set live_generation = $2 where name = $1";
    sqlx::query(shown).bind(name).bind(signed(to.number)).execute(tx).await?;
    Ok(())
}

/// `lock_not_available`
fn is_busy(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55P03")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: Option<Uuid> = Some(Uuid::from_u128(1));

    fn at(places: &[(&str, i32, i64, Option<Uuid>)]) -> Checkpoints {
        places.iter().map(|(context, number, next, log)| (((*context).to_owned(), *number), (*next, *log))).collect()
    }

    #[test]
    fn nobody_is_taken_back_in_time() {
        let live = at(&[("order", 0, 7, LOG), ("order", 1, 0, None), ("payment", 0, 3, LOG)]);
        let other = |next, log| at(&[("order", 0, next, log), ("payment", 0, 3, LOG)]);
        assert!(behind(&live, &other(7, LOG)).is_empty() && behind(&live, &other(8, LOG)).is_empty());
        let late = Behind { context: "order".to_owned(), partition: 0, at: Some(6), live: 7 };
        assert_eq!(behind(&live, &other(6, LOG)), [late]);
        assert_eq!(behind(&live, &other(9, None)).len(), 1, "of another log");
        assert_eq!(behind(&live, &at(&[])).len(), 3, "never filled");
        assert_eq!(behind(&live, &at(&[("order", 0, 7, LOG)])), [], "it does not fold payments");
        assert_eq!(behind(&live, &at(&[("order", 1, 7, LOG)])).len(), 1, "nobody fills partition 0");
        let keys = |log| at(&[(person_keys::CONTEXT, 0, 1, log)]);
        assert!(behind(&keys(LOG), &keys(None)).is_empty());
    }
}

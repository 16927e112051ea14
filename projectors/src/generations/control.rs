//! The control tables: made, and changed one step at a time.

use std::collections::BTreeMap;

use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};

use super::overview::{Known, State, overview};
use super::{Generation, Standing};
use crate::model::Layout;
use crate::names::Names;
use crate::schema::{execute, lock, make_tables, search_in};

/// How long dropping waits for who still reads, before it is tried again.
const LOCK_LIMIT: &str = "300ms";

/// In the schema `<namespace>_control`.
pub(crate) const CONTROL: &str = "
create table if not exists projections (
    name text primary key,
    live_generation integer not null,
    paused_at timestamptz
);
create table if not exists generations (
    name text references projections on delete cascade,
    generation integer,
    version integer not null,
    state text not null check (state in ('filling', 'ready', 'live', 'kept')),
    views jsonb not null,
    unindexed boolean not null default false,
    created_at timestamptz not null default now(),
    live_since timestamptz,
    live_until timestamptz,
    primary key (name, generation)
);
create table if not exists fillers (
    instance text primary key,
    fills jsonb not null,
    seen_at timestamptz not null
);
";

/// Why the control tables were not changed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No such read model.
    #[error("there is no read model {0:?}")]
    Unknown(String),
    /// No such generation.
    #[error("the read model {name} has no generation {number}")]
    NoGeneration {
        /// Of which read model.
        name: String,
        /// Which.
        number: u32,
    },
    /// It is not what it would have to be.
    #[error("{generation} of {name} is {state}; only a kept or unfinished one can be dropped")]
    InUse {
        /// Of which read model.
        name: String,
        /// Which.
        generation: Generation,
        /// What it is.
        state: &'static str,
    },
    /// What the database says.
    #[error("cannot change which generations there are")]
    Database(#[from] sqlx::Error),
}

/// The queries of a layout's views, as they are stored with its generations.
fn labels(layout: &Layout) -> Json<BTreeMap<String, String>> {
    Json(layout.views.iter().map(|view| (view.name.to_owned(), view.query.trim().to_owned())).collect())
}

/// Lets a read model that nobody knows begin with its first generation, which is live at once.
pub(crate) async fn found(tx: &mut PgConnection, names: &Names, layout: &Layout) -> Result<(), sqlx::Error> {
    search_in(tx, &names.control()).await?;
    let generation = Generation::first(layout);
    let insert = "insert into projections (name, live_generation) values ($1, $2) on conflict do nothing";
    let inserted = sqlx::query(insert).bind(layout.name).bind(signed(generation.number)).execute(&mut *tx).await?;
    if inserted.rows_affected() == 1 {
        insert_generation(tx, layout, generation, State::Live).await?;
    }
    Ok(())
}

async fn insert_generation(
    tx: &mut PgConnection,
    layout: &Layout,
    generation: Generation,
    state: State,
) -> Result<(), sqlx::Error> {
    let insert = sqlx::query(
        "insert into generations (name, generation, version, state, views, live_since)
         values ($1, $2, $3, $4, $5, case when $4 = 'live' then now() end)",
    );
    let insert = insert.bind(layout.name).bind(signed(generation.number)).bind(signed(generation.version));
    insert.bind(state.as_str()).bind(labels(layout)).execute(&mut *tx).await?;
    Ok(())
}

/// Stores the queries of this code's views with a generation of its version.
pub(crate) async fn relabel(
    tx: &mut PgConnection,
    names: &Names,
    layout: &Layout,
    known: &mut Known,
) -> Result<(), sqlx::Error> {
    let Json(views) = labels(layout);
    if known.generation.version != layout.version || known.views == views {
        return Ok(());
    }
    search_in(tx, &names.control()).await?;
    let update = sqlx::query("update generations set views = $3 where name = $1 and generation = $2");
    let update = update.bind(layout.name).bind(signed(known.generation.number)).bind(Json(&views));
    update.execute(&mut *tx).await?;
    known.views = views;
    Ok(())
}

/// Begins a generation of this code beside the live one, and tells which. One that was begun and never shown is gone on
/// with.
///
/// # Errors
/// [`ControlError`].
pub async fn begin(pool: &PgPool, names: &Names, layout: &Layout) -> Result<Generation, ControlError> {
    crate::ensure(pool, names).await?;
    let mut tx = pool.begin().await?;
    lock(&mut tx, names).await?;
    let standing = standing(&mut tx, names, layout.name).await?;
    let begun = |known: &&Known| {
        known.generation.version == layout.version && matches!(known.state, State::Filling | State::Ready)
    };
    if let Some(known) = standing.generations.iter().rev().find(begun) {
        return Ok(known.generation);
    }
    let newest = standing.generations.iter().map(|known| known.generation.number).max().unwrap_or(0);
    let generation = Generation { version: layout.version, number: newest + 1 };
    search_in(&mut tx, &names.control()).await?;
    insert_generation(&mut tx, layout, generation, State::Filling).await?;
    make_tables(&mut tx, names, layout, generation).await?;
    tell(&mut tx, names, layout.name).await?;
    tx.commit().await?;
    Ok(generation)
}

/// Notes how far the filling of a generation is that readers do not see: its state, and whether indexes are missing.
///
/// # Errors
/// Whatever the database says.
pub async fn mark(
    pool: &PgPool,
    names: &Names,
    (name, generation): (&str, Generation),
    (state, unindexed): (State, bool),
) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    lock(&mut tx, names).await?;
    search_in(&mut tx, &names.control()).await?;
    let update = sqlx::query(
        "update generations set state = $3, unindexed = $4
         where name = $1 and generation = $2 and state in ('filling', 'ready')",
    );
    let update = update.bind(name).bind(signed(generation.number)).bind(state.as_str()).bind(unindexed);
    update.execute(&mut *tx).await?;
    tx.commit().await
}

/// Lets projectors stop filling a read model, or go on. Tells whether that changed anything.
///
/// # Errors
/// [`ControlError`].
pub async fn pause(pool: &PgPool, names: &Names, name: &str, paused: Paused) -> Result<bool, ControlError> {
    let mut tx = pool.begin().await?;
    lock(&mut tx, names).await?;
    standing(&mut tx, names, name).await?;
    search_in(&mut tx, &names.control()).await?;
    let update = match paused {
        Paused::Yes => "update projections set paused_at = now() where name = $1 and paused_at is null",
        Paused::No => "update projections set paused_at = null where name = $1 and paused_at is not null",
    };
    let changed = sqlx::query(update).bind(name).execute(&mut *tx).await?.rows_affected() == 1;
    tell(&mut tx, names, name).await?;
    tx.commit().await?;
    Ok(changed)
}

/// Whether projectors fill a read model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paused {
    /// They do not.
    Yes,
    /// They do.
    No,
}

/// Drops a generation that readers do not see, with all its tables.
///
/// # Errors
/// [`ControlError`]; a lock that cannot be had soon, because somebody still reads the tables, is a database error.
pub async fn drop_kept(pool: &PgPool, names: &Names, name: &str, number: u32) -> Result<Generation, ControlError> {
    let mut tx = pool.begin().await?;
    execute(&mut tx, format!("set local client_min_messages to warning; set local lock_timeout to '{LOCK_LIMIT}'"))
        .await?;
    lock(&mut tx, names).await?;
    let standing = standing(&mut tx, names, name).await?;
    let no_such = || ControlError::NoGeneration { name: name.to_owned(), number };
    let known = standing.numbered(number).ok_or_else(no_such)?;
    let (generation, state) = (known.generation, known.state);
    if state == State::Live {
        return Err(ControlError::InUse { name: name.to_owned(), generation, state: state.as_str() });
    }
    forget(&mut tx, names, (name, generation)).await?;
    tell(&mut tx, names, name).await?;
    tx.commit().await?;
    Ok(generation)
}

/// Drops a generation that no view shows, tables and notes.
pub(super) async fn forget(
    tx: &mut PgConnection,
    names: &Names,
    (name, generation): (&str, Generation),
) -> Result<(), sqlx::Error> {
    execute(tx, format!("drop schema if exists {} cascade", names.generation(name, generation))).await?;
    search_in(tx, &names.control()).await?;
    let delete = sqlx::query("delete from generations where name = $1 and generation = $2");
    delete.bind(name).bind(signed(generation.number)).execute(tx).await?;
    Ok(())
}

/// What is known of a read model, under the lock.
pub(super) async fn standing(tx: &mut PgConnection, names: &Names, name: &str) -> Result<Standing, ControlError> {
    let mut all = overview(&mut *tx, names).await?;
    all.remove(name).ok_or_else(|| ControlError::Unknown(name.to_owned()))
}

/// Whoever fills or reads hears of it when the transaction commits.
pub(super) async fn tell(tx: &mut PgConnection, names: &Names, name: &str) -> Result<(), sqlx::Error> {
    let told = sqlx::query("select pg_notify($1, $3), pg_notify($2, $3)");
    let told = told.bind(names.control_channel()).bind(names.checkpoints_channel()).bind(name);
    told.execute(tx).await?;
    Ok(())
}

pub(super) fn signed(number: u32) -> i32 {
    i32::try_from(number).expect("generations and versions are counted with 31 bits")
}

//! The database's layout: a schema for each generation of each read model, one that says which is live, and one with
//! the views under stable names.

use domain::root::Context;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::generations::{self, Generation, Standing, State};
use crate::model::{Layout, ReadModel as _};
use crate::names::{BadNamespace, Names};
use crate::{inventory, ledger, orders, parked, payments, person_keys, queue, shows, tickets, views};

/// Every read model's layout. The views name each other's tables, so all are set up together.
pub const LAYOUTS: [Layout; 8] = [
    shows::Shows::LAYOUT,
    inventory::Inventory::LAYOUT,
    orders::Orders::LAYOUT,
    payments::Payments::LAYOUT,
    ledger::Ledger::LAYOUT,
    tickets::Tickets::LAYOUT,
    queue::Queue::LAYOUT,
    person_keys::LAYOUT,
];

/// Which topics each read model of events folds.
pub const READS: [(&str, &[Context]); 7] = [
    (shows::Shows::LAYOUT.name, shows::Shows::CONTEXTS),
    (inventory::Inventory::LAYOUT.name, inventory::Inventory::CONTEXTS),
    (orders::Orders::LAYOUT.name, orders::Orders::CONTEXTS),
    (payments::Payments::LAYOUT.name, payments::Payments::CONTEXTS),
    (ledger::Ledger::LAYOUT.name, ledger::Ledger::CONTEXTS),
    (tickets::Tickets::LAYOUT.name, tickets::Tickets::CONTEXTS),
    (queue::Queue::LAYOUT.name, queue::Queue::CONTEXTS),
];

/// The read models that a view shows, with the topics they fold: what a reader who wants to see its own write has to
/// wait for. Empty if there is no such view of events.
pub fn sources(view: &str) -> Vec<(&'static str, &'static [Context])> {
    let query = LAYOUTS.iter().flat_map(|layout| layout.views).find(|it| it.name == view).map_or("", |it| it.query);
    READS.into_iter().filter(|(name, _)| query.contains(&format!("{{{name}}}"))).collect()
}

/// In every read model's schema: how far it has come. A checkpoint is all fields of `validity::Position`.
const CHECKPOINTS: &str = "
create table if not exists checkpoints (
    context text,
    partition integer,
    next_offset bigint not null,
    identity uuid,
    term bigint not null,
    claim uuid not null,
    seq bigint not null,
    hole boolean not null,
    updated_at timestamptz not null,
    primary key (context, partition)
) with (fillfactor = 50);
";

/// Why a read model was not emptied.
#[derive(Debug, thiserror::Error)]
pub enum WipeError {
    /// The namespace cannot name schemas.
    #[error(transparent)]
    Namespace(#[from] BadNamespace),
    /// No such read model.
    #[error("there is no read model {0:?}")]
    Unknown(String),
    /// What the database says.
    #[error("cannot empty the read model")]
    Database(#[from] sqlx::Error),
}

/// Creates what is missing: the control tables, the tables of what is live, views. Several processes may do so at once.
/// What is live of another version of the code is left to that.
///
/// # Errors
/// Whatever the database says.
pub async fn ensure(pool: &PgPool, names: &Names) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    // What exists is no news.
    execute(&mut tx, "set local client_min_messages to warning".to_owned()).await?;
    lock(&mut tx, names).await?;
    for schema in [names.views(), names.control()] {
        execute(&mut tx, format!("create schema if not exists {schema}")).await?;
    }
    search_in(&mut tx, &names.control()).await?;
    execute(&mut tx, generations::CONTROL.to_owned()).await?;
    for layout in &LAYOUTS {
        generations::found(&mut tx, names, layout).await?;
    }
    let mut all = generations::overview(&mut *tx, names).await?;
    for layout in &LAYOUTS {
        let Some(standing) = all.get_mut(layout.name) else { continue };
        for known in standing.generations.iter_mut().filter(|known| known.generation.version == layout.version) {
            generations::relabel(&mut tx, names, layout, known).await?;
            if known.state == State::Live
                || !is_there(&mut tx, &names.generation(layout.name, known.generation)).await?
            {
                make_tables(&mut tx, names, layout, known.generation).await?;
            }
        }
    }
    // What another version shows may not be there just now; it was made when it became live.
    views::replace(&mut tx, names, &all, ours).await?;
    tx.commit().await
}

async fn is_there(tx: &mut PgConnection, schema: &str) -> Result<bool, sqlx::Error> {
    let table = format!("{schema}.checkpoints");
    sqlx::query_scalar("select to_regclass($1) is not null").bind(table).fetch_one(tx).await
}

/// Creates the tables of a generation, with all their indexes.
pub(crate) async fn make_tables(
    tx: &mut PgConnection,
    names: &Names,
    layout: &Layout,
    generation: Generation,
) -> Result<(), sqlx::Error> {
    let schema = names.generation(layout.name, generation);
    execute(tx, format!("create schema if not exists {schema}")).await?;
    search_in(tx, &schema).await?;
    execute(tx, format!("{CHECKPOINTS}{}{}", parked::TABLES, layout.tables)).await
}

/// Whoever changes which generations there are, or what the views show, does so alone until the transaction ends.
pub(crate) async fn lock(tx: &mut PgConnection, names: &Names) -> Result<(), sqlx::Error> {
    let lock = sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))");
    lock.bind(names.base()).execute(tx).await?;
    Ok(())
}

/// Makes a schema the one in which names are looked up, until the transaction ends.
pub(crate) async fn search_in(tx: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    sqlx::query("select set_config('search_path', $1, true)").bind(schema).execute(tx).await?;
    Ok(())
}

/// Empties what readers see of a read model: a projector that runs, or the next one, fills it again from the start of
/// the log.
///
/// # Errors
/// [`WipeError`].
pub async fn wipe(pool: &PgPool, namespace: &str, name: &str) -> Result<(), WipeError> {
    let names = Names::of(namespace)?;
    ensure(pool, &names).await?;
    let mut tx = pool.begin().await?;
    let all = generations::overview(&mut *tx, &names).await?;
    let standing = all.get(name).ok_or_else(|| WipeError::Unknown(name.to_owned()))?;
    let schema = names.generation(name, standing.live);
    // Checkpoints first, as a projector's transaction locks them first.
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c where c.relnamespace = to_regnamespace($1) and c.relkind = 'r'
         order by c.relname <> 'checkpoints', c.relname",
    )
    .bind(&schema)
    .fetch_all(&mut *tx)
    .await?;
    search_in(&mut tx, &schema).await?;
    execute(&mut tx, format!("truncate {}", tables.join(", "))).await?;
    tx.commit().await?;
    Ok(())
}

/// Every schema of a namespace: views, control, and each generation's tables; quoted.
///
/// # Errors
/// Whatever the database says.
pub async fn schemas(database: &mut PgConnection, names: &Names) -> Result<Vec<String>, sqlx::Error> {
    let generation = format!("^_({})_v[0-9]+(_g[0-9]+)?$", LAYOUTS.map(|layout| layout.name).join("|"));
    sqlx::query_scalar(
        "select quote_ident(nspname) from pg_namespace
         where nspname in ($1, $1 || '_control')
            or starts_with(nspname, $1) and substr(nspname, length($1) + 1) ~ $2",
    )
    .bind(names.base())
    .bind(generation)
    .fetch_all(database)
    .await
}

/// Drops every schema there is of a namespace: it begins again from an empty database.
///
/// # Errors
/// Whatever the database says.
pub async fn forget(database: &mut PgConnection, names: &Names) -> Result<(), sqlx::Error> {
    for schema in schemas(database, names).await? {
        execute(database, format!("drop schema if exists {schema} cascade")).await?;
    }
    Ok(())
}

/// Whether this code knows what is live, or the read model at all.
fn ours(standing: &Standing) -> bool {
    LAYOUTS.iter().any(|layout| layout.name == standing.name && layout.version == standing.live.version)
}

/// The texts are ours: constants, and names that [`Names::of`] has checked.
pub(crate) async fn execute(tx: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(tx).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_tells_what_it_shows() {
        let names = |view| sources(view).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("orders"), ["orders", "payments"]);
        assert_eq!(names("ticket_classes"), ["shows", "inventory"]);
        assert_eq!(names("nothing"), [""; 0]);
    }

    #[test]
    fn every_view_names_read_models_that_there_are() {
        for view in LAYOUTS.iter().flat_map(|layout| layout.views) {
            let filled = LAYOUTS
                .iter()
                .fold(view.query.to_owned(), |query, layout| query.replace(&format!("{{{}}}", layout.name), ""));
            assert!(!filled.contains('{'), "{}: {filled}", view.name);
        }
    }
}

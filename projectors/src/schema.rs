//! The database's layout: a schema for each read model and version, and the views under stable names.

use std::fmt::Write as _;

use domain::root::Context;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::model::{Layout, ReadModel as _};
use crate::{inventory, ledger, orders, parked, payments, person_keys, queue, shows, tickets};

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

/// A namespace that cannot name schemas.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the namespace {0:?} cannot name database schemas: at most 45 letters, digits, '_', '-' or '.', not beginning with pg_"
)]
pub struct BadNamespace(String);

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

/// How schemas and notification channels are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    base: String,
}

impl Names {
    /// The names of a namespace; the empty one is called `boxoffice`.
    ///
    /// # Errors
    /// A namespace with other characters than letters, digits, `_`, `.` and `-`, longer than 45 (a database's names
    /// have at most 63 characters), or beginning with `pg_`.
    pub fn of(namespace: &str) -> Result<Self, BadNamespace> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if namespace.len() > 45 || !namespace.chars().all(fits) || namespace.starts_with("pg_") {
            return Err(BadNamespace(namespace.chars().take(60).collect()));
        }
        let base = if namespace.is_empty() { "boxoffice" } else { namespace };
        Ok(Self { base: base.to_owned() })
    }

    /// The schema of the views, quoted.
    pub fn views(&self) -> String {
        format!("\"{}\"", self.base)
    }

    /// The schema of a read model's tables, quoted.
    pub fn tables(&self, layout: &Layout) -> String {
        format!("\"{}_{}_v{}\"", self.base, layout.name, layout.version)
    }

    /// Every schema there is of a namespace, quoted: whoever drops them all begins from an empty database.
    pub fn all(&self) -> impl Iterator<Item = String> + '_ {
        std::iter::once(self.views()).chain(crate::LAYOUTS.iter().map(|layout| self.tables(layout)))
    }

    /// The channel that tells the ids of changed orders: 32 hex digits each, comma between, at most 239 a message.
    pub fn orders_channel(&self) -> String {
        format!("{}_orders", self.base)
    }

    /// The channel that tells the ids of changed shows (details, classes, availability), written like orders.
    pub fn shows_channel(&self) -> String {
        format!("{}_shows", self.base)
    }

    /// The channel that tells the ids of shows whose waiting room moved on, written like orders.
    pub fn queues_channel(&self) -> String {
        format!("{}_queues", self.base)
    }

    /// The channel that tells the name of a read model whose checkpoints moved.
    pub fn checkpoints_channel(&self) -> String {
        format!("{}_checkpoints", self.base)
    }
}

/// Creates what is missing: schemas, tables, views. Several processes may do so at once.
///
/// # Errors
/// Whatever the database says.
pub async fn ensure(pool: &PgPool, names: &Names) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    // What exists is no news.
    execute(&mut tx, "set local client_min_messages to warning".to_owned()).await?;
    // `create if not exists` of two processes at once would fail in one of them.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))").bind(&names.base).execute(&mut *tx).await?;
    execute(&mut tx, format!("create schema if not exists {}", names.views())).await?;
    for layout in &LAYOUTS {
        let schema = names.tables(layout);
        execute(&mut tx, format!("create schema if not exists {schema}")).await?;
        search_in(&mut tx, &schema).await?;
        execute(&mut tx, format!("{CHECKPOINTS}{}{}", parked::TABLES, layout.tables)).await?;
    }
    for (name, query) in views(names) {
        ensure_view(&mut tx, &format!("{}.{name}", names.views()), &query).await?;
    }
    tx.commit().await
}

/// Makes a schema the one in which names are looked up, until the transaction ends.
pub(crate) async fn search_in(tx: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    sqlx::query("select set_config('search_path', $1, true)").bind(schema).execute(tx).await?;
    Ok(())
}

/// Empties a read model: a projector that runs, or the next one, fills it again from the start of the log.
///
/// # Errors
/// [`WipeError`].
pub async fn wipe(pool: &PgPool, namespace: &str, name: &str) -> Result<(), WipeError> {
    let names = Names::of(namespace)?;
    let layout = LAYOUTS.iter().find(|layout| layout.name == name);
    let layout = layout.ok_or_else(|| WipeError::Unknown(name.to_owned()))?;
    ensure(pool, &names).await?;
    let mut tx = pool.begin().await?;
    search_in(&mut tx, &names.tables(layout)).await?;
    // Checkpoints first, as a projector's transaction locks them first.
    let tables = layout.table_names.join(", ");
    execute(&mut tx, format!("truncate checkpoints, {}, {tables}", parked::TABLE_NAMES)).await?;
    tx.commit().await?;
    Ok(())
}

/// Every view with its query, the schemas' names filled in.
fn views(names: &Names) -> Vec<(&'static str, String)> {
    let filled = |query: &str| {
        LAYOUTS.iter().fold(query.trim().to_owned(), |query, layout| {
            query.replace(&format!("{{{}}}", layout.name), &names.tables(layout))
        })
    };
    let of_models = LAYOUTS.iter().flat_map(|layout| layout.views);
    let mut views: Vec<(&'static str, String)> = of_models.map(|view| (view.name, filled(view.query))).collect();
    views.push(("checkpoints", filled(&checkpoints_view())));
    views.push(("parked", filled(&parked::view())));
    views
}

fn checkpoints_view() -> String {
    let mut query = String::new();
    for (n, layout) in LAYOUTS.iter().enumerate() {
        let union = if n == 0 { "" } else { "\nunion all " };
        let name = layout.name;
        let columns = "context, partition, next_offset, identity, term, claim, seq, hole, updated_at";
        write!(query, "{union}select '{name}' as projection, {columns} from {{{name}}}.checkpoints")
            .expect("writing to a string never fails");
    }
    query
}

/// A view's comment holds its query, so that one of an older version is recognised and replaced.
async fn ensure_view(tx: &mut PgConnection, view: &str, query: &str) -> Result<(), sqlx::Error> {
    let comment: Option<String> = sqlx::query_scalar("select obj_description(to_regclass($1), 'pg_class')")
        .bind(view)
        .fetch_one(&mut *tx)
        .await?;
    if comment.as_deref() == Some(query) {
        return Ok(());
    }
    let quoted = query.replace('\'', "''");
    let sql =
        format!("drop view if exists {view}; create view {view} as {query}; comment on view {view} is '{quoted}'");
    execute(tx, sql).await
}

/// The texts are ours: constants, and names that [`Names::of`] has checked.
async fn execute(tx: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(tx).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_names_schemas_or_is_refused() {
        assert_eq!(Names::of("").unwrap().tables(&LAYOUTS[2]), "\"boxoffice_orders_v1\"");
        assert_eq!(Names::of("t-1.a").unwrap().views(), "\"t-1.a\"");
        for bad in ["a\"b", "ä", "a b", "pg_x", &"a".repeat(46)] {
            assert!(Names::of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_view_tells_what_it_shows() {
        let names = |view| sources(view).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names("orders"), ["orders", "payments"]);
        assert_eq!(names("ticket_classes"), ["shows", "inventory"]);
        assert_eq!(names("nothing"), [""; 0]);
    }

    #[test]
    fn every_placeholder_is_filled() {
        for (name, query) in views(&Names::of("x").unwrap()) {
            assert!(!query.contains('{'), "{name}: {query}");
        }
    }
}

//! The views under stable names: each shows the live generations of the read models that it names.

use std::collections::BTreeMap;

use sqlx::{Acquire as _, AssertSqlSafe, PgConnection};

use crate::generations::{Overview, Standing};
use crate::names::Names;
use crate::schema::execute;

/// Tables that every generation has for itself, with the columns that their views show beside `projection`.
const COMMON: [(&str, &str); 2] = [
    ("checkpoints", "context, partition, next_offset, identity, term, claim, seq, hole, updated_at"),
    (
        "parked",
        "context, partition, key, \"offset\", event_type, reason, reason is not null as poison, since, order_id",
    ),
];

/// Lets the views show what is live, but for those that name a read model which does not count here.
///
/// # Errors
/// Whatever the database says, such as that a view does not fit another read model's tables.
pub(crate) async fn replace(
    tx: &mut PgConnection,
    names: &Names,
    all: &Overview,
    counts: impl Fn(&Standing) -> bool,
) -> Result<(), sqlx::Error> {
    let mut views = of_models(names, all.values().filter(|standing| counts(standing)));
    for (table, columns) in COMMON {
        let there = having(tx, names, all, table).await?;
        views.insert(table.to_owned(), union(names, &there, (table, columns)));
    }
    views.insert("projections".to_owned(), projections(names));
    // In the order of their names, so that two who do this lock them in one order.
    for (name, query) in views {
        show(tx, &format!("{}.{name}", names.views()), &query).await?;
    }
    Ok(())
}

/// Every view of a read model with its query, the schemas' names filled in. What names a read model that is not there
/// is left out.
pub(crate) fn of_models<'a>(
    names: &Names,
    all: impl Iterator<Item = &'a Standing> + Clone,
) -> BTreeMap<String, String> {
    let filled = |query: &String| {
        all.clone().fold(query.clone(), |query, standing| {
            let schema = names.generation(&standing.name, standing.live);
            query.replace(&format!("{{{}}}", standing.name), &schema)
        })
    };
    let live = |standing: &Standing| standing.numbered(standing.live.number).map(|known| known.views.clone());
    let queries = all.clone().filter_map(live).flatten();
    queries.map(|(name, query)| (name, filled(&query))).filter(|(_, query)| !query.contains('{')).collect()
}

/// The read models whose live generation has this table.
async fn having<'a>(
    tx: &mut PgConnection,
    names: &Names,
    all: &'a Overview,
    table: &str,
) -> Result<Vec<&'a Standing>, sqlx::Error> {
    let standings: Vec<&Standing> = all.values().collect();
    let tables = standings.iter().map(|it| format!("{}.{table}", names.generation(&it.name, it.live)));
    let query =
        "select to_regclass(name) is not null from unnest($1::text[]) with ordinality as t (name, n) order by n";
    let there: Vec<bool> = sqlx::query_scalar(query).bind(tables.collect::<Vec<_>>()).fetch_all(tx).await?;
    Ok(standings.into_iter().zip(there).filter(|(_, there)| *there).map(|(standing, _)| standing).collect())
}

fn union(names: &Names, all: &[&Standing], (table, columns): (&str, &str)) -> String {
    let select = |standing: &&Standing| {
        let Standing { name, live, .. } = standing;
        format!("select '{name}' as projection, {columns} from {}.{table}", names.generation(name, *live))
    };
    all.iter().map(select).collect::<Vec<_>>().join("\nunion all ")
}

/// View `projections`: `projection`, `version`, `generation`, `live_since`, `paused_at` of what is shown.
fn projections(names: &Names) -> String {
    let control = names.control();
    format!(
        "select p.name as projection, g.version, g.generation, g.live_since, p.paused_at
from {control}.projections p
join {control}.generations g on g.name = p.name and g.generation = p.live_generation"
    )
}

/// Takes a view away that nothing shows any more.
pub(crate) async fn take_away(tx: &mut PgConnection, names: &Names, view: &str) -> Result<(), sqlx::Error> {
    execute(tx, format!("drop view if exists {}.{view}", names.views())).await
}

/// A view's comment holds its query, so that one that shows something else is recognised and replaced: in its place,
/// so that what was granted on it stays, unless its columns are others.
async fn show(tx: &mut PgConnection, view: &str, query: &str) -> Result<(), sqlx::Error> {
    let comment: Option<String> = sqlx::query_scalar("select obj_description(to_regclass($1), 'pg_class')")
        .bind(view)
        .fetch_one(&mut *tx)
        .await?;
    if comment.as_deref() == Some(query) {
        return Ok(());
    }
    let mut replacing = tx.begin().await?;
    let replaced = sqlx::raw_sql(AssertSqlSafe(format!("create or replace view {view} as {query}")));
    match replaced.execute(&mut *replacing).await {
        Ok(_) => replacing.commit().await?,
        Err(error) if has_other_columns(&error) => {
            replacing.rollback().await?;
            execute(tx, format!("drop view if exists {view}; create view {view} as {query}")).await?;
        }
        Err(error) => return Err(error),
    }
    execute(tx, format!("comment on view {view} is '{}'", query.replace('\'', "''"))).await
}

/// `invalid_table_definition`
fn has_other_columns(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "42P16")
}

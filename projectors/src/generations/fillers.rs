//! Who fills which generation: every process says so now and then, so that another one that fills it, too, knows when it
//! may stop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, PgPool};

use crate::names::Names;

/// Who was silent for so long does not count.
const SILENT: &str = "5 seconds";
/// Who was silent for so long is forgotten.
const GONE: &str = "1 hour";

/// What one process fills of one read model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    /// The number of the generation.
    pub generation: u32,
    /// The numbers of the partitions.
    pub partitions: BTreeSet<u32>,
}

type Fills = BTreeMap<String, Filled>;

/// What this process fills. Cheap to clone: all clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Duty(Arc<Mutex<Fills>>);

impl Duty {
    /// From now on this, or nothing, of a read model.
    pub(crate) fn is(&self, name: &str, filled: Option<Filled>) {
        let mut fills = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match filled {
            Some(filled) => drop(fills.insert(name.to_owned(), filled)),
            None => drop(fills.remove(name)),
        }
    }

    /// Says so.
    pub(crate) async fn tell(&self, pool: &PgPool, names: &Names, instance: &str) -> Result<(), sqlx::Error> {
        let fills = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if fills.is_empty() {
            return Ok(());
        }
        let fillers = format!("{}.fillers", names.control());
        let told = format!(
            "with gone as (delete from {fillers} where seen_at < now() - interval '{GONE}' and instance <> $1)
             insert into {fillers} (instance, fills, seen_at) values ($1, $2, now())
             on conflict (instance) do update set fills = excluded.fills, seen_at = excluded.seen_at"
        );
        sqlx::query(AssertSqlSafe(told)).bind(instance).bind(Json(fills)).execute(pool).await?;
        Ok(())
    }
}

/// What the processes that were heard of lately fill of a read model.
///
/// # Errors
/// Whatever the database says.
pub async fn fillers(pool: &PgPool, names: &Names, name: &str) -> Result<Vec<Filled>, sqlx::Error> {
    let sql = format!(
        "select fills -> $1 from {}.fillers where fills ? $1 and seen_at > now() - interval '{SILENT}'",
        names.control()
    );
    let fills: Vec<Json<Filled>> = sqlx::query_scalar(AssertSqlSafe(sql)).bind(name).fetch_all(pool).await?;
    Ok(fills.into_iter().map(|Json(filled)| filled).collect())
}

//! Shows a generation that newer code has filled, as soon as it has come to the log's ends.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use event_log::log::{Log, LogError, Partition};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::watch::Control;
use super::{Chase, Generation, switch};
use crate::checkpoints::{context_name, number};
use crate::model::Layout;
use crate::names::Names;
use crate::schema::{LAYOUTS, READS};

/// One attempt; the next look tries again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks whether newer code has filled what it promised.
pub(crate) struct Promoter {
    pub(crate) pool: PgPool,
    pub(crate) names: Names,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) partitions: u32,
    pub(crate) control: Control,
    pub(crate) every: Duration,
}

impl Promoter {
    /// Tries again and again; there is nothing to do for it most of the time.
    pub(crate) async fn run(mut self) -> Infallible {
        let mut chases: BTreeMap<&'static str, Chase> = BTreeMap::new();
        loop {
            for (layout, generation) in self.promised() {
                self.promote(&layout, generation, chases.entry(layout.name).or_default()).await;
            }
            let _ = timeout(self.every, self.control.looked()).await;
        }
    }

    fn promised(&self) -> Vec<(Layout, Generation)> {
        let Some(all) = self.control.overview() else {
            return Vec::new();
        };
        let promised = |layout: &Layout| Some((*layout, all.get(layout.name)?.promised(layout)?));
        LAYOUTS.iter().filter_map(promised).collect()
    }

    async fn promote(&self, layout: &Layout, generation: Generation, chase: &mut Chase) {
        match self.is_filled(layout, generation, chase).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return tracing::warn!(projection = layout.name, %error, "cannot tell whether it is filled"),
        }
        match switch(&self.pool, &self.names, layout.name, generation.number, PATIENCE).await {
            Ok(served) => tracing::info!(
                projection = layout.name, generation.before = %served.before, generation = %served.now,
                "readers see the new version of this read model"
            ),
            Err(error) => tracing::warn!(projection = layout.name, %generation, %error, "not shown yet; trying again"),
        }
    }

    async fn is_filled(
        &self,
        layout: &Layout,
        generation: Generation,
        chase: &mut Chase,
    ) -> Result<bool, PromoteError> {
        let contexts = READS.iter().find(|(name, _)| *name == layout.name).map_or(&[][..], |(_, contexts)| *contexts);
        let next = self.reached(layout, generation).await?;
        let log = Arc::clone(&self.log);
        let places = contexts
            .iter()
            .flat_map(|context| (0..self.partitions).map(|number| Partition { context: *context, number }));
        let places: Vec<Partition> = places.collect();
        let place = move |at: &Partition| {
            let end = log.bounds(*at)?.end;
            let next = next.get(&(context_name(at.context).to_owned(), number(*at))).copied().unwrap_or(-1);
            Ok::<_, LogError>((*at, next, end))
        };
        let asked = spawn_blocking(move || places.iter().map(place).collect::<Result<Vec<_>, LogError>>());
        Ok(chase.caught_up(&asked.await.expect("asking the log never panics")?))
    }

    async fn reached(
        &self,
        layout: &Layout,
        generation: Generation,
    ) -> Result<BTreeMap<(String, i32), i64>, sqlx::Error> {
        let schema = self.names.generation(layout.name, generation);
        let sql = format!("select context, partition, next_offset from {schema}.checkpoints");
        let rows: Vec<(String, i32, i64)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(context, partition, next)| ((context, partition), next)).collect())
    }
}

#[derive(Debug, thiserror::Error)]
enum PromoteError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Log(#[from] LogError),
}

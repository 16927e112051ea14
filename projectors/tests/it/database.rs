//! A namespace in the shared Postgres, and read models that are filled in it.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use event_log::log::Partition;
use event_log::validity::Position;
use local_stack::{Endpoints, StackConfig, find_root, up};
use projectors::generations::overview;
use projectors::{LAYOUTS, Logs, Names, RunError, Settings, position, run};
use serde_json::Value;
use service_kit::{clock, random};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::lanes::{Lanes, PARTITIONS};

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Database {
    pub pool: PgPool,
    pub namespace: String,
    pub names: Names,
}

/// Read models that are being filled.
pub struct Running {
    pub settings: Settings,
    stop: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
}

/// The servers that all tests share.
pub async fn endpoints() -> Endpoints {
    static STACK: OnceLock<Endpoints> = OnceLock::new();
    let start = || {
        let config = StackConfig::for_tests(&find_root().unwrap());
        STACK.get_or_init(|| up(&config, &mut |_| {}).unwrap()).clone()
    };
    tokio::task::spawn_blocking(start).await.unwrap()
}

impl Database {
    pub async fn new() -> Self {
        let namespace = format!("t{}", &random::opaque_id().simple().to_string()[..12]);
        let pool = Self::pool_named(&namespace).await;
        let names = Names::of(&namespace).unwrap();
        Self { pool, namespace, names }
    }

    /// Connections that the database knows by this name.
    pub async fn pool_named(name: &str) -> PgPool {
        let options: PgConnectOptions = endpoints().await.postgres.parse().unwrap();
        let pool = PgPoolOptions::new().max_connections(6).acquire_timeout(Duration::from_secs(5));
        pool.connect_with(options.application_name(name)).await.unwrap()
    }

    pub fn settings(&self) -> Settings {
        let (look_every, board_every) = (Duration::from_millis(100), Duration::from_millis(20));
        Settings { look_every, board_every, ..Settings::new(&self.namespace, PARTITIONS) }
    }

    pub fn run(&self, lanes: &Lanes) -> Running {
        self.run_with(lanes, self.settings())
    }

    pub fn run_with(&self, lanes: &Lanes, settings: Settings) -> Running {
        self.run_logs(lanes.shared().into(), lanes, settings)
    }

    pub fn run_logs(&self, logs: Logs, lanes: &Lanes, settings: Settings) -> Running {
        let stop = CancellationToken::new();
        let task = run(settings.clone(), logs, lanes.codec.clone(), self.pool.clone(), stop.clone());
        Running { settings, stop, task: tokio::spawn(task) }
    }

    /// Waits until every read model of events stands at the log's end.
    pub async fn caught_up(&self, lanes: &Lanes) {
        let started = clock::monotonic();
        loop {
            let behind = self.behind(lanes).await;
            if behind.is_empty() {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "never caught up: {behind:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn behind(&self, lanes: &Lanes) -> Vec<(&'static str, Partition, Option<i64>)> {
        let mut behind = Vec::new();
        for (name, contexts) in projectors::READS {
            for place in crate::lanes::places().filter(|place| contexts.contains(&place.context)) {
                let next = self.position(name, place).await.map(|position| position.next);
                if next != Some(lanes.end(place)) {
                    behind.push((name, place, next));
                }
            }
        }
        behind
    }

    /// `None` also while there is no table.
    pub async fn position(&self, name: &str, at: Partition) -> Option<Position> {
        position(&self.pool, &self.names, name, at).await.ok().flatten()
    }

    /// Every row of every table of the event topics' read models, and their checkpoints, without what differs by itself.
    pub async fn rows(&self) -> BTreeMap<String, Value> {
        let mut rows = BTreeMap::new();
        let all = overview(&self.pool, &self.names).await.unwrap();
        for layout in LAYOUTS {
            for table in layout.table_names.iter().chain(&["checkpoints"]) {
                let from = format!("{}.{table}", self.names.generation(layout.name, all[layout.name].live));
                rows.insert(format!("{}.{table}", layout.name), self.table(&from).await);
            }
        }
        rows
    }

    async fn table(&self, from: &str) -> Value {
        let rows = format!("select to_jsonb(t) - 'updated_at' as r from {from} t");
        let sql = format!("select coalesce(jsonb_agg(r order by r::text), '[]') from ({rows}) x");
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&self.pool).await.unwrap()
    }

    /// The rows of a view.
    pub async fn view(&self, name: &str) -> Vec<Value> {
        match self.table(&format!("{}.{name}", self.names.views())).await {
            Value::Array(rows) => rows,
            other => panic!("{other}"),
        }
    }

    /// The rows of a view that have this value.
    pub async fn view_where(&self, name: &str, column: &str, value: impl ToString) -> Vec<Value> {
        let value = value.to_string();
        let rows = self.view(name).await;
        rows.into_iter().filter(|row| row[column].as_str() == Some(&value)).collect()
    }

    pub async fn execute(&self, sql: String) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.pool).await.unwrap();
    }

    /// Drops what the test made.
    pub async fn drop(self) {
        projectors::forget(&mut self.pool.acquire().await.unwrap(), &self.names).await.unwrap();
    }
}

impl Running {
    /// As if the process were killed: nothing is finished.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()));
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// What it ends with by itself.
    pub async fn ended(self) -> RunError {
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap_err()
    }

    pub async fn until(&self, what: &str, mut reached: impl FnMut(&BTreeMap<String, String>) -> bool) {
        let started = clock::monotonic();
        loop {
            let not_ready = self.settings.health.not_ready();
            if reached(&not_ready) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{what} never came: {not_ready:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Fills a fresh namespace with all of a log, by one process, and gives its rows.
pub async fn filled_once(lanes: &Lanes) -> BTreeMap<String, Value> {
    let database = Database::new().await;
    let running = database.run(lanes);
    database.caught_up(lanes).await;
    let rows = database.rows().await;
    running.stop().await;
    database.drop().await;
    rows
}

/// A log with everything in it, told in one order.
pub fn told(story: &crate::story::Story) -> Lanes {
    let mut lanes = Lanes::new();
    story.told.iter().for_each(|told| lanes.tell(told));
    lanes
}

//! Generations beside each other: what readers see while one takes another's place, and who fills which.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use domain::root::Context;
use projectors::generations::{
    ControlError, Generation, NotSwitched, Paused, State, begin, drop_kept, overview, pause, switch,
};
use projectors::{LAYOUTS, Layout};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};

use crate::database::{Database, Running, told};
use crate::lanes::Lanes;
use crate::story::{Story, Way, everything, show_id};

const SOON: Duration = Duration::from_secs(20);

pub fn layout(name: &str) -> Layout {
    *LAYOUTS.iter().find(|layout| layout.name == name).unwrap()
}

impl Database {
    pub async fn live(&self, name: &str) -> Generation {
        overview(&self.pool, &self.names).await.unwrap()[name].live
    }

    /// Rows and checkpoints of the live generation into another one.
    async fn copy_live(&self, name: &str, to: Generation) {
        let layout = layout(name);
        let (from, to) = (self.names.generation(name, self.live(name).await), self.names.generation(name, to));
        for table in layout.table_names.iter().chain(&["checkpoints"]) {
            let generated = format!(
                "select string_agg(quote_ident(attname), ', ') from pg_attribute
                 where attrelid = '{to}.{table}'::regclass and attnum > 0 and attgenerated = ''"
            );
            let columns: String = sqlx::query_scalar(AssertSqlSafe(generated)).fetch_one(&self.pool).await.unwrap();
            self.execute(format!(
                "truncate {to}.{table}; insert into {to}.{table} ({columns}) select {columns} from {from}.{table}"
            ))
            .await;
        }
    }
}

async fn filled(lanes: &Lanes) -> (Database, Running) {
    let database = Database::new().await;
    let running = database.run(lanes);
    database.caught_up(lanes).await;
    (database, running)
}

/// Reads like a server does: prepared statements on few connections, again and again.
struct Reader {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Reader {
    async fn start(database: &Database, sql: String, expected: i64) -> Self {
        let options = database.pool.connect_options().as_ref().clone();
        let options = options.options([("search_path", database.names.views())]);
        let pool: PgPool = PgPoolOptions::new().max_connections(2).connect_with(options).await.unwrap();
        let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ended, counted) = (Arc::clone(&stop), Arc::clone(&reads));
        let task = tokio::spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                let found: i64 =
                    sqlx::query_scalar(AssertSqlSafe(sql.clone())).bind("x").fetch_one(&pool).await.unwrap();
                assert_eq!(found, expected, "half a generation was seen");
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, reads, task }
    }

    async fn more(&self) {
        let before = self.reads.load(Ordering::Relaxed);
        while self.reads.load(Ordering::Relaxed) < before + 20 && !self.task.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_all_of_one_generation_or_all_of_the_other() {
    let lanes = told(&everything());
    let (database, running) = filled(&lanes).await;
    let shown = database.view("orders").await;
    // Two views that both show this read model have to change together.
    let marked = "select count(*) from orders o join orders p using (order_id, show_id)
        where o.total = p.total and $1::text is not null";
    let reader = Reader::start(&database, marked.to_owned(), i64::try_from(shown.len()).unwrap()).await;
    for _ in 0..5 {
        let next = begin(&database.pool, &database.names, &layout("orders")).await.unwrap();
        database.copy_live("orders", next).await;
        let change = format!("update {}.orders set total = total + 1", database.names.generation("orders", next));
        database.execute(change).await;
        reader.more().await;
        let served = switch(&database.pool, &database.names, "orders", next.number, SOON).await.unwrap();
        assert_eq!((served.now, database.live("orders").await), (next, next));
        reader.more().await;
    }
    reader.end().await;
    let total = |rows: &[serde_json::Value]| rows.iter().map(|row| row["total"].as_i64().unwrap()).sum::<i64>();
    let now = database.view("orders").await;
    assert_eq!(total(&now), total(&shown) + 5 * i64::try_from(shown.len()).unwrap());
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_shown_less_than_before() {
    let mut lanes = told(&everything());
    let (database, running) = filled(&lanes).await;
    let next = begin(&database.pool, &database.names, &layout("inventory")).await.unwrap();
    let switched = |patience| switch(&database.pool, &database.names, "inventory", next.number, patience);
    assert!(matches!(switched(Duration::ZERO).await, Err(NotSwitched::Behind { .. })), "it is empty");
    database.copy_live("inventory", next).await;
    let mut more = Story::default();
    more.show(90).purchase(90, 900, Way::Completed);
    more.told.iter().for_each(|told| lanes.tell(told));
    database.caught_up(&lanes).await;
    let behind = switched(Duration::ZERO).await.unwrap_err();
    let NotSwitched::Behind { behind, .. } = &behind else { panic!("{behind}") };
    let place = Lanes::place(Context::Inventory, show_id(90).0);
    assert_eq!(behind.iter().map(|it| it.partition).collect::<Vec<_>>(), [i32::try_from(place.number).unwrap()]);
    assert_eq!(database.live("inventory").await.number, 1);
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn projectors_follow_to_what_is_live_and_back() {
    let mut lanes = told(&everything());
    let (database, running) = filled(&lanes).await;
    let next = begin(&database.pool, &database.names, &layout("orders")).await.unwrap();
    assert_eq!(begin(&database.pool, &database.names, &layout("orders")).await.unwrap(), next, "one is gone on with");
    database.copy_live("orders", next).await;
    switch(&database.pool, &database.names, "orders", next.number, SOON).await.unwrap();
    let mut more = Story::default();
    more.show(90).purchase(90, 900, Way::Completed);
    more.told.iter().for_each(|told| lanes.tell(told));
    // The view of the checkpoints shows the generation that is live, and so does this.
    database.caught_up(&lanes).await;
    let kept = overview(&database.pool, &database.names).await.unwrap()["orders"].kept().unwrap().clone();
    assert_eq!((kept.generation.number, kept.state), (1, State::Kept));
    let back = switch(&database.pool, &database.names, "orders", 1, Duration::ZERO).await;
    assert!(matches!(back, Err(NotSwitched::Behind { .. })), "nobody filled it meanwhile");
    database.copy_live("orders", Generation::first(&layout("orders"))).await;
    switch(&database.pool, &database.names, "orders", 1, SOON).await.unwrap();
    let refused = drop_kept(&database.pool, &database.names, "orders", 1).await;
    assert!(matches!(refused, Err(ControlError::InUse { .. })));
    assert_eq!(drop_kept(&database.pool, &database.names, "orders", 2).await.unwrap(), next);
    assert_eq!(overview(&database.pool, &database.names).await.unwrap()["orders"].generations.len(), 1);
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_read_model_stands_still_alone() {
    let mut lanes = told(&everything());
    let (database, running) = filled(&lanes).await;
    let paused = |paused| pause(&database.pool, &database.names, "orders", paused);
    assert!(paused(Paused::Yes).await.unwrap() && !paused(Paused::Yes).await.unwrap());
    let unknown = pause(&database.pool, &database.names, "nothing", Paused::Yes).await;
    assert!(matches!(unknown, Err(ControlError::Unknown(_))));
    // Long enough for every worker to have heard of it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = database.rows().await;
    let mut more = Story::default();
    more.show(90).purchase(90, 900, Way::Completed);
    more.told.iter().for_each(|told| lanes.tell(told));
    let place = Lanes::place(Context::Inventory, show_id(90).0);
    while database.position("inventory", place).await.is_none_or(|position| position.next < lanes.end(place)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let after = database.rows().await;
    assert_eq!(after["orders.orders"], before["orders.orders"]);
    assert_ne!(after["inventory.classes"], before["inventory.classes"]);
    assert!(running.settings.health.is_ready(), "it was asked for");
    assert!(paused(Paused::No).await.unwrap());
    database.caught_up(&lanes).await;
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_code_builds_its_own_generation_and_shows_it_by_itself() {
    let lanes = told(&everything());
    let (database, running) = filled(&lanes).await;
    running.stop().await;
    let expected = database.rows().await;
    // As if older code had made what is live: its schema and its notes say another version.
    let layout = layout("orders");
    let older = Generation { version: layout.version - 1, number: 1 };
    let control = database.names.control();
    database
        .execute(format!(
            "alter schema {} rename to {};
             update {control}.generations set version = {} where name = 'orders'",
            database.names.first(&layout),
            database.names.generation("orders", older),
            older.version,
        ))
        .await;
    assert_eq!(database.live("orders").await, older);
    let running = database.run(&lanes);
    let newer = Generation { version: layout.version, number: 2 };
    while database.live("orders").await != newer {
        assert!(!database.view("orders").await.is_empty(), "until then the old one is seen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    database.caught_up(&lanes).await;
    assert_eq!(database.rows().await, expected);
    // A person goes back: the new code does not insist, and goes on filling its own.
    switch(&database.pool, &database.names, "orders", 1, SOON).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(database.live("orders").await, older);
    running.stop().await;
    database.drop().await;
}

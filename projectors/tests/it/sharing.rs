//! Several processes share the partitions through a group on a real Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::log::Partition;
use event_log::topics::{Layout, init};
use projectors::Logs;
use schemas::{Codec, Registry};
use service_kit::clock;

use crate::database::{Database, Running, endpoints, filled_once};
use crate::kafka::copy;
use crate::lanes::{Lanes, PARTITIONS};
use crate::story::{Story, everything};

const SESSION: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);

/// A namespace whose checkpoints tell who moved them.
struct Group {
    database: Database,
    settings: KafkaSettings,
    lanes: Lanes,
    log: KafkaLog,
    /// What of the lanes is on Kafka.
    copied: BTreeMap<Partition, i64>,
}

impl Group {
    async fn new() -> Self {
        let stack = endpoints().await;
        let database = Database::new().await;
        let settings = KafkaSettings::new(&stack.kafka, &database.namespace, "projectors-test");
        let ids = init(&settings, &stack.registry, Layout::local(PARTITIONS)).await.unwrap().ids;
        let lanes = Lanes::with(Codec::new(ids, Registry::new(&stack.registry).unwrap()));
        projectors::ensure(&database.pool, &database.names).await.unwrap();
        let (views, layouts) = (database.names.views(), projectors::LAYOUTS);
        let queue = layouts.iter().find(|layout| layout.name == "queue").unwrap();
        let sql = format!(
            "create table {views}.moved (partition int, who text);
             create function {views}.note() returns trigger language plpgsql as $$ begin
                insert into {views}.moved values (new.partition, current_setting('application_name')); return null; end $$;
             create trigger note after update on {}.checkpoints for each row execute function {views}.note()",
            database.names.first(queue)
        );
        database.execute(sql).await;
        let log = KafkaLog::connect(settings.clone()).unwrap();
        Self { database, settings, lanes, log, copied: BTreeMap::new() }
    }

    async fn member(&self, name: &str) -> Running {
        let pool = Database::pool_named(name).await;
        let database =
            Database { pool, namespace: self.database.namespace.clone(), names: self.database.names.clone() };
        let log = Arc::new(KafkaLog::connect(self.settings.clone()).unwrap());
        database.run_logs(Logs::in_group(log, PARTITIONS, SESSION), &self.lanes, database.settings())
    }

    fn tell(&mut self, story: &Story) {
        story.told.iter().for_each(|told| self.lanes.tell(told));
        copy(&self.lanes, &self.log, &self.copied);
        self.copied = self.lanes.ends();
    }

    /// Who moved which partitions since the last time.
    async fn moved(&self) -> BTreeMap<String, BTreeSet<i32>> {
        let sql = format!("delete from {}.moved returning who, partition", self.database.names.views());
        let rows: Vec<(String, i32)> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&self.database.pool).await.unwrap();
        let mut moved: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
        for (who, partition) in rows {
            moved.entry(who).or_default().insert(partition);
        }
        moved
    }

    /// Tells rooms of other shows until they are shared as expected, and stay so.
    async fn until_shared(&mut self, next: &mut u128, expected: impl Fn(&BTreeMap<String, BTreeSet<i32>>) -> bool) {
        let started = clock::monotonic();
        let mut in_a_row = 0;
        while in_a_row < 4 {
            let mut story = Story::default();
            for n in 0..16 {
                story.room(*next + n, 4);
            }
            *next += 16;
            self.moved().await;
            self.tell(&story);
            self.database.caught_up(&self.lanes).await;
            let moved = self.moved().await;
            in_a_row = if expected(&moved) { in_a_row + 1 } else { 0 };
            assert!(started.elapsed() < PATIENCE, "{moved:?}");
        }
    }
}

fn halves(moved: &BTreeMap<String, BTreeSet<i32>>) -> bool {
    let sizes: Vec<usize> = moved.values().map(BTreeSet::len).collect();
    let all: BTreeSet<i32> = moved.values().flatten().copied().collect();
    sizes == [2, 2] && all.len() == 4
}

fn alone(name: &str) -> impl Fn(&BTreeMap<String, BTreeSet<i32>>) -> bool {
    move |moved| moved.len() == 1 && moved.get(name).is_some_and(|all| all.len() == 4)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_share_the_partitions_and_one_takes_over() {
    let mut group = Group::new().await;
    group.tell(&everything());
    let (one, mut next) = (group.member("one").await, 1000);
    one.until("readiness", |why| why.is_empty()).await;
    group.until_shared(&mut next, alone("one")).await;
    let two = group.member("two").await;
    group.until_shared(&mut next, halves).await;
    two.until("readiness", |why| why.is_empty()).await;
    // Stopped in order: it gives its partitions back at once.
    two.stop().await;
    group.until_shared(&mut next, alone("one")).await;
    let three = group.member("three").await;
    group.until_shared(&mut next, halves).await;
    // Killed in the middle of its work.
    let mut story = Story::default();
    for n in 0..40 {
        story.room(next + n, 12);
    }
    next += 40;
    group.tell(&story);
    one.kill().await;
    group.until_shared(&mut next, alone("three")).await;
    three.until("readiness", |why| why.is_empty()).await;
    let (rows, expected) = (group.database.rows().await, filled_once(&group.lanes).await);
    let events = |name: &String| !name.starts_with("person_keys");
    assert!(rows.iter().filter(|(name, _)| events(name)).eq(expected.iter().filter(|(name, _)| events(name))));
    three.stop().await;
    group.database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_too_many_is_ready_with_nothing_to_do() {
    let group = Group::new().await;
    let mut members = Vec::new();
    for n in 0..=PARTITIONS {
        members.push(group.member(&format!("member-{n}")).await);
    }
    for member in &members {
        member.until("readiness", |why| why.is_empty()).await;
    }
    for member in members {
        member.stop().await;
    }
    group.database.drop().await;
}

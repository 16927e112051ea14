//! Rebuilding beside what readers see, verifying, and going back.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::root::Context;
use projectors::generations::{NotSwitched, Paused, State, overview, pause, switch};
use projectors::rebuild::{Alone, Elsewhere, HandOver, Job, News, Options, RebuildError, Rebuilt, catch_up, rebuild};
use projectors::verify::{Verified, Verifying, verify};
use projectors::{READS, Settings};
use serde_json::Value;

use crate::database::{Database, filled_once, told};
use crate::generations::layout;
use crate::lanes::{Lanes, PARTITIONS};
use crate::story::{Story, Way, everything};

const VERIFYING: Verifying = Verifying { memory_bytes: 1 << 30 };
const SWITCH: Options = Options { switch: true, verifying: VERIFYING };

fn job(database: &Database, lanes: &Lanes, name: &str) -> Job {
    let settings = Settings { batch_records: 7, ..database.settings() };
    let (logs, codec) = (lanes.shared().into(), lanes.codec.clone());
    Job { layout: layout(name), settings, logs, codec, pool: database.pool.clone(), lanes: PARTITIONS, bulk: 20 }
}

async fn rebuilt(job: &Job) -> Result<(Rebuilt, Vec<String>), RebuildError> {
    let mut told = Vec::new();
    let mut news = |news: News<'_>| match news {
        News::Filled(_) | News::Verifying(..) => {}
        other => told.push(format!("{other:?}").split(['(', ' ']).next().unwrap().to_owned()),
    };
    let rebuilt = rebuild(job, SWITCH, &mut news).await?;
    Ok((rebuilt, told))
}

async fn verified(job: &Job, database: &Database, name: &str) -> Verified {
    verify(job, database.live(name).await, VERIFYING, &mut |_, _| {}).await.unwrap().unwrap()
}

fn tell_more(lanes: &mut Lanes, n: u128) {
    let mut more = Story::default();
    more.show(n).purchase(n, n, Way::Completed);
    more.told.iter().for_each(|told| lanes.tell(told));
}

/// Every index with its definition, without the schema's name.
async fn indexes(database: &Database, name: &str) -> Vec<String> {
    let schema = database.names.generation(name, database.live(name).await).replace('"', "");
    let sql = "select replace(indexdef, $1, '') from pg_indexes where schemaname = $1 order by 1";
    sqlx::query_scalar(sql).bind(schema).fetch_all(&database.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_model_is_rebuilt_while_events_come() {
    let mut lanes = told(&everything());
    let database = Database::new().await;
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    for (n, (name, _)) in (100..).zip(READS) {
        let before = indexes(&database, name).await;
        tell_more(&mut lanes, n);
        let (done, told) = rebuilt(&job(&database, &lanes, name)).await.unwrap();
        assert_eq!(done.served.unwrap().now, database.live(name).await);
        assert_eq!(told, ["Begun", "Indexing", "Verified", "Switched", "HandedOver"], "{name}");
        assert!(done.verified.unwrap().records() > 0);
        assert_eq!(indexes(&database, name).await, before, "{name}");
    }
    // What comes now is taken in by the projectors.
    tell_more(&mut lanes, 200);
    database.caught_up(&lanes).await;
    assert_eq!(database.rows().await, filled_once(&lanes).await);
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_begun_again_it_goes_on_where_it_was() {
    let lanes = told(&everything());
    let database = Database::new().await;
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    let mut done = 0;
    for _ in 0..4 {
        // Killed as soon as something more was written.
        let job =
            Job { settings: Settings { batch_records: 3, ..database.settings() }, ..job(&database, &lanes, "orders") };
        let (sender, mut progress) = tokio::sync::mpsc::unbounded_channel();
        let filling = tokio::spawn(async move {
            let mut news = |news: News<'_>| {
                if let News::Begun(_, progress) | News::Filled(progress) = news {
                    let _ = sender.send(progress.done());
                }
            };
            rebuild(&job, SWITCH, &mut news).await.map(drop)
        });
        let first = progress.recv().await.unwrap();
        assert!(first >= done, "it begins at {first}, not at {done} again");
        while progress.recv().await.is_some_and(|now| now <= first) {}
        filling.abort();
        drop(filling.await);
        let known = overview(&database.pool, &database.names).await.unwrap();
        if known["orders"].live.number == 2 {
            break;
        }
        done = first;
    }
    if database.live("orders").await.number == 1 {
        rebuilt(&job(&database, &lanes, "orders")).await.unwrap();
    }
    assert_eq!(database.live("orders").await.number, 2, "one generation, however often it was begun");
    assert_eq!(database.rows().await["orders.orders"], filled_once(&lanes).await["orders.orders"]);
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_the_second_says_so() {
    let lanes = told(&everything());
    let database = Database::new().await;
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    let alone = Alone::take(&database.pool, &database.names, "orders").await.unwrap().unwrap();
    let second = rebuilt(&job(&database, &lanes, "orders")).await.unwrap_err();
    let RebuildError::Elsewhere(Elsewhere { pid, .. }) = &second else { panic!("{second}") };
    assert!(*pid > 0, "{second}");
    rebuilt(&job(&database, &lanes, "inventory")).await.unwrap();
    drop(alone);
    rebuilt(&job(&database, &lanes, "orders")).await.unwrap();
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_from_the_log_is_found_and_never_shown() {
    let lanes = told(&everything());
    let database = Database::new().await;
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    let orders = job(&database, &lanes, "orders");
    let sound = verified(&orders, &database, "orders").await;
    assert!(sound.holds() && sound.rows() > 10 && sound.passes == 1, "{sound:?}");
    let few = Verifying { memory_bytes: 10_000 };
    let live = database.live("orders").await;
    let in_buckets = verify(&orders, live, few, &mut |_, _| {}).await.unwrap().unwrap();
    assert!(in_buckets.passes > 3 && in_buckets.holds());
    assert_eq!(in_buckets.tables, sound.tables, "the same sums, however many readings it takes");
    let schema = database.names.generation("orders", live);
    let one = format!("(select ctid from {schema}.orders where total > 0 limit 1)");
    database.execute(format!("update {schema}.orders set total = total + 1 where ctid = {one}")).await;
    let changed = verified(&orders, &database, "orders").await;
    assert_eq!(changed.faults.count, 2, "the row, and the sums of its partition: {:?}", changed.faults);
    assert!(changed.faults.first[0].contains(".total: Postgres has"), "{:?}", changed.faults);
    database.execute(format!("delete from {schema}.orders where ctid = {one}")).await;
    let lost = verified(&orders, &database, "orders").await;
    assert!(lost.faults.first.iter().any(|fault| fault.contains("lacks the row")), "{:?}", lost.faults);
    // A generation that was tampered with while it was filled is not shown.
    let unshown = Options { switch: false, ..SWITCH };
    let built = rebuild(&orders, unshown, &mut |_| {}).await.unwrap();
    assert_eq!((built.served, database.live("orders").await.number), (None, 1));
    let known = overview(&database.pool, &database.names).await.unwrap();
    assert_eq!(known["orders"].numbered(2).unwrap().state, State::Ready);
    let schema = database.names.generation("orders", built.generation);
    database.execute(format!("update {schema}.orders set total = total + 1")).await;
    let refused = rebuilt(&orders).await.unwrap_err();
    assert!(matches!(refused, RebuildError::Wrong { .. }), "{refused}");
    assert_eq!(database.live("orders").await.number, 1);
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_back_is_filled_up_before_it_is_taken() {
    let mut lanes = told(&everything());
    let database = Database::new().await;
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    let inventory = job(&database, &lanes, "inventory");
    rebuilt(&inventory).await.unwrap();
    tell_more(&mut lanes, 100);
    database.caught_up(&lanes).await;
    let shown: Vec<Value> = database.view("availability").await;
    let back = |within| switch(&database.pool, &database.names, "inventory", 1, within);
    assert!(matches!(back(Duration::ZERO).await, Err(NotSwitched::Behind { .. })));
    let first = overview(&database.pool, &database.names).await.unwrap()["inventory"].kept().unwrap().generation;
    let (fill, (from, to)) = catch_up(&inventory, first, &mut |_| {}).await.unwrap();
    assert!(from < to);
    back(Duration::from_secs(20)).await.unwrap();
    fill.stop().await;
    assert_eq!(database.view("availability").await, shown);
    tell_more(&mut lanes, 101);
    database.caught_up(&lanes).await;
    assert_eq!(database.live("inventory").await, first);
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_read_model_is_rebuilt_and_left_to_nobody() {
    let lanes = told(&everything());
    let database = Database::new().await;
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    pause(&database.pool, &database.names, "tickets", Paused::Yes).await.unwrap();
    let mut last = None;
    let mut news = |news: News<'_>| {
        if let News::HandedOver(to) = news {
            last = Some(to);
        }
    };
    rebuild(&job(&database, &lanes, "tickets"), SWITCH, &mut news).await.unwrap();
    assert_eq!(last, Some(HandOver::Paused));
    pause(&database.pool, &database.names, "tickets", Paused::No).await.unwrap();
    running.stop().await;
    let ends: BTreeMap<_, _> = lanes.ends().into_iter().filter(|(place, _)| place.context == Context::Ticket).collect();
    for (place, end) in ends {
        assert_eq!(database.position("tickets", place).await.map(|position| position.next), Some(end), "{place}");
    }
    database.drop().await;
}

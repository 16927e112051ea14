//! Whatever happens while they are filled, the read models end with the same rows.

use std::time::Duration;

use domain::root::Context;
use event_log::log::Partition;
use projectors::{LAYOUTS, Settings, WipeError, wipe};
use service_kit::random;

use crate::database::{Database, filled_once, told};
use crate::lanes::{Lanes, Told};
use crate::story::{Story, Way, everything, order_id, released, reserved, show_id};

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_at_once_give_the_same_rows_as_one() {
    let lanes = told(&everything());
    let expected = filled_once(&lanes).await;
    let database = Database::new().await;
    let small = || Settings { batch_records: 5, linger: Duration::ZERO, ..database.settings() };
    let (one, two) = (database.run_with(&lanes, small()), database.run_with(&lanes, small()));
    database.caught_up(&lanes).await;
    assert_eq!(database.rows().await, expected);
    one.stop().await;
    two.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_counts_every_event_once() {
    let lanes = told(&everything());
    let expected = filled_once(&lanes).await;
    let database = Database::new().await;
    for _ in 0..12 {
        let small = Settings { batch_records: 7, linger: Duration::ZERO, ..database.settings() };
        let running = database.run_with(&lanes, small);
        tokio::time::sleep(Duration::from_millis(20 + random::below(60))).await;
        running.kill().await;
    }
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    assert_eq!(database.rows().await, expected);
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_off_from_the_database_it_tries_again() {
    let story = everything();
    let expected = filled_once(&told(&story)).await;
    let (database, cutter) = (Database::new().await, Database::new().await);
    let mut lanes = Lanes::new();
    let running = database.run(&lanes);
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1";
    let mut cuts = 0;
    // There is always something to write while connections are cut.
    for some in story.told.chunks(10) {
        some.iter().for_each(|told| lanes.tell(told));
        let cut = sqlx::query(cut).bind(&database.namespace).execute(&cutter.pool).await.unwrap();
        cuts += cut.rows_affected();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(cuts >= 5, "{cuts} connections were cut");
    database.caught_up(&lanes).await;
    assert_eq!(database.rows().await, expected);
    running.until("readiness", |not_ready| not_ready.is_empty()).await;
    running.stop().await;
    database.drop().await;
    cutter.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn emptied_while_nothing_happens_it_is_filled_again() {
    let lanes = told(&everything());
    let database = Database::new().await;
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    let expected = database.rows().await;
    for layout in LAYOUTS.iter().filter(|layout| layout.name != "person_keys") {
        wipe(&database.pool, &database.namespace, layout.name).await.unwrap();
    }
    database.caught_up(&lanes).await;
    assert_eq!(database.rows().await, expected);
    // A schema that is gone altogether, views and all.
    let orders = LAYOUTS.iter().find(|layout| layout.name == "orders").unwrap();
    database.execute(format!("drop schema {} cascade", database.names.first(orders))).await;
    database.caught_up(&lanes).await;
    assert_eq!(database.rows().await, expected);
    assert!(!database.view("orders").await.is_empty());
    running.stop().await;
    let unknown = wipe(&database.pool, &database.namespace, "nothing").await;
    assert!(matches!(unknown, Err(WipeError::Unknown(_))));
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn emptied_in_the_middle_it_starts_again() {
    let lanes = told(&everything());
    let expected = filled_once(&lanes).await;
    let database = Database::new().await;
    let small = Settings { batch_records: 5, linger: Duration::ZERO, ..database.settings() };
    let running = database.run_with(&lanes, small);
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        for layout in LAYOUTS {
            wipe(&database.pool, &database.namespace, layout.name).await.unwrap();
        }
    }
    database.caught_up(&lanes).await;
    assert_eq!(database.rows().await, expected);
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_topics_may_be_read_in_any_order() {
    let story = everything();
    let expected = filled_once(&told(&story)).await;
    let database = Database::new().await;
    let mut lanes = Lanes::new();
    let running = database.run(&lanes);
    for context in [
        Context::Account,
        Context::Queue,
        Context::Payment,
        Context::Ticket,
        Context::Order,
        Context::Inventory,
        Context::Catalog,
    ] {
        let mut orders_shown = 0;
        if context == Context::Inventory {
            orders_shown = database.view("orders").await.len();
        }
        story.told.iter().filter(|told| told.context == context).for_each(|told| lanes.tell(told));
        database.caught_up(&lanes).await;
        assert_eq!(orders_shown, 0, "an order is hidden until it is born");
    }
    assert_eq!(database.rows().await, expected);
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_count_is_not_counted() {
    let mut story = Story::default();
    story.show(1).purchase(1, 1, Way::Completed);
    let mut lanes = told(&story);
    let place = Lanes::place(Context::Inventory, show_id(1).0);
    let frame = |n: u128| Told {
        context: Context::Inventory,
        key: show_id(1).0,
        at: 9,
        events: [reserved(1, n, 1, false), released(1, n, domain::inventory::ReleaseReason::ByBuyer, false)]
            .map(domain::event::Event::Inventory)
            .to_vec(),
    };
    // The second event never came, and the next owner took the partition.
    lanes.tell_some(&frame(2), 1);
    let database = Database::new().await;
    let running = database.run(&lanes);
    let mut done = 0;
    while done < lanes.end(place) - 1 {
        done = database.position("inventory", place).await.map_or(0, |position| position.next);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let position = database.position("inventory", place).await.unwrap();
    assert_eq!(position.next, lanes.end(place) - 1, "a checkpoint never lies inside a command");
    running.stop().await;
    let running = database.run(&lanes);
    lanes.claim(place);
    lanes.tell_void(&frame(3));
    lanes.barrier(place);
    database.caught_up(&lanes).await;
    let class = database.view("availability").await.remove(0);
    assert_eq!((class["reserved"].as_i64(), class["sold"].as_i64()), (Some(0), Some(2)));
    assert_eq!(database.view_where("orders", "order_id", order_id(2)).await.len(), 0);
    assert_eq!(database.view_where("orders", "order_id", order_id(3)).await.len(), 0);
    lanes.tell(&frame(4));
    database.caught_up(&lanes).await;
    assert_eq!(database.view_where("orders", "order_id", order_id(4)).await.len(), 1);
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_cannot_be_read_stops_alone_and_loudly() {
    let mut story = Story::default();
    story.show(1).purchase(1, 1, Way::Completed);
    // Whoever wrote this knows more than we do.
    let text = r#"{"type": "record", "name": "PaymentTeleported", "namespace": "boxoffice.payment", "fields": []}"#;
    let newer = std::collections::BTreeMap::from([(9000, text.to_owned())]);
    let mut lanes = Lanes::with(schemas::Codec::new(schemas::Ids::in_memory(), newer));
    story.told.iter().for_each(|told| lanes.tell(told));
    let place = lanes.unknown(Context::Payment, order_id(9).0, 9000);
    let after = lanes.end(place) - 1;
    let database = Database::new().await;
    let running = database.run(&lanes);
    running.until("a stopped partition", |why| why.values().any(|why| why.contains("stopped"))).await;
    let mut other = Story::default();
    other.show(2);
    other.told.iter().for_each(|told| lanes.tell(told));
    let catalog = Lanes::place(Context::Catalog, show_id(2).0);
    while database.position("shows", catalog).await.is_none_or(|position| position.next < lanes.end(catalog)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.until("readiness of the others", |why| why.len() == 2).await;
    let why = running.settings.health.not_ready()["read model payments"].clone();
    assert!(running.settings.health.not_ready().contains_key("read model ledger"), "it reads the same topic");
    assert!(why.starts_with(&format!("{place} stopped: the record at offset {after}")), "{why}");
    assert!(why.contains("this program is too old for it"), "{why}");
    // What lay before it is shown.
    assert_eq!(database.position("payments", place).await.unwrap().next, after);
    running.stop().await;
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_log_or_a_shorter_one_is_refused_by_name() {
    let mut story = Story::default();
    story.show(1);
    let place = Lanes::place(Context::Catalog, show_id(1).0);
    let shorten = |lanes: &mut Lanes| lanes.log.truncate(place, 3);
    let exchange = |lanes: &mut Lanes| {
        lanes.log.recreate(place);
        let mut other = Lanes::new();
        other.claim(place);
        // Longer than what was read, and begun by another claim.
        let foreign: Vec<_> = other.log.records(place).into_iter().skip(1).cycle().take(20).collect();
        for record in foreign {
            let key = String::from_utf8(record.key.to_vec()).unwrap();
            let header = <[u8; 74]>::try_from(&record.header[..]).unwrap();
            let record = event_log::log::NewRecord { key, header, value: record.value.to_vec(), trace: None };
            lanes.log.foreign_append(place, &record);
        }
    };
    refused(&story, place, shorten, "lies outside the log").await;
    refused(&story, place, exchange, "this is another log").await;
}

async fn refused(story: &Story, place: Partition, change: impl FnOnce(&mut Lanes), why: &str) {
    let mut lanes = told(story);
    let database = Database::new().await;
    let running = database.run(&lanes);
    database.caught_up(&lanes).await;
    running.stop().await;
    let before = database.rows().await;
    change(&mut lanes);
    let error = anyhow::Error::from(database.run(&lanes).ended().await);
    let error = format!("{error:#}");
    assert!(error.contains(&format!("the read model shows cannot go on in {place}")), "{error}");
    assert!(error.contains(why), "{error}");
    assert_eq!(database.rows().await, before);
    database.drop().await;
}

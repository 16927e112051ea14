//! The same rows in memory and in Postgres, whatever the batches.

use std::collections::BTreeMap;

use event_log::log::Partition;
use event_log::validity::Position;
use projectors::memory::{Filling, GENERATED, MemoryRows, StoreFault, fillings};
use projectors::{LAYOUTS, Layout, Written, context_name};
use serde_json::{Value, json};

use crate::database::{filled_once, told};
use crate::lanes::{Lanes, places};
use crate::story::{Way, everything, order_id, show_id};

/// What every read model of events has in memory, as [`crate::database::Database::rows`] gives it.
pub fn in_memory(lanes: &Lanes, batch: usize) -> BTreeMap<String, Value> {
    let rows = MemoryRows::default();
    for mut model in fillings(&lanes.codec, &rows) {
        while fill(lanes, &mut *model, batch) {}
    }
    dumped(&rows)
}

/// Takes in up to so many records of every partition, and writes them. Tells whether there were any.
fn fill(lanes: &Lanes, model: &mut dyn Filling, batch: usize) -> bool {
    let places: Vec<Partition> = places().filter(|place| model.contexts().contains(&place.context)).collect();
    if (places.iter()).any(|place| model.next(*place).is_none()) {
        model.load(&places).unwrap();
    }
    let mut anything = false;
    for place in places {
        let next = model.next(place).unwrap();
        let records = lanes.log.records(place).into_iter().filter(|record| record.offset >= next).take(batch);
        let records: Vec<_> = records.collect();
        anything |= !records.is_empty();
        model.read(place, records).unwrap();
    }
    if model.has_moved() {
        assert!(matches!(model.write().unwrap(), Written::Rows { .. }));
    }
    anything
}

pub fn dumped(rows: &MemoryRows) -> BTreeMap<String, Value> {
    let mut dumped = BTreeMap::new();
    for layout in LAYOUTS.iter().filter(|layout| !layout.merges.is_empty()) {
        for (table, rows) in rows.tables(layout) {
            dumped.insert(format!("{}.{table}", layout.name), sorted(rows));
        }
        let checkpoints = rows.positions(layout).into_iter().map(checkpoint).collect();
        dumped.insert(format!("{}.checkpoints", layout.name), sorted(checkpoints));
    }
    dumped
}

fn checkpoint((at, position): (Partition, Position)) -> Value {
    let Position { next, identity, term, claim, seq, hole } = position;
    json!({
        "context": context_name(at.context), "partition": at.number, "next_offset": next, "identity": identity,
        "term": term, "claim": claim, "seq": seq, "hole": hole,
    })
}

/// What both have: no persons' keys, and no columns that Postgres computes by itself.
pub fn comparable(mut rows: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    rows.retain(|name, _| !name.starts_with("person_keys."));
    for (model, table, column) in GENERATED {
        let rows = rows.get_mut(&format!("{model}.{table}")).unwrap().as_array_mut().unwrap();
        rows.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove(column).unwrap()));
    }
    rows.into_iter().map(|(name, rows)| (name, sorted(rows.as_array().unwrap().clone()))).collect()
}

fn sorted(mut rows: Vec<Value>) -> Value {
    rows.sort_by_key(ToString::to_string);
    Value::Array(rows)
}

fn layout(name: &str) -> &'static Layout {
    LAYOUTS.iter().find(|layout| layout.name == name).unwrap()
}

#[tokio::test]
async fn memory_and_postgres_agree_row_by_row_whatever_the_batches() {
    let mut lanes = told(&everything());
    // What does not count must not count in either.
    let mut story = everything();
    lanes.claim(Lanes::place(domain::root::Context::Inventory, show_id(1).0));
    lanes.tell_void(&story.told.pop().unwrap());
    let expected = comparable(filled_once(&lanes).await);
    let empty: Vec<&String> = expected.iter().filter(|(_, rows)| rows == &&json!([])).map(|(name, _)| name).collect();
    assert!(empty.is_empty(), "nothing is compared in {empty:?}");
    for batch in [1, 2, 7, 100_000] {
        let rows = in_memory(&lanes, batch);
        assert_eq!(rows.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (name, rows) in rows {
            assert_eq!(rows, expected[&name], "{name}, in batches of {batch}");
        }
    }
}

#[test]
fn a_refund_is_dated_when_it_was_asked_for_whatever_follows_in_its_batch() {
    let mut story = crate::story::Story::default();
    story.show(1).purchase(1, 5, Way::InPart);
    let lanes = told(&story);
    assert_eq!(in_memory(&lanes, 1), in_memory(&lanes, 1000));
}

#[test]
fn a_commit_that_is_lost_is_done_again_and_one_whose_answer_is_lost_is_not() {
    let mut story = crate::story::Story::default();
    story.show(1).purchase(1, 5, Way::Completed).room(1, 5);
    let lanes = told(&story);
    let expected = in_memory(&lanes, 1000);
    for fault in [StoreFault::Begin, StoreFault::LoseCommit, StoreFault::LoseAnswer] {
        let rows = MemoryRows::default();
        for mut model in fillings(&lanes.codec, &rows) {
            let places: Vec<Partition> = places().filter(|place| model.contexts().contains(&place.context)).collect();
            model.load(&places).unwrap();
            places.iter().for_each(|place| model.read(*place, lanes.log.records(*place)).unwrap());
            rows.plan([fault]);
            model.write().unwrap_err();
            let again = model.write().unwrap();
            assert_eq!(again == Written::Overtaken, fault == StoreFault::LoseAnswer, "{fault:?}");
        }
        assert_eq!(dumped(&rows), expected, "{fault:?}");
    }
    assert!(expected["orders.orders"].to_string().contains(&order_id(5).0.to_string()));
}

#[test]
fn who_is_overtaken_writes_nothing_and_goes_on_from_what_is_stored() {
    let lanes = told(&everything());
    let expected = in_memory(&lanes, 1000);
    let rows = MemoryRows::default();
    let (slow, fast) = (fillings(&lanes.codec, &rows), fillings(&lanes.codec, &rows));
    for (mut slow, mut fast) in slow.into_iter().zip(fast) {
        fill(&lanes, &mut *slow, 3);
        let places: Vec<Partition> = places().filter(|place| slow.contexts().contains(&place.context)).collect();
        let more = |place: &Partition| lanes.log.records(*place).split_off(3.min(lanes.log.records(*place).len()));
        places.iter().for_each(|place| slow.read(*place, more(place)).unwrap());
        fill(&lanes, &mut *fast, 9);
        if slow.has_moved() {
            assert_eq!(slow.write().unwrap(), Written::Overtaken);
        }
        slow.load(&places).unwrap();
        while fill(&lanes, &mut *slow, 5) {}
    }
    assert_eq!(dumped(&rows), expected);
    assert!(rows.positions(layout("queue")).len() > 3);
    rows.wipe(layout("queue"));
    assert!(rows.positions(layout("queue")).is_empty());
}

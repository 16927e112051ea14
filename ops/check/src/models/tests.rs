use domain::root::Context;
use event_log::log::Partition;
use event_log::validity::Position;
use projectors::LAYOUTS;
use schemas::Codec;
use serde_json::{Value, json};

use super::{Folding, ROWS, Stored};
use crate::book::Book;
use crate::report::Law;
use crate::tests::good;

/// Every row and checkpoint of a good log, as the services write them, and then changed.
fn law(change: impl FnOnce(&mut Vec<Stored>)) -> Law {
    let codec = Codec::in_memory();
    let records = Book::of(good()).records(&codec);
    let places: Vec<Partition> = Context::ALL.map(|context| Partition { context, number: 0 }).to_vec();
    let ends = |place: &Partition| records.iter().filter(|(at, _)| at == place).count();
    let mut stored: Vec<Stored> = LAYOUTS
        .iter()
        .filter_map(|layout| {
            let (_, contexts) = projectors::READS.iter().find(|(name, _)| *name == layout.name)?;
            let of = |place: &&Partition| contexts.contains(&place.context) && ends(place) > 0;
            let checkpoints = places.iter().filter(of).map(|place| {
                let next = i64::try_from(ends(place)).unwrap();
                (*place, Position { next, ..Default::default() })
            });
            let tables = layout.table_names.iter().map(|table| (*table, Vec::new())).collect();
            let (parked, skipped) = Default::default();
            Some(Stored { layout, checkpoints: checkpoints.collect(), tables, parked, skipped })
        })
        .collect();
    // What a fold gives is what the services would have written.
    let mut folding = Folding::of(stored.clone(), &codec);
    records.iter().for_each(|(place, record)| folding.take(*place, record));
    folding.write();
    for one in &mut stored {
        one.checkpoints = folding.rows.positions(one.layout);
        one.tables = folding.rows.tables(one.layout);
    }
    change(&mut stored);
    let mut folding = Folding::of(stored, &codec);
    records.iter().for_each(|(place, record)| folding.take(*place, record));
    folding.law()
}

fn model<'a>(stored: &'a mut [Stored], name: &str) -> &'a mut Stored {
    stored.iter_mut().find(|stored| stored.layout.name == name).unwrap()
}

fn first<'a>(stored: &'a mut [Stored], name: &str, table: &str) -> &'a mut Value {
    model(stored, name).tables.get_mut(table).unwrap().first_mut().unwrap()
}

#[test]
fn rows_that_are_the_fold_of_the_log_hold() {
    let law = law(|_| {});
    assert!(law.holds(), "{:?}", law.faults);
    assert!(law.name == ROWS && !law.numbers.starts_with("0 rows"), "{}", law.numbers);
}

#[test]
fn a_changed_value_is_named_by_table_key_and_column() {
    let law = law(|stored| first(stored, "orders", "orders")["total"] = json!(1));
    assert_eq!(law.faults.count, 1, "{:?}", law.faults);
    let fault = &law.faults.first[0];
    let told = ["orders.orders [00000000-", ".total: Postgres has 1, the log gives 200"];
    assert!(told.iter().all(|part| fault.contains(part)), "{fault}");
}

#[test]
fn a_row_too_few_and_a_row_too_many_are_named() {
    let gone = law(|stored| drop(model(stored, "orders").tables.get_mut("orders").unwrap().pop()));
    assert!(gone.faults.count == 1 && gone.faults.first[0].contains("lacks the row"), "{:?}", gone.faults);
    let more = law(|stored| {
        let mut row = first(stored, "payments", "payments").clone();
        row["payment_id"] = json!("00000000-0000-0000-0000-0000000000ff");
        model(stored, "payments").tables.get_mut("payments").unwrap().push(row);
    });
    assert!(more.faults.count == 1 && more.faults.first[0].contains("no such row"), "{:?}", more.faults);
}

#[test]
fn a_column_that_no_event_writes_is_named() {
    let law = law(|stored| first(stored, "orders", "orders")["surprise"] = json!(1));
    assert!(law.faults.count == 1 && law.faults.first[0].contains("surprise: no event"), "{:?}", law.faults);
    let computed = super::tests::law(|stored| first(stored, "orders", "orders")["phase"] = json!("completed"));
    assert!(computed.holds(), "what Postgres computes is not compared: {:?}", computed.faults);
}

#[test]
fn a_checkpoint_where_no_reader_stands_is_named() {
    let changes: [fn(&mut Position); 4] = [
        |position| position.next += 5,
        |position| position.next -= 1,
        |position| position.seq += 1,
        |position| position.hole = true,
    ];
    for change in changes {
        let law = law(|stored| {
            let orders = model(stored, "orders");
            let place = Partition { context: Context::Order, number: 0 };
            change(orders.checkpoints.get_mut(&place).unwrap());
        });
        assert!(!law.holds());
    }
}

#[test]
fn events_of_a_parked_key_are_no_rows_and_all_of_them_wait() {
    let place = Partition { context: Context::Payment, number: 0 };
    // As a projector leaves them that could not fold the first event of the topic.
    let parked = |stored: &mut Vec<Stored>, forget: bool| {
        let codec = Codec::in_memory();
        let records = Book::of(good()).records(&codec);
        let one = model(stored, "payments");
        one.parked = std::iter::once(((place, 1), true)).collect();
        let mut folding = Folding::of(vec![one.clone()], &codec);
        records.iter().for_each(|(place, record)| folding.take(*place, record));
        folding.write();
        one.tables = folding.rows.tables(one.layout);
        let waiting = folding.rows.parked(one.layout);
        assert!(waiting.len() > 1, "something waits behind it");
        one.parked = waiting.iter().map(|it| ((it.place, it.offset), it.reason.is_some())).collect();
        if forget {
            one.parked.pop_last();
        }
    };
    let law = |forget| law(|stored| parked(stored, forget));
    let good = law(false);
    assert!(good.holds() && good.numbers.contains("events wait in parked keys"), "{:?} {}", good.faults, good.numbers);
    let bad = law(true);
    assert!(bad.faults.count == 1 && bad.faults.first[0].contains("should wait and was folded"), "{:?}", bad.faults);
}

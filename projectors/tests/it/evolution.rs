//! Read models of this version over a log that a later version writes.

use domain::event::Event;
use domain::inventory::{self, ReleaseReason};
use domain::payment;
use event_log::validity::Broken;
use projectors::memory::{MemoryRows, fillings};
use schemas::{Codec, EventType, RecordType};
use serde_json::{Value, json};

use crate::database::told;
use crate::lanes::{Lanes, places};
use crate::memory::in_memory;
use crate::story::{Story, Way, everything, order_id, released};

/// The schema ids of the later version come after those of ours.
const LATER: u32 = 10_000;

/// The schema of a later version: every record has one more field, and every enum one more symbol.
fn later(event: EventType) -> String {
    let mut schema: Value = serde_json::from_str(RecordType::Event(event).text()).unwrap();
    let field = json!({"name": "later", "type": ["null", "string"], "default": null});
    schema["fields"].as_array_mut().unwrap().push(field);
    more_symbols(&mut schema);
    schema.to_string()
}

fn more_symbols(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(symbols)) = object.get_mut("symbols") {
                symbols.push("meteorite".into());
            }
            object.values_mut().for_each(more_symbols);
        }
        Value::Array(values) => values.iter_mut().for_each(more_symbols),
        _ => {}
    }
}

/// A value of ours under the schema of the later version, without the field that it has more.
fn under_later_id(value: &[u8]) -> Vec<u8> {
    let id = schemas::schema_id(value).unwrap() + LATER;
    [&[0], &id.to_be_bytes()[..], &value[5..]].concat()
}

/// As the later version writes: the field that it has more says "x".
fn by_later(_: &Event, value: Vec<u8>) -> Vec<u8> {
    [&under_later_id(&value)[..], &[2, 2, b'x']].concat()
}

/// As it writes a release for a reason that we do not know. The reason lies before the session, which is none.
fn struck(event: &Event, value: Vec<u8>) -> Vec<u8> {
    let mut value = by_later(event, value);
    if matches!(event, Event::Inventory(inventory::Event::ReservationReleased(_))) {
        let (at, by_buyer, meteorite) = (value.len() - 5, 0, 7);
        assert_eq!(value[at..at + 2], [by_buyer, 0]);
        value[at] = 2 * meteorite;
    }
    value
}

/// Reads a log that was written by a later version.
fn lanes(writer: impl Fn(&Event, Vec<u8>) -> Vec<u8> + 'static) -> Lanes {
    let codec = Codec::in_memory();
    for event in EventType::ALL {
        codec.learn_text(LATER + codec.ids().of(RecordType::Event(*event)), &later(*event)).unwrap();
    }
    let mut lanes = Lanes::with(codec);
    lanes.other_writer = Some(Box::new(writer));
    lanes
}

#[test]
fn added_fields_and_symbols_change_nothing_for_a_reader_of_before() {
    let story = everything();
    let mut later = lanes(by_later);
    story.told.iter().for_each(|told| later.tell(told));
    assert_eq!(in_memory(&later, 100), in_memory(&told(&story), 100));
}

#[test]
fn a_reason_that_a_reader_does_not_know_is_unknown_to_it() {
    let mut story = Story::default();
    story.show(1).purchase(1, 5, Way::Reserved);
    let mut lanes = lanes(struck);
    story.stock(1, released(1, 5, ReleaseReason::ByBuyer, false));
    story.told.iter().for_each(|told| lanes.tell(told));
    let rows = in_memory(&lanes, 100);
    let orders = rows["orders.orders"].as_array().unwrap();
    let order = orders.iter().find(|row| row["order_id"] == order_id(5).0.to_string()).unwrap();
    assert_eq!((&order["stock"], &order["released_reason"]), (&json!("released"), &json!("unknown")));
}

#[test]
fn an_event_that_a_reader_does_not_know_stops_it_and_says_that_it_is_too_old() {
    let later = later(EventType::PaymentFailed).replace("\"PaymentFailed\"", "\"PaymentForgotten\"");
    let codec = Codec::in_memory();
    codec.learn_text(LATER, &later).unwrap();
    let mut lanes = Lanes::with(codec);
    lanes.other_writer = Some(Box::new(|event, value| match event {
        Event::Payment(payment::Event::PaymentFailed(_)) => [&[0], &LATER.to_be_bytes()[..], &value[5..]].concat(),
        _ => value,
    }));
    let mut story = Story::default();
    story.show(1).purchase(1, 5, Way::DeclinedThenCompleted);
    story.told.iter().for_each(|told| lanes.tell(told));
    let rows = MemoryRows::default();
    let mut stopped = Vec::new();
    for mut model in fillings(&lanes.codec, &rows) {
        let places: Vec<_> = places().filter(|place| model.contexts().contains(&place.context)).collect();
        model.load(&places).unwrap();
        let read = places.iter().filter_map(|place| model.read(*place, lanes.log.records(*place)).err());
        stopped.extend(read.collect::<Vec<Broken>>().into_iter().map(|why| (model.layout().name, why.to_string())));
    }
    let names: Vec<&str> = stopped.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["payments", "ledger"], "{stopped:?}");
    let why = &stopped[0].1;
    assert!(why.contains("boxoffice.payment.PaymentForgotten") && why.contains("too old"), "{why}");
}

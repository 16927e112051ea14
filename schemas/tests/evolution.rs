//! Other versions of the code wrote these records.

use std::collections::BTreeMap;

use apache_avro::Schema;
use domain::event::Event;
use domain::inventory::{self, ReleaseReason};
use schemas::{Codec, DecodeError, EventType, Ids, LearnError, RecordType};
use serde_json::{Value, json};

use crate::samples::{Optional, datum, framed};

const OTHER: u32 = 5_000;

fn changed(event: EventType, change: impl FnOnce(&mut Value)) -> String {
    let mut schema = serde_json::from_str(RecordType::Event(event).text()).unwrap();
    change(&mut schema);
    schema.to_string()
}

fn fields(schema: &mut Value) -> &mut Vec<Value> {
    schema["fields"].as_array_mut().unwrap()
}

fn field<'s>(schema: &'s mut Value, name: &str) -> &'s mut Value {
    fields(schema).iter_mut().find(|field| field["name"] == name).unwrap()
}

async fn codec(text: &str) -> Codec {
    let codec = Codec::new(Ids::in_memory(), BTreeMap::from([(OTHER, text.to_owned())]));
    codec.learn(OTHER).await.unwrap();
    codec
}

fn value(text: &str, optional: Optional, turn: usize) -> Vec<u8> {
    framed(OTHER, &datum(&Schema::parse_str(text).unwrap(), optional, turn))
}

fn released(event: Event) -> inventory::ReservationReleased {
    match event {
        Event::Inventory(inventory::Event::ReservationReleased(released)) => released,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_newer_writer_with_more_fields_and_symbols_is_read() {
    let text = changed(EventType::ReservationReleased, |schema| {
        let note = json!({"name": "note", "type": ["null", "string"], "default": null});
        fields(schema).insert(3, note);
        let count = json!({"name": "count", "type": "long", "default": 3});
        fields(schema).push(count);
        field(schema, "meta")["type"]["fields"].as_array_mut().unwrap().push(json!({
            "name": "tenant", "type": "string", "default": "none"
        }));
        let symbols = field(schema, "reason")["type"]["symbols"].as_array_mut().unwrap();
        symbols.insert(0, json!("meteorite"));
    });
    let codec = codec(&text).await;
    assert_eq!(codec.event_name(OTHER), Some("ReservationReleased"));
    let (meta, event) = codec.decode(&value(&text, Optional::Set, 0)).unwrap();
    assert!(meta.actor.starts_with("actor"));
    let unforeseen = released(event);
    assert_eq!((unforeseen.reason, unforeseen.lines.len()), (ReleaseReason::Unknown, 2));
    let (_, event) = codec.decode(&value(&text, Optional::Unset, 1)).unwrap();
    assert_eq!(released(event).reason, ReleaseReason::ByBuyer);
}

#[tokio::test]
async fn an_older_writer_without_an_optional_field_is_read() {
    let text = changed(EventType::OrderCreated, |schema| fields(schema).retain(|field| field["name"] != "payment"));
    let (_, event) = codec(&text).await.decode(&value(&text, Optional::Set, 0)).unwrap();
    let Event::Order(domain::order::Event::OrderCreated(created)) = event else { panic!("{event:?}") };
    assert_eq!((created.payment, created.currency.as_str(), created.lines.len()), (None, "VND", 2));
}

#[tokio::test]
async fn fields_in_another_order_and_narrower_numbers_are_read() {
    let text = changed(EventType::PriceChanged, |schema| {
        field(schema, "price")["type"] = json!("int");
        fields(schema).reverse();
    });
    let (meta, event) = codec(&text).await.decode(&value(&text, Optional::Set, 0)).unwrap();
    let Event::Inventory(inventory::Event::PriceChanged(changed)) = event else { panic!("{event:?}") };
    assert_eq!(changed.price, 2_000);
    assert!(meta.version > 0);
}

#[tokio::test]
async fn a_writer_that_differs_only_in_words_is_read_as_ours() {
    let text = changed(EventType::OrderPaid, |schema| schema["doc"] = json!("Other words."));
    let codec = codec(&text).await;
    let (meta, event) = codec.decode(&value(&text, Optional::Set, 0)).unwrap();
    let ours = codec.encode(&meta, &event).unwrap();
    assert_eq!(ours[5..], value(&text, Optional::Set, 0)[5..]);
}

#[tokio::test]
async fn an_incompatible_writer_is_an_error() {
    let text = changed(EventType::PriceChanged, |schema| field(schema, "price")["type"] = json!("boolean"));
    let error = codec(&text).await.decode(&value(&text, Optional::Set, 0)).unwrap_err();
    assert!(matches!(&error, DecodeError::Incompatible { id: OTHER, name, .. } if name.ends_with("PriceChanged")));

    let text = changed(EventType::PriceChanged, |schema| fields(schema).retain(|field| field["name"] != "price"));
    let error = codec(&text).await.decode(&value(&text, Optional::Set, 0)).unwrap_err();
    assert!(matches!(error, DecodeError::Incompatible { .. }), "{error:?}");
}

#[tokio::test]
async fn an_unknown_event_stops_its_reader() {
    let text = changed(EventType::PriceChanged, |schema| schema["name"] = json!("PriceDoubled"));
    let codec = codec(&text).await;
    let error = codec.decode(&value(&text, Optional::Set, 0)).unwrap_err();
    assert!(
        matches!(&error, DecodeError::UnknownEvent { id: OTHER, name } if name == "boxoffice.inventory.PriceDoubled")
    );
    assert_eq!(codec.event_name(OTHER), None);
}

#[tokio::test]
async fn an_id_is_learned_on_demand() {
    let text = RecordType::Event(EventType::OrderPaid).text();
    let source = BTreeMap::from([(OTHER, text.to_owned()), (OTHER + 1, "no schema".to_owned())]);
    let codec = Codec::new(Ids::in_memory(), source);
    let value = value(text, Optional::Set, 0);
    assert!(matches!(codec.decode(&value), Err(DecodeError::UnlearnedSchema(OTHER))));
    codec.clone().learn(OTHER).await.unwrap();
    codec.decode(&value).unwrap();
    assert!(matches!(codec.learn(OTHER + 1).await, Err(LearnError::NotASchema { .. })));
    assert!(matches!(codec.learn(OTHER + 2).await, Err(LearnError::NotFound(_))));
    assert!(matches!(Codec::in_memory().learn(OTHER).await, Err(LearnError::NotFound(_))));
}

#[tokio::test]
async fn control_records_of_a_newer_writer_are_read() {
    let mut schema: Value = serde_json::from_str(RecordType::Settled.text()).unwrap();
    fields(&mut schema).push(json!({"name": "by", "type": ["null", "string"], "default": null}));
    let text = schema.to_string();
    let control = codec(&text).await.decode_control(&value(&text, Optional::Set, 0)).unwrap();
    assert!(matches!(control, schemas::Control::Settled { below } if below > 0));
}

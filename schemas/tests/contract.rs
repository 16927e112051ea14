//! The schema files and the Rust types say the same.

use std::collections::BTreeMap;

use apache_avro::Schema;
use domain::event::Event;
use domain::root::{Context, Meta};
use schemas::{Codec, Control, EventType, Ids, PersonKey, RecordType, schema_id};
use serde_json::Value;
use uuid::Uuid;

use crate::samples::{Optional, sample_bytes, schema_of, turns};
use crate::shape;

fn group(context: Context) -> &'static str {
    match context {
        Context::Catalog => "Show",
        Context::Inventory => "Inventory",
        Context::Order => "Order",
        Context::Payment => "Payment",
        Context::Ticket => "Ticket",
        Context::Queue => "Queue",
        Context::Account => "Account",
    }
}

fn json(record: RecordType) -> Value {
    serde_json::from_str(record.text()).unwrap()
}

/// Every JSON object of a schema, with the field it is the type of.
fn objects(value: &Value, visit: &mut dyn FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            visit(object);
            object.values().for_each(|value| objects(value, visit));
        }
        Value::Array(values) => values.iter().for_each(|value| objects(value, visit)),
        _ => {}
    }
}

#[test]
fn every_event_has_the_fields_of_its_schema_in_their_order() {
    for event in EventType::ALL {
        let schema = shape::of_schema(&schema_of(RecordType::Event(*event)));
        let rust = shape::of_type::<Event>(&[group(event.context()), event.name()]);
        assert_eq!(rust, schema);
        assert!(schema.len() > 1);
    }
}

#[test]
fn meta_has_the_fields_of_its_schema_in_their_order() {
    let schema = Schema::parse_str(include_str!("../avro/Meta.avsc")).unwrap();
    assert_eq!(shape::of_type::<Meta>(&[]), shape::of_schema(&schema));
}

#[test]
fn a_person_key_has_the_fields_of_its_schema_in_their_order() {
    assert_eq!(shape::of_type::<PersonKey>(&[]), shape::of_schema(&schema_of(RecordType::PersonKey)));
}

#[test]
fn what_another_library_writes_is_read_and_written_again_byte_for_byte() {
    let codec = Codec::in_memory();
    for event in EventType::ALL {
        let record = RecordType::Event(*event);
        for turn in 0..turns(&schema_of(record)) {
            for optional in [Optional::Set, Optional::Unset] {
                let bytes = sample_bytes(record, optional, turn);
                let (meta, decoded) = codec.decode(&bytes).unwrap_or_else(|error| panic!("{event:?}: {error:?}"));
                assert_eq!(EventType::of(&decoded), *event);
                assert_eq!(codec.encode(&meta, &decoded).unwrap(), bytes, "{event:?}");
            }
        }
    }
}

#[test]
fn control_records_are_read_as_they_were_written() {
    let codec = Codec::in_memory();
    let claimed = Control::Claimed {
        claim: Uuid::from_u128(7),
        term: u32::MAX,
        instance: "a".to_owned(),
        url: "http://127.0.0.1:1".to_owned(),
    };
    for control in [claimed, Control::Barrier, Control::Settled { below: i64::MAX }] {
        let bytes = codec.encode_control(&control).unwrap();
        assert_eq!(codec.decode_control(&bytes).unwrap(), control);
        assert!(codec.decode(&bytes).is_err(), "a control record is no event");
    }
    for record in [RecordType::PartitionClaimed, RecordType::Barrier, RecordType::Settled] {
        let bytes = sample_bytes(record, Optional::Set, 0);
        let again = codec.encode_control(&codec.decode_control(&bytes).unwrap()).unwrap();
        assert_eq!(again, bytes);
    }
}

#[test]
fn person_keys_are_read_as_they_were_written() {
    let codec = Codec::in_memory();
    let bytes = sample_bytes(RecordType::PersonKey, Optional::Set, 0);
    let key = codec.decode_person_key(&bytes).unwrap();
    assert_eq!(codec.encode_person_key(&key).unwrap(), bytes);
    assert!(codec.decode_control(&bytes).is_err());
}

#[test]
fn every_event_starts_with_the_same_meta() {
    let meta: Value = serde_json::from_str(include_str!("../avro/Meta.avsc")).unwrap();
    for event in EventType::ALL {
        let first = &json(RecordType::Event(*event))["fields"][0];
        assert_eq!((&first["name"], &first["type"]), (&Value::from("meta"), &meta), "{event:?}");
    }
}

#[test]
fn a_name_means_the_same_type_in_every_file() {
    let mut types = BTreeMap::new();
    for record in RecordType::all() {
        objects(&json(record), &mut |object| {
            if let (Some(name), Some(namespace)) = (object.get("name"), object.get("namespace")) {
                let name = format!("{}.{}", namespace.as_str().unwrap(), name.as_str().unwrap());
                let first = types.entry(name).or_insert_with(|| object.clone());
                assert_eq!(first, object);
            }
        });
    }
    assert!(types.contains_key("boxoffice.PricedLine"));
}

#[test]
fn files_are_named_as_their_records_and_everything_is_documented() {
    for record in RecordType::all() {
        assert_eq!(schema_of(record).name().unwrap().to_string(), record.full_name());
        let file = record.full_name().replace("boxoffice.", "").replace('.', "/");
        let path = format!("{}/avro/{file}.avsc", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(std::fs::read_to_string(path).unwrap(), record.text());
        objects(&json(record), &mut |object| {
            if object.contains_key("name") {
                assert!(object["doc"].as_str().is_some_and(|doc| doc.ends_with('.')), "{object:?}");
            }
        });
    }
    let files = ["catalog", "inventory", "order", "payment", "ticket", "queue", "account", "log", "person"]
        .map(|folder| std::fs::read_dir(format!("{}/avro/{folder}", env!("CARGO_MANIFEST_DIR"))).unwrap().count());
    assert_eq!(files.iter().sum::<usize>(), RecordType::all().count(), "a schema file belongs to no type");
}

#[test]
fn optional_fields_are_null_by_default() {
    for record in RecordType::all() {
        objects(&json(record), &mut |object| {
            if let Some(Value::Array(union)) = object.get("type") {
                assert_eq!((union.len(), &union[0], &object["default"]), (2, &Value::from("null"), &Value::Null));
            }
        });
    }
}

#[test]
fn exactly_sealed_fields_are_personal() {
    let sources = [
        include_str!("../../domain/src/show.rs"),
        include_str!("../../domain/src/inventory.rs"),
        include_str!("../../domain/src/order.rs"),
        include_str!("../../domain/src/payment.rs"),
        include_str!("../../domain/src/ticket.rs"),
        include_str!("../../domain/src/queue.rs"),
        include_str!("../../domain/src/account.rs"),
    ];
    let lines = sources.iter().flat_map(|source| source.lines()).filter_map(|line| line.trim().strip_prefix("pub "));
    let fields = lines.filter_map(|line| line.trim_end_matches(',').split_once(": "));
    let sealed = fields.filter(|(_, field_type)| field_type.contains("Sealed")).map(|(name, _)| name.to_owned());
    let mut personal = std::collections::BTreeSet::new();
    for record in RecordType::all() {
        objects(&json(record), &mut |object| {
            if object.get("pii") == Some(&Value::Bool(true)) {
                assert!([Value::from("bytes"), serde_json::json!(["null", "bytes"])].contains(&object["type"]));
                personal.insert(object["name"].as_str().unwrap().to_owned());
            } else {
                assert!(!object.contains_key("pii"), "pii is true or absent");
            }
        });
    }
    assert_eq!(personal, sealed.collect());
    assert!(personal.contains("buyer"));
}

#[test]
fn a_bytes_field_takes_any_length_exactly_if_it_is_personal() {
    let codec = Codec::in_memory();
    let record = RecordType::Event(EventType::TicketsReserved);
    let bytes = sample_bytes(record, Optional::Set, 0);
    let (meta, event) = codec.decode(&bytes).unwrap();
    let Event::Inventory(domain::inventory::Event::TicketsReserved(mut reserved)) = event else { panic!() };
    reserved.checkout.as_mut().unwrap().buyer.0 = vec![1; 300];
    let event = Event::from(domain::inventory::Event::TicketsReserved(reserved));
    let bytes = codec.encode(&meta, &event).unwrap();
    assert_eq!(codec.decode(&bytes).unwrap(), (meta, event));

    // The fingerprint is the last field: a length, then 16 bytes. One byte more is refused.
    let bytes = sample_bytes(RecordType::Event(EventType::ShowCreated), Optional::Set, 0);
    let (before, fingerprint) = bytes.split_at(bytes.len() - 16);
    let (length, before) = before.split_last().unwrap();
    assert_eq!(*length, 2 * 16);
    let longer = [before, &[2 * 17, 0], fingerprint].concat();
    assert!(codec.decode(&bytes).is_ok() && codec.decode(&longer).is_err());
}

#[test]
fn ids_lead_both_ways_and_follow_the_names() {
    let ids = Ids::in_memory();
    let mut names: Vec<&str> = RecordType::all().map(RecordType::full_name).collect();
    names.sort_unstable();
    for (id, name) in (1..).zip(names) {
        let record = RecordType::named(name).unwrap();
        assert_eq!((ids.of(record), ids.record(id)), (id, Some(record)));
    }
    assert_eq!(ids.record(0), None);
    let paid = ids.event(Context::Order, "OrderPaid").unwrap();
    assert_eq!(ids.record(paid), Some(RecordType::Event(EventType::OrderPaid)));
    assert_eq!(ids.event(Context::Catalog, "OrderPaid"), None);
    assert_eq!(ids.records("ns").len(), RecordType::all().count());
}

#[test]
fn an_event_is_told_by_its_first_bytes() {
    let codec = Codec::in_memory();
    let bytes = sample_bytes(RecordType::Event(EventType::OrderPaid), Optional::Unset, 0);
    let id = schema_id(&bytes).unwrap();
    assert_eq!(codec.event_name(id), Some("OrderPaid"));
    assert_eq!(codec.event_name(codec.ids().of(RecordType::Barrier)), None);
    assert_eq!(codec.event_name(99_999), None);
    assert_eq!(schema_id(&bytes[..4]), None);
}

#[test]
fn subjects_start_with_the_namespace() {
    let paid = RecordType::Event(EventType::OrderPaid);
    assert_eq!(paid.subject(""), "order-events-boxoffice.order.OrderPaid");
    assert_eq!(paid.subject("t1"), "t1.order-events-boxoffice.order.OrderPaid");
    assert_eq!(RecordType::Barrier.subject("t1"), "t1.boxoffice.log.Barrier");
    assert_eq!(RecordType::PersonKey.subject("t1"), "t1.person-keys-boxoffice.person.PersonKey");
}

#[test]
fn a_reservation_is_encoded_leanly() {
    let bytes = sample_bytes(RecordType::Event(EventType::TicketsReserved), Optional::Set, 0);
    let (meta, event) = Codec::in_memory().decode(&bytes).unwrap();
    let json = serde_json::to_vec(&(meta, event)).unwrap();
    assert!(bytes.len() < 800 && bytes.len() * 2 < json.len(), "{} bytes, {} as JSON", bytes.len(), json.len());
}

//! A schema file may only grow: whatever was released under it is read by every later version, and the other way round.
//!
//! The rules are Avro's under FULL_TRANSITIVE, and a few of our own that keep a field's meaning and place.

use std::mem::discriminant;

use apache_avro::Schema;
use apache_avro::schema::{EnumSchema, RecordField, RecordSchema};
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use schemas::{EventType, RecordType, Registry};
use serde_json::{Value, json};

use crate::corpus::Release;
use crate::registry::{namespace, on_a_thread_for_blocking};

/// What a later version must not have done to an earlier one.
fn faults(then: &Schema, now: &Schema) -> Vec<String> {
    let mut found = Vec::new();
    compare("", then, now, &mut found);
    match SchemaCompatibility::mutual_read(then, now) {
        Ok(Compatibility::Full) => {}
        other => found.push(format!("Avro does not read both ways: {other:?}")),
    }
    found
}

fn compare(path: &str, then: &Schema, now: &Schema, found: &mut Vec<String>) {
    match (then, now) {
        (Schema::Record(then), Schema::Record(now)) => compare_fields(path, then, now, found),
        (Schema::Enum(then), Schema::Enum(now)) => compare_symbols(path, then, now, found),
        (Schema::Array(then), Schema::Array(now)) => compare(path, &then.items, &now.items, found),
        (Schema::Union(then), Schema::Union(now)) if then.variants().len() == now.variants().len() => {
            let variants = then.variants().iter().zip(now.variants());
            variants.for_each(|(then, now)| compare(path, then, now, found));
        }
        (Schema::Ref { name: then }, Schema::Ref { name: now }) if then == now => {}
        (Schema::Ref { .. } | Schema::Union(_), _) => found.push(format!("{path} has another type")),
        _ if discriminant(then) == discriminant(now) => {}
        _ => found.push(format!("{path} has another type")),
    }
}

fn compare_fields(path: &str, then: &RecordSchema, now: &RecordSchema, found: &mut Vec<String>) {
    for (place, old) in then.fields.iter().enumerate() {
        let path = format!("{path}.{}", old.name);
        match now.fields.iter().position(|field| field.name == old.name) {
            None => found.push(format!("{path} is gone")),
            Some(at) if at != place => found.push(format!("{path} has moved: new fields come last")),
            Some(at) => compare_field(&path, old, &now.fields[at], found),
        }
    }
    let is_new = |field: &&RecordField| !then.fields.iter().any(|old| old.name == field.name);
    for field in now.fields.iter().filter(is_new).filter(|field| field.default.is_none()) {
        found.push(format!("{path}.{} is new and has no default", field.name));
    }
}

fn compare_field(path: &str, then: &RecordField, now: &RecordField, found: &mut Vec<String>) {
    if then.default != now.default {
        found.push(format!("{path} has another default"));
    }
    if then.custom_attributes.get("pii") != now.custom_attributes.get("pii") {
        found.push(format!("{path} became personal, or is it no more"));
    }
    compare(path, &then.schema, &now.schema, found);
}

fn compare_symbols(path: &str, then: &EnumSchema, now: &EnumSchema, found: &mut Vec<String>) {
    for symbol in then.symbols.iter().filter(|symbol| !now.symbols.contains(symbol)) {
        found.push(format!("{path} lost the symbol {symbol}"));
    }
    if then.default != now.default {
        found.push(format!("{path} has another default symbol"));
    }
}

/// A schema under the present name of its type, as the codec takes it.
fn named_as_now(text: &str, record: RecordType) -> Schema {
    let mut json: Value = serde_json::from_str(text).unwrap();
    json["name"] = record.full_name().rsplit('.').next().unwrap().into();
    Schema::parse_str(&json.to_string()).unwrap()
}

#[test]
fn every_schema_file_has_only_grown_since_every_release() {
    for record in RecordType::all() {
        let name = record.full_name();
        let releases = Release::of(record);
        assert!(!releases.is_empty(), "{name} has no golden file: run the ignored test write_missing_golden_files");
        let versions = releases.iter().map(|it| (format!("{it:?}"), it.schema()));
        let versions = versions.chain([("the schema file".to_owned(), record.text().to_owned())]);
        let versions: Vec<_> = versions.map(|(what, text)| (what, named_as_now(&text, record))).collect();
        for (place, (earlier, then)) in versions.iter().enumerate() {
            for (later, now) in &versions[place + 1..] {
                let faults = faults(then, now);
                assert!(faults.is_empty(), "{name}: {later} does not go with {earlier}: {}", faults.join("; "));
            }
        }
    }
}

#[test]
fn no_release_has_vanished() {
    for release in Release::all() {
        let name = &release.full_name;
        assert!(
            release.record().is_some(),
            "{name} was released and lies in logs for ever: keep its type, or make it an alias of the one it became"
        );
        let before = Release { version: release.version - 1, ..release.clone() };
        assert!(release.version == 1 || before.path(".avsc").exists(), "{name} v{} is missing", before.version);
    }
}

#[test]
fn a_former_name_is_of_one_type_of_the_same_topic_and_never_used_again() {
    for record in RecordType::all() {
        for name in record.former_names() {
            assert_eq!((RecordType::named(&name), RecordType::formerly(&name)), (None, Some(record)));
            assert!(Release::all().iter().any(|it| it.full_name == name), "{name} was never released");
            let namespace = |name: &str| name.rsplit_once('.').unwrap().0.to_owned();
            assert_eq!(namespace(&name), namespace(record.full_name()), "it would lie in another topic");
        }
    }
    let renamed = RecordType::Event(EventType::PaymentClosureRequested);
    assert_eq!(renamed.former_names(), ["boxoffice.payment.PaymentClosing"]);
}

#[tokio::test]
async fn a_registry_takes_every_release_in_turn_and_then_the_schema_file() {
    let registry = Registry::new(on_a_thread_for_blocking().await).unwrap();
    let namespace = namespace();
    for record in RecordType::all() {
        for release in Release::of(record) {
            let subject = record.subject(&namespace).replace(record.full_name(), &release.full_name);
            registry.register(&subject, &release.schema()).await.unwrap();
        }
        registry.register(&record.subject(&namespace), record.text()).await.unwrap();
    }
}

fn edited(edit: impl FnOnce(&mut Vec<Value>)) -> Vec<String> {
    let then = RecordType::Event(EventType::ReservationReleased).text();
    let mut now: Value = serde_json::from_str(then).unwrap();
    edit(now["fields"].as_array_mut().unwrap());
    faults(&Schema::parse_str(then).unwrap(), &Schema::parse_str(&now.to_string()).unwrap())
}

fn field<'f>(fields: &'f mut [Value], name: &str) -> &'f mut Value {
    fields.iter_mut().find(|field| field["name"] == name).unwrap()
}

#[test]
fn what_would_break_a_reader_is_named() {
    let fault = |edit: &dyn Fn(&mut Vec<Value>)| edited(edit).join("; ");
    assert_eq!(fault(&|fields| fields.push(json!({"name": "note", "type": "string", "default": ""}))), "");
    let symbols = |fields: &mut Vec<Value>| field(fields, "reason")["type"]["symbols"].as_array().unwrap().clone();
    let more = |fields: &mut Vec<Value>| [symbols(fields), vec![json!("meteorite")]].concat().into();
    assert_eq!(
        fault(&|fields| {
            let more = more(fields);
            field(fields, "reason")["type"]["symbols"] = more;
        }),
        ""
    );

    let added = fault(&|fields| fields.push(json!({"name": "note", "type": "string"})));
    assert!(added.starts_with(".note is new and has no default; Avro does not"), "{added}");
    let first = fault(&|fields| fields.insert(0, json!({"name": "note", "type": "string", "default": ""})));
    assert!(first.contains(".order has moved: new fields come last"), "{first}");
    let gone = fault(&|fields| fields.retain(|field| field["name"] != "attempt"));
    assert!(gone.contains(".attempt is gone"), "{gone}");
    let renamed = fault(&|fields| fields.last_mut().unwrap()["name"] = json!("place"));
    assert!(renamed.contains(".session is gone"), "{renamed}");
    let retyped = fault(&|fields| field(fields, "attempt")["type"] = json!("long"));
    assert!(retyped.starts_with(".attempt has another type; Avro does not"), "{retyped}");
    let default = fault(&|fields| field(fields, "attempt")["default"] = json!(1));
    assert_eq!(default, ".attempt has another default");
    let personal = fault(&|fields| field(fields, "attempt")["pii"] = json!(true));
    assert_eq!(personal, ".attempt became personal, or is it no more");
    let fewer = fault(&|fields| field(fields, "reason")["type"]["symbols"] = json!(["by_buyer", "unknown"]));
    assert!(fewer.contains(".reason lost the symbol expired"), "{fewer}");
}

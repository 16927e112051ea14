//! What was ever released stays readable.
//!
//! For every type and version: `<Name>.v<n>.avsc` is the schema as it was released, `.bin` a value with every optional
//! field set, `.bare.bin` one with none, and `.json` and `.bare.json` what they mean. They are only ever added to.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use schemas::{Codec, Control, RecordType};
use serde_json::{Value, json};

use crate::corpus::Release;
use crate::samples::{Optional, datum, framed, has_optional, schema_of};

/// The id in every golden value, whatever the registries of their time said.
const GOLDEN_ID: u32 = 1_000_000;

/// What a value means, in the same words for ever.
fn meaning(codec: &Codec, record: RecordType, value: &[u8]) -> Value {
    match record {
        RecordType::Event(_) => {
            let (meta, event) = codec.decode(value).unwrap();
            json!({ "meta": meta, "event": event })
        }
        RecordType::PersonKey => json!(codec.decode_person_key(value).unwrap()),
        _ => match codec.decode_control(value).unwrap() {
            Control::Claimed { claim, term, instance, url } => {
                json!({ "claim": claim, "term": term, "instance": instance, "url": url })
            }
            Control::Barrier => json!({}),
            Control::Settled { below } => json!({ "below": below }),
        },
    }
}

/// What a golden value meant when it was released, with the event under its present name.
fn expected(release: &Release, record: RecordType, kind: &str) -> Value {
    let text = fs::read(release.path(&format!("{kind}.json"))).unwrap();
    let mut expected: Value = serde_json::from_slice(&text).unwrap();
    if let RecordType::Event(now) = record {
        let groups = expected["event"].as_object_mut().unwrap();
        let group = groups.values_mut().next().unwrap().as_object_mut().unwrap();
        let body = group.remove(release.name()).unwrap();
        group.insert(now.name().to_owned(), body);
    }
    expected
}

/// Takes out what an old value cannot say: fields that were added since, if they have the default of the schema file.
fn forget_defaults(now: &mut Value, then: &Value, defaults: &HashSet<(String, Value)>) {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => {
            let is_default = |name: &str, value: &Value| defaults.contains(&(name.to_owned(), value.clone()));
            now.retain(|name, value| then.contains_key(name) || !is_default(name, value));
            now.iter_mut().for_each(|(name, value)| {
                forget_defaults(value, then.get(name).unwrap_or(&Value::Null), defaults);
            });
        }
        (Value::Array(now), Value::Array(then)) => {
            now.iter_mut().zip(then).for_each(|(now, then)| forget_defaults(now, then, defaults));
        }
        _ => {}
    }
}

/// The names of fields with a default, and the defaults.
fn defaults(schema: &Value, found: &mut HashSet<(String, Value)>) {
    match schema {
        Value::Object(object) => {
            if let (Some(Value::String(name)), Some(default)) = (object.get("name"), object.get("default")) {
                found.insert((name.clone(), default.clone()));
            }
            object.values().for_each(|value| defaults(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| defaults(value, found)),
        _ => {}
    }
}

fn codec(schema: &str) -> Codec {
    let codec = Codec::in_memory();
    codec.learn_text(GOLDEN_ID, schema).unwrap();
    codec
}

fn without_words(schema: &str) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.remove("doc");
                object.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(schema).unwrap();
    strip(&mut value);
    value
}

/// Writes a file unless there is one.
pub fn write_missing(path: &Path, bytes: &[u8]) {
    if !path.exists() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn every_version_of_every_record_is_read_under_whatever_name() {
    let mut renamed = 0;
    for record in RecordType::all() {
        let mut added = HashSet::new();
        defaults(&serde_json::from_str(record.text()).unwrap(), &mut added);
        for release in Release::of(record) {
            let codec = codec(&release.schema());
            assert_eq!(codec.record_type(GOLDEN_ID), Some(record), "{release:?}");
            renamed += usize::from(release.full_name != record.full_name());
            for kind in ["", ".bare"] {
                let Some(value) = release.value(kind) else { continue };
                let expected = expected(&release, record, kind);
                let mut now = meaning(&codec, record, &value);
                forget_defaults(&mut now, &expected, &added);
                assert_eq!(now, expected, "{release:?}{kind}");
            }
        }
    }
    assert!(renamed > 0, "PaymentClosing is read as PaymentClosureRequested");
}

#[test]
fn an_old_value_gets_the_default_of_what_was_added_since() {
    for (name, then, now) in [("PaymentCompleted", 2, "unknown"), ("PaymentCompleted", 3, "payos")] {
        let release = Release { full_name: format!("boxoffice.payment.{name}"), version: then };
        let record = release.record().unwrap();
        let meant = meaning(&codec(&release.schema()), record, &release.value("").unwrap());
        assert_eq!(meant["event"]["Payment"][name]["provider"], now, "{release:?}");
    }
}

#[test]
fn every_record_is_in_the_corpus_as_it_is_now() {
    for record in RecordType::all() {
        let name = record.full_name();
        let newest = Release::newest(record)
            .unwrap_or_else(|| panic!("{name} has no golden value: run the ignored test write_missing_golden_files"));
        assert_eq!(
            without_words(record.text()),
            without_words(&newest.schema()),
            "{name} has changed since v{}: add v{} to the corpus by the ignored test write_missing_golden_files",
            newest.version,
            newest.version + 1
        );
        assert!(newest.value("").is_some(), "{name}");
        assert_eq!(newest.value(".bare").is_some(), has_optional(&schema_of(record)), "{name}");
    }
}

#[test]
#[ignore = "writes the golden files that are missing"]
fn write_missing_golden_files() {
    for record in RecordType::all() {
        let newest = Release::newest(record);
        let is_kept = |it: &Release| without_words(&it.schema()) == without_words(record.text());
        let version = newest.map_or(1, |it| if is_kept(&it) { it.version } else { it.version + 1 });
        let release = Release { full_name: record.full_name().to_owned(), version };
        write_missing(&release.path(".avsc"), record.text().as_bytes());
        let schema = schema_of(record);
        for (kind, optional) in [("", Optional::Set), (".bare", Optional::Unset)] {
            if optional == Optional::Unset && !has_optional(&schema) {
                continue;
            }
            let value = framed(GOLDEN_ID, &datum(&schema, optional, 0));
            let meaning = meaning(&codec(record.text()), record, &value);
            write_missing(&release.path(&format!("{kind}.bin")), &value);
            let json = format!("{meaning:#}\n");
            write_missing(&release.path(&format!("{kind}.json")), json.as_bytes());
        }
    }
}

//! What was ever released stays readable.
//!
//! For every type and version: `<Name>.v<n>.avsc` is the schema as it was released, `.bin` a value with every optional
//! field set, `.bare.bin` one with none, and `.json` and `.bare.json` what they mean. They are only ever added to.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use apache_avro::Schema;
use apache_avro::schema_compatibility::SchemaCompatibility;
use schemas::{Codec, Control, RecordType};
use serde_json::{Value, json};

use crate::samples::{Optional, datum, framed, has_optional, schema_of};

/// The id in every golden value, whatever the registries of their time said.
const GOLDEN_ID: u32 = 1_000_000;

fn path(record: RecordType, version: usize, ending: &str) -> String {
    let name = record.full_name().replace("boxoffice.", "").replace('.', "/");
    format!("{}/golden/{name}.v{version}{ending}", env!("CARGO_MANIFEST_DIR"))
}

fn versions(record: RecordType) -> usize {
    (1..).take_while(|version| Path::new(&path(record, *version, ".avsc")).exists()).count()
}

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
pub fn write_missing(path: &str, bytes: &[u8]) {
    if !Path::new(path).exists() {
        fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[test]
fn every_version_of_every_record_is_read() {
    for record in RecordType::all() {
        let mut added = HashSet::new();
        defaults(&serde_json::from_str(record.text()).unwrap(), &mut added);
        for version in 1..=versions(record) {
            let schema = fs::read_to_string(path(record, version, ".avsc")).unwrap();
            let codec = codec(&schema);
            for kind in ["", ".bare"] {
                let Ok(value) = fs::read(path(record, version, &format!("{kind}.bin"))) else {
                    continue;
                };
                let expected = fs::read(path(record, version, &format!("{kind}.json"))).unwrap();
                let expected: Value = serde_json::from_slice(&expected).unwrap();
                let mut now = meaning(&codec, record, &value);
                forget_defaults(&mut now, &expected, &added);
                assert_eq!(now, expected, "{} v{version}{kind}", record.full_name());
            }
        }
    }
}

#[test]
fn every_record_is_in_the_corpus_as_it_is_now() {
    for record in RecordType::all() {
        let (name, newest) = (record.full_name(), versions(record));
        assert!(newest > 0, "{name} has no golden value: run the ignored test write_missing_golden_files");
        let schema = fs::read_to_string(path(record, newest, ".avsc")).unwrap();
        assert_eq!(
            without_words(record.text()),
            without_words(&schema),
            "{name} has changed since v{newest}: add v{} to the corpus by the ignored test write_missing_golden_files",
            newest + 1
        );
        assert!(Path::new(&path(record, newest, ".bin")).exists(), "{name}");
        let bare = Path::new(&path(record, newest, ".bare.bin")).exists();
        assert_eq!(bare, has_optional(&schema_of(record)), "{name}");
    }
}

#[test]
fn every_version_reads_every_other() {
    for record in RecordType::all() {
        let now = schema_of(record);
        for version in 1..=versions(record) {
            let then = Schema::parse_str(&fs::read_to_string(path(record, version, ".avsc")).unwrap()).unwrap();
            SchemaCompatibility::mutual_read(&now, &then)
                .unwrap_or_else(|error| panic!("{} v{version}: {error}", record.full_name()));
        }
    }
}

#[test]
#[ignore = "writes the golden files that are missing"]
fn write_missing_golden_files() {
    for record in RecordType::all() {
        let newest = versions(record);
        let kept = fs::read_to_string(path(record, newest, ".avsc"));
        let is_kept = kept.is_ok_and(|kept| without_words(&kept) == without_words(record.text()));
        let version = if is_kept { newest } else { newest + 1 };
        write_missing(&path(record, version, ".avsc"), record.text().as_bytes());
        let schema = schema_of(record);
        for (kind, optional) in [("", Optional::Set), (".bare", Optional::Unset)] {
            if optional == Optional::Unset && !has_optional(&schema) {
                continue;
            }
            let value = framed(GOLDEN_ID, &datum(&schema, optional, 0));
            let meaning = meaning(&codec(record.text()), record, &value);
            write_missing(&path(record, version, &format!("{kind}.bin")), &value);
            let json = format!("{meaning:#}\n");
            write_missing(&path(record, version, &format!("{kind}.json")), json.as_bytes());
        }
    }
}

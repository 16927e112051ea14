//! Every event that was ever released leaves with all its fields, in every format.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use domain::root::Context;
use domain::value::Timestamp;
use export::export::Format;
use export::range::Wanted;
use schemas::{Codec, RecordType};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Written, at, export, job, lines, rows};

/// The id that golden values begin with.
const GOLDEN_ID: u32 = 1_000_000;

struct Golden {
    record: RecordType,
    schema: String,
    value: Vec<u8>,
}

/// The released values of every event type, in all versions.
fn golden() -> Vec<Golden> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/golden"));
    let mut all = Vec::new();
    for record in RecordType::all().filter(|it| matches!(it, RecordType::Event(_))) {
        let name = record.full_name().replace("boxoffice.", "").replace('.', "/");
        for version in 1.. {
            let file = |ending: &str| folder.join(format!("{name}.v{version}{ending}"));
            let Ok(schema) = fs::read_to_string(file(".avsc")) else { break };
            for ending in [".bin", ".bare.bin"] {
                let Ok(value) = fs::read(file(ending)) else { continue };
                all.push(Golden { record, schema: schema.clone(), value });
            }
        }
    }
    all
}

/// A log of them, one command each, under ids of their own; and what each means, by the code that folds.
fn log(codec: &Codec) -> (Written, Vec<(RecordType, Value)>) {
    let mut log = Written::default();
    let mut owners = Context::ALL.map(|context| log.claim(codec, at(context, 0), Timestamp(0), 1));
    let mut meanings = Vec::new();
    for (id, Golden { record, schema, mut value }) in (GOLDEN_ID..).zip(golden()) {
        codec.learn_text(id, &schema).unwrap();
        value[1..5].copy_from_slice(&id.to_be_bytes());
        let (meta, event) = codec.decode(&value).unwrap();
        let owner = owners.iter_mut().find(|owner| owner.at.context == event.context()).unwrap();
        owner.event(&mut log, Timestamp(1_000), (0, 1), &event.aggregate().to_string(), value);
        let mut meaning = json!(meta);
        // An event is serialised as its context's variant around its own.
        let inner = json!(event).as_object().unwrap().values().next().unwrap().clone();
        let own = inner.as_object().unwrap().values().next().unwrap().clone();
        meaning.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        meanings.push((record, meaning));
    }
    (log, meanings)
}

fn short(record: RecordType) -> &'static str {
    record.full_name().rsplit('.').next().unwrap()
}

/// What was exported, as serde writes our own types: ids are 16 bytes in Parquet, bytes base64 and moments text in JSON.
fn alike(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            theirs.iter().all(|(name, theirs)| alike(ours.get(name).unwrap_or(&Value::Null), theirs))
                && ours.keys().all(|name| theirs.contains_key(name))
        }
        (Value::String(ours), Value::Array(bytes)) => {
            let bytes: Vec<u8> = bytes.iter().map(|it| u8::try_from(it.as_u64().unwrap()).unwrap()).collect();
            Uuid::from_slice(&bytes).is_ok_and(|id| id.to_string() == *ours)
        }
        (Value::Array(ours), Value::String(text)) => {
            let bytes: Vec<u8> = ours.iter().map(|it| u8::try_from(it.as_u64().unwrap()).unwrap()).collect();
            base64::engine::general_purpose::STANDARD.encode(bytes) == *text
        }
        (Value::Number(micros), Value::String(text)) => {
            let at: jiff::Timestamp = text.parse().unwrap();
            micros.as_i64() == Some(at.as_microsecond())
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| alike(ours, theirs))
        }
        (ours, theirs) => ours == theirs,
    }
}

fn expected(meanings: &[(RecordType, Value)], of: RecordType) -> Vec<&Value> {
    meanings.iter().filter(|(record, _)| *record == of).map(|(_, meaning)| meaning).collect()
}

fn without_place(mut row: Value) -> Value {
    for name in ["topic", "partition", "offset", "log_time"] {
        row.as_object_mut().unwrap().remove(name).unwrap();
    }
    row
}

#[test]
fn every_released_event_round_trips_through_parquet() {
    let codec = Codec::in_memory();
    let (log, meanings) = log(&codec);
    let folder = tempfile::tempdir().unwrap();
    let summary = export(&log, &codec, &job(Wanted::of(Context::ALL), Format::Parquet, folder.path()));
    assert_eq!(summary.rows, meanings.len() as u64);
    assert!(meanings.len() > 60, "{}", meanings.len());
    for record in RecordType::all().filter(|it| matches!(it, RecordType::Event(_))) {
        let expected = expected(&meanings, record);
        let found = rows(&folder.path().join(format!("{}.parquet", short(record))));
        assert_eq!(found.len(), expected.len(), "{record:?}");
        for (ours, theirs) in expected.into_iter().zip(found) {
            let theirs = without_place(theirs);
            assert!(alike(ours, &theirs), "{record:?}\n{ours}\n{theirs}");
        }
    }
}

#[test]
fn every_released_event_round_trips_through_json() {
    let codec = Codec::in_memory();
    let (log, meanings) = log(&codec);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.jsonl");
    export(&log, &codec, &job(Wanted::of(Context::ALL), Format::Jsonl, &file));
    let mut all = lines(&file);
    for record in RecordType::all().filter(|it| matches!(it, RecordType::Event(_))) {
        let (of_type, others) = all.into_iter().partition::<Vec<Value>, _>(|it| it["type"] == short(record));
        all = others;
        let expected = expected(&meanings, record);
        assert_eq!(of_type.len(), expected.len(), "{record:?}");
        for (ours, mut theirs) in expected.into_iter().zip(of_type) {
            let data = theirs["data"].take();
            let theirs = theirs.as_object_mut().unwrap();
            for name in ["type", "topic", "partition", "offset", "log_time", "key", "data"] {
                theirs.remove(name).unwrap();
            }
            theirs.extend(data.as_object().unwrap().clone());
            assert!(alike(ours, &json!(theirs)), "{record:?}\n{ours}\n{theirs:?}");
        }
    }
    assert!(all.is_empty(), "{all:?}");
}

#[test]
fn csv_has_the_columns_of_its_type_and_a_row_for_each_event() {
    let codec = Codec::in_memory();
    let (log, meanings) = log(&codec);
    let folder = tempfile::tempdir().unwrap();
    export(&log, &codec, &job(Wanted::of(Context::ALL), Format::Csv, folder.path()));
    for record in RecordType::all().filter(|it| matches!(it, RecordType::Event(_))) {
        let mut reader = csv::Reader::from_path(folder.path().join(format!("{}.csv", short(record)))).unwrap();
        let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        assert_eq!(names[..6], ["topic", "partition", "offset", "log_time", "key", "event_id"]);
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let expected = expected(&meanings, record);
        assert_eq!(rows.len(), expected.len());
        for (ours, row) in expected.into_iter().zip(&rows) {
            let cells = names.iter().zip(row).filter(|(name, _)| !name.contains('.'));
            for (name, cell) in cells.skip(5) {
                let ours = &ours[name.as_str()];
                let same = match ours {
                    Value::String(text) => text == cell,
                    Value::Number(number) => number.to_string() == cell || alike(ours, &json!(cell)),
                    Value::Bool(it) => it.to_string() == cell,
                    Value::Null => cell.is_empty(),
                    Value::Array(bytes) if bytes.first().is_some_and(Value::is_u64) => alike(ours, &json!(cell)),
                    Value::Array(_) | Value::Object(_) => serde_json::from_str(cell).is_ok_and(|it| alike(ours, &it)),
                };
                assert!(same, "{record:?} {name}: {ours} {cell}");
            }
        }
    }
    let text = fs::read_to_string(folder.path().join("TicketsReserved.csv")).unwrap();
    assert!(text.lines().next().unwrap().contains("checkout.payment.provider"), "{text}");
}

#[test]
fn columns_have_the_types_that_tools_know() {
    use parquet::basic::LogicalType;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    let codec = Codec::in_memory();
    let (log, _) = log(&codec);
    let folder = tempfile::tempdir().unwrap();
    export(&log, &codec, &job(Wanted::of([Context::Order]), Format::Parquet, folder.path()));
    let file = fs::File::open(folder.path().join("OrderPaid.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let metadata = reader.metadata().file_metadata();
    let column = |path: &str| {
        let all = metadata.schema_descr().columns();
        let found = all.iter().find(|it| it.path().string() == path).unwrap_or_else(|| panic!("no column {path}"));
        (found.physical_type().to_string(), found.logical_type_ref().cloned())
    };
    assert_eq!(column("order"), ("FIXED_LEN_BYTE_ARRAY".to_owned(), Some(LogicalType::Uuid)));
    assert_eq!(column("total"), ("INT64".to_owned(), None));
    assert_eq!(column("currency"), ("BYTE_ARRAY".to_owned(), Some(LogicalType::String)));
    let micros = LogicalType::timestamp(true, parquet::basic::TimeUnit::MICROS);
    assert_eq!(column("occurred_at"), ("INT64".to_owned(), Some(micros)));
    assert_eq!(column("lines.list.element.quantity"), ("INT32".to_owned(), None));
    let kept = metadata.key_value_metadata().unwrap();
    assert!(
        kept.iter().any(|it| it.key == "boxoffice.avro_schema" && it.value.as_ref().unwrap().contains("OrderPaid"))
    );
}

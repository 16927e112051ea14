//! An export that was interrupted anywhere and gone on with is the export that was not.

use std::fs;
use std::path::Path;

use domain::root::Context;
use domain::value::Timestamp;
use export::export::Format;
use export::range::Wanted;
use mixes::{Fate, Orders, START, Sales, Writer};
use schemas::Codec;
use serde_json::Value;

use crate::support::{PARTITIONS, Written, at, export, job, lines, rows, try_export};

const EVENTS: u64 = 120;

/// Orders and stock, a millisecond of the log between two records.
fn log(codec: &Codec, events: u64) -> Written {
    let mut log = Written::default();
    for number in 0..PARTITIONS {
        let mut orders = Writer::new(
            codec.clone(),
            Orders::new(u64::from(number), 3, Fate::Mixed),
            &Default::default(),
            Default::default(),
            START,
        );
        let mut sales = Writer::new(
            codec.clone(),
            Sales::of_new(u64::from(number), 3, Fate::Mixed),
            &Default::default(),
            Default::default(),
            START,
        );
        let mut put = |context, record: event_log::log::NewRecord, n: i64| {
            let frame = event_log::frame::Frame::decode(&record.header).unwrap();
            log.push(at(context, number), Timestamp(START.0 + n * 1_000), &frame, &record.key, record.value);
        };
        let mut n = 0;
        while orders.events < events {
            put(Context::Order, orders.next().unwrap(), n);
            put(Context::Inventory, sales.next().unwrap(), n);
            n += 1;
        }
    }
    log
}

fn wanted() -> Wanted {
    Wanted::of([Context::Order, Context::Inventory])
}

/// All that an export holds, by file.
fn content(format: Format, out: &Path) -> Vec<(String, Vec<Value>)> {
    if format == Format::Jsonl {
        return vec![("lines".to_owned(), lines(out))];
    }
    let mut files: Vec<(String, Vec<Value>)> = Vec::new();
    for entry in fs::read_dir(out).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.extension().and_then(|it| it.to_str()) {
            Some("parquet") => files.push((name, rows(&path))),
            Some("csv") => files.push((name, fs::read_to_string(&path).unwrap().lines().map(Value::from).collect())),
            Some("json") => {}
            other => panic!("{name} ({other:?}) was left behind"),
        }
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

#[test]
fn an_export_that_fails_anywhere_goes_on_to_the_same_end() {
    let codec = Codec::in_memory();
    let log = log(&codec, EVENTS);
    for format in [Format::Jsonl, Format::Csv, Format::Parquet] {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole");
        let summary = export(&log, &codec, &job(wanted(), format, &whole));
        let parts = folder.path().join("parts");
        let mut rows = 0;
        for lost_at in [1, 2, 30, 31, 77, 119] {
            let broken = Written { lost_at: Some(lost_at), ..log.clone() };
            let again = export::export::Job { resume: true, ..job(wanted(), format, &parts) };
            try_export(&broken, &codec, &again).unwrap_err();
        }
        let again = export::export::Job { resume: true, ..job(wanted(), format, &parts) };
        rows += export(&log, &codec, &again).rows;
        assert!(rows < summary.rows, "{format:?}: nothing was kept before the last run");
        assert_eq!(content(format, &parts), content(format, &whole), "{format:?}");
    }
}

#[test]
fn an_export_that_was_done_goes_on_with_what_came_since() {
    let codec = Codec::in_memory();
    let (short, long) = (log(&codec, EVENTS / 2), log(&codec, EVENTS));
    for format in [Format::Csv, Format::Parquet] {
        let folder = tempfile::tempdir().unwrap();
        let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
        export(&long, &codec, &job(wanted(), format, &whole));
        export(&short, &codec, &job(wanted(), format, &parts));
        let again = export::export::Job { resume: true, ..job(wanted(), format, &parts) };
        export(&long, &codec, &again);
        let sorted = |out: &Path| {
            let mut content = content(format, out);
            content.iter_mut().for_each(|(_, rows)| rows.sort_by_key(ToString::to_string));
            content
        };
        // Partition after partition, of what came first and of what came since.
        assert_eq!(sorted(&parts), sorted(&whole), "{format:?}");
        assert_eq!(export(&long, &codec, &again).rows, 0);
    }
}

#[test]
fn an_export_is_neither_overwritten_nor_mixed() {
    let codec = Codec::in_memory();
    let log = log(&codec, 20);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    export(&log, &codec, &job(wanted(), Format::Csv, &out));
    let said = |job: export::export::Job| format!("{:#}", try_export(&log, &codec, &job).unwrap_err());
    assert!(said(job(wanted(), Format::Csv, &out)).contains("--resume"));
    let other = export::export::Job { resume: true, ..job(Wanted::of([Context::Order]), Format::Csv, &out) };
    assert!(said(other).contains("ask for the same"));
    fs::write(folder.path().join("mine.txt"), "mine").unwrap();
    assert!(said(job(wanted(), Format::Csv, folder.path())).contains("not empty"));
    let mut another = log.clone();
    for records in another.records.values_mut() {
        records.remove(0);
        records.iter_mut().for_each(|it| it.offset -= 1);
        records.push(records.last().unwrap().clone());
    }
    let again = export::export::Job { resume: true, ..job(wanted(), Format::Csv, &out) };
    let error = try_export(&another, &codec, &again).unwrap_err();
    assert!(format!("{error:#}").contains("another log"), "{error:#}");
}

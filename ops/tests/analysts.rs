//! The tools of analysts as they are used: on a real log, and killed in the middle.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use domain::root::Context;
use event_log::kafka::{CompactedTopic, KafkaLog, KafkaSettings};
use event_log::log::{Log, Partition};
use event_log::topics::{self, Layout};
use local_stack::{Endpoints, StackConfig, find_root, up};
use mixes::{Fate, Orders, START, Writer};
use schemas::{Codec, Registry};
use serde_json::Value;
use service_kit::{clock, random};

use crate::support::PATIENCE;

const PARTITIONS: u32 = 2;

/// A namespace of its own with orders in it.
struct Site {
    endpoints: Endpoints,
    settings: KafkaSettings,
    log: KafkaLog,
    /// So many lie there.
    events: u64,
}

impl Site {
    /// So many events, or a few more, in each partition of `order-events`.
    async fn with(events: u64) -> Self {
        let endpoints = tokio::task::spawn_blocking(|| up(&StackConfig::for_tests(&find_root().unwrap()), &mut |_| {}));
        let endpoints = endpoints.await.unwrap().unwrap();
        let namespace: String = format!("a{}", random::opaque_id().simple()).chars().take(12).collect();
        let settings = KafkaSettings::new(&endpoints.kafka, &namespace, "analysts-test");
        let made = topics::init(&settings, &endpoints.registry, Layout::local(PARTITIONS)).await.unwrap();
        let codec = Codec::new(made.ids, Registry::new(&endpoints.registry).unwrap());
        let log = KafkaLog::connect(settings.clone()).unwrap();
        let events = (0..PARTITIONS).map(|number| append(&log, &codec, number, events)).sum();
        Self { endpoints, settings, log, events }
    }

    fn boxctl(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_boxctl"));
        command
            .args(args)
            .env("BOXOFFICE_KAFKA", &self.endpoints.kafka)
            .env("BOXOFFICE_REGISTRY", &self.endpoints.registry)
            .env("BOXOFFICE_NAMESPACE", &self.settings.namespace)
            .env("BOXOFFICE_PARTITIONS", PARTITIONS.to_string())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        let ran = self.boxctl(args).output().unwrap();
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        ran
    }

    /// The last of what it says, as JSON.
    fn said(&self, args: &[&str]) -> Value {
        let ran = self.run(args);
        serde_json::from_slice(&ran.stdout).unwrap()
    }

    /// Starts it, and kills it as soon as `reached` says so.
    fn kill_when(&self, args: &[&str], reached: &dyn Fn() -> bool) {
        let mut child = self.boxctl(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let since = clock::monotonic();
        while !reached() {
            assert!(since.elapsed() < PATIENCE * 3, "{args:?} never came so far");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "{args:?} was over before it was killed");
    }

    async fn end(self) {
        topics::forget(&self.settings).await.unwrap();
    }
}

fn append(log: &KafkaLog, codec: &Codec, number: u32, events: u64) -> u64 {
    let mix = Orders::new(u64::from(number) + 1, 5, Fate::Mixed);
    let mut writer = Writer::new(codec.clone(), mix, &Default::default(), Default::default(), START);
    let (told, reports) = channel();
    let (mut sent, mut appends) = (0, 0);
    while writer.events < events {
        let batch: Vec<_> = writer.by_ref().take(500).collect();
        let (first, told) = (sent, told.clone());
        sent += batch.len() as u64;
        appends += 1;
        let at = Partition { context: Context::Order, number };
        log.append(at, writer.claim(), first, batch, Arc::new(move |it| told.send(it).unwrap()));
    }
    for _ in 0..appends {
        for delivered in reports.recv_timeout(PATIENCE).unwrap() {
            assert_eq!(delivered.result, Ok(i64::try_from(delivered.seq).unwrap()));
        }
    }
    writer.events
}

/// How many rows the manifest says are safe.
fn safe_rows(folder: &Path) -> u64 {
    let text = std::fs::read(folder.join("export.json")).unwrap_or_default();
    let manifest: Value = serde_json::from_slice(&text).unwrap_or_default();
    manifest["files"].as_array().into_iter().flatten().map(|file| file["rows"].as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_export_goes_on_to_the_same_end() {
    let site = Site::with(6_000).await;
    let folder = tempfile::tempdir().unwrap();
    for format in ["csv", "parquet"] {
        let place = |name: &str| folder.path().join(format!("{format}-{name}"));
        let (whole, killed) = (place("whole"), place("killed"));
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let expected = site.said(&["replay", "--format", format, "--json", "--out", &text(&whole)]);
        assert_eq!(expected["void"], 0);
        let out = text(&killed);
        let args = ["replay", "--format", format, "--keep-rows", "200", "--json", "--resume", "--out", &out];
        for safe in [200, 5_000] {
            site.kill_when(&args, &|| safe_rows(&killed) >= safe);
        }
        let gone_on = site.said(&args);
        assert!(gone_on["rows"].as_u64().unwrap() + 5_000 <= expected["rows"].as_u64().unwrap(), "{gone_on}");
        let names = |summary: &Value| -> Vec<(Value, Value)> {
            let files = summary["files"].as_array().unwrap();
            files.iter().map(|file| (file["file"].clone(), file["rows"].clone())).collect()
        };
        assert_eq!(names(&gone_on), names(&expected), "{format}");
        for (file, _) in names(&expected) {
            let file = file.as_str().unwrap();
            if format == "csv" {
                let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
                assert!(read(&whole) == read(&killed), "{file} differs");
            }
        }
        if format == "parquet" {
            let sums =
                |folder: &Path| export::parquet_sums(&folder.join("OrderPaid.parquet"), "currency", "total").unwrap();
            assert_eq!(sums(&whole), sums(&killed));
            assert!(!killed.join("parts").exists());
        }
    }
    site.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_copy_goes_on_and_every_event_lies_there_once() {
    let site = Site::with(20_000).await;
    let args = ["republish", "--to", "facts", "--topic", "order-events", "--value", "json", "--json"];
    let topic = CompactedTopic { name: site.settings.name("facts"), partitions: PARTITIONS };
    let copies = || {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(site.log.read_compacted(&topic, PATIENCE))
        })
    };
    // The topic is there before anybody looks into it.
    assert_eq!(site.said(&["republish", "--to", "facts", "--topic", "payment-events", "--json"])["created"], true);
    // Following never ends by itself, so that each of these is killed.
    let following = [&args[..], &["--follow"]].concat();
    for so_many in [1, 6_000] {
        site.kill_when(&following, &|| copies().is_ok_and(|it| it.len() >= so_many));
    }
    let said = site.said(&args);
    let copies = copies().unwrap();
    assert_eq!(said["created"], false);
    assert!(said["copied"].as_u64().unwrap() + 6_000 <= site.events, "nothing was there before: {said}");
    let mut ids = BTreeSet::new();
    let mut last = [-1_i64; PARTITIONS as usize];
    for copy in &copies {
        let event: Value = serde_json::from_slice(copy.value.as_ref().unwrap()).unwrap();
        assert!(ids.insert(event["meta"]["event_id"].as_str().unwrap().to_owned()), "{event} lies there twice");
        assert_eq!(event["order"].as_str().unwrap().as_bytes(), &copy.key[..]);
        let last = &mut last[copy.partition as usize];
        assert!(copy.offset > *last);
        *last = copy.offset;
    }
    assert_eq!(copies.len() as u64, site.events);
    assert_eq!(site.said(&args)["copied"], 0, "a copy that is whole has nothing to go on with");
    site.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_schemas_and_exit_codes_are_as_said() {
    let site = Site::with(50).await;
    let lines = site.run(&["replay", "--type", "OrderPaid", "--topic", "order-events"]).stdout;
    let lines = String::from_utf8(lines).unwrap();
    assert!(lines.lines().count() > 0 || lines.is_empty());
    assert!(lines.lines().all(|line| line.contains("OrderPaid") && line.contains("total=")), "{lines}");
    let json = site.run(&["replay", "--format", "jsonl", "--key", "not-an-id"]).stdout;
    assert!(json.is_empty());
    let paid = site.said(&["schema", "OrderPaid", "--json"]);
    assert_eq!(paid["topic"], "order-events");
    assert_eq!(paid["versions"][0]["in_log"], true);
    assert!(paid["versions"].as_array().unwrap().iter().any(|it| it["ours"] == true));
    let avsc: Value = site.said(&["schema", "OrderPaid", "--avsc"]);
    assert_eq!(avsc["name"], "OrderPaid");
    let ends = |args: &[&str]| site.boxctl(args).output().unwrap().status.code();
    let nobody = random::id().to_string();
    assert_eq!(ends(&["as-of", &nobody, "2030-01-01T00:00:00Z"]), Some(1));
    assert_eq!(ends(&["as-of", &nobody, "yesterday"]), Some(2));
    assert_eq!(ends(&["schema", "OrderPiad"]), Some(2));
    assert_eq!(ends(&["republish", "--to", "order-events"]), Some(2));
    assert_eq!(ends(&["replay", "--format", "parquet"]), Some(2), "Parquet has no place on standard output");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("all").display().to_string();
    let export = ["replay", "--format", "parquet", "--out", &out];
    assert_eq!((ends(&export), ends(&export)), (Some(0), Some(2)), "an export is never overwritten");
    site.end().await;
}

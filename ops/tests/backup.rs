//! A log on a real broker, copied into files and brought back beside it under another name.

use std::path::Path;

use ::backup::manifest::{Folder, KEYS};
use ::backup::read::Backup;
use ::backup::restore::{Plan, Target, carry_out, plan};
use ::backup::take::Taking;
use ::backup::verify::verify;
use event_log::frame::{Frame, HEADER, Kind};
use event_log::kafka::copying::{Copier, Placer, Spot, Stretch, WholeRecord};
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::topics::{self, Layout, moving};
use local_stack::Endpoints;
use ops::audit::{Deed, record};
use ops::backup::take;
use schemas::{Codec, Control, PersonKey, Registry};
use service_kit::{clock, random};
use uuid::Uuid;

use crate::support::stack;

const PARTITIONS: u32 = 2;

/// A namespace of its own.
struct Site {
    endpoints: Endpoints,
    settings: KafkaSettings,
    codec: Codec,
}

impl Site {
    async fn make() -> Self {
        let endpoints = stack().await;
        let settings = fresh(&endpoints);
        let made = topics::init(&settings, &endpoints.registry, Layout::local(PARTITIONS)).await.unwrap();
        let codec = Codec::new(made.ids, Registry::new(&endpoints.registry).unwrap());
        Self { endpoints, settings, codec }
    }

    fn spot(&self, topic: &str, partition: u32) -> Spot {
        Spot { topic: self.settings.name(topic), partition }
    }

    /// Records as owners write them: a claim, and barriers under it.
    fn append(&self, partition: u32, claim: Uuid, term: u32, seqs: std::ops::Range<u64>) {
        let placer = Placer::connect(&self.settings).unwrap();
        for seq in seqs {
            let (kind, control) = match seq {
                0 => (
                    Kind::Claim,
                    Control::Claimed { claim, term, instance: "a".to_owned(), url: "http://a".to_owned() },
                ),
                _ => (Kind::Barrier, Control::Barrier),
            };
            let (cmd_id, cmd_hash) = (Uuid::nil(), [0; 16]);
            let frame = Frame { kind, term, seq, evt_idx: 0, evt_cnt: 1, agg_ver: 0, claim, cmd_id, cmd_hash };
            let header = |name: &str, value: &[u8]| (name.to_owned(), Some(value.to_vec()));
            let record = WholeRecord {
                offset: 0,
                timestamp_ms: clock::now().0 / 1000,
                key: Some(b"_control".to_vec()),
                value: Some(self.codec.encode_control(&control).unwrap()),
                headers: vec![header(HEADER, &frame.encode()), header("traceparent", b"00-1-1-01")],
            };
            placer.place(&self.spot("order-events", partition), &record, None).unwrap();
        }
        placer.finish().unwrap();
    }

    async fn key(&self, id: u128, kept: bool) {
        let key_id = Uuid::from_u128(id);
        let key = PersonKey { key_id, master_key_id: Uuid::from_u128(9), wrapped: vec![7; 60] };
        let value = self.codec.encode_person_key(&key).unwrap();
        let log = KafkaLog::connect(self.settings.clone()).unwrap();
        let topic = topics::person_keys(&self.settings, PARTITIONS);
        let value = kept.then_some(&value[..]);
        log.append_compacted(&topic, key_id.to_string().as_bytes(), value).await.unwrap();
    }

    async fn taking(&self, folder: &Path) -> Taking {
        take::open(&self.settings, &Folder::new(folder)).await.unwrap()
    }

    fn target(&self) -> Target {
        let registry = Registry::new(&self.endpoints.registry).unwrap();
        Target { settings: fresh(&self.endpoints), registry, layout: Layout::local(PARTITIONS) }
    }
}

fn fresh(endpoints: &Endpoints) -> KafkaSettings {
    let id = random::opaque_id().simple().to_string();
    KafkaSettings::new(&endpoints.kafka, format!("backup-{}", &id[..8]), "test")
}

/// Everything that lies in a partition.
fn all(settings: &KafkaSettings, topic: &str, partition: u32) -> Vec<WholeRecord> {
    let copier = Copier::connect(settings).unwrap();
    let at = Spot { topic: settings.name(topic), partition };
    let to = copier.bounds(std::slice::from_ref(&at)).unwrap()[0].end;
    let mut records = Vec::new();
    let take = |record| {
        records.push(record);
        anyhow::Ok(())
    };
    copier.read_compacted(&Stretch { at, from: 0, to }, take).unwrap();
    records
}

async fn planned(backup: &Backup, target: &Target) -> Plan {
    plan(backup, target, None).await.unwrap()
}

/// A record of a compacted topic: its key and its value.
type Keyed = (Option<Vec<u8>>, Option<Vec<u8>>);

fn keys(settings: &KafkaSettings) -> Vec<Keyed> {
    let mut keys: Vec<_> = (0..PARTITIONS)
        .flat_map(|partition| all(settings, KEYS, partition))
        .map(|record| (record.key, record.value))
        .collect();
    keys.sort();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_comes_back_byte_for_byte_with_its_times_and_offsets() {
    let (site, folder) = (Site::make().await, tempfile::tempdir().unwrap());
    let claim = Uuid::from_u128(1);
    site.append(0, claim, 1, 0..5);
    site.key(1, true).await;
    site.key(2, true).await;
    let mut taking = site.taking(folder.path()).await;
    let first = tokio::task::block_in_place(|| take::catch_up(&mut taking)).unwrap();
    assert_eq!((first.records, first.keys, first.quiet), (5, 2, true));
    drop(taking);

    // Again: only what is new. A later owner, one of before who writes in vain, a key that is taken away, a deed.
    site.append(0, Uuid::from_u128(2), 2, 0..3);
    site.append(0, claim, 1, 5..6);
    site.append(1, Uuid::from_u128(3), 1, 0..2);
    site.key(1, false).await;
    site.key(3, true).await;
    let deed = Deed { command: "parked skip".to_owned(), what: serde_json::json!({}), why: None };
    record(&site.settings, deed).await.unwrap();
    let mut taking = site.taking(folder.path()).await;
    let second = tokio::task::block_in_place(|| take::catch_up(&mut taking)).unwrap();
    assert_eq!((second.records, second.keys), (7, 2));
    let manifest = taking.manifest().clone();
    assert_eq!((manifest.keys.records, manifest.keys.tombstones, manifest.keys.to_forget), (3, 1, 0));
    let files = std::fs::read_dir(folder.path().join("keys")).unwrap().count();
    assert_eq!(files, 1, "the file that held the key is gone");

    let backup = Backup::open(Folder::new(folder.path())).unwrap();
    let found = verify(&backup).unwrap();
    assert_eq!((found.wrong, found.records, found.void, found.keys, found.tombstones), (0, 12, 1, 2, 1), "{found:?}");

    let target = site.target();
    let plan = planned(&backup, &target).await;
    assert_eq!((plan.records, plan.left_out, plan.resumed), (12, 0, false));
    carry_out(&backup, &target, &plan, &|_| {}).await.unwrap();
    for (topic, partition) in [("order-events", 0), ("order-events", 1), ("operator-actions", 0)] {
        let (before, after) = (all(&site.settings, topic, partition), all(&target.settings, topic, partition));
        assert!(!before.is_empty());
        assert_eq!(before, after, "{topic}/{partition}");
    }
    let (before, after) = (keys(&site.settings), keys(&target.settings));
    assert_eq!(after.len(), 3);
    assert!(
        after.iter().all(|key| before.contains(key))
            && !after.iter().any(|(key, value)| {
                key.as_deref() == Some(Uuid::from_u128(1).to_string().as_bytes()) && value.is_some()
            })
    );
    let ids = topics::check(&target.settings, &site.endpoints.registry, PARTITIONS).await.unwrap();
    assert_eq!(&ids, site.codec.ids());

    let refused = ::backup::restore::plan(&backup, &target, None).await.unwrap_err().to_string();
    assert!(refused.ends_with("holds records: a log is only brought back to where there is none"), "{refused}");
    topics::forget(&target.settings).await.unwrap();
    topics::forget(&site.settings).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_was_killed_goes_on_and_nobody_starts_before_it_is_through() {
    let (site, folder) = (Site::make().await, tempfile::tempdir().unwrap());
    site.append(0, Uuid::from_u128(1), 1, 0..9);
    let mut taking = site.taking(folder.path()).await;
    tokio::task::block_in_place(|| take::catch_up(&mut taking)).unwrap();
    let backup = Backup::open(Folder::new(folder.path())).unwrap();
    let target = site.target();
    // As one that was killed after four records leaves it.
    moving::open(&target.settings, target.layout, &backup.manifest.topics).await.unwrap();
    let placer = Placer::connect(&target.settings).unwrap();
    let spot = Spot { topic: target.settings.name("order-events"), partition: 0 };
    for record in &all(&site.settings, "order-events", 0)[..4] {
        placer.place(&spot, record, Some(record.offset)).unwrap();
    }
    placer.finish().unwrap();
    let refused = topics::check(&target.settings, &site.endpoints.registry, PARTITIONS).await.unwrap_err().to_string();
    assert!(refused.ends_with("is set to message.timestamp.type=CreateTime; it must be LogAppendTime"), "{refused}");

    let plan = planned(&backup, &target).await;
    assert!(plan.resumed);
    carry_out(&backup, &target, &plan, &|_| {}).await.unwrap();
    assert_eq!(all(&site.settings, "order-events", 0), all(&target.settings, "order-events", 0));
    topics::check(&target.settings, &site.endpoints.registry, PARTITIONS).await.unwrap();
    topics::forget(&target.settings).await.unwrap();

    // What somebody else wrote there is found.
    let target = site.target();
    moving::open(&target.settings, target.layout, &backup.manifest.topics).await.unwrap();
    let placer = Placer::connect(&target.settings).unwrap();
    let mut strange = all(&site.settings, "order-events", 0).remove(0);
    strange.value = Some(vec![1, 2, 3]);
    let spot = Spot { topic: target.settings.name("order-events"), partition: 0 };
    placer.place(&spot, &strange, None).unwrap();
    placer.finish().unwrap();
    let plan = planned(&backup, &target).await;
    let refused = carry_out(&backup, &target, &plan, &|_| {}).await.unwrap_err().to_string();
    assert!(refused.contains("does not hold what the backup holds"), "{refused}");
    assert!(moving::is_open(&target.settings).await.unwrap(), "nobody starts with it");
    topics::forget(&target.settings).await.unwrap();
    topics::forget(&site.settings).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_on_where_it_was_and_only_with_the_same_log() {
    let (site, folder) = (Site::make().await, tempfile::tempdir().unwrap());
    site.append(0, Uuid::from_u128(1), 1, 0..5);
    let mut taking = site.taking(folder.path()).await;
    tokio::task::block_in_place(|| take::catch_up(&mut taking)).unwrap();
    drop(taking);
    // As a crash in the middle of a round leaves it: bytes that the manifest does not tell of.
    let segment = folder.path().join("log-000001.box");
    let mut bytes = std::fs::read(&segment).unwrap();
    let whole = bytes.clone();
    bytes.extend(b"half a block");
    std::fs::write(&segment, &bytes).unwrap();
    site.append(0, Uuid::from_u128(1), 1, 5..8);
    let mut taking = site.taking(folder.path()).await;
    let round = tokio::task::block_in_place(|| take::catch_up(&mut taking)).unwrap();
    drop(taking);
    assert_eq!(round.records, 3);
    assert_eq!(verify(&Backup::open(Folder::new(folder.path())).unwrap()).unwrap().wrong, 0);

    // A byte that changes on the disk is found.
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[whole.len() / 2] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let damaged = verify(&Backup::open(Folder::new(folder.path())).unwrap()).unwrap_err();
    assert!(format!("{damaged:#}").contains("its checksum is wrong"), "{damaged:#}");

    // The topics are made anew: another log under the same name.
    topics::forget(&site.settings).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    topics::init(&site.settings, &site.endpoints.registry, Layout::local(PARTITIONS)).await.unwrap();
    site.append(0, Uuid::from_u128(4), 1, 0..20);
    let mut taking = site.taking(folder.path()).await;
    let refused = tokio::task::block_in_place(|| taking.round()).unwrap_err().to_string();
    assert!(refused.contains("it is another log"), "{refused}");
    topics::forget(&site.settings).await.unwrap();
}

//! Bringing a log back: topics with their settings, the registry with its ids, every record at the offset and with the time
//! that it had; then all of it is read back and compared.
//!
//! Invariant: until it was compared, the topics are set to what no service starts with ([`moving`]). One that was killed
//! goes on where the log ends, and compares everything all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use event_log::kafka::copying::{Copier, Placer, Spot, Stretch, WholeRecord};
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::topics::{self, Layout, moving};
use jiff::Timestamp;
use schemas::sealed::{MasterKeys, OpenError};
use schemas::{Registry, SchemaRecord, Standing};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::block;
use crate::keys;
use crate::manifest::KEYS;
use crate::read::{Backup, Ends, records};

/// The groups that services join.
const GROUPS: [&str; 2] = ["partition-owners", "projectors"];
const OWNERS: &str = "partition-owners";
const SCHEMAS: &str = "event-schemas";
/// Progress is told after so many records.
const TOLD: u64 = 2_000;
/// Before topics are there, nothing is asked about them.
const SETTLED: Duration = Duration::from_secs(1);

/// Where a log is brought back to.
#[derive(Clone)]
pub struct Target {
    /// The cluster and the prefix of topics.
    pub settings: KafkaSettings,
    /// The schema registry.
    pub registry: Registry,
    /// Copies of every partition.
    pub layout: Layout,
}

/// What would be done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How far every partition goes.
    pub ends: Ends,
    /// Something was brought back before, and this goes on with it.
    pub resumed: bool,
    /// Records of the log.
    pub records: u64,
    /// Records that the backup has behind the moment, and are left out.
    pub left_out: u64,
    /// Schemas that the registry lost.
    pub schemas: Vec<SchemaRecord>,
    /// Schemas of the log, for the topic of their copies.
    copies: Vec<SchemaRecord>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many of so many records are handed over.
    Writing(u64, u64),
    /// So many of so many records are compared.
    Comparing(u64, u64),
}

/// Is told how far it is.
pub type Tell<'a> = &'a (dyn Fn(Progress) + Sync);

/// The master keys that a backup's keys are wrapped by are not those at hand: which ones are missing, and how many keys each
/// wraps.
///
/// # Errors
/// The keys cannot be read, or one was changed.
pub fn missing_master_keys(backup: &Backup, given: &MasterKeys) -> anyhow::Result<BTreeMap<Uuid, u64>> {
    let codec = backup.texts.codec()?;
    let mut missing = BTreeMap::new();
    keys::each(&backup.keys_in, &backup.manifest.keys, |_, record| {
        let Some(value) = record.value else { return Ok(()) };
        let key = keys::decoded(&codec, &value)?;
        match given.unwrap(&key) {
            Ok(_) => {}
            Err(OpenError::UnknownMasterKey(id)) => *missing.entry(id).or_default() += 1,
            Err(error) => bail!("the key {} cannot be unwrapped: {error}", key.key_id),
        }
        Ok(())
    })?;
    Ok(missing)
}

/// Looks at the target, and says what would be done. Nothing is changed.
///
/// # Errors
/// It holds a log already, services work with it, its registry gives one of the ids to another schema, or something does
/// not answer.
pub async fn plan(backup: &Backup, target: &Target, until: Option<Timestamp>) -> anyhow::Result<Plan> {
    let ends = backup.ends(until)?;
    let settings = &target.settings;
    let present = moving::present(settings).await.context("look at the topics there are")?;
    let open = moving::is_open(settings).await.context("look at the settings of the topics there are")?;
    let found = ends_of(settings, &present).await?;
    let resumed = open && found.values().flatten().any(|end| *end > 0);
    let ours = renamed(backup, &settings.namespace);
    if !open {
        let filled = found
            .iter()
            .find(|(topic, ends)| !matches!(topic.as_str(), OWNERS | SCHEMAS) && ends.iter().any(|end| *end > 0));
        if let Some((topic, _)) = filled {
            bail!(
                "the topic {} holds records: a log is only brought back to where there is none",
                settings.name(topic)
            );
        }
    }
    if found.get(SCHEMAS).is_some_and(|ends| ends[0] > 0) {
        let there = topics::schema_copy(settings).await.context("read the copies of schemas that there are")?;
        let strange = there.iter().find(|schema| !ours.contains(schema));
        if let Some(schema) = strange {
            bail!("{} holds {} as id {}, the backup does not", settings.name(SCHEMAS), schema.subject, schema.id);
        }
    }
    let copier = Copier::connect(settings)?;
    let groups: Vec<String> = GROUPS.iter().map(|group| settings.name(group)).collect();
    let members = tokio::task::spawn_blocking(move || copier.members(&groups)).await.context("ask for members")??;
    if members > 0 {
        bail!("{members} services work with this cluster: stop every command-api and projector first");
    }
    let schemas = lost(&target.registry, &ours).await?;
    let copied: u64 = backup.manifest.records();
    let records = records(&ends);
    Ok(Plan { ends, resumed, records, left_out: copied.saturating_sub(records), schemas, copies: ours })
}

/// The schemas under the names that they have in this namespace.
fn renamed(backup: &Backup, namespace: &str) -> Vec<SchemaRecord> {
    let prefix = |namespace: &str| if namespace.is_empty() { String::new() } else { format!("{namespace}.") };
    let (from, to) = (prefix(&backup.manifest.namespace), prefix(namespace));
    let rename = |record: &SchemaRecord| {
        let subject = record.subject.strip_prefix(&from).map_or_else(|| record.subject.clone(), |it| to.clone() + it);
        SchemaRecord { subject, ..record.clone() }
    };
    backup.texts.records.values().map(rename).collect()
}

/// What the registry has to be given.
async fn lost(registry: &Registry, ours: &[SchemaRecord]) -> anyhow::Result<Vec<SchemaRecord>> {
    let mut lost = Vec::new();
    for record in ours {
        let standing = registry.standing(record).await.context("ask the registry for the schemas of the log")?;
        match standing {
            Standing::Kept => {}
            _ if standing.can_be_restored() => lost.push(record.clone()),
            _ => bail!(
                "the registry has something else than {} as id {}: it would misread the log; give it an empty registry",
                record.subject,
                record.id
            ),
        }
    }
    Ok(lost)
}

/// Where the partitions of topics end.
async fn ends_of(settings: &KafkaSettings, topics: &BTreeMap<String, u32>) -> anyhow::Result<Ends> {
    let spots: Vec<(String, u32)> =
        topics.iter().flat_map(|(topic, count)| (0..*count).map(move |number| (topic.clone(), number))).collect();
    let asked: Vec<Spot> = spots.iter().map(|(topic, number)| spot(settings, topic, *number)).collect();
    let copier = Copier::connect(settings)?;
    let bounds = tokio::task::spawn_blocking(move || copier.bounds(&asked)).await.context("ask where topics end")??;
    let mut ends = Ends::new();
    for ((topic, _), bounds) in spots.into_iter().zip(bounds) {
        ends.entry(topic).or_default().push(bounds.end);
    }
    Ok(ends)
}

fn spot(settings: &KafkaSettings, topic: &str, partition: u32) -> Spot {
    Spot { topic: settings.name(topic), partition }
}

/// Does it, and compares what is there then.
///
/// # Errors
/// Something does not answer or refuses, somebody else writes there, or what is read back is not what the backup holds. The
/// topics stay as no service starts with; doing it again goes on.
pub async fn carry_out(backup: &Backup, target: &Target, plan: &Plan, tell: Tell<'_>) -> anyhow::Result<()> {
    let settings = &target.settings;
    target.registry.restore(&plan.schemas).await.context("give the registry its schemas back")?;
    moving::open(settings, target.layout, &backup.manifest.topics).await.context("make the topics")?;
    tokio::time::sleep(SETTLED).await;
    copy_schemas(settings, &plan.copies).await?;
    let present = moving::present(settings).await?;
    let there = ends_of(settings, &present).await?;
    // Reading files and waiting for Kafka block; whoever runs this has a thread to spare for it.
    tokio::task::block_in_place(|| {
        let written = write(backup, settings, plan, &there, tell)?;
        compare(settings, &written, tell)
    })?;
    moving::close(settings, backup.manifest.partitions).await.context("set the topics as services need them")
}

async fn copy_schemas(settings: &KafkaSettings, schemas: &[SchemaRecord]) -> anyhow::Result<()> {
    let there: BTreeSet<u32> = topics::schema_copy(settings).await?.into_iter().map(|schema| schema.id).collect();
    let (log, topic) = (KafkaLog::connect(settings.clone())?, topics::event_schemas(settings));
    for schema in schemas.iter().filter(|schema| !there.contains(&schema.id)) {
        let appended = log.append_compacted(&topic, schema.key().as_bytes(), Some(&schema.encode())).await;
        appended.context("copy the schemas")?;
    }
    Ok(())
}

/// What has to be read back: for every partition how many records, and their sum.
type Sums = BTreeMap<(String, u32), (i64, Sha256)>;

fn add(sum: &mut Sha256, record: &WholeRecord) {
    let mut bytes = Vec::with_capacity(512);
    block::encode(record, &mut bytes);
    sum.update(&bytes);
}

/// Hands over what is not there yet.
fn write(backup: &Backup, settings: &KafkaSettings, plan: &Plan, there: &Ends, tell: Tell<'_>) -> anyhow::Result<Sums> {
    let placer = Placer::connect(settings)?;
    let total = plan.records + backup.manifest.keys.records;
    let (mut sums, mut done) = (Sums::new(), 0);
    let mut one = |topic: &str, partition: u32, record: &WholeRecord, to: i64| {
        let (next, sum) = sums.entry((topic.to_owned(), partition)).or_insert_with(|| (0, Sha256::new()));
        if *next >= to {
            return Ok(());
        }
        add(sum, record);
        let have = there.get(topic).and_then(|ends| ends.get(partition as usize)).copied().unwrap_or(0);
        if *next >= have {
            placer.place(&spot(settings, topic, partition), record, Some(*next))?;
        }
        *next += 1;
        done += 1;
        if done % TOLD == 0 {
            tell(Progress::Writing(done, total));
        }
        anyhow::Ok(())
    };
    backup.blocks(|block| {
        let to = plan.ends[&block.topic][block.partition as usize];
        if block.first >= to {
            return Ok(());
        }
        let spot = (&block.topic, block.partition);
        block.records()?.iter().try_for_each(|record| one(spot.0, spot.1, record, to))
    })?;
    keys::each(&backup.keys_in, &backup.manifest.keys, |partition, record| {
        // Compaction left gaps, and so it gets another offset: only a read model that is made anew keeps those of keys.
        one(KEYS, partition, &WholeRecord { offset: 0, ..record }, i64::MAX)
    })?;
    placer.finish()?;
    tell(Progress::Writing(done, total));
    for (topic, ends) in &plan.ends {
        for (number, to) in (0..).zip(ends) {
            let next = sums.get(&(topic.clone(), number)).map_or(0, |(next, _)| *next);
            ensure!(next == *to, "{topic}/{number}: the backup's files go to offset {next}, its manifest to {to}");
        }
    }
    Ok(sums)
}

/// Reads everything back.
fn compare(settings: &KafkaSettings, written: &Sums, tell: Tell<'_>) -> anyhow::Result<()> {
    let copier = Copier::connect(settings)?;
    let places: Vec<&(String, u32)> = written.keys().collect();
    let spots: Vec<Spot> = places.iter().map(|(topic, number)| spot(settings, topic, *number)).collect();
    let bounds = copier.bounds(&spots)?;
    let stretch = |(at, place): (Spot, &&(String, u32))| Stretch { at, from: 0, to: written[*place].0 };
    let stretches: Vec<Stretch> = spots.into_iter().zip(&places).map(stretch).collect();
    for (stretch, bounds) in stretches.iter().zip(bounds) {
        let (topic, number) = (&stretch.at.topic, stretch.at.partition);
        ensure!(
            bounds.end == stretch.to,
            "{topic}/{number} ends at offset {} instead of {}: somebody else writes there",
            bounds.end,
            stretch.to
        );
    }
    let total = written.values().map(|(count, _)| u64::try_from(*count).unwrap_or(0)).sum();
    let mut found: Vec<Sha256> = vec![Sha256::new(); stretches.len()];
    let mut done = 0;
    copier.read(&stretches, |index, mut record| {
        if places[index].0 == KEYS {
            record.offset = 0;
        }
        add(&mut found[index], &record);
        done += 1;
        if done % TOLD == 0 {
            tell(Progress::Comparing(done, total));
        }
        anyhow::Ok(())
    })?;
    tell(Progress::Comparing(done, total));
    for ((place, sum), expected) in places.iter().zip(found).zip(written.values()) {
        let (topic, number) = place;
        ensure!(
            sum.finalize() == expected.1.clone().finalize(),
            "{topic}/{number} does not hold what the backup holds: delete the topics of this namespace and begin anew"
        );
    }
    Ok(())
}

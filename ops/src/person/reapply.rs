//! Forgetting again whoever was forgotten: after an older state of `person-keys` was brought back.
//!
//! The log says who was forgotten, and is the newer of the two or says the same.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use domain::account::{self, PersonErased};
use domain::event::Event;
use domain::ids::DataKeyId;
use domain::root::Context;
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::log::Partition;
use event_log::topics;
use event_log::validity::{Position, Reader, Valid, Verdict};
use schemas::{Codec, DecodeError, Registry};
use serde_json::json;

use crate::audit::{self, Deed};
use crate::init::{LOCAL_PARTITIONS, Place};
use crate::{log, stack};

/// A topic of many millions of keys takes its time.
const READ_WITHIN: Duration = Duration::from_secs(600);

/// How it is told.
#[derive(Debug, Args)]
pub struct ReapplyArgs {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Takes away every key that is there although its person was forgotten.
///
/// # Errors
/// Kafka or the registry does not answer, or the log cannot be read.
pub(super) async fn run(args: ReapplyArgs) -> anyhow::Result<ExitCode> {
    let place = Place::from_environment()?;
    let partitions = place.partitions.unwrap_or(LOCAL_PARTITIONS);
    let (kafka, registry) = place.servers().await?;
    let settings = KafkaSettings::new(&kafka, &place.namespace, "boxctl");
    let ids = topics::check(&settings, &registry, partitions).await?;
    let codec = Codec::new(ids, Registry::new(&registry)?);
    let log = KafkaLog::connect(settings.clone())?;
    let erased = erased(&log, &codec, partitions).await?;
    let topic = topics::person_keys(&settings, partitions);
    let mut there = BTreeMap::new();
    for record in log.read_compacted(&topic, READ_WITHIN).await? {
        there.insert(record.key.clone(), record.value.is_some());
    }
    let is_back = |key: &&DataKeyId| there.get(key.to_string().as_bytes()) == Some(&true);
    let back: Vec<&DataKeyId> = erased.iter().filter(is_back).collect();
    if !back.is_empty() {
        let what = json!({"keys": back.len()});
        audit::record(&settings, Deed { command: "person reapply".to_owned(), what, why: None }).await?;
    }
    for key in &back {
        log.append_compacted(&topic, key.to_string().as_bytes(), None).await?;
    }
    let (erased, taken) = (erased.len(), back.len());
    stack::print(&match args.json {
        true => json!({"erased": erased, "taken_away": taken}).to_string() + "\n",
        false => format!("{erased} keys were erased; {taken} of them were there again and are taken away\n"),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The keys of everybody who was forgotten, as the log says.
async fn erased(log: &KafkaLog, codec: &Codec, partitions: u32) -> anyhow::Result<BTreeSet<DataKeyId>> {
    let mut keys = BTreeSet::new();
    for number in 0..partitions {
        let at = Partition { context: Context::Account, number };
        let mut reader = Reader::at(Position::default());
        for record in log::read_all(log, at).await? {
            match reader.judge(record) {
                Ok(Verdict::Command(events)) => {
                    for event in &events {
                        keys.extend(keys_of(codec, at, event).await?);
                    }
                }
                Ok(_) => {}
                Err(broken) => bail!("{at} cannot be read on: {broken}"),
            }
        }
    }
    Ok(keys)
}

async fn keys_of(codec: &Codec, at: Partition, valid: &Valid) -> anyhow::Result<Vec<DataKeyId>> {
    let record = &valid.record;
    let decoded = match codec.decode(&record.value) {
        Err(DecodeError::UnlearnedSchema(id)) => {
            codec.learn(id).await.with_context(|| format!("ask the registry for schema {id}"))?;
            codec.decode(&record.value)
        }
        decoded => decoded,
    };
    let (_, event) = decoded.with_context(|| format!("decode {at} at offset {}", record.offset))?;
    let Event::Account(account::Event::PersonErased(PersonErased { orders, .. })) = event else {
        bail!("{at} at offset {} holds an event of another topic", record.offset);
    };
    Ok(orders.iter().map(|order| order.key).collect())
}

//! `boxctl log`: what lies in a partition, record by record, and what every reader makes of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use domain::root::Context;
use event_log::frame::{Frame, Kind};
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::log::{Followed, Log, Partition, Record};
use event_log::topics;
use event_log::validity::{Position, Reader, Verdict};
use schemas::{Codec, Registry};
use tokio::sync::mpsc;

use crate::init::{LOCAL_PARTITIONS, Place};
use crate::stack;

/// Nothing for so long means that Kafka does not answer.
const SILENCE: Duration = Duration::from_secs(15);

/// Which partition. Where: BOXOFFICE_KAFKA and BOXOFFICE_REGISTRY, or the local stack, which is started.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// The topic's name without the namespace, such as order-events.
    #[arg(long, value_parser = context)]
    topic: Context,
    /// Its partition.
    #[arg(long)]
    partition: u32,
    /// Show only records of this aggregate.
    #[arg(long)]
    key: Option<String>,
    /// Show only the last so many.
    #[arg(long)]
    last: Option<usize>,
}

fn context(name: &str) -> Result<Context, String> {
    let names = || Context::ALL.map(Context::topic).join(", ");
    Context::ALL
        .into_iter()
        .find(|context| context.topic() == name)
        .ok_or_else(|| format!("expected one of {}", names()))
}

/// Reads the partition from its beginning, since verdicts depend on all that came before, and prints it.
///
/// # Errors
/// The log does not answer, or the output ends.
pub async fn run(args: &LogArgs) -> anyhow::Result<()> {
    let place = Place::from_environment()?;
    let partitions = place.partitions.unwrap_or(LOCAL_PARTITIONS);
    if args.partition >= partitions {
        bail!("--partition {} is outside the {partitions} there are", args.partition);
    }
    let (kafka, registry) = place.servers().await?;
    let settings = KafkaSettings::new(&kafka, &place.namespace, "boxctl");
    let ids = topics::check(&settings, &registry, partitions).await?;
    let codec = Codec::new(ids, Registry::new(&registry)?);
    let log = KafkaLog::connect(settings)?;
    let at = Partition { context: args.topic, number: args.partition };
    let mut reader = Reader::at(Position::default());
    let mut lines = Vec::new();
    for record in read_all(&log, at).await? {
        let wanted = args.key.as_deref().is_none_or(|key| key.as_bytes() == &record.key[..]);
        let line = line(&record, &codec);
        match reader.judge(record) {
            Ok(verdict) if wanted => lines.push(format!("{line}  {}", word(&verdict))),
            Ok(_) => {}
            Err(broken) => {
                lines.push(format!("{line}  BROKEN: {broken}"));
                break;
            }
        }
    }
    let skipped = args.last.map_or(0, |last| lines.len().saturating_sub(last));
    let heading = "offset  term   seq  part  version  claim     command   key                                   type";
    stack::print(&format!("{heading}\n{}\n", lines[skipped..].join("\n")))
}

/// Every record up to the end.
pub(crate) async fn read_all(log: &KafkaLog, at: Partition) -> anyhow::Result<Vec<Record>> {
    let (sender, mut received) = mpsc::unbounded_channel();
    let following = log.follow(at, 0, Arc::new(move |followed| drop(sender.send(followed))));
    let mut records = Vec::new();
    loop {
        let next = tokio::time::timeout(SILENCE, received.recv()).await.with_context(|| format!("read {at}"))?;
        match next {
            Some(Followed::Records(more)) => records.extend(more),
            Some(Followed::End(_)) | None => break,
            Some(Followed::Lost { start, .. }) => bail!("{at} begins at offset {start}: what came before is gone"),
        }
    }
    drop(following);
    Ok(records)
}

fn line(record: &Record, codec: &Codec) -> String {
    let offset = record.offset;
    let Ok(frame) = Frame::decode(&record.header) else { return format!("{offset:>6}  no readable frame header") };
    let name = schemas::schema_id(&record.value).and_then(|id| codec.event_name(id));
    let name = name.unwrap_or(match frame.kind {
        Kind::Event => "unknown event",
        Kind::Claim => "PartitionClaimed",
        Kind::Barrier => "Barrier",
        Kind::Settled => "Settled",
    });
    let (claim, command) = (short(frame.claim), short(frame.cmd_id));
    let key = String::from_utf8_lossy(&record.key);
    let part = format!("{}/{}", frame.evt_idx + 1, frame.evt_cnt);
    format!(
        "{offset:>6}  {:>4}  {:>4}  {part:>4}  {:>7}  {claim}  {command}  {key:36}  {name}",
        frame.term, frame.seq, frame.agg_ver
    )
}

/// The last eight digits tell ids of one moment apart.
fn short(id: uuid::Uuid) -> String {
    let text = id.simple().to_string();
    text[text.len() - 8..].to_owned()
}

fn word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Void(why) => format!("VOID: {why:?}"),
        Verdict::Partial => "partial".to_owned(),
        Verdict::Command(_) | Verdict::Claimed { .. } | Verdict::Barrier | Verdict::Settled(_) => "valid".to_owned(),
    }
}

//! `boxctl log`: what lies in a partition, record by record, and what every reader makes of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use domain::root::Context;
use event_log::frame::{Frame, Kind};
use event_log::kafka::KafkaLog;
use event_log::log::{Followed, Log, Partition, Record};
use event_log::validity::{Position, Reader, Verdict};
use schemas::{Codec, Registry, lookup_all};
use serde::Serialize;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::site::{Site, SiteArgs};
use crate::stack;

/// Nothing for so long means that Kafka does not answer.
const SILENCE: Duration = Duration::from_secs(15);

/// Which partition. Where: the environment, or the local installation.
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
    /// As JSON, one record a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    site: SiteArgs,
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
    let site = Site::find(&args.site)?;
    let partitions = site.partitions().await?;
    if args.partition >= partitions {
        bail!("--partition {} is outside the {partitions} there are", args.partition);
    }
    let ids =
        lookup_all(&site.registry, &site.namespace).await.context("ask the registry for the schemas of events")?;
    let codec = Codec::new(ids, Registry::new(&site.registry)?);
    let log = KafkaLog::connect(site.kafka())?;
    let at = Partition { context: args.topic, number: args.partition };
    let mut reader = Reader::at(Position::default());
    let mut lines = Vec::new();
    for record in read_all(&log, at).await? {
        let wanted = args.key.as_deref().is_none_or(|key| key.as_bytes() == &record.key[..]);
        let told = Told::of(&record, &codec);
        match reader.judge(record) {
            Ok(verdict) if wanted => lines.push(Told { verdict: word(&verdict), ..told }),
            Ok(_) => {}
            Err(broken) => {
                lines.push(Told { verdict: format!("BROKEN: {broken}"), ..told });
                break;
            }
        }
    }
    let skipped = args.last.map_or(0, |last| lines.len().saturating_sub(last));
    let lines = &lines[skipped..];
    if args.json {
        let lines: anyhow::Result<String> = lines.iter().map(|line| Ok(serde_json::to_string(line)? + "\n")).collect();
        return stack::print(&lines?);
    }
    let heading = "offset  term   seq  part  version  claim     command   key                                   type";
    stack::print(&(format!("{heading}\n") + &lines.iter().map(|line| line.text() + "\n").collect::<String>()))
}

/// A record, and what every reader makes of it.
#[derive(Debug, Serialize)]
struct Told {
    offset: i64,
    key: String,
    /// Its type; none if its header cannot be read.
    #[serde(rename = "type")]
    name: Option<String>,
    term: u32,
    seq: u64,
    /// Its place among the events of its command, from 1.
    part: u32,
    parts: u16,
    version: u64,
    claim: Uuid,
    command: Uuid,
    verdict: String,
}

impl Told {
    fn of(record: &Record, codec: &Codec) -> Self {
        let frame = Frame::decode(&record.header).ok();
        let name = frame.as_ref().map(|frame| {
            let event = schemas::schema_id(&record.value).and_then(|id| codec.event_name(id));
            event.unwrap_or(match frame.kind {
                Kind::Event => "unknown event",
                Kind::Claim => "PartitionClaimed",
                Kind::Barrier => "Barrier",
                Kind::Settled => "Settled",
            })
        });
        let of = frame.as_ref();
        Self {
            offset: record.offset,
            key: String::from_utf8_lossy(&record.key).into_owned(),
            name: name.map(str::to_owned),
            term: of.map_or(0, |it| it.term),
            seq: of.map_or(0, |it| it.seq),
            part: of.map_or(0, |it| u32::from(it.evt_idx) + 1),
            parts: of.map_or(0, |it| it.evt_cnt),
            version: of.map_or(0, |it| it.agg_ver),
            claim: of.map_or(Uuid::nil(), |it| it.claim),
            command: of.map_or(Uuid::nil(), |it| it.cmd_id),
            verdict: String::new(),
        }
    }

    fn text(&self) -> String {
        let Self { offset, term, seq, version, key, verdict, .. } = self;
        let Some(name) = &self.name else { return format!("{offset:>6}  no readable frame header  {verdict}") };
        let (claim, command, part) = (short(self.claim), short(self.command), format!("{}/{}", self.part, self.parts));
        format!(
            "{offset:>6}  {term:>4}  {seq:>4}  {part:>4}  {version:>7}  {claim}  {command}  {key:36}  {name}  {verdict}"
        )
    }
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

/// The last eight digits tell ids of one moment apart.
fn short(id: Uuid) -> String {
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

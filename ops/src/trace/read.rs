//! Reading a window of a partition: records that somebody wants, each with whether it counts.
//!
//! Invariant: whether a record counts depends on all that came before. A window that does not begin at the beginning takes
//! its first record for one that counts; whatever does not fit to that makes it begin anew.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use domain::root::Context;
use domain::value::Timestamp;
use event_log::frame::{Frame, Kind};
use event_log::kafka::KafkaLog;
use event_log::log::{Followed, Log as _, Partition, Record};
use event_log::partition::partition_of;
use event_log::validity::{Broken, Position, Reader, Valid, Verdict, Void};
use schemas::Codec;
use tokio::sync::mpsc;
use uuid::Uuid;

/// Nothing for so long means that Kafka does not answer.
const SILENCE: Duration = Duration::from_secs(15);
/// Batches of records that may wait for us; then the log's thread does.
const WAITING: usize = 16;
/// A partition with fewer records is read from its beginning: then every verdict is exact.
const SMALL: i64 = 100_000;

/// The log of a box office.
pub(super) struct Logs {
    log: Arc<KafkaLog>,
    pub(super) codec: Codec,
    pub(super) partitions: u32,
}

/// A record that somebody wants.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) at: Partition,
    pub(super) record: Record,
    /// Why it does not count, if so.
    pub(super) void: Option<String>,
}

/// Which records are wanted.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// Those of one aggregate.
    Key(Uuid),
    /// Those that name one of these ids anywhere.
    Naming(Vec<Uuid>),
}

impl Wanted {
    fn takes(&self, record: &Record) -> bool {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        match self {
            Self::Key(id) => id.hyphenated().encode_lower(&mut text).as_bytes() == &record.key[..],
            // Ids are written as text: looking for the text spares decoding what is nobody's.
            Self::Naming(ids) => ids.iter().any(|id| {
                let text = id.hyphenated().encode_lower(&mut text).as_bytes();
                record.value.windows(text.len()).any(|window| window == text)
            }),
        }
    }
}

impl Logs {
    pub(super) fn new(log: KafkaLog, codec: Codec, partitions: u32) -> Self {
        Self { log: Arc::new(log), codec, partitions }
    }

    /// The partition in which a context has an aggregate.
    pub(super) fn place(&self, context: Context, id: Uuid) -> Partition {
        Partition { context, number: partition_of(id, self.partitions) }
    }

    /// What is wanted of a partition, from a moment on.
    ///
    /// # Errors
    /// Kafka does not answer, or the partition is broken.
    pub(super) async fn window(
        &self,
        at: Partition,
        since: Option<Timestamp>,
        wanted: Wanted,
    ) -> anyhow::Result<Vec<Found>> {
        let (log, asked) = (Arc::clone(&self.log), since);
        let begin = tokio::task::spawn_blocking(move || match asked {
            Some(since) if log.bounds(at)?.end > SMALL => log.offset_at(at, since),
            _ => Ok(0),
        });
        let begin = begin.await.context("wait for Kafka")?.with_context(|| format!("ask where to read {at}"))?;
        let (sender, mut received) = mpsc::channel(WAITING);
        // Nobody takes it any more once the end is reached.
        let follower = Arc::new(move |followed| drop(sender.blocking_send(followed)));
        let following = self.log.follow(at, begin, follower);
        let mut judge = Judge { at, wanted, reader: None, partial: Vec::new(), found: Vec::new() };
        loop {
            let next = tokio::time::timeout(SILENCE, received.recv()).await.with_context(|| format!("read {at}"))?;
            match next {
                Some(Followed::Records(records)) => records.into_iter().try_for_each(|record| judge.take(record))?,
                Some(Followed::End(_)) | None => break,
                Some(Followed::Lost { start, .. }) => bail!("{at} begins at offset {start}: what came before is gone"),
            }
        }
        drop(received);
        drop(following);
        Ok(judge.found)
    }
}

/// Goes through a window.
struct Judge {
    at: Partition,
    wanted: Wanted,
    reader: Option<Reader>,
    /// What is wanted of a command whose end has not come.
    partial: Vec<Record>,
    found: Vec<Found>,
}

impl Judge {
    fn take(&mut self, record: Record) -> anyhow::Result<()> {
        let wanted = self.wanted.takes(&record);
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None if record.offset == 0 => self.reader.insert(Reader::at(Position::default())),
            None => match first(&record)? {
                Some(position) => self.reader.insert(Reader::at(position)),
                None => return Ok(()),
            },
        };
        match reader.judge(record.clone()) {
            Ok(verdict) => self.judged(verdict, record, wanted),
            // The window began with a record that does not count; this one is of somebody later.
            Err(Broken::FutureTerm { .. } | Broken::ForeignClaim { .. } | Broken::TermSkipped { .. })
                if !self.exact() =>
            {
                self.reader = None;
                return self.take(record);
            }
            Err(broken) => bail!("{} cannot be read on: {broken}", self.at),
        }
        Ok(())
    }

    /// Whether the window began at the beginning.
    fn exact(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.position().identity.is_some())
    }

    fn judged(&mut self, verdict: Verdict, record: Record, wanted: bool) {
        match verdict {
            Verdict::Command(events) => {
                self.partial.clear();
                let ours = events.into_iter().map(|Valid { record, .. }| record);
                let ours: Vec<Record> = ours.filter(|record| self.wanted.takes(record)).collect();
                ours.into_iter().for_each(|record| self.found(record, None));
            }
            Verdict::Partial if wanted => self.partial.push(record),
            Verdict::Void(void) if wanted && is_event(&record) => self.found(record, Some(word(void))),
            // What was begun under the claim before was never finished.
            Verdict::Claimed { .. } => {
                let unfinished = std::mem::take(&mut self.partial);
                unfinished.into_iter().for_each(|it| self.found(it, Some("its command was never finished")));
            }
            Verdict::Partial | Verdict::Void(_) | Verdict::Barrier | Verdict::Settled(_) => {}
        }
    }

    fn found(&mut self, record: Record, void: Option<&str>) {
        self.found.push(Found { at: self.at, record, void: void.map(str::to_owned) });
    }
}

/// The position before a record that is taken for one that counts; none in the middle of a command.
fn first(record: &Record) -> anyhow::Result<Option<Position>> {
    let frame = Frame::decode(&record.header).with_context(|| format!("offset {}", record.offset))?;
    let position = Position {
        next: record.offset,
        identity: None,
        term: frame.term,
        claim: frame.claim,
        seq: frame.seq,
        hole: false,
    };
    Ok(match frame.kind {
        Kind::Claim => Some(Position { term: frame.term.saturating_sub(1), ..position }),
        Kind::Event if frame.evt_idx > 0 => None,
        Kind::Event | Kind::Barrier | Kind::Settled => Some(position),
    })
}

fn is_event(record: &Record) -> bool {
    Frame::decode(&record.header).is_ok_and(|frame| frame.kind == Kind::Event)
}

fn word(void: Void) -> &'static str {
    match void {
        Void::OldTerm => "written by an owner that had been superseded",
        Void::Duplicate => "written twice",
        Void::AfterHole => "something before it is missing",
    }
}

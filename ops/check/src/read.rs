//! Reads every partition of the log from its first record to its end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use domain::root::Context;
use event_log::frame::Kind;
use event_log::log::{Bounds, Followed, Follower, Log, Partition, Record};
use event_log::validity::{Position, Reader, Valid, Verdict};
use schemas::{Codec, DecodeError};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::boards::Boards;
use super::facts::{Counts, Facts, Logged};

/// Messages of the log that wait for us; then its threads do.
const WAITING: usize = 16;
/// The log says something at least so often, while it is being read.
const SILENCE: Duration = Duration::from_secs(30);

/// Reads the log from its first record to where it ends now, and folds everything that counts.
///
/// # Errors
/// The log does not answer. What is wrong with the log itself is among the facts.
pub async fn from_log(log: Arc<dyn Log>, codec: &Codec, partitions: u32) -> anyhow::Result<Facts> {
    from_log_with(log, codec, partitions, Boards::default()).await
}

/// The same, with what these rows of Postgres have to be.
///
/// # Errors
/// As for [`from_log`].
pub async fn from_log_with(log: Arc<dyn Log>, codec: &Codec, partitions: u32, boards: Boards) -> anyhow::Result<Facts> {
    let mut facts = Facts::default();
    facts.boards = boards;
    for context in Context::ALL {
        for number in 0..partitions {
            let place = Partition { context, number };
            let counts = read(&log, codec, place, &mut facts).await.with_context(|| format!("read {place}"))?;
            facts.partitions.insert(place, counts);
        }
    }
    Ok(facts)
}

async fn read(log: &Arc<dyn Log>, codec: &Codec, place: Partition, facts: &mut Facts) -> anyhow::Result<Counts> {
    let asked = Arc::clone(log);
    let bounds = tokio::task::spawn_blocking(move || asked.bounds(place)).await.context("ask where it ends")?;
    let Bounds { start, end } = bounds?;
    let mut taking = Taking { codec, place, facts, reader: Reader::at(Position::default()), counts: Counts::default() };
    if start > 0 {
        taking.broken(format!("it begins at offset {start}: the first records are gone"));
        return Ok(taking.counts);
    }
    let (sender, mut received) = mpsc::channel(WAITING);
    // Nobody takes it any more once the end was reached.
    let follower: Follower = Arc::new(move |followed| drop(sender.blocking_send(followed)));
    let following = (end > 0).then(|| log.follow(place, 0, follower));
    while taking.reader.next() < end {
        match timeout(SILENCE, received.recv()).await.context("wait for records")? {
            Some(Followed::Records(records)) => {
                let records = records.into_iter().take_while(|record| record.offset < end);
                if !taking.take(records).await? {
                    break;
                }
            }
            Some(Followed::End(_)) => {}
            Some(Followed::Lost { start, end }) => bail!("its records now lie from {start} to {end}"),
            None => bail!("the log ended the reading"),
        }
    }
    // First the channel, so that a thread that waits to hand something over goes on, and ends.
    drop(received);
    drop(following);
    taking.finish();
    Ok(taking.counts)
}

struct Taking<'a> {
    codec: &'a Codec,
    place: Partition,
    facts: &'a mut Facts,
    reader: Reader,
    counts: Counts,
}

impl Taking<'_> {
    /// False if the partition cannot be read on.
    async fn take(&mut self, records: impl Iterator<Item = Record>) -> anyhow::Result<bool> {
        for record in records {
            self.counts.records += 1;
            let before = self.reader.clone();
            match self.reader.judge(record) {
                Ok(verdict) => {
                    if matches!(verdict, Verdict::Claimed { .. }) {
                        self.counts.unfinished += unfinished(&before);
                    }
                    if !self.count(verdict).await? {
                        return Ok(false);
                    }
                }
                Err(broken) => {
                    self.broken(broken.to_string());
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn count(&mut self, verdict: Verdict) -> anyhow::Result<bool> {
        match verdict {
            Verdict::Command(events) => {
                self.counts.commands += 1;
                for valid in events {
                    if !self.event(&valid).await? {
                        return Ok(false);
                    }
                }
            }
            Verdict::Claimed { .. } => self.counts.claims += 1,
            Verdict::Barrier => self.counts.barriers += 1,
            Verdict::Settled(_) => self.counts.settled += 1,
            Verdict::Partial => {}
            Verdict::Void(void) => self.counts.skip(void),
        }
        Ok(true)
    }

    async fn event(&mut self, valid: &Valid) -> anyhow::Result<bool> {
        assert_eq!(valid.frame.kind, Kind::Event, "commands are made of events");
        let decoded = match self.codec.decode(&valid.record.value) {
            Err(DecodeError::UnlearnedSchema(id)) => {
                self.codec.learn(id).await.with_context(|| format!("ask the registry for schema {id}"))?;
                self.codec.decode(&valid.record.value)
            }
            decoded => decoded,
        };
        let (meta, event) = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                self.broken(format!("the event at offset {} cannot be decoded: {error}", valid.record.offset));
                return Ok(false);
            }
        };
        self.counts.events += 1;
        let key = event.aggregate().hyphenated().to_string();
        let (place, offset, appended_at) = (self.place, valid.record.offset, valid.record.timestamp);
        if valid.record.key != key.as_bytes() {
            self.facts.history.add(format!("{place}: {} at {offset} has the key of another", event.name()));
        }
        let frame = valid.frame;
        self.facts.take(Logged { place, offset, appended_at, frame, meta: &meta, event: &event });
        Ok(true)
    }

    /// Events at the end whose command is still being written; they do not count yet.
    fn finish(&mut self) {
        self.counts.unfinished += unfinished(&self.reader);
    }

    fn broken(&mut self, why: String) {
        self.facts.history.add(format!("{} is broken: {why}", self.place));
    }
}

/// How many records were read of a command whose others did not come.
fn unfinished(reader: &Reader) -> u64 {
    u64::try_from(reader.next() - reader.position().next).unwrap_or(0)
}

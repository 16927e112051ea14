//! What the event topics hold, read from their beginning and on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;

use domain::event::Event;
use domain::root::Context;
use domain::trace::TraceContext;
use event_log::frame::Frame;
pub use event_log::frame::Kind;
use event_log::kafka::KafkaLog;
use event_log::log::{Followed, Log, Partition, Record};
use event_log::validity::{Reader, Verdict};
use schemas::{Codec, Control};

/// Reads all event topics of a world.
pub struct Journal {
    log: Arc<KafkaLog>,
    codec: Codec,
    readers: BTreeMap<Partition, Reader>,
    void: u64,
}

/// One record.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it lies.
    pub partition: Partition,
    /// Its place there.
    pub offset: i64,
    /// What it is.
    pub kind: Kind,
    /// Its key.
    pub key: String,
    /// Key, header and value as they lie there.
    pub bytes: Vec<u8>,
    /// The recorded trace that it belongs to, as 32 hex digits.
    pub trace: Option<String>,
}

/// What was added since the last look.
#[derive(Debug, Default)]
pub struct News {
    /// Every record, void ones too, by partition.
    pub entries: Vec<Entry>,
    /// The events that count, in the order of each partition.
    pub events: Vec<Event>,
    /// The commands that count and led to events.
    pub commands: Vec<Written>,
    /// The claims that count.
    pub claims: Vec<Claim>,
}

/// A command that led to events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Where it lies.
    pub partition: Partition,
    /// Under which term it was written.
    pub term: u32,
}

/// Somebody became a partition's owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Of what.
    pub partition: Partition,
    /// The how-many-eth owner it is.
    pub term: u32,
    /// Where it is reached.
    pub url: String,
}

impl Journal {
    /// Reads so many partitions of every topic.
    pub fn new(log: Arc<KafkaLog>, codec: Codec, partitions: u32) -> Self {
        let all = Context::ALL
            .into_iter()
            .flat_map(|context| (0..partitions).map(move |number| Partition { context, number }));
        let readers = all.map(|partition| (partition, Reader::at(Default::default()))).collect();
        Self { log, codec, readers, void: 0 }
    }

    /// What encodes and decodes its records.
    pub fn codec(&self) -> &Codec {
        &self.codec
    }

    /// Everything up to what the logs end with now.
    ///
    /// # Panics
    /// If Kafka does not answer, or a log is broken.
    pub async fn news(&mut self) -> News {
        let log = Arc::clone(&self.log);
        let from: Vec<(Partition, i64)> = self.readers.iter().map(|(at, reader)| (*at, reader.next())).collect();
        let read = tokio::task::spawn_blocking(move || {
            let added = |(at, next): &(Partition, i64)| (*at, added(log.as_ref(), *at, *next));
            from.iter().map(added).collect::<Vec<_>>()
        });
        let mut news = News::default();
        for (at, records) in read.await.expect("reading does not panic") {
            for record in records {
                self.take(at, record, &mut news);
            }
        }
        news
    }

    /// Up to where each partition was read.
    pub fn read_up_to(&self, partition: Partition) -> i64 {
        self.readers.get(&partition).map_or(0, Reader::next)
    }

    /// How many records so far do not count.
    pub fn void(&self) -> u64 {
        self.void
    }

    fn take(&mut self, partition: Partition, record: Record, news: &mut News) {
        let frame = Frame::decode(&record.header).expect("every record has a frame header");
        news.entries.push(Entry {
            partition,
            offset: record.offset,
            kind: frame.kind,
            key: String::from_utf8_lossy(&record.key).into_owned(),
            bytes: [&record.key[..], &record.header[..], &record.value[..]].concat(),
            trace: record.trace.as_deref().map(TraceContext::trace_id),
        });
        let value = record.value.clone();
        let reader = self.readers.get_mut(&partition).expect("it is read");
        match reader.judge(record).expect("the log is not broken") {
            Verdict::Command(events) => {
                news.commands.push(Written { partition, term: reader.position().term });
                news.events.extend(events.iter().map(|valid| {
                    let (_, event) = self.codec.decode(&valid.record.value).expect("every event can be decoded");
                    event
                }));
            }
            Verdict::Claimed { term, .. } => {
                let claimed = self.codec.decode_control(&value).expect("a claim can be decoded");
                let Control::Claimed { url, .. } = claimed else { panic!("a claim says {claimed:?}") };
                news.claims.push(Claim { partition, term, url });
            }
            Verdict::Void(_) => self.void += 1,
            Verdict::Barrier | Verdict::Settled(_) | Verdict::Partial => {}
        }
    }
}

impl News {
    /// How many events there are, whether they count or not.
    pub fn written(&self) -> usize {
        self.entries.iter().filter(|entry| entry.kind == Kind::Event).count()
    }

    /// The names of the events of one aggregate.
    pub fn of(&self, aggregate: uuid::Uuid) -> Vec<&'static str> {
        let own = self.events.iter().filter(|event| event.aggregate() == aggregate);
        own.map(Event::name).collect()
    }
}

/// The records from `next` to the present end.
fn added(log: &KafkaLog, at: Partition, next: i64) -> Vec<Record> {
    let end = log.bounds(at).expect("Kafka answers").end;
    let mut records = Vec::new();
    if end <= next {
        return records;
    }
    let (sender, receiver) = mpsc::channel();
    let following = log.follow(at, next, Arc::new(move |followed| drop(sender.send(followed))));
    for followed in &receiver {
        match followed {
            Followed::Records(more) => records.extend(more),
            Followed::End(reached) if reached >= end => break,
            Followed::End(_) => {}
            Followed::Lost { start, end } => panic!("{at}: {next} lies outside {start} to {end}"),
        }
    }
    drop(following);
    records
}

//! What a read model takes in: it follows its partitions, judges their records, and folds the valid ones.
//!
//! Invariant: a source's position is the last one whose events are all in the batches handed out; a partition that is
//! broken stands still there, and the others go on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use event_log::log::{Followed, Follower, Following, Log, Partition, Record};
use event_log::validity::{Broken, Position, Reader, Valid, Verdict};
use schemas::{Codec, DecodeError, LearnError};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::checkpoints::Step;
use crate::model::{Envelope, ReadModel};
use crate::store::Batch;

/// Messages of the log (each some hundred records) that wait for us; then its threads do.
const WAITING: usize = 16;
/// Between two questions for a schema.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// One partition that is followed.
pub(crate) struct Source {
    pub(crate) place: Partition,
    /// Where the next batch goes on.
    pub(crate) position: Position,
    /// What is stored.
    stored: Position,
    reader: Reader,
    /// `None` once it is broken.
    following: Option<Box<dyn Following>>,
    /// Whether its end was reached once.
    pub(crate) caught_up: bool,
}

/// What came of taking in.
pub(crate) struct Taken<C> {
    pub(crate) batch: Batch<C>,
    pub(crate) void: u64,
    /// Partitions that broke.
    pub(crate) broken: Vec<(Partition, Broken)>,
}

pub(crate) struct Intake {
    // Dropped before the sources: whoever waits to hand something over then returns.
    received: mpsc::Receiver<(usize, Followed)>,
    sources: Vec<Source>,
    backlog: VecDeque<(usize, Followed)>,
    codec: Codec,
}

impl Intake {
    /// Follows these partitions from these positions.
    pub(crate) fn open(log: &dyn Log, codec: Codec, from: impl IntoIterator<Item = (Partition, Position)>) -> Self {
        let (sender, received) = mpsc::channel(WAITING);
        let follow = |(n, (place, position)): (usize, (Partition, Position))| {
            let sender = sender.clone();
            // Nobody takes it any more after the intake was dropped.
            let follower: Follower = Arc::new(move |followed| drop(sender.blocking_send((n, followed))));
            Source {
                place,
                position,
                stored: position,
                reader: Reader::at(position),
                following: Some(log.follow(place, position.next, follower)),
                caught_up: false,
            }
        };
        let sources = from.into_iter().enumerate().map(follow).collect();
        Self { received, sources, backlog: VecDeque::new(), codec }
    }

    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Waits until there is something to take. May be dropped while it waits.
    pub(crate) async fn wait(&mut self) {
        if self.backlog.is_empty() {
            match self.received.recv().await {
                Some(message) => self.backlog.push_back(message),
                // Every partition is broken.
                None => std::future::pending().await,
            }
        }
    }

    /// Takes what is there: up to so many records, waiting until then for more to come. What they change is added to
    /// `changes`.
    pub(crate) async fn take<M: ReadModel>(
        &mut self,
        changes: M::Changes,
        records: usize,
        until: Instant,
    ) -> Taken<M::Changes> {
        let batch = Batch { changes, steps: Vec::new(), events: 0 };
        let mut taken = Taken { batch, void: 0, broken: Vec::new() };
        let mut left = records;
        while left > 0 {
            let Some((n, followed)) = self.next(until).await else {
                break;
            };
            left = left.saturating_sub(self.absorb::<M>(n, followed, left, &mut taken).await);
        }
        let moved = self.sources.iter().filter(|source| source.position != source.stored);
        taken.batch.steps =
            moved.map(|source| Step { place: source.place, from: source.stored, to: source.position }).collect();
        taken
    }

    /// The batches handed out so far are written.
    pub(crate) fn written(&mut self) {
        for source in &mut self.sources {
            source.stored = source.position;
        }
    }

    async fn next(&mut self, until: Instant) -> Option<(usize, Followed)> {
        if let Some(message) = self.backlog.pop_front() {
            return Some(message);
        }
        if let Ok(message) = self.received.try_recv() {
            return Some(message);
        }
        timeout_at(until, self.received.recv()).await.ok().flatten()
    }

    /// Takes at most `left` records of a message and puts the rest back. Returns how many.
    async fn absorb<M: ReadModel>(
        &mut self,
        n: usize,
        followed: Followed,
        left: usize,
        taken: &mut Taken<M::Changes>,
    ) -> usize {
        let source = &mut self.sources[n];
        if source.following.is_none() {
            return 0;
        }
        let (count, result) = match followed {
            Followed::End(_) => {
                source.caught_up = true;
                (0, Ok(()))
            }
            Followed::Lost { start, end } => {
                (0, Err(Broken::OutsideTheLog { position: source.reader.next(), start, end }))
            }
            Followed::Records(mut records) => {
                let rest = records.split_off(records.len().min(left));
                if !rest.is_empty() {
                    self.backlog.push_front((n, Followed::Records(rest)));
                }
                (records.len(), source.read::<M>(&self.codec, records, taken).await)
            }
        };
        if let Err(broken) = result {
            source.following = None;
            taken.broken.push((source.place, broken));
        }
        count
    }
}

impl Source {
    async fn read<M: ReadModel>(
        &mut self,
        codec: &Codec,
        records: Vec<Record>,
        taken: &mut Taken<M::Changes>,
    ) -> Result<(), Broken> {
        for record in records {
            match self.reader.judge(record)? {
                Verdict::Command(valid) => {
                    // All of them are decoded before the first is folded: a frame counts whole or not at all.
                    let envelopes = decoded(codec, self.place, valid).await?;
                    taken.batch.events += envelopes.len() as u64;
                    for envelope in &envelopes {
                        M::fold(&mut taken.batch.changes, envelope);
                    }
                }
                Verdict::Void(_) => taken.void += 1,
                Verdict::Claimed { .. } | Verdict::Barrier | Verdict::Settled(_) | Verdict::Partial => {}
            }
            self.position = self.reader.position();
        }
        Ok(())
    }
}

async fn decoded(codec: &Codec, at: Partition, valid: Vec<Valid>) -> Result<Vec<Envelope>, Broken> {
    let mut envelopes = Vec::with_capacity(valid.len());
    for Valid { record, .. } in valid {
        let offset = record.offset;
        let undecodable = |detail: String| Broken::Undecodable { offset, detail };
        let (meta, event) = loop {
            match codec.decode(&record.value) {
                Ok(decoded) => break decoded,
                Err(DecodeError::UnlearnedSchema(id)) => learn(codec, id).await.map_err(undecodable)?,
                Err(error) => return Err(undecodable(error.to_string())),
            }
        };
        if event.context() != at.context {
            return Err(undecodable("it belongs to another topic".to_owned()));
        }
        envelopes.push(Envelope { meta, event, partition: at.number, offset });
    }
    Ok(envelopes)
}

/// Asks for a schema until there is an answer; `Err` is an answer that does not help.
pub(crate) async fn learn(codec: &Codec, id: u32) -> Result<(), String> {
    loop {
        match codec.learn(id).await {
            Ok(()) => return Ok(()),
            Err(error @ LearnError::Source { .. }) => {
                tracing::warn!(%error, schema.id = id, "waiting for the schema of an event");
                tokio::time::sleep(ASK_AGAIN).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

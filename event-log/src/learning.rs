//! A log whose readers never meet a schema they have not learned: what other versions wrote is asked for first.

use std::sync::Arc;
use std::time::Duration;

use schemas::{Codec, LearnError, schema_id};
use tokio::runtime::Handle;

use crate::log::{Bounds, Followed, Follower, Following, Log, LogError, NewRecord, Partition, Record, Reports};

/// Learns the schemas of records before they are handed over. Handing over waits while the registry is away.
pub struct Learning {
    log: Arc<dyn Log>,
    codec: Codec,
    runtime: Handle,
}

impl Learning {
    /// Over a log; `runtime` asks the registry, from the log's own thread.
    pub fn over(log: Arc<dyn Log>, codec: Codec, runtime: Handle) -> Self {
        Self { log, codec, runtime }
    }
}

impl Log for Learning {
    fn append(&self, to: Partition, claim: uuid::Uuid, first_seq: u64, records: Vec<NewRecord>, reports: Reports) {
        self.log.append(to, claim, first_seq, records, reports);
    }

    fn follow(&self, at: Partition, from: i64, follower: Follower) -> Box<dyn Following> {
        let (codec, runtime) = (self.codec.clone(), self.runtime.clone());
        let learned = move |followed| {
            if let Followed::Records(records) = &followed {
                learn(&codec, &runtime, records);
            }
            follower(followed);
        };
        self.log.follow(at, from, Arc::new(learned))
    }

    fn bounds(&self, at: Partition) -> Result<Bounds, LogError> {
        self.log.bounds(at)
    }

    /// Only its header is of use before its schema is learned.
    fn record(&self, at: Partition, offset: i64) -> Result<Option<Record>, LogError> {
        self.log.record(at, offset)
    }
}

fn learn(codec: &Codec, runtime: &Handle, records: &[Record]) {
    let unknown = records.iter().filter_map(|record| schema_id(&record.value));
    let mut last = None;
    for id in unknown.filter(|id| codec.record_type(*id).is_none()) {
        if last.replace(id) == Some(id) {
            continue;
        }
        while let Err(error) = runtime.block_on(codec.learn(id)) {
            tracing::warn!(error = %error, schema.id = id, "a schema of another version cannot be learned");
            match error {
                LearnError::Source { .. } => std::thread::sleep(Duration::from_secs(1)),
                // Decoding it will stop the partition, and say why.
                _ => break,
            }
        }
    }
}

//! What is asked of the log beside its records: whether a stored position belongs to it, and how far behind it we are.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use event_log::frame::{Frame, Kind};
use event_log::log::{Followed, Follower, Log, LogError, Partition};
use event_log::validity::{Broken, Position};
use uuid::Uuid;

/// How long the first record may take to come.
const FIRST_WITHIN: Duration = Duration::from_secs(10);

/// What is known of the partitions, shared by all read models of a process.
pub(crate) struct Ends {
    log: Arc<dyn Log>,
    ends: Mutex<BTreeMap<Partition, i64>>,
    /// A log does not change its identity while it is followed; one that is exchanged loses positions.
    identities: Mutex<BTreeMap<Partition, Uuid>>,
}

impl Ends {
    pub(crate) fn new(log: Arc<dyn Log>) -> Self {
        Self { log, ends: Mutex::default(), identities: Mutex::default() }
    }

    /// How many records a reader at `next` has before it, as far as known.
    pub(crate) fn lag(&self, at: Partition, next: i64) -> i64 {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.get(&at).map_or(0, |end| (end - next).max(0))
    }

    /// Asks where a partition ends. Blocks.
    pub(crate) fn refresh(&self, at: Partition) -> Result<(), LogError> {
        self.bounds(at).map(drop)
    }

    /// Whether the log has what a stored position was read from. Blocks.
    pub(crate) fn check(&self, at: Partition, stored: &Position) -> Result<Result<(), Broken>, LogError> {
        let (start, end) = self.bounds(at)?;
        if stored.next < start || stored.next > end {
            return Ok(Err(Broken::OutsideTheLog { position: stored.next, start, end }));
        }
        if stored.next == 0 {
            return Ok(Ok(()));
        }
        let found = Some(self.identity(at)?);
        if found != stored.identity {
            return Ok(Err(Broken::AnotherLog { expected: stored.identity, found }));
        }
        Ok(Ok(()))
    }

    fn bounds(&self, at: Partition) -> Result<(i64, i64), LogError> {
        let bounds = self.log.bounds(at)?;
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).insert(at, bounds.end);
        Ok((bounds.start, bounds.end))
    }

    /// The claim at offset 0; nil if there is no claim.
    fn identity(&self, at: Partition) -> Result<Uuid, LogError> {
        if let Some(known) = self.identities.lock().unwrap_or_else(PoisonError::into_inner).get(&at) {
            return Ok(*known);
        }
        let (sender, received) = sync_channel(1);
        // Only the first answer is wanted; the channel is gone after it.
        let follower: Follower = Arc::new(move |followed| drop(sender.send(followed)));
        let following = self.log.follow(at, 0, follower);
        let first = received.recv_timeout(FIRST_WITHIN);
        drop(received);
        drop(following);
        let unanswered = |detail: String| LogError { attempted: "read the first record of a partition", detail };
        let identity = match first {
            Ok(Followed::Records(records)) => records.first().map_or(Uuid::nil(), |record| claim(&record.header)),
            Ok(Followed::End(_) | Followed::Lost { .. }) => Uuid::nil(),
            Err(RecvTimeoutError::Timeout) => return Err(unanswered(format!("{at} does not answer"))),
            Err(RecvTimeoutError::Disconnected) => return Err(unanswered(format!("{at} cannot be followed"))),
        };
        self.identities.lock().unwrap_or_else(PoisonError::into_inner).insert(at, identity);
        Ok(identity)
    }
}

fn claim(header: &[u8]) -> Uuid {
    match Frame::decode(header) {
        Ok(frame) if frame.kind == Kind::Claim => frame.claim,
        Ok(_) | Err(_) => Uuid::nil(),
    }
}

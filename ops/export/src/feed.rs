//! The records of one partition as they are asked for, without more waiting in memory than a few batches.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;
use std::vec::IntoIter;

use anyhow::bail;
use event_log::log::{Followed, Following, Log, Partition, Record};

/// Batches that wait for us; then the log's thread does.
const WAITING: usize = 2;
/// Whoever waits looks so often whether it is to stop.
const LOOK: Duration = Duration::from_millis(200);
/// The log says something at least so often, while it is being read: so many looks.
const SILENCE: u32 = 150;

/// A partition that is being read.
pub struct Feed {
    at: Partition,
    batch: IntoIter<Record>,
    // Dropped before the following, so that a thread that waits to hand something over goes on, and ends.
    followed: Receiver<Followed>,
    _following: Box<dyn Following>,
}

impl Feed {
    /// Reads from an offset on.
    pub fn open(log: &dyn Log, at: Partition, from: i64) -> Self {
        let (sender, followed) = sync_channel(WAITING);
        let following = log.follow(at, from, Arc::new(move |it| drop(sender.send(it))));
        Self { at, batch: Vec::new().into_iter(), followed, _following: following }
    }

    /// The next record; none if `stop` says so.
    ///
    /// # Errors
    /// The log says nothing for long, or has lost the place.
    pub fn next(&mut self, stop: &dyn Fn() -> bool) -> anyhow::Result<Option<Record>> {
        let mut silent = 0;
        loop {
            if let Some(record) = self.batch.next() {
                return Ok(Some(record));
            }
            if stop() {
                return Ok(None);
            }
            match self.followed.recv_timeout(LOOK) {
                Ok(Followed::Records(records)) => self.batch = records.into_iter(),
                Ok(Followed::End(_)) => {}
                Ok(Followed::Lost { start, end }) => bail!(lost(self.at, start, end)),
                Err(RecvTimeoutError::Timeout) if silent < SILENCE => silent += 1,
                Err(_) => bail!("{} cannot be read on: the log says nothing", self.at),
            }
        }
    }
}

/// What to say when a place is gone.
pub fn lost(at: Partition, start: i64, end: i64) -> String {
    format!("{at} cannot be read on: its records now lie from offset {start} to {end}")
}

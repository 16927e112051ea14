//! What a read model takes in: it follows its partitions, and hands their records to the projection in order.
//!
//! Invariant: a partition that is broken stands still, and the others go on.

use std::collections::VecDeque;
use std::sync::Arc;

use event_log::log::{Followed, Follower, Following, Log, Partition};
use event_log::validity::{Broken, Position};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::model::ReadModel;
use crate::projection::Projection;

/// Messages of the log (each some hundred records) that wait for us; then its threads do.
const WAITING: usize = 16;

/// One partition that is followed.
struct Followable {
    place: Partition,
    /// `None` once it is broken.
    following: Option<Box<dyn Following>>,
    /// Whether its end was reached once.
    caught_up: bool,
}

pub(crate) struct Intake {
    // Dropped before the partitions: whoever waits to hand something over then returns.
    received: mpsc::Receiver<(usize, Followed)>,
    partitions: Vec<Followable>,
    backlog: VecDeque<(usize, Followed)>,
}

impl Intake {
    /// Follows these partitions from these positions.
    pub(crate) fn open(log: &dyn Log, from: &[(Partition, Position)]) -> Self {
        let (sender, received) = mpsc::channel(WAITING);
        let follow = |(n, (place, position)): (usize, &(Partition, Position))| {
            let sender = sender.clone();
            // Nobody takes it any more after the intake was dropped.
            let follower: Follower = Arc::new(move |followed| drop(sender.blocking_send((n, followed))));
            let following = Some(log.follow(*place, position.next, follower));
            Followable { place: *place, following, caught_up: false }
        };
        let partitions = from.iter().enumerate().map(follow).collect();
        Self { received, partitions, backlog: VecDeque::new() }
    }

    /// Whether the end of every partition was reached once.
    pub(crate) fn caught_up(&self) -> bool {
        self.partitions.iter().all(|partition| partition.caught_up)
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

    /// Hands over what is there: up to so many records, waiting until then for more to come. Tells which partitions
    /// broke.
    pub(crate) async fn take<M: ReadModel>(
        &mut self,
        projection: &mut Projection<M>,
        records: usize,
        until: Instant,
    ) -> Vec<(Partition, Broken)> {
        let mut broken = Vec::new();
        let mut left = records;
        while left > 0 {
            let Some((n, followed)) = self.next(until).await else {
                break;
            };
            let (count, result) = self.hand_over(n, followed, left, projection).await;
            left = left.saturating_sub(count);
            if let Err(why) = result {
                self.partitions[n].following = None;
                broken.push((self.partitions[n].place, why));
            }
        }
        broken
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

    /// Hands over at most `left` records of a message and puts the rest back. Returns how many.
    async fn hand_over<M: ReadModel>(
        &mut self,
        n: usize,
        followed: Followed,
        left: usize,
        projection: &mut Projection<M>,
    ) -> (usize, Result<(), Broken>) {
        if self.partitions[n].following.is_none() {
            return (0, Ok(()));
        }
        match followed {
            Followed::End(_) => {
                self.partitions[n].caught_up = true;
                (0, Ok(()))
            }
            Followed::Lost { start, end } => {
                let position = projection.sources()[n].next();
                (0, Err(Broken::OutsideTheLog { position, start, end }))
            }
            Followed::Records(mut records) => {
                let rest = records.split_off(records.len().min(left));
                if !rest.is_empty() {
                    self.backlog.push_front((n, Followed::Records(rest)));
                }
                (records.len(), projection.read(n, records).await)
            }
        }
    }
}

//! Asking the coordinator whether we are still a member, by a commit.
//!
//! A synchronous commit with a stale generation is refused, but waits without limit while the coordinator is away:
//! so it has a thread of its own, and whoever asked gets a no in time.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use std::{io, thread};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use tokio::time::Instant;

use super::{Member, Shared, offsets};

/// A commit that is not answered by then counts as refused.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// Gets told whether a number is ours, on a thread of the membership's.
pub type Vouched = Box<dyn FnOnce(bool) + Send>;

/// The way to the thread that vouches. It ends when this is dropped.
pub(super) struct Voucher(Sender<(u32, Vouched)>);

impl Voucher {
    pub(super) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let (asked, questions) = channel();
        let shared = Arc::clone(shared);
        let run = move || Vouching { shared, unanswered: None }.run(&questions);
        thread::Builder::new().name("vouch".to_owned()).spawn(run)?;
        Ok(Self(asked))
    }

    pub(super) fn ask(&self, number: u32, reply: Vouched) {
        if let Err(unasked) = self.0.send((number, reply)) {
            // The thread panicked: nobody can vouch any more.
            (unasked.0.1)(false);
        }
    }
}

struct Vouching {
    shared: Arc<Shared>,
    /// A commit of before that has not come back.
    unanswered: Option<Receiver<Result<(), KafkaError>>>,
}

impl Vouching {
    fn run(mut self, questions: &Receiver<(u32, Vouched)>) {
        while let Ok(first) = questions.recv() {
            // One commit answers everybody who asked before it.
            let asked: Vec<(u32, Vouched)> = std::iter::once(first).chain(questions.try_iter()).collect();
            let numbers: BTreeSet<u32> = asked.iter().map(|(number, _)| *number).collect();
            let granted = self.granted(numbers);
            for (number, reply) in asked {
                reply(granted.contains(&number));
            }
        }
    }

    /// Which of them are ours: we were told so, the coordinator takes our commit, and nobody has told us otherwise since.
    fn granted(&mut self, mut numbers: BTreeSet<u32>) -> BTreeSet<u32> {
        numbers.retain(|number| self.shared.has(*number));
        let member = self.shared.consumer.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        let Some(member) = member.filter(|_| !numbers.is_empty()) else { return BTreeSet::new() };
        if let Err(reason) = self.commit(&member, &numbers) {
            tracing::warn!(partitions = ?numbers, reason, "the group does not vouch for us");
            return BTreeSet::new();
        }
        let lost = member.assignment_lost();
        numbers.retain(|number| !lost && self.shared.has(*number));
        numbers
    }

    fn commit(&mut self, member: &Arc<Member>, numbers: &BTreeSet<u32>) -> Result<(), String> {
        let until = Instant::now() + ANSWERED_WITHIN;
        if let Some(before) = self.unanswered.take()
            && before.recv_timeout(ANSWERED_WITHIN) == Err(RecvTimeoutError::Timeout)
        {
            self.unanswered = Some(before);
            return Err("an earlier commit is still not answered".to_owned());
        }
        let (done, result) = channel();
        let (member, list) = (Arc::clone(member), offsets(&self.shared.topic, numbers.iter().copied()));
        let commit = move || {
            let result = member.commit(&list, CommitMode::Sync);
            // Before the answer: whoever gets it may be about to drop the client.
            drop(member);
            // Nobody waits any more once the deadline is over.
            let _ = done.send(result);
        };
        let spawned = thread::Builder::new().name("vouch-commit".to_owned()).spawn(commit);
        spawned.map_err(|error| format!("no thread: {error}"))?;
        match result.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(committed) => committed.map_err(|error| error.to_string()),
            Err(_) => {
                self.unanswered = Some(result);
                Err(format!("the coordinator does not answer within {} s", ANSWERED_WITHIN.as_secs()))
            }
        }
    }
}

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
use tokio::time::Instant;

use super::{Shared, offsets};

/// A commit that is not answered by then counts as refused.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// Gets told whether a number is ours, on a thread of the membership's.
pub type Vouched = Box<dyn FnOnce(bool) + Send>;

/// The way to the thread that vouches. It ends when this is dropped.
pub(super) struct Voucher(Sender<(u32, Vouched)>);

/// What the group knows of us.
trait Group: Send + Sync + 'static {
    /// Whether a number is ours, as far as we have been told.
    fn has(&self, number: u32) -> bool;

    /// Has the coordinator take a commit for these, which it refuses a stale member. May block without limit.
    fn commit(&self, numbers: &BTreeSet<u32>) -> Result<(), String>;
}

impl Group for Shared {
    fn has(&self, number: u32) -> bool {
        let standing = self.standing();
        standing.member && standing.assigned.contains(&number)
    }

    fn commit(&self, numbers: &BTreeSet<u32>) -> Result<(), String> {
        let member = self.consumer.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        let member = member.ok_or("there is no client just now")?;
        let list = offsets(&self.topic, numbers.iter().copied());
        member.commit(&list, CommitMode::Sync).map_err(|error| error.to_string())?;
        if member.assignment_lost() { Err("the group has thrown us out".to_owned()) } else { Ok(()) }
    }
}

impl Voucher {
    pub(super) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        Self::over(Arc::clone(shared), ANSWERED_WITHIN)
    }

    fn over<G: Group>(group: Arc<G>, within: Duration) -> io::Result<Self> {
        let (asked, questions) = channel();
        let run = move || Vouching { group, within, unanswered: None }.run(&questions);
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

struct Vouching<G> {
    group: Arc<G>,
    within: Duration,
    /// A commit of before that has not come back.
    unanswered: Option<Receiver<Result<(), String>>>,
}

impl<G: Group> Vouching<G> {
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
        numbers.retain(|number| self.group.has(*number));
        if numbers.is_empty() {
            return numbers;
        }
        if let Err(reason) = self.commit(&numbers) {
            tracing::warn!(partition.numbers = ?numbers, reason, "the group does not vouch for us");
            return BTreeSet::new();
        }
        numbers.retain(|number| self.group.has(*number));
        numbers
    }

    fn commit(&mut self, numbers: &BTreeSet<u32>) -> Result<(), String> {
        let until = Instant::now() + self.within;
        if let Some(before) = self.unanswered.take()
            && before.recv_timeout(self.within) == Err(RecvTimeoutError::Timeout)
        {
            self.unanswered = Some(before);
            return Err("an earlier commit is still not answered".to_owned());
        }
        let (done, result) = channel();
        let (group, numbers) = (Arc::clone(&self.group), numbers.clone());
        let commit = move || {
            // Nobody waits any more once the deadline is over.
            let _ = done.send(group.commit(&numbers));
        };
        let spawned = thread::Builder::new().name("vouch-commit".to_owned()).spawn(commit);
        spawned.map_err(|error| format!("no thread: {error}"))?;
        match result.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(committed) => committed,
            Err(_) => {
                self.unanswered = Some(result);
                Err(format!("the coordinator does not answer within {} ms", self.within.as_millis()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const WITHIN: Duration = Duration::from_millis(200);

    /// A coordinator that does what a test says, for a member that has 0 and 1 until it is told otherwise.
    struct Scripted {
        answers: Mutex<Vec<(Duration, Result<(), String>)>>,
        committed: Mutex<Vec<Vec<u32>>>,
        gone: Mutex<Option<u32>>,
        revoked_while_committing: Option<u32>,
    }

    impl Scripted {
        fn new(answers: impl IntoIterator<Item = (u64, Result<(), &'static str>)>) -> Self {
            let answers = answers.into_iter().map(|(ms, it)| (Duration::from_millis(ms), it.map_err(str::to_owned)));
            let mut answers: Vec<_> = answers.collect();
            answers.reverse();
            Self {
                answers: Mutex::new(answers),
                committed: Mutex::default(),
                gone: Mutex::default(),
                revoked_while_committing: None,
            }
        }
    }

    impl Group for Scripted {
        fn has(&self, number: u32) -> bool {
            number < 2 && *self.gone.lock().unwrap() != Some(number)
        }

        fn commit(&self, numbers: &BTreeSet<u32>) -> Result<(), String> {
            self.committed.lock().unwrap().push(numbers.iter().copied().collect());
            *self.gone.lock().unwrap() = self.revoked_while_committing;
            let (wait, answer) = self.answers.lock().unwrap().pop().unwrap();
            thread::sleep(wait);
            answer
        }
    }

    fn ask(voucher: &Voucher, number: u32) -> bool {
        let (reply, vouched) = channel();
        voucher.ask(number, Box::new(move |it| reply.send(it).unwrap()));
        vouched.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    #[test]
    fn the_coordinator_has_the_last_word() {
        let group = Arc::new(Scripted::new([(0, Ok(())), (0, Err("stale")), (0, Ok(()))]));
        let voucher = Voucher::over(Arc::clone(&group), WITHIN).unwrap();
        assert_eq!([ask(&voucher, 0), ask(&voucher, 0), ask(&voucher, 1)], [true, false, true]);
        assert!(!ask(&voucher, 2), "nobody is asked about what is not ours");
        assert_eq!(*group.committed.lock().unwrap(), [[0], [0], [1]]);
    }

    #[test]
    fn what_is_revoked_while_the_coordinator_answers_is_not_ours() {
        let script = Scripted { revoked_while_committing: Some(0), ..Scripted::new([(0, Ok(())), (0, Ok(()))]) };
        let voucher = Voucher::over(Arc::new(script), WITHIN).unwrap();
        assert!(!ask(&voucher, 0));
        assert!(ask(&voucher, 1));
    }

    #[test]
    fn a_coordinator_that_takes_its_time_is_not_waited_for() {
        let group = Arc::new(Scripted::new([(700, Ok(())), (0, Ok(()))]));
        let voucher = Voucher::over(Arc::clone(&group), WITHIN).unwrap();
        let begun = Instant::now();
        assert!(!ask(&voucher, 0), "not in time");
        assert!(!ask(&voucher, 1), "the one before is still not answered");
        assert!(begun.elapsed() < Duration::from_millis(650), "{:?}", begun.elapsed());
        assert_eq!(group.committed.lock().unwrap().len(), 1, "commits do not pile up");
        thread::sleep(Duration::from_millis(400));
        assert!(ask(&voucher, 1), "it is back");
    }
}

//! An owner that serves the stock of one show from the log in memory, moved by hand: no threads, no waiting.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::ids::CommandId;
use domain::inventory::{Command, Inventory};
use domain::root::Root as _;
use domain::value::{Actor, Fingerprint, Timestamp};
use event_log::log::{Delivered, Followed, Following, Log as _, Partition};
use event_log::memory::MemoryLog;
use event_log::owner::{Now, Outcome, Output, Owner, Phase, Submission, Target};
use event_log::state::State;
use schemas::Codec;

use super::sale;
use super::settings;

/// A command that waits to be submitted.
pub type Asked = Submission<Inventory, ()>;

enum Input {
    Delivered(Vec<Delivered>),
    Followed(Followed),
    Vouched,
}

/// The owner with all that it needs.
pub struct Serving {
    at: Partition,
    log: MemoryLog,
    owner: Owner<Inventory, ()>,
    inputs: Arc<Mutex<VecDeque<Input>>>,
    following: Option<Box<dyn Following>>,
    now: Now,
    /// Commands that were carried out and written.
    pub written: usize,
}

impl Serving {
    /// Serves, with tickets on sale.
    pub fn new() -> Self {
        let at = Partition { context: Inventory::CONTEXT, number: 0 };
        let mut claims = 0;
        let new_claim = Box::new(move || {
            claims += 1;
            sale::scattered(claims, 0)
        });
        let (owner, outputs) = Owner::new(settings(at), Codec::in_memory(), State::default(), new_claim);
        let log = MemoryLog::manual(Arc::new(|| sale::AT));
        let now = Now { wall: sale::AT, mono: Duration::from_secs(1_000) };
        let mut serving = Self { at, log, owner, inputs: Arc::default(), following: None, now, written: 0 };
        serving.perform(outputs);
        serving.settle();
        assert_eq!(serving.owner.phase(), Phase::Serving);
        let open = Command::Open(sale::opened(1_000_000_000));
        serving.carry_out(vec![asked(open, Actor::System, 0)]);
        assert_eq!(serving.written, 1, "the sale is open");
        serving
    }

    /// Submits commands together, and goes on until all of them are answered and read back. A millisecond passes.
    pub fn carry_out(&mut self, commands: Vec<Asked>) {
        self.now = Now { wall: Timestamp(self.now.wall.0 + 1_000), mono: self.now.mono + Duration::from_millis(1) };
        for command in commands {
            assert!(self.owner.submit(command).is_ok(), "the mailbox is large enough");
        }
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            let outputs = self.owner.step(self.now);
            self.perform(outputs);
            let landed = self.log.land(self.at, usize::MAX);
            let reported = self.log.report(self.at);
            let delivered = self.log.deliver(self.at);
            if !self.take() && landed + reported == 0 && !delivered {
                return;
            }
        }
    }

    fn take(&mut self) -> bool {
        let mut anything = false;
        while let Some(input) = self.next() {
            anything = true;
            let now = self.now;
            let outputs = match input {
                Input::Delivered(reports) => self.owner.delivered(reports, now),
                Input::Followed(Followed::Records(records)) => {
                    records.into_iter().flat_map(|record| self.owner.read(record, now)).collect()
                }
                Input::Followed(Followed::End(end)) => self.owner.reached_end(end, now),
                Input::Followed(Followed::Lost { start, end }) => self.owner.lost(start, end),
                Input::Vouched => self.owner.vouched(true, now),
            };
            self.perform(outputs);
        }
        anything
    }

    fn next(&self) -> Option<Input> {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn perform(&mut self, outputs: Vec<Output<Inventory, ()>>) {
        for output in outputs {
            match output {
                Output::Follow(from) => {
                    let put = self.put();
                    let follower = Arc::new(move |followed| put(Input::Followed(followed)));
                    self.following = Some(self.log.follow(self.at, from, follower));
                }
                Output::Unfollow => self.following = None,
                Output::Vouch => self.put()(Input::Vouched),
                Output::Append { claim, first_seq, records } => {
                    let put = self.put();
                    let reports = Arc::new(move |reports| put(Input::Delivered(reports)));
                    self.log.append(self.at, claim, first_seq, records, reports);
                }
                Output::Answer((), Outcome::Done(answer)) => self.written += answer.written,
                Output::Answer((), other) => unreachable!("every command is carried out: {other:?}"),
                Output::Send(_) | Output::Serving { .. } => {}
                Output::Doubt { reason, .. } => unreachable!("nothing goes wrong: {reason}"),
                Output::Void(void) => unreachable!("everything counts: {void:?}"),
                Output::Broken(broken) => unreachable!("nothing breaks: {broken:?}"),
            }
        }
    }

    fn put(&self) -> impl Fn(Input) + Send + Sync + 'static {
        let inputs = Arc::clone(&self.inputs);
        move |input| inputs.lock().unwrap_or_else(PoisonError::into_inner).push_back(input)
    }
}

/// A command as a caller submits it.
pub fn asked(ask: Command, by: Actor, n: u64) -> Asked {
    let id = CommandId(sale::scattered(n, 7));
    Submission {
        target: Target::Id(sale::SHOW.0),
        ask,
        by,
        id,
        hash: Fingerprint(sale::scattered(n, 4).into_bytes()),
        correlation_id: sale::scattered(n, 6),
        causation_id: id.0,
        trace: None,
        deadline: None,
        reply: (),
    }
}

/// So many reservations, from the given number on.
pub fn reservations(first: u64, count: u64) -> Vec<Asked> {
    (first..first + count).map(|n| asked(sale::reserve(n), sale::buyer(n), n)).collect()
}

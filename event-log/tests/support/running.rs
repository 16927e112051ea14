//! Owners on threads of their own, on either log.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::Duration;

use domain::inventory::Inventory;
use event_log::driver::{Mailbox, Reply, Status, Surroundings, Vouch, stand_by, start, vouch_always};
use event_log::log::Log;
use event_log::memory::MemoryLog;
use event_log::owner::{Now, Outcome, Settings, Submission};
use event_log::snapshot::Snapshots;
use schemas::Codec;
use tokio::time::Instant;

use super::rig::{settings, short};
use super::{AT, kafka, unique, wall};

pub const PATIENCE: Duration = Duration::from_secs(20);

static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

pub struct Running {
    pub mailbox: Mailbox<Inventory>,
    pub thread: JoinHandle<()>,
    pub sent: Receiver<event_log::owner::Send>,
}

impl Running {
    pub fn on(log: &Arc<dyn Log>) -> Self {
        Self::with(log, settings())
    }

    pub fn with(log: &Arc<dyn Log>, settings: Settings) -> Self {
        Self::start(log, settings, None, vouch_always())
    }

    /// With snapshots, as a process is started anew.
    pub fn keeping(log: &Arc<dyn Log>, snapshots: &Arc<Snapshots>) -> Self {
        Self::start(log, settings(), Some(Arc::clone(snapshots)), vouch_always())
    }

    pub fn start(log: &Arc<dyn Log>, settings: Settings, snapshots: Option<Arc<Snapshots>>, vouch: Vouch) -> Self {
        let (surroundings, sent) = surroundings(log, snapshots, vouch);
        let (mailbox, thread) = start(settings, surroundings).unwrap();
        Self { mailbox, thread, sent }
    }

    /// Owns nothing until it is promoted.
    pub fn standing_by(log: &Arc<dyn Log>, snapshots: &Arc<Snapshots>, vouch: Vouch) -> Self {
        let (surroundings, sent) = surroundings(log, Some(Arc::clone(snapshots)), vouch);
        let (mailbox, thread) = stand_by(settings(), surroundings).unwrap();
        Self { mailbox, thread, sent }
    }

    #[track_caller]
    pub fn until(&self, wanted: impl Fn(&Status) -> bool) -> Status {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(&self.mailbox.status()) {
            assert!(Instant::now() < deadline, "{:?}", self.mailbox.status());
            std::thread::sleep(Duration::from_millis(5));
        }
        self.mailbox.status()
    }

    #[track_caller]
    pub fn until_serving(self, term: u32) -> Self {
        self.until(|status| status.serving && status.term == term);
        self
    }

    pub fn submit(&self, submission: Submission<Inventory, u32>) -> Receiver<Outcome<Inventory>> {
        let (sender, outcome) = channel();
        let reply: Reply<Inventory> = Box::new(move |outcome| drop(sender.send(outcome)));
        let Submission { target, ask, by, id, hash, correlation_id, causation_id, trace, deadline, .. } = submission;
        self.mailbox.submit(Submission {
            target,
            ask,
            by,
            id,
            hash,
            correlation_id,
            causation_id,
            trace,
            deadline,
            reply,
        });
        outcome
    }

    #[track_caller]
    pub fn ask(&self, submission: Submission<Inventory, u32>) -> &'static str {
        short(&self.submit(submission).recv_timeout(PATIENCE).expect("every command is answered"))
    }

    /// As a caller does that learns nothing: the same again.
    pub fn until_told(&self, submission: impl Fn() -> Submission<Inventory, u32>) -> &'static str {
        let mut told = std::iter::repeat_with(|| self.ask(submission())).take(10);
        told.find(|told| *told != "in doubt").unwrap_or("in doubt")
    }

    pub fn leave(self) {
        self.mailbox.shut_down();
        self.thread.join().unwrap();
    }
}

fn surroundings(
    log: &Arc<dyn Log>,
    snapshots: Option<Arc<Snapshots>>,
    vouch: Vouch,
) -> (Surroundings, Receiver<event_log::owner::Send>) {
    let (sender, sent) = channel();
    let surroundings = Surroundings {
        log: Arc::clone(log),
        codec: Codec::in_memory(),
        clock: Arc::new(|| Now { wall: wall(), mono: BEGIN.elapsed() }),
        new_claim: unique,
        outbox: Arc::new(move |_, send| drop(sender.send(send))),
        vouch,
        snapshots,
        begin: |_| (),
    };
    (surroundings, sent)
}

/// Two processes' ways to one log.
pub fn both() -> Vec<[Arc<dyn Log>; 2]> {
    let memory = MemoryLog::auto(Arc::new(wall)).unwrap();
    let settings = kafka::settings();
    kafka::create_events(&settings.name(AT.context.topic()), 4);
    vec![
        [Arc::new(memory.writer()), Arc::new(memory)],
        [Arc::new(kafka::connect(&settings)), Arc::new(kafka::connect(&settings))],
    ]
}

//! Deliberate defects, one switch each, to prove that the simulation and the checker notice them.
//!
//! The switch goes around what runs, not around what judges it: a law that is looked at while one is on uses broken code too.
//!
//! Invariant: without the feature `breakages` nothing of this is in a build: `broken` is the constant `false`. With it a
//! switch is on only in the thread, and only while, [`with`] says so. A service built with it refuses to start when
//! optimized ([`POSSIBLE`]).

use std::fmt;
use std::str::FromStr;

macro_rules! breakages {
    ($($variant:ident, $name:literal, $what:literal, $noticed:literal;)*) => {
        /// One deliberate defect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Breakage {
            $(
                #[doc = $what]
                #[doc = ""]
                #[doc = concat!("Noticed by: ", $noticed)]
                $variant,
            )*
        }

        impl Breakage {
            /// Every one, in order of the enum.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name on command lines and in tables, such as `no-barrier`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What is wrong while it is switched on, in one line.
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$variant => $what,)*
                }
            }

            /// Which law or history should notice it, in one line.
            pub fn noticed_by(self) -> &'static str {
                match self {
                    $(Self::$variant => $noticed,)*
                }
            }
        }
    };
}

breakages! {
    // The owner of a partition.
    AckLastRecordAlone, "ack-last-record-alone",
        "A batch is acknowledged when its last record was delivered, anywhere, whatever became of those before.",
        "acknowledged ⊆ log, after a record that failed and later ones that did not, or under a second owner.";
    ExpectPreviousPlusOne, "expect-previous-plus-one",
        "A record that failed is passed over, and the next is expected at the previous offset + 1.",
        "acknowledged ⊆ log, after an own record that was lost and left no gap.";
    AnswerFromHead, "answer-from-head",
        "Answers leave as soon as they are decided, before anything is acknowledged.",
        "acknowledged ⊆ log, after a lost append or under a second owner.";
    NoBarrier, "no-barrier",
        "A batch that wrote nothing is answered without a barrier.",
        "a refusal or repeat that was true at no moment between call and answer, under a second owner.";
    NoReclaim, "no-reclaim",
        "After a doubt the owner reads on, and goes on under its old claim.",
        "acknowledged ⊆ log: after a hole everything is void.";
    OutOfOrderDelivery, "out-of-order-delivery",
        "A delivery report that skips a sequence number is taken for all before it.",
        "acknowledged ⊆ log, when a report is lost or late.";
    DoubtAsSuccess, "doubt-as-success",
        "Callers in doubt get the answer that was decided for them.",
        "acknowledged ⊆ log, after a lost append.";
    StateOfDoubtKept, "state-of-doubt-kept",
        "After a failure the owner goes on from the speculative state, not from the acknowledged one.",
        "events that the log does not explain: versions, oversell, or answers about things that are not there.";
    DeadlineIgnored, "deadline-ignored",
        "A command whose deadline has passed is carried out all the same.",
        "an event of a command that was answered as too late (not carried out).";
    StateBeforeEncoding, "state-before-encoding",
        "The state changes before the frame is encoded and measured; a frame that is too large stays in it.",
        "versions without gaps, after a frame beyond the limit.";
    ServeForeignClaim, "serve-foreign-claim",
        "While it waits for its claim, the owner takes anybody's claim for its own, and serves under its own name.",
        "claims and terms: records of a claim that does not count, which stop every reader.";
    RepeatBodyIgnored, "repeat-body-ignored",
        "A command id that is known counts as a repeat, whatever the body.",
        "the same key with another body is not refused.";
    RepeatsIgnored, "repeats-ignored",
        "The owner does not look whether a command was carried out before.",
        "one command, two frames; a repeat that gets something else.";
    VersionPerFrame, "version-per-frame",
        "An aggregate's version counts frames, not events.",
        "versions without gaps, with frames of several events.";
    SettledTooFar, "settled-too-far",
        "The watermark settles one cause that is still open.",
        "at the end something caused was never done: a paid order without tickets, a hold without an order.";
    SettledBeforeAnswer, "settled-before-answer",
        "What was sent counts as answered at once.",
        "after a crash something caused was never done.";
    OutboxNotResent, "outbox-not-resent",
        "A new owner does not send what its predecessor left open.",
        "after a crash something caused was never done.";
    DecideOnAckedState, "decide-on-acked-state",
        "Commands are decided on the acknowledged state, though others are under way.",
        "versions without gaps; oversell.";
    TimerTwice, "timer-twice",
        "A timer fires again until its event is acknowledged, each time on the acknowledged state.",
        "versions without gaps; a reservation or an order that ends twice.";
    GraceIgnored, "grace-ignored",
        "What is due at a take-over ends at once, without the grace.",
        "a hold that ended within the grace of a claim.";
    IdleTimerNeverWoken, "idle-timer-never-woken",
        "A timer that has fired is taken for one that leads to nothing: none of its aggregate fires again in this claim.",
        "at the end something is overdue and was never ended.";
    // What readers accept.
    SameTermClaim, "same-term-claim",
        "A claim of the current term is valid.",
        "claims and terms; two owners acknowledged in one term.";
    NoSequenceCheck, "no-sequence-check",
        "A record of the current claim is valid, whatever its sequence number.",
        "sequences: a duplicated or late record counts; state differs from the checker's fold.";
    HoleAccepted, "hole-accepted",
        "A record after a hole in the sequence is valid.",
        "sequences, after a lost record that later ones followed.";
    ForeignEventsFolded, "foreign-events-folded",
        "Events of an older term are valid.",
        "void records counted; state differs from the checker's fold, after a zombie's append.";
    PartialFrameApplied, "partial-frame-applied",
        "Each event of a frame counts as it is read, before its frame is whole.",
        "whole frames: a crash in mid-frame leaves half a command in the state.";
    UnfinishedFrameAtClaim, "unfinished-frame-at-claim",
        "A frame that the next claim cuts off is not void: it goes on with that claim's first frame.",
        "whole frames: a crash in mid-frame leaves half a command in the state, or stops the partition.";
    // Snapshots.
    SnapshotOfHead, "snapshot-of-head",
        "A snapshot is taken of the speculative root.",
        "state after a restart differs from the log's fold, after a lost append.";
    SnapshotWithoutRepeats, "snapshot-without-repeats",
        "Repeats are forgotten when a state is restored.",
        "one command, two frames; or a repeat that is refused, after a restart.";
    SnapshotWithoutOutbox, "snapshot-without-outbox",
        "The outbox is forgotten when a state is restored.",
        "at the end something caused was never done.";
    SnapshotWithoutTimers, "snapshot-without-timers",
        "Timers are not built when a state is restored.",
        "at the end something is overdue and was never ended.";
    SnapshotWithoutSerials, "snapshot-without-serials",
        "The counter of serial numbers starts again when a state is restored.",
        "two payments with one serial number.";
    SnapshotOfAnotherLog, "snapshot-of-another-log",
        "A snapshot is used though the log is not the one that it was taken from.",
        "state after a restart differs from the log's fold, after the topic was recreated.";
    // Stock.
    StockUnchecked, "stock-unchecked",
        "One more than what is left can be reserved.",
        "no oversell at any prefix.";
    CapacityUnchecked, "capacity-unchecked",
        "A capacity can be set below what is held and sold.",
        "no oversell at any prefix.";
    ConfirmWithoutStock, "confirm-without-stock",
        "A confirmation after the release does not look whether the stock is free.",
        "no oversell at any prefix.";
    ConfirmedExpires, "confirmed-expires",
        "The backstop expires what is confirmed too.",
        "every reservation ends once; tickets without stock.";
    StockFreedTwice, "stock-freed-twice",
        "The end of a reservation gives its stock back twice.",
        "no oversell at any prefix; stock below zero.";
    SessionOrdersTwice, "session-orders-twice",
        "A checkout token can be used for a second order.",
        "one live order for a session.";
    // Orders and money.
    SecondCaptureKept, "second-capture-kept",
        "The money of a second payment of a paid order is kept.",
        "captured = tickets + refunded + refund due + quarantined.";
    LateMoneyKept, "late-money-kept",
        "Money for an order that has ended is kept.",
        "captured = tickets + refunded + refund due + quarantined.";
    RefusalAsSuccess, "refusal-as-success",
        "A refusal of a saga's command leads to nothing.",
        "captured = tickets + refunded + …; an order that never ends.";
    StepsNamedAfterRequest, "steps-named-after-request",
        "What an event causes is named after the request that all started with, not after the event.",
        "something caused was never done: its command was taken for a repeat of another step's.";
    MovementCountedTwice, "movement-counted-twice",
        "A movement of money that was reported before counts again.",
        "received equals what the provider's statement says; received never above the amount.";
    RefundTwice, "refund-twice",
        "A payment that goes back already is refunded again, which an owner prevents within a day by itself.",
        "refunded never above received.";
    TooMuchApplied, "too-much-applied",
        "Money beyond the amount is applied instead of quarantined.",
        "received never above the amount.";
    WrongCurrencyApplied, "wrong-currency-applied",
        "Money of another currency is applied instead of quarantined.",
        "money is applied in the order's currency only.";
    TicketsAfterRevoke, "tickets-after-revoke",
        "A batch that is revoked before it was issued gets its tickets all the same.",
        "an order that is over has no valid tickets; captured = tickets + refunded + ….";
    // The waiting room.
    PlaceTwice, "place-twice",
        "Who has a place and joins again gets another one.",
        "one place for a holder.";
    DrawTwice, "draw-twice",
        "A draw that was made is made again when it is asked for again, which an owner notices within a day by itself.",
        "one draw for a room; order of service.";
    AdmitBeyondSlots, "admit-beyond-slots",
        "One more is admitted than slots are free.",
        "never more than the slots.";
    ServedOutOfOrder, "served-out-of-order",
        "The next in turn is passed over.",
        "order of service.";
    SlotFreedTwice, "slot-freed-twice",
        "A slot that ends frees somebody else's too.",
        "never more than the slots; a slot that is live in the log ends by itself.";
    TieToSecondOrder, "tie-to-second-order",
        "A slot that is tied to an order can be tied to another, and the stock takes a second order of its session.",
        "one live order for a session; one order for a slot.";
    // Read models.
    CheckpointApart, "checkpoint-apart",
        "The checkpoint is written in another transaction, before the rows.",
        "read model = fold at its own offset, after a crash or a lost commit between the two.";
    CompareAndSetLeftOut, "compare-and-set-left-out",
        "A checkpoint moves, whatever it is now.",
        "read model = fold at its own offset, with two workers or an answer lost after the commit.";
    OvertakenBatchWritten, "overtaken-batch-written",
        "The rows of a batch are written though another worker was ahead.",
        "read model = fold at its own offset, with two workers.";
    PositionInMidFrame, "position-in-mid-frame",
        "The position that a reader goes on from may lie within a frame.",
        "a reader that begins there stops as broken; read model = fold at its own offset.";
    VoidEventsProjected, "void-events-projected",
        "A projector folds void events.",
        "read model = fold at its own offset, after a zombie's append.";
    CarryKept, "carry-kept",
        "What is carried from one batch to the next is kept though somebody else has written.",
        "read model = fold at its own offset, with two workers.";
}

impl fmt::Display for Breakage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No breakage has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no breakage {0:?}")]
pub struct UnknownBreakage(String);

impl FromStr for Breakage {
    type Err = UnknownBreakage;

    fn from_str(name: &str) -> Result<Self, UnknownBreakage> {
        Self::ALL.iter().copied().find(|it| it.name() == name).ok_or_else(|| UnknownBreakage(name.to_owned()))
    }
}

/// Whether this build has the switches.
pub const POSSIBLE: bool = cfg!(feature = "breakages");

/// An optimized service must not be able to break on purpose: it may be the real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this optimized program was built with the feature `breakages`, which is for tests only: build the services by \
     themselves, without boxctl or the whole workspace (cargo build --release -p command-api -p projectors -p query-api)"
)]
pub struct NotFitToServe;

/// Asked by every service before anything else.
///
/// # Errors
/// An optimized build has the switches.
pub const fn fit_to_serve() -> Result<(), NotFitToServe> {
    if fits(POSSIBLE, cfg!(debug_assertions)) { Ok(()) } else { Err(NotFitToServe) }
}

const fn fits(switches: bool, for_development: bool) -> bool {
    !switches || for_development
}

#[cfg(feature = "breakages")]
mod switches {
    use std::cell::Cell;
    use std::panic::catch_unwind;
    use std::thread;

    use super::Breakage;

    const COUNT: usize = Breakage::ALL.len();

    thread_local! {
        static BROKEN: Cell<Option<Breakage>> = const { Cell::new(None) };
        static VISITS: [Cell<u64>; COUNT] = const { [const { Cell::new(0) }; COUNT] };
    }

    /// Switches back when dropped, a panic included.
    struct Back(Option<Breakage>);

    impl Drop for Back {
        fn drop(&mut self) {
            BROKEN.set(self.0);
        }
    }

    /// Whether this defect is to be there now. Counts the visit of its site.
    pub fn broken(which: Breakage) -> bool {
        VISITS.with(|visits| {
            let visits = &visits[which as usize];
            visits.set(visits.get() + 1);
        });
        BROKEN.get() == Some(which)
    }

    /// Runs something with a defect switched on in this thread, or with none.
    pub fn with<T>(which: Option<Breakage>, run: impl FnOnce() -> T) -> T {
        let _back = Back(BROKEN.replace(which));
        run()
    }

    /// How often the site of each was reached in this thread since the last call, in order of [`Breakage::ALL`].
    pub fn take_visits() -> Vec<(Breakage, u64)> {
        VISITS.with(|visits| Breakage::ALL.iter().map(|which| (*which, visits[*which as usize].take())).collect())
    }

    /// Why a defect survives a test that has to fail with it, if it does. The test must hold without.
    ///
    /// # Panics
    /// If the test does not hold without the defect.
    pub fn survives(which: Breakage, test: fn()) -> Option<&'static str> {
        // A thread of its own, because a test may end in the middle.
        let tried = thread::spawn(move || {
            test();
            take_visits();
            let held = with(Some(which), || catch_unwind(test)).is_ok();
            (held, take_visits().contains(&(which, 0)))
        });
        match tried.join().expect("the test holds without the defect") {
            (_, true) => Some("was never come by"),
            (true, false) => Some("makes no difference"),
            (false, false) => None,
        }
    }
}

#[cfg(feature = "breakages")]
pub use switches::{broken, survives, take_visits, with};

/// Whether this defect is to be there now: never, in a build without the switches.
#[cfg(not(feature = "breakages"))]
#[inline(always)]
pub const fn broken(_which: Breakage) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unlike_each_other_and_are_read_back() {
        let names: BTreeSet<&str> = Breakage::ALL.iter().map(|which| which.name()).collect();
        assert_eq!(names.len(), Breakage::ALL.len());
        for which in Breakage::ALL {
            assert_eq!(which.name().parse(), Ok(*which));
            assert!(which.what().ends_with('.') && !which.noticed_by().is_empty());
        }
        assert!("nothing".parse::<Breakage>().is_err());
    }

    #[cfg(feature = "breakages")]
    #[test]
    fn a_switch_is_on_in_its_thread_while_told_and_visits_are_counted() {
        take_visits();
        assert!(!broken(Breakage::NoBarrier));
        with(Some(Breakage::NoBarrier), || {
            assert!(broken(Breakage::NoBarrier) && !broken(Breakage::TimerTwice));
            with(None, || assert!(!broken(Breakage::NoBarrier)));
            std::thread::scope(|scope| scope.spawn(|| assert!(!broken(Breakage::NoBarrier))).join().unwrap());
            let _ = std::panic::catch_unwind(|| with(Some(Breakage::TimerTwice), || panic!("in between")));
            assert!(broken(Breakage::NoBarrier));
        });
        assert!(!broken(Breakage::NoBarrier));
        let visits = take_visits();
        assert_eq!(visits.iter().find(|(which, _)| *which == Breakage::NoBarrier), Some(&(Breakage::NoBarrier, 5)));
        assert!(take_visits().iter().all(|(_, visits)| *visits == 0));
    }

    #[test]
    fn what_is_optimized_and_has_the_switches_serves_nobody() {
        assert!(fits(false, false) && fits(false, true) && fits(true, true) && !fits(true, false));
        assert_eq!(fit_to_serve().is_ok(), cfg!(debug_assertions) || !POSSIBLE);
        assert!(NotFitToServe.to_string().contains("cargo build --release -p command-api"));
    }

    #[cfg(not(feature = "breakages"))]
    #[test]
    fn nothing_is_ever_broken() {
        assert!(!POSSIBLE && Breakage::ALL.iter().all(|which| !broken(*which)));
    }
}

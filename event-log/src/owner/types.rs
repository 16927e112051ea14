//! What goes into an owner and what comes out of it.

use std::time::Duration;

use domain::ids::CommandId;
use domain::root::Root;
use domain::saga::Outgoing;
use domain::value::{Actor, Fingerprint, Timestamp};
use uuid::Uuid;

use crate::log::{NewRecord, Partition, Traced};
use crate::validity::{Broken, Void};

/// What an owner has to know beside its state.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which partition.
    pub partition: Partition,
    /// How many partitions every topic has.
    pub partitions: u32,
    /// Who owns it, for people to read.
    pub instance: String,
    /// Where its commands are taken.
    pub url: String,
    /// No acknowledgement for so long means in doubt.
    pub ack_deadline: Duration,
    /// Answers that need no record of their own wait so long for a batch to join.
    pub barrier_after: Duration,
    /// No timer that ends something fires so soon after a take-over.
    pub takeover_grace: Duration,
    /// At most so many records without acknowledgement.
    pub in_flight: usize,
    /// At most so many commands waiting.
    pub mailbox: usize,
    /// Between two settled records.
    pub settle_every: Duration,
    /// A broker clock further off than this is not served with.
    pub clock_tolerance: Duration,
}

/// What time it is, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// UTC.
    pub wall: Timestamp,
    /// Since any fixed moment; never goes back.
    pub mono: Duration,
}

/// What a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The aggregate of this id.
    Id(Uuid),
    /// The aggregate that used this serial number.
    Serial(u64),
}

/// A command in the mailbox.
pub struct Submission<A: Root, R> {
    /// What it is for.
    pub target: Target,
    /// What is asked.
    pub ask: A::Ask,
    /// Who asks.
    pub by: Actor,
    /// What a repeat is recognised by.
    pub id: CommandId,
    /// HMAC of the body.
    pub hash: Fingerprint,
    /// The request that it all started with.
    pub correlation_id: Uuid,
    /// The command or event that caused it.
    pub causation_id: Uuid,
    /// The recorded trace that it is a step of.
    pub trace: Traced,
    /// Not decided after this moment of the monotonic clock.
    pub deadline: Option<Duration>,
    /// Whom to answer.
    pub reply: R,
}

/// What a command led to.
#[derive(Debug)]
pub enum Outcome<A: Root> {
    /// Carried out, now or before.
    Done(Box<Answer<A>>),
    /// The aggregate says no; nothing was written.
    Refused(A::Error),
    /// No aggregate has this serial number.
    NoSuchSerial,
    /// The id was used for another body.
    KeyReused,
    /// Its events would be larger than a frame may be.
    TooLarge,
    /// Not decided in time; nothing was written.
    TooLate,
    /// Too many wait already; nothing was written.
    Overloaded,
    /// The partition is being given up here; nothing was written. Whoever serves it next can be asked at once.
    NotServed,
    /// It may or may not have been carried out. The same id again finds out.
    InDoubt,
    /// The partition cannot be served.
    Broken,
}

/// A command was carried out.
#[derive(Debug)]
pub struct Answer<A> {
    /// The aggregate's id.
    pub id: Uuid,
    /// The aggregate as it is now, as far as the command was about it.
    pub state: A,
    /// Its version.
    pub version: u64,
    /// Whether this id had been carried out before.
    pub replayed: bool,
    /// How many events were written for it just now.
    pub written: usize,
    /// The last offset that the answer rests on.
    pub offset: i64,
    /// The log's name.
    pub identity: Uuid,
}

/// Something that the outbox wants done.
#[derive(Debug, Clone, PartialEq)]
pub struct Send {
    /// The offset of the event that caused it, and the position among what it causes: names it in `settled`.
    pub at: (i64, usize),
    /// The event.
    pub causation_id: Uuid,
    /// The request that it all started with.
    pub correlation_id: Uuid,
    /// What has to be done.
    pub outgoing: Outgoing,
    /// The recorded trace of the event.
    pub trace: Traced,
}

/// What the owner wants its driver to do, in order.
#[allow(clippy::large_enum_variant, reason = "outputs are moved once, straight to the driver")]
pub enum Output<A: Root, R> {
    /// Follow the partition from this offset; until the claim is back.
    Follow(i64),
    /// Stop following.
    Unfollow,
    /// Ask whether this process is still meant to own the partition, and say `vouched`.
    Vouch,
    /// Append these, the first one numbered so.
    Append { claim: Uuid, first_seq: u64, records: Vec<NewRecord> },
    /// Answer a caller.
    Answer(R, Outcome<A>),
    /// Get this done, and say `settled` when it was answered.
    Send(Send),
    /// It serves now.
    Serving { term: u32 },
    /// It serves no more, and tries again by itself.
    Doubt { reason: String, in_doubt: usize },
    /// A record did not count.
    Void(Void),
    /// It will never serve again without a person.
    Broken(Broken),
}

/// Where an owner is in its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waits for the state to go on from.
    Loading,
    /// Folds, and asks to be vouched for once it has reached the end (not before this moment).
    Folding { not_before: Duration },
    /// Has read everything and asked whether the partition is still meant to be its own; folds on.
    Vouching { since: Duration },
    /// Has appended a claim, and folds until it comes back, or until this moment. The append of one that is `failed` was
    /// reported as an error: it may lie in the log all the same.
    Claiming { claim: Uuid, until: Duration, failed: bool },
    /// Owns the partition.
    Serving,
    /// Stopped for good.
    Broken,
}

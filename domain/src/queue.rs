//! The waiting room in front of a show: who came when, whose turn it is, and who may order now.
//!
//! Invariant: there are never more live slots than the terms allow, and places are served in their order.

mod arrivals;
mod board;
mod draw;
mod flow;
mod marks;
mod places;
mod rules;
mod state;
mod terms;

use serde::{Deserialize, Serialize};

use crate::event_name::recorded;
use crate::ids::{OrderId, SessionId, ShowId, derived};
use crate::value::Timestamp;
pub use board::{Board, Stage};
pub use draw::{Draw, NotASeed, Seed};
pub use flow::{Mode, Setting};
pub use places::{Ending, Places, Slot, Standing};
pub use state::{Opened, WaitingRoom};
pub use terms::{Terms, TermsError};

/// An untied slot ends so long after its checkout token, seconds: an order placed in the last moment still ties it.
pub const TOKEN_GRACE_S: i64 = 30;

/// The session of the `number`th who joined the queue of a show; nothing has to be stored for it.
pub fn session(show: ShowId, number: u32) -> SessionId {
    SessionId(derived(show.0, "session", u64::from(number)))
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingRoomOpened {
    pub show: ShowId,
    pub organizer: String,
    /// `opens_at` is absent if it had passed: then everybody is served in the order of joining.
    pub terms: Terms,
    /// Where an admitted visitor is sent.
    pub checkout_url: Option<String>,
    /// Hex SHA-256 of the seed that draws the order of those who come before `opens_at`.
    pub draw_hash: Option<String>,
}

/// Why nobody waits any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    ShowCancelled,
    #[serde(other)]
    Unknown,
}

/// How people are let through from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueModeSet {
    pub show: ShowId,
    pub mode: Mode,
    /// People a minute; none for no limit.
    pub inflow_per_min: Option<i32>,
    /// The bits of the proof of work that joining takes; none for no proof.
    pub challenge_bits: Option<i32>,
}

/// Every place that has not ended ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingRoomClosed {
    pub show: ShowId,
    pub reason: CloseReason,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueJoined {
    pub show: ShowId,
    pub session: SessionId,
    /// The ordinal of joining, from 1.
    pub number: i64,
    /// Who joined: `account:<sub>` or `guest:<uuid>`.
    pub principal: String,
}

/// The moment of opening: numbers up to `count` are put in an order by the draw, later ones are served as they come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreQueueClosed {
    pub show: ShowId,
    pub count: i64,
}

/// The seed is public: place and number of the first `count` follow from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueDrawn {
    pub show: ShowId,
    /// Hex, 32 bytes; its SHA-256 was published before the first join.
    pub seed: String,
    pub count: i64,
}

/// It is somebody's turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueReady {
    pub show: ShowId,
    pub session: SessionId,
    pub number: i64,
    /// The order of service, from 1.
    pub place: i64,
    /// Who has not entered by then loses the place.
    pub enter_by: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutStarted {
    pub show: ShowId,
    pub session: SessionId,
    pub number: i64,
    /// When the checkout token ends.
    pub expires_at: Timestamp,
}

/// The slot belongs to an order now, and ends with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutTied {
    pub show: ShowId,
    pub session: SessionId,
    pub number: i64,
    pub order: OrderId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueLeft {
    pub show: ShowId,
    pub session: SessionId,
    pub number: i64,
    /// Whether there is a checkout token that must become worthless.
    pub entered: bool,
}

/// Admitted, but never entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueExpired {
    pub show: ShowId,
    pub session: SessionId,
    pub number: i64,
}

/// The order got its tickets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutCompleted {
    pub show: ShowId,
    pub session: SessionId,
    pub number: i64,
    pub order: OrderId,
}

/// The order ended without tickets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutFailed {
    pub show: ShowId,
    pub session: SessionId,
    pub number: i64,
    pub order: OrderId,
}

/// Entered, but never ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckoutExpired {
    pub show: ShowId,
    pub session: SessionId,
    pub number: i64,
}

/// What happened in the waiting room of a show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    WaitingRoomOpened(WaitingRoomOpened),
    WaitingRoomClosed(WaitingRoomClosed),
    QueueModeSet(QueueModeSet),
    QueueJoined(QueueJoined),
    PreQueueClosed(PreQueueClosed),
    QueueDrawn(QueueDrawn),
    QueueReady(QueueReady),
    CheckoutStarted(CheckoutStarted),
    CheckoutTied(CheckoutTied),
    QueueLeft(QueueLeft),
    QueueExpired(QueueExpired),
    CheckoutCompleted(CheckoutCompleted),
    CheckoutFailed(CheckoutFailed),
    CheckoutExpired(CheckoutExpired),
}

recorded!(Event, show; WaitingRoomOpened, WaitingRoomClosed, QueueModeSet, QueueJoined, PreQueueClosed, QueueDrawn, QueueReady, CheckoutStarted, CheckoutTied, QueueLeft, QueueExpired, CheckoutCompleted, CheckoutFailed, CheckoutExpired);

/// How the order of a checkout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckoutEnd {
    /// With tickets.
    Completed,
    /// Without.
    Failed,
}

/// What can be asked of a waiting room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// By the saga, once the show is published.
    Open(WaitingRoomOpened),
    /// By the saga, once the show is cancelled.
    Close { show: ShowId, reason: CloseReason },
    /// By the show's organizer: how people are let through from now on; the mode stays if none is given.
    SetFlow { mode: Option<Mode>, inflow_per_min: Setting, challenge_bits: Setting },
    /// By an account or a guest who has shown a proof of work of so many bits: a place, or the place they have.
    Join { proof_bits: i32 },
    /// By the worker that knows the seed, after the opening; hex, 32 bytes.
    Draw { seed: String },
    /// The time has come to open or to admit.
    Round,
    /// The time has come for somebody who did not come or did not order.
    Tick,
    /// By whoever showed the queue ticket of this number, made or renewed when it was `seen`.
    Enter { number: u32, seen: Timestamp },
    /// By whoever showed the queue ticket of this number.
    Leave { number: u32 },
    /// By the saga: the session has an order.
    Tie { session: SessionId, order: OrderId },
    /// By the saga: the order has ended.
    EndCheckout { session: SessionId, order: OrderId, end: CheckoutEnd },
    /// Decides nothing; answers with the state.
    Look,
}

/// Why a waiting room says no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// This show has no waiting room (yet), or nobody has this number.
    #[error("no such waiting room or place")]
    NotFound,
    /// The organizer takes nobody in for now.
    #[error("nobody may join now")]
    TakesNobody,
    /// A limit makes no sense.
    #[error("{field} {detail}")]
    BadTerms { field: String, detail: String },
    /// Joining takes a proof of work of so many bits.
    #[error("a proof of work of {bits} bits is needed")]
    ProofNeeded { bits: i32 },
    /// The waiting room is over.
    #[error("the waiting room is closed")]
    Closed,
    /// It is not this visitor's turn yet.
    #[error("not admitted yet")]
    NotAdmitted,
    /// The place has ended, or its queue ticket was not shown for too long.
    #[error("the place is lost")]
    PlaceLost,
    /// The slot belongs to an order: that is to be cancelled.
    #[error("an order was placed from this place")]
    InOrder,
    /// Not the seed that was promised, or nothing is to be drawn now.
    #[error("this is not the seed that was promised")]
    BadSeed,
    /// The actor may not do that.
    #[error("this role may not do that")]
    Forbidden,
}

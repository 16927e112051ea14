//! What is put on sale: a show, its ticket classes, and its way from draft to published.

mod checks;
mod rules;
mod state;

use serde::{Deserialize, Serialize};

use crate::event_name::recorded;
use crate::ids::{ShowId, TicketClassId};
use crate::queue;
use crate::value::{Currency, Fingerprint, Timestamp};
pub use state::{Class, Known, Show};

/// What people read about a show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowDetails {
    /// 1 to 200 characters.
    pub name: String,
    /// At most 10,000 characters.
    pub description: Option<String>,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends; not before it begins.
    pub ends_at: Option<Timestamp>,
    /// IANA zone of the venue, such as `Asia/Ho_Chi_Minh`.
    pub time_zone: String,
    /// The venue's name.
    pub venue_name: String,
    /// The venue's city.
    pub venue_city: Option<String>,
    /// In what everything of this show is priced.
    pub currency: Currency,
    /// Free words to find it by.
    pub categories: Vec<String>,
}

/// The terms of a ticket class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassTerms {
    /// Which class.
    pub ticket_class: TicketClassId,
    /// 1 to 200 characters.
    pub name: String,
    /// Of one ticket, minor units of the show's currency; not negative.
    pub price: i64,
    /// How many there are; not negative.
    pub capacity: i64,
    /// Sold from this moment on; at once if absent.
    pub sale_starts_at: Option<Timestamp>,
    /// Sold before this moment.
    pub sale_ends_at: Option<Timestamp>,
    /// At most so many in one order, 1 to 100.
    pub max_per_order: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowCreated {
    pub show: ShowId,
    /// Principal of who runs it, `account:<sub>`.
    pub organizer: String,
    pub details: ShowDetails,
    pub fingerprint: Fingerprint,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowEdited {
    pub show: ShowId,
    /// All details as they are from now on.
    pub details: ShowDetails,
}

/// A class was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketClassDefined {
    pub show: ShowId,
    pub terms: ClassTerms,
    pub fingerprint: Fingerprint,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketClassEdited {
    pub show: ShowId,
    /// All terms as they are from now on.
    pub terms: ClassTerms,
}

/// How it is sold was settled; may be repeated until approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowConfigured {
    pub show: ShowId,
    /// Seconds a buyer has to pay.
    pub pay_within_s: i64,
    /// Where an admitted visitor is sent.
    pub checkout_url: Option<String>,
    /// The waiting room in front of it, if it has one.
    pub waiting_room: Option<queue::Terms>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowApproved {
    pub show: ShowId,
}

/// From here on prices and capacity are the inventory's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowPublished {
    pub show: ShowId,
    pub organizer: String,
    pub currency: Currency,
    pub pay_within_s: i64,
    pub classes: Vec<ClassTerms>,
    /// Where an admitted visitor is sent.
    pub checkout_url: Option<String>,
    /// The waiting room in front of it, if it has one.
    pub waiting_room: Option<queue::Terms>,
    /// Hex SHA-256 of the seed that draws the order of those who come before the waiting room opens.
    pub draw_hash: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowCancelled {
    pub show: ShowId,
    /// Whether it had been published, so that sales have to be closed.
    pub published: bool,
    /// Whether it has a waiting room, so that this has to be closed too.
    pub waiting_room: bool,
}

/// What happened to a show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    ShowCreated(ShowCreated),
    ShowEdited(ShowEdited),
    TicketClassDefined(TicketClassDefined),
    TicketClassEdited(TicketClassEdited),
    ShowConfigured(ShowConfigured),
    ShowApproved(ShowApproved),
    ShowPublished(ShowPublished),
    ShowCancelled(ShowCancelled),
}

recorded!(Event, show; ShowCreated, ShowEdited, TicketClassDefined, TicketClassEdited, ShowConfigured, ShowApproved, ShowPublished, ShowCancelled);

/// A change of details: only what is `Some` changes; `Some(None)` clears.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DetailsPatch {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub starts_at: Option<Timestamp>,
    pub ends_at: Option<Option<Timestamp>>,
    pub time_zone: Option<String>,
    pub venue_name: Option<String>,
    pub venue_city: Option<Option<String>>,
    pub currency: Option<Currency>,
    pub categories: Option<Vec<String>>,
}

/// A change of terms: only what is `Some` changes; `Some(None)` clears.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TermsPatch {
    pub name: Option<String>,
    pub price: Option<i64>,
    pub capacity: Option<i64>,
    pub sale_starts_at: Option<Option<Timestamp>>,
    pub sale_ends_at: Option<Option<Timestamp>>,
    pub max_per_order: Option<i32>,
}

/// What can be asked of a show. Only its organizer or an admin may; approving is an admin's alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Create {
        show: ShowId,
        details: ShowDetails,
    },
    Edit {
        patch: DetailsPatch,
    },
    DefineClass {
        terms: ClassTerms,
    },
    EditClass {
        ticket_class: TicketClassId,
        patch: TermsPatch,
    },
    Configure {
        pay_within_s: i64,
        checkout_url: Option<String>,
        waiting_room: Option<queue::Terms>,
    },
    Approve,
    Publish {
        /// Hex SHA-256 of the seed that would draw the order of a pre-queue.
        draw_hash: Option<String>,
    },
    Cancel,
    /// Decides nothing; answers with the state if the actor may see it.
    Look,
}

/// Where a show is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    #[default]
    Draft,
    Configured,
    Approved,
    Published,
    Cancelled,
}

/// Why a show says no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// No such show, or somebody else's.
    #[error("no such show")]
    NotFound,
    /// No such class in this show.
    #[error("no such ticket class")]
    ClassNotFound,
    /// The id is taken by a thing with another body.
    #[error("it exists already with another body")]
    AlreadyExists,
    /// The actor's role does not allow it.
    #[error("this role may not do that")]
    Forbidden,
    /// Not in this status.
    #[error("not possible while the show is {status:?}")]
    WrongStatus { status: Status },
    /// Nothing to sell.
    #[error("a show needs a ticket class before it is published")]
    NoTicketClass,
    /// 100 classes are the limit.
    #[error("a show has at most {max} ticket classes")]
    TooManyClasses { max: usize },
    /// The patched whole would contradict itself; `field` as in the JSON body.
    #[error("{field}: {detail}")]
    Invalid { field: String, detail: String },
}

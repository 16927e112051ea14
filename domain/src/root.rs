//! What every aggregate root offers to the owner of its partition, beside `cqrs_es::Aggregate`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::Event;
use crate::value::{Actor, Fingerprint, Timestamp};

/// The bounded contexts; each has one topic and one aggregate type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Context {
    /// Shows.
    Catalog,
    /// Stock and who holds it.
    Inventory,
    /// Orders.
    Order,
    /// Payments.
    Payment,
    /// Issued tickets.
    Ticket,
    /// Waiting rooms.
    Queue,
    /// Persons.
    Account,
}

impl Context {
    /// Every context, in a fixed order.
    pub const ALL: [Self; 7] =
        [Self::Catalog, Self::Inventory, Self::Order, Self::Payment, Self::Ticket, Self::Queue, Self::Account];

    /// The topic's name without the namespace.
    pub fn topic(self) -> &'static str {
        match self {
            Self::Catalog => "catalog-events",
            Self::Inventory => "inventory-events",
            Self::Order => "order-events",
            Self::Payment => "payment-events",
            Self::Ticket => "ticket-events",
            Self::Queue => "queue-events",
            Self::Account => "account-events",
        }
    }
}

/// A command as it reaches an aggregate: with who, when and what the owner numbered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Issued<C> {
    /// What is asked.
    pub command: C,
    /// Who asks.
    pub by: Actor,
    /// When the owner took it; never before the last record of its partition.
    pub at: Timestamp,
    /// HMAC of the request's canonical body.
    pub fingerprint: Fingerprint,
    /// The partition's next serial number: unique over all partitions, and tells its partition by the remainder.
    pub serial: u64,
}

/// An aggregate root that a partition owner can hold.
pub trait Root:
    cqrs_es::Aggregate<
        Services = (),
        Command = Issued<<Self as Root>::Ask>,
        Event: Into<Event> + TryFrom<Event>,
        Error: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
    > + Clone
    + std::fmt::Debug
    + 'static
{
    /// The bare command, without its envelope.
    type Ask: Clone + std::fmt::Debug + Serialize + DeserializeOwned + Send + 'static;
    /// What an answer is about, where the state is large; else nothing.
    type About: Default;
    /// The context, and so the topic, of this aggregate.
    const CONTEXT: Context;

    /// When this aggregate next wants to be told the time, if ever.
    fn next_due(&self) -> Option<Timestamp>;

    /// The command that a due timer sends.
    fn due() -> Self::Ask;

    /// When this aggregate next wants to go on with what it does in rounds, if ever. Unlike what is due, a round
    /// takes nothing from anybody, so it is not held back after a take-over.
    fn next_round(&self) -> Option<Timestamp> {
        None
    }

    /// The command that begins a round.
    fn round() -> Self::Ask {
        Self::due()
    }

    /// What an answer to this command of this actor is about.
    fn about(_ask: &Self::Ask, _by: &Actor) -> Self::About {
        Self::About::default()
    }

    /// What an answer needs of the state. A state that is small goes as it is. Whoever keeps a part of a large one makes the
    /// next command copy what it could have changed in place.
    fn relevant(&self, _about: &Self::About) -> Self {
        self.clone()
    }

    /// Whether something outside has to be asked from time to time (an open payment).
    fn watched(&self) -> bool {
        false
    }

    /// The serial number that this event used up.
    fn serial(_event: &Self::Event) -> Option<u64> {
        None
    }

    /// The id of the aggregate that an event belongs to (its record key).
    fn id(event: &Self::Event) -> Uuid;
}

/// What is known of an event beside its own fields; every event schema starts with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Unique; UUIDv5 of the command's id and the version.
    pub event_id: Uuid,
    /// When it was decided, stamped by the owner.
    pub occurred_at: Timestamp,
    /// The aggregate's version after this event, from 1.
    pub version: i64,
    /// The request that all this started with.
    pub correlation_id: Uuid,
    /// The command (from outside) or event (saga) that caused this.
    pub causation_id: Uuid,
    /// Who acted: `account:<sub>`, `guest:<uuid>`, `order:<uuid>` or `system`.
    pub actor: String,
}

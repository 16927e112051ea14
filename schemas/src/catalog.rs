//! Every record type there is: its schema file, and the subject it is registered under.
//!
//! Invariant: a domain event without a schema file does not compile.

use domain::event::Event;
use domain::root::Context;
use domain::{account, inventory, order, payment, queue, show, ticket};

use crate::datum::BadDatum;
use crate::person_key::PERSON_KEY_TOPIC;
use crate::shape::Shape;
use crate::write::Unfit;

macro_rules! events {
    ($($group:ident($module:ident, $context:ident, $folder:literal) { $($name:ident,)* })*) => {
        /// The type of a domain event, named as its Rust struct and its Avro record.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventType {
            $($(#[doc = concat!("`boxoffice.", $folder, ".", stringify!($name), "`.")] $name,)*)*
        }

        impl EventType {
            /// Every type, by context.
            pub const ALL: &'static [Self] = &[$($(Self::$name,)*)*];

            /// The type of an event.
            pub fn of(event: &Event) -> Self {
                match event {
                    $($(Event::$group($module::Event::$name(_)) => Self::$name,)*)*
                }
            }

            /// The context whose topic carries it.
            pub fn context(self) -> Context {
                match self {
                    $($(Self::$name)|* => Context::$context,)*
                }
            }

            /// The record's name without its namespace.
            pub fn name(self) -> &'static str {
                match self {
                    $($(Self::$name => stringify!($name),)*)*
                }
            }

            fn full_name(self) -> &'static str {
                match self {
                    $($(Self::$name => concat!("boxoffice.", $folder, ".", stringify!($name)),)*)*
                }
            }

            fn text(self) -> &'static str {
                match self {
                    $($(Self::$name => include_str!(concat!("../avro/", $folder, "/", stringify!($name), ".avsc")),)*)*
                }
            }
        }

        /// Writes the event's own fields, without `meta`.
        pub(crate) fn write_body(shape: &Shape, event: &Event, out: &mut Vec<u8>) -> Result<(), Unfit> {
            match event {
                $($(Event::$group($module::Event::$name(body)) => shape.write(body, out),)*)*
            }
        }

        /// Reads the event's own fields, without `meta`.
        pub(crate) fn read_body<'de>(
            shape: &'de Shape,
            event_type: EventType,
            datum: &mut &'de [u8],
        ) -> Result<Event, BadDatum> {
            match event_type {
                $($(EventType::$name => shape
                    .read(datum)
                    .map(|body| Event::$group($module::Event::$name(body))),)*)*
            }
        }
    };
}

events! {
    Show(show, Catalog, "catalog") {
        ShowCreated,
        ShowEdited,
        TicketClassDefined,
        TicketClassEdited,
        ShowConfigured,
        ShowApproved,
        ShowPublished,
        ShowCancelled,
    }
    Inventory(inventory, Inventory, "inventory") {
        SalesOpened,
        SalesClosed,
        PriceChanged,
        CapacityChanged,
        TicketsReserved,
        ReservationConfirmed,
        ReservationReleased,
        ReservationExpired,
        SessionBarred,
    }
    Order(order, Order, "order") {
        OrderCreated,
        OrderPaymentAdded,
        OrderPaymentEnded,
        OrderOverdue,
        OrderPaid,
        OrderCompleted,
        OrderCancelled,
        OrderFailed,
        OrderStuck,
        OrderTicketsRefunded,
    }
    Payment(payment, Payment, "payment") {
        PaymentRequested,
        PaymentIntentCreated,
        PaymentPartiallyReceived,
        PaymentCompleted,
        PaymentFailed,
        PaymentClosureRequested,
        PaymentExpired,
        PaymentQuarantined,
        RefundRequested,
        PaymentRefunded,
        RefundFailed,
    }
    Ticket(ticket, Ticket, "ticket") {
        TicketsIssued,
        TicketsRevoked,
        TicketRevoked,
    }
    Queue(queue, Queue, "queue") {
        WaitingRoomOpened,
        WaitingRoomClosed,
        QueueModeSet,
        QueueJoined,
        PreQueueClosed,
        QueueDrawn,
        QueueReady,
        CheckoutStarted,
        CheckoutTied,
        QueueLeft,
        QueueExpired,
        CheckoutCompleted,
        CheckoutFailed,
        CheckoutExpired,
    }
    Account(account, Account, "account") {
        PersonErased,
    }
}

/// The type of any record that has a schema in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordType {
    /// A domain event; its schema starts with `meta`.
    Event(EventType),
    /// `boxoffice.log.PartitionClaimed`.
    PartitionClaimed,
    /// `boxoffice.log.Barrier`.
    Barrier,
    /// `boxoffice.log.Settled`.
    Settled,
    /// `boxoffice.person.PersonKey`.
    PersonKey,
}

impl RecordType {
    const OTHERS: [Self; 4] = [Self::PartitionClaimed, Self::Barrier, Self::Settled, Self::PersonKey];

    /// Every type, in the order of [`RecordType::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        EventType::ALL.iter().copied().map(Self::Event).chain(Self::OTHERS)
    }

    /// The type with this full name, such as `boxoffice.order.OrderPaid`.
    pub fn named(full_name: &str) -> Option<Self> {
        Self::all().find(|record| record.full_name() == full_name)
    }

    /// The Avro full name.
    pub fn full_name(self) -> &'static str {
        match self {
            Self::Event(event) => event.full_name(),
            Self::PartitionClaimed => "boxoffice.log.PartitionClaimed",
            Self::Barrier => "boxoffice.log.Barrier",
            Self::Settled => "boxoffice.log.Settled",
            Self::PersonKey => "boxoffice.person.PersonKey",
        }
    }

    /// The text of its schema file, as it goes to the registry.
    pub fn text(self) -> &'static str {
        match self {
            Self::Event(event) => event.text(),
            Self::PartitionClaimed => include_str!("../avro/log/PartitionClaimed.avsc"),
            Self::Barrier => include_str!("../avro/log/Barrier.avsc"),
            Self::Settled => include_str!("../avro/log/Settled.avsc"),
            Self::PersonKey => include_str!("../avro/person/PersonKey.avsc"),
        }
    }

    /// The registry subject: `<topic>-<full name>`, and for control records, which lie in every event topic, the full
    /// name alone. A namespace other than the empty one comes first, with a dot.
    pub fn subject(self, namespace: &str) -> String {
        let prefix = if namespace.is_empty() { String::new() } else { format!("{namespace}.") };
        let name = self.full_name();
        match self {
            Self::Event(event) => format!("{prefix}{}-{name}", event.context().topic()),
            Self::PersonKey => format!("{prefix}{PERSON_KEY_TOPIC}-{name}"),
            Self::PartitionClaimed | Self::Barrier | Self::Settled => format!("{prefix}{name}"),
        }
    }

    /// Its place in [`RecordType::all`].
    pub(crate) fn index(self) -> usize {
        let after_events = EventType::ALL.len();
        match self {
            Self::Event(event) => event as usize,
            Self::PartitionClaimed => after_events,
            Self::Barrier => after_events + 1,
            Self::Settled => after_events + 2,
            Self::PersonKey => after_events + 3,
        }
    }
}

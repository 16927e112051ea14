//! The events and commands of all contexts as one type each, for sagas, codecs and projections.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{OrderId, PaymentId, PersonId, ShowId};
use crate::root::Context;
use crate::{account, inventory, order, payment, queue, show, ticket};

/// Any domain event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// Of `catalog-events`.
    Show(show::Event),
    /// Of `inventory-events`.
    Inventory(inventory::Event),
    /// Of `order-events`.
    Order(order::Event),
    /// Of `payment-events`.
    Payment(payment::Event),
    /// Of `ticket-events`.
    Ticket(ticket::Event),
    /// Of `queue-events`.
    Queue(queue::Event),
    /// Of `account-events`.
    Account(account::Event),
}

impl Event {
    /// The context it belongs to.
    pub fn context(&self) -> Context {
        match self {
            Self::Show(_) => Context::Catalog,
            Self::Inventory(_) => Context::Inventory,
            Self::Order(_) => Context::Order,
            Self::Payment(_) => Context::Payment,
            Self::Ticket(_) => Context::Ticket,
            Self::Queue(_) => Context::Queue,
            Self::Account(_) => Context::Account,
        }
    }

    /// The record's name, in Rust and in Avro.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Show(event) => event.name(),
            Self::Inventory(event) => event.name(),
            Self::Order(event) => event.name(),
            Self::Payment(event) => event.name(),
            Self::Ticket(event) => event.name(),
            Self::Queue(event) => event.name(),
            Self::Account(event) => event.name(),
        }
    }

    /// The aggregate it belongs to: its record key.
    pub fn aggregate(&self) -> Uuid {
        match self {
            Self::Show(event) => event.aggregate(),
            Self::Inventory(event) => event.aggregate(),
            Self::Order(event) => event.aggregate(),
            Self::Payment(event) => event.aggregate(),
            Self::Ticket(event) => event.aggregate(),
            Self::Queue(event) => event.aggregate(),
            Self::Account(event) => event.aggregate(),
        }
    }
}

impl Command {
    /// The context and aggregate it is for.
    pub fn target(&self) -> (Context, Uuid) {
        match self {
            Self::Show(id, _) => (Context::Catalog, id.0),
            Self::Inventory(id, _) => (Context::Inventory, id.0),
            Self::Order(id, _) => (Context::Order, id.0),
            Self::Payment(id, _) => (Context::Payment, id.0),
            Self::Ticket(id, _) => (Context::Ticket, id.0),
            Self::Queue(id, _) => (Context::Queue, id.0),
            Self::Account(id, _) => (Context::Account, id.0),
        }
    }
}

macro_rules! wraps {
    ($($variant:ident($module:ident);)*) => {$(
        impl From<$module::Event> for Event {
            fn from(event: $module::Event) -> Self {
                Self::$variant(event)
            }
        }

        impl TryFrom<Event> for $module::Event {
            type Error = Event;

            fn try_from(event: Event) -> Result<Self, Event> {
                match event {
                    Event::$variant(event) => Ok(event),
                    other => Err(other),
                }
            }
        }
    )*};
}

wraps! {
    Show(show);
    Inventory(inventory);
    Order(order);
    Payment(payment);
    Ticket(ticket);
    Queue(queue);
    Account(account);
}

/// Any command with the aggregate it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// To a show.
    Show(ShowId, show::Command),
    /// To the stock of a show.
    Inventory(ShowId, inventory::Command),
    /// To an order.
    Order(OrderId, order::Command),
    /// To a payment.
    Payment(PaymentId, payment::Command),
    /// To the tickets of an order.
    Ticket(OrderId, ticket::Command),
    /// To the waiting room of a show.
    Queue(ShowId, queue::Command),
    /// To a person.
    Account(PersonId, account::Command),
}

/// Why an aggregate said no, of any context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// A show's.
    Show(show::Refusal),
    /// An inventory's.
    Inventory(inventory::Refusal),
    /// An order's.
    Order(order::Refusal),
    /// A payment's.
    Payment(payment::Refusal),
    /// A ticket batch's.
    Ticket(ticket::Refusal),
    /// A waiting room's.
    Queue(queue::Refusal),
    /// A person's.
    Account(account::Refusal),
}

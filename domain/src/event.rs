//! The events and commands of all contexts as one type each, for sagas, codecs and projections.

use serde::{Deserialize, Serialize};

use crate::ids::{OrderId, PaymentId, ShowId};
use crate::{inventory, order, payment, show, ticket};

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
}

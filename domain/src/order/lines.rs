//! The lines of an order in 26 bytes each: there are millions of orders, and each keeps its own.

use serde::{Deserialize, Serialize};

use crate::ids::TicketClassId;
use crate::value::PricedLine;

/// A `PricedLine` without the bytes that alignment costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PricedLine", into = "PricedLine")]
pub(super) struct PackedLine {
    ticket_class: TicketClassId,
    quantity: [u8; 2],
    unit_price: [u8; 8],
}

impl From<PricedLine> for PackedLine {
    fn from(line: PricedLine) -> Self {
        let quantity = u16::try_from(line.quantity).expect("a line has 1 to 100 tickets");
        Self {
            ticket_class: line.ticket_class,
            quantity: quantity.to_ne_bytes(),
            unit_price: line.unit_price.to_ne_bytes(),
        }
    }
}

impl From<PackedLine> for PricedLine {
    fn from(line: PackedLine) -> Self {
        Self {
            ticket_class: line.ticket_class,
            quantity: u16::from_ne_bytes(line.quantity).into(),
            unit_price: i64::from_ne_bytes(line.unit_price),
        }
    }
}

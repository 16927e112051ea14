//! One who joined a waiting room, and where that one is now.

use domain::ids::{OrderId, SessionId};
use domain::value::Timestamp;

/// Where a visitor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Waits.
    Waiting,
    /// May enter until then.
    Admitted(Timestamp),
    /// Has a checkout token that ends then.
    InCheckout(Timestamp),
    /// Has placed this order.
    Tied(OrderId),
    /// Left.
    Left,
    /// Never entered.
    Lapsed,
    /// Never ordered.
    Expired,
    /// The order got its tickets.
    Completed(OrderId),
    /// The order ended without tickets.
    Failed(OrderId),
    /// The room was closed.
    Closed,
}

impl At {
    /// Whether it takes a slot.
    pub fn live(self) -> bool {
        matches!(self, Self::Admitted(_) | Self::InCheckout(_) | Self::Tied(_))
    }

    /// Whether the visitor has nothing more to wait for.
    pub fn over(self) -> bool {
        self != Self::Waiting && !self.live()
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Admitted(_) => "admitted",
            Self::InCheckout(_) => "in checkout",
            Self::Tied(_) => "ordered",
            Self::Left => "left",
            Self::Lapsed => "never entered",
            Self::Expired => "never ordered",
            Self::Completed(_) => "completed",
            Self::Failed(_) => "order ended",
            Self::Closed => "closed",
        }
    }
}

/// One who joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// Its session.
    pub session: SessionId,
    /// When it joined.
    pub joined_at: Timestamp,
    /// When it was admitted.
    pub admitted_at: Option<Timestamp>,
    /// Its place by the log, once it was admitted.
    pub place: Option<u32>,
    /// When its checkout token ends, if it ever got one.
    pub token_ends: Option<Timestamp>,
    /// Where it is.
    pub at: At,
}

//! Every waiting room, and the orders that were placed through one.

mod draw;
mod flow;
mod laws;
mod room;
#[cfg(test)]
mod tests;
mod visitor;

pub use draw::{Draw, hash_of};
pub use laws::{always, at_rest};
pub use room::Room;
pub use visitor::{At, Visitor};

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::{OrderId, SessionId, ShowId};
use domain::value::Timestamp;
use domain::{inventory, queue};

use super::report::Faults;

/// Every waiting room, and the orders that were placed through one.
#[derive(Debug, Clone, Default)]
pub struct Queues {
    /// By show.
    pub rooms: BTreeMap<ShowId, Room>,
    /// How many events of waiting rooms there are.
    pub events: u64,
    /// Every order by its first attempt.
    pub placed: BTreeMap<(ShowId, OrderId), Placed>,
    /// Shows whose sale says that it has a waiting room.
    pub guarded: BTreeSet<ShowId>,
    /// Where an order was placed by a session that had left, or had an order.
    pub sessions: Faults,
    barred: BTreeSet<SessionId>,
    ordered: BTreeMap<SessionId, OrderId>,
}

/// How an order came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// By whose checkout token.
    pub session: Option<SessionId>,
    /// When.
    pub at: Timestamp,
}

impl Queues {
    /// Takes the next event of `queue-events` in.
    pub fn fold(&mut self, event: &queue::Event, at: Timestamp) {
        self.events += 1;
        self.rooms.entry(ShowId(event.aggregate())).or_default().fold(event, at);
    }

    /// Takes the next event of `inventory-events` in.
    pub fn fold_inventory(&mut self, event: &inventory::Event, at: Timestamp) {
        match event {
            inventory::Event::SalesOpened(opened) if opened.waiting_room => {
                self.guarded.insert(opened.show);
            }
            inventory::Event::SessionBarred(barred) => {
                self.barred.insert(barred.session);
            }
            inventory::Event::TicketsReserved(reserved) => self.place(reserved, at),
            _ => {}
        }
    }

    /// Whether the checkout token of a session is good for nothing any more.
    pub fn worthless(&self, session: SessionId) -> bool {
        self.barred.contains(&session) || self.ordered.contains_key(&session)
    }

    /// How many orders were placed through a waiting room.
    pub fn through_rooms(&self) -> usize {
        self.placed.keys().filter(|(show, _)| self.guarded.contains(show)).count()
    }

    fn place(&mut self, reserved: &inventory::TicketsReserved, at: Timestamp) {
        // Later attempts are the same order.
        let Some(checkout) = &reserved.checkout else { return };
        let session = checkout.session;
        self.placed.insert((reserved.show, reserved.order), Placed { session, at });
        let Some(session) = session else { return };
        if self.barred.contains(&session) {
            self.sessions.add(format!("order {} was placed by a session that had left", reserved.order));
        }
        if let Some(other) = self.ordered.insert(session, reserved.order) {
            self.sessions.add(format!("orders {other} and {} were placed by one session", reserved.order));
        }
    }
}

//! What is counted while buyers buy.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use check::Promised;
use domain::ids::{OrderId, ShowId, TicketId};

use super::plan::{Act, Staff};
use crate::stack;

/// How far the drill is, and what buyers saw.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Seen>);

/// What buyers saw.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// What the shop promised them.
    pub promised: Promised,
    /// Buyers by what they did and what they saw of it at last.
    pub stories: BTreeMap<(Act, &'static str), u64>,
    /// Orders that staff gave back: all of it, and one ticket.
    pub by_staff: [u64; 2],
    /// Orders of a class that was sold out, which then took another.
    pub sold_out: u64,
    /// What should not have happened.
    pub wrong: Vec<String>,
}

impl Tally {
    /// Notes an order that was acknowledged.
    pub fn acknowledged(&self, order: OrderId, show: ShowId) {
        self.with(|seen| seen.promised.orders.push((order, show)));
    }

    /// Notes tickets that were handed out.
    pub fn handed_out(&self, order: OrderId, tickets: impl Iterator<Item = TicketId>) {
        self.with(|seen| seen.promised.tickets.extend(tickets.map(|ticket| (order, ticket))));
    }

    /// Notes that staff gave money back.
    pub fn gave_back(&self, how: Staff) {
        self.with(|seen| {
            seen.by_staff[match how {
                Staff::Whole => 0,
                Staff::OneTicket => 1,
            }] += 1;
        });
    }

    /// Notes that too little was left of a class.
    pub fn sold_out(&self) {
        self.with(|seen| seen.sold_out += 1);
    }

    /// Notes what a buyer saw at last.
    pub fn ended(&self, act: Act, end: &'static str) {
        self.with(|seen| *seen.stories.entry((act, end)).or_default() += 1);
    }

    /// Notes something that should not have happened, and says so.
    pub fn wrong(&self, what: String) {
        stack::say(&what);
        self.with(|seen| seen.wrong.push(what));
    }

    /// How many orders were acknowledged, how many buyers are through, and how many met something wrong.
    pub fn progress(&self) -> (usize, u64, usize) {
        self.with(|seen| (seen.promised.orders.len(), seen.stories.values().sum(), seen.wrong.len()))
    }

    /// All of it.
    pub fn seen(&self) -> Seen {
        self.with(|seen| seen.clone())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Seen) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

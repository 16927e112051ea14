//! What is counted while buyers buy.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::ids::{OrderId, ShowId, TicketId};

use super::plan::Act;
use check::Promised;

/// How a buyer's story ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Has so many tickets.
    Completed(u32),
    /// Gave up, because everything was sold.
    SoldOut,
    /// Left the queue while waiting.
    Left,
    /// Was admitted and never entered.
    NeverEntered,
    /// Entered and never ordered.
    NeverOrdered,
    /// The order ended without money.
    Expired,
    /// Money came and goes back.
    RefundDue,
    /// Money came that nobody asked for, and a person has to look at it.
    Quarantined,
    /// Something went wrong that should not.
    Failed(String),
}

/// How far along buyers are, ever.
#[derive(Debug, Default)]
pub struct Counters {
    /// Came.
    pub joined: AtomicU64,
    /// Got a place in the queue; who comes again gets another one.
    pub queued: AtomicU64,
    /// Got a checkout token.
    pub entered: AtomicU64,
    /// Missed the turn and came again.
    pub missed: AtomicU64,
    /// Streams that were opened again.
    pub streams_again: AtomicU64,
    /// Left the queue, never entered or never ordered, as they meant to.
    pub strayed: AtomicU64,
    /// Got a reservation.
    pub reserved: AtomicU64,
    /// Saw a page to pay at.
    pub awaiting: AtomicU64,
    /// Have tickets.
    pub completed: AtomicU64,
    /// Gave up, because everything was sold.
    pub sold_out: AtomicU64,
    /// Ended without tickets.
    pub expired: AtomicU64,
    /// Went wrong.
    pub failed: AtomicU64,
    /// Times that an order was refused, because too little was left.
    pub refusals: AtomicU64,
}

/// A step that is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Joining the queue.
    Join,
    /// Asking how it goes.
    Status,
    /// Entering, once it is one's turn.
    Enter,
    /// From ordering to the acknowledgement.
    Place,
    /// From there to a page to pay at.
    Page,
    /// From having paid to the completed order.
    Complete,
    /// Fetching the tickets.
    Tickets,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 7] =
        [Self::Join, Self::Status, Self::Enter, Self::Place, Self::Page, Self::Complete, Self::Tickets];

    /// What people read.
    pub fn name(self) -> &'static str {
        match self {
            Self::Join => "join the queue",
            Self::Status => "ask for the status",
            Self::Enter => "enter",
            Self::Place => "place an order",
            Self::Page => "payment page",
            Self::Complete => "paid to completed",
            Self::Tickets => "fetch the tickets",
        }
    }
}

/// What is counted while buyers buy.
#[derive(Debug, Default)]
pub struct Tally {
    /// For the line of progress.
    pub counters: Counters,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    steps: BTreeMap<Step, Vec<Duration>>,
    outcomes: Vec<(Act, Outcome)>,
    promised: Promised,
}

impl Tally {
    /// Notes how long a step took.
    pub fn took(&self, step: Step, time: Duration) {
        self.with(|inner| inner.steps.entry(step).or_default().push(time));
    }

    /// Notes an order that was acknowledged.
    pub fn acknowledged(&self, order: OrderId, show: ShowId) {
        bump(&self.counters.reserved);
        self.with(|inner| inner.promised.orders.push((order, show)));
    }

    /// Notes tickets that were handed out.
    pub fn handed_out(&self, order: OrderId, tickets: impl Iterator<Item = TicketId>) {
        self.with(|inner| inner.promised.tickets.extend(tickets.map(|ticket| (order, ticket))));
    }

    /// Notes how a story ended.
    pub fn ended(&self, act: Act, outcome: Outcome) {
        bump(match &outcome {
            Outcome::Completed(_) => &self.counters.completed,
            Outcome::SoldOut => &self.counters.sold_out,
            Outcome::Left | Outcome::NeverEntered | Outcome::NeverOrdered => &self.counters.strayed,
            Outcome::Expired | Outcome::RefundDue | Outcome::Quarantined => &self.counters.expired,
            Outcome::Failed(_) => &self.counters.failed,
        });
        self.with(|inner| inner.outcomes.push((act, outcome)));
    }

    /// Every story's part and end.
    pub fn outcomes(&self) -> Vec<(Act, Outcome)> {
        self.with(|inner| inner.outcomes.clone())
    }

    /// What the shop promised.
    pub fn promised(&self) -> Promised {
        self.with(|inner| inner.promised.clone())
    }

    /// How long a step took: count, median, p95 and p99.
    pub fn times(&self, step: Step) -> (usize, [Duration; 3]) {
        let mut times = self.with(|inner| inner.steps.get(&step).cloned().unwrap_or_default());
        times.sort();
        (times.len(), [50, 95, 99].map(|percent| percentile(&times, percent)))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One more.
pub fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The smallest value that so many percent do not exceed (nearest rank); 0 of nothing.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let ms = |n| Duration::from_millis(n);
        let hundred: Vec<Duration> = (1..=100).map(ms).collect();
        assert_eq!([50, 95, 99, 100].map(|percent| percentile(&hundred, percent)), [ms(50), ms(95), ms(99), ms(100)]);
        assert_eq!([50, 99].map(|percent| percentile(&[ms(3), ms(9)], percent)), [ms(3), ms(9)]);
        assert_eq!(percentile(&[ms(7)], 50), ms(7));
        assert_eq!(percentile(&[], 99), ms(0));
    }

    #[test]
    fn stories_are_counted_by_their_end() {
        let tally = Tally::default();
        tally.ended(Act::Pay, Outcome::Completed(2));
        tally.ended(Act::PartOnly, Outcome::RefundDue);
        tally.ended(Act::Pay, Outcome::Failed("x".to_owned()));
        let counters = &tally.counters;
        let seen = [&counters.completed, &counters.expired, &counters.failed].map(|it| it.load(Ordering::Relaxed));
        assert_eq!((seen, tally.outcomes().len()), ([1, 1, 1], 3));
    }
}

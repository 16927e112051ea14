//! The stock of every show, recomputed from `inventory-events` by sums of its own: no rule of the aggregate is used.

use std::collections::BTreeMap;
use std::fmt::Display;

use domain::ids::{OrderId, ShowId, TicketClassId};
use domain::inventory::{Event, ReleaseReason, ReservationReleased, SalesOpened, TicketsReserved};
use domain::value::{Currency, Line};

use super::report::Faults;

/// So many tickets of each class.
pub type Lines = BTreeMap<TicketClassId, i64>;

/// One class of a show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Its place among the classes.
    pub ordinal: usize,
    /// How many there are.
    pub capacity: i64,
    /// How many are held.
    pub held: i64,
    /// How many are sold.
    pub sold: i64,
    /// The most that were held and sold at any moment.
    pub peak: i64,
}

/// How a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldState {
    /// Held for the order.
    Held,
    /// Sold to it.
    Confirmed,
    /// Came back without having been sold.
    Returned(ReleaseReason),
    /// Was sold and came back, because the money goes back.
    Undone(ReleaseReason),
}

impl HoldState {
    fn live(self) -> bool {
        matches!(self, Self::Held | Self::Confirmed)
    }

    /// Why it came back, if it did.
    pub fn released(self) -> Option<ReleaseReason> {
        match self {
            Self::Held | Self::Confirmed => None,
            Self::Returned(reason) | Self::Undone(reason) => Some(reason),
        }
    }
}

/// What is or was held for one order of one show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The last attempt.
    pub attempt: i32,
    /// What of each class.
    pub lines: Lines,
    /// Sum of quantity times price, minor units.
    pub total: i64,
    /// In what.
    pub currency: Currency,
    /// How it stands.
    pub state: HoldState,
}

/// The stock of every show.
#[derive(Debug, Clone, Default)]
pub struct Stock {
    /// Every class of every show that was ever on sale.
    pub classes: BTreeMap<(ShowId, TicketClassId), Class>,
    /// Every reservation, whatever became of it.
    pub holds: BTreeMap<(OrderId, ShowId), Hold>,
    /// How many events were checked.
    pub events: u64,
    /// Reservations made; a later attempt counts again.
    pub reserved: u64,
    /// Reservations that were sold.
    pub confirmed: u64,
    /// Reservations that were given back unsold.
    pub released: u64,
    /// Reservations that lapsed by the backstop.
    pub expired: u64,
    /// Reservations that had been sold and came back.
    pub undone: u64,
    /// Where more was promised than there is.
    pub oversold: Faults,
    /// Where a reservation did not end exactly once.
    pub endings: Faults,
}

/// How an event ends a reservation.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Confirm,
    Release(ReleaseReason),
    Expire,
    Undo(ReleaseReason),
}

impl Stock {
    /// Takes the next event of the log in.
    pub fn fold(&mut self, event: &Event) {
        self.events += 1;
        match event {
            Event::SalesOpened(event) => self.open(event),
            Event::SalesClosed(_) | Event::PriceChanged(_) | Event::SessionBarred(_) => {}
            Event::CapacityChanged(event) => {
                let key = (event.show, event.ticket_class);
                self.class(key, &"a capacity").capacity = event.capacity;
                self.measure(key, &"a capacity");
            }
            Event::TicketsReserved(event) => self.reserve(event),
            Event::ReservationConfirmed(it) => {
                self.end((it.order, it.show), it.attempt, &it.lines, Ending::Confirm);
            }
            Event::ReservationReleased(it) if it.lines.is_empty() => self.never_was(it),
            Event::ReservationReleased(it) => {
                let ending = if it.confirmed { Ending::Undo(it.reason) } else { Ending::Release(it.reason) };
                self.end((it.order, it.show), it.attempt, &it.lines, ending);
            }
            Event::ReservationExpired(it) => self.end((it.order, it.show), it.attempt, &it.lines, Ending::Expire),
        }
    }

    /// Reservations that neither were sold nor came back.
    pub fn live(&self) -> impl Iterator<Item = (&(OrderId, ShowId), &Hold)> {
        self.holds.iter().filter(|(_, hold)| hold.state == HoldState::Held)
    }

    fn open(&mut self, opened: &SalesOpened) {
        for (ordinal, terms) in opened.classes.iter().enumerate() {
            let class = Class { name: terms.name.clone(), ordinal, capacity: terms.capacity, ..Class::default() };
            if self.classes.insert((opened.show, terms.ticket_class), class).is_some() {
                self.oversold.add(format!("class {} of show {} was opened twice", terms.ticket_class, opened.show));
            }
        }
    }

    fn reserve(&mut self, event: &TicketsReserved) {
        let key = (event.order, event.show);
        self.reserved += 1;
        let lines = sums(event.lines.iter().map(|line| line.line()));
        let priced = event.lines.iter().map(|line| line.unit_price.saturating_mul(i64::from(line.quantity)));
        if priced.sum::<i64>() != event.total {
            self.endings.add(format!("order {}: its total {} is not the sum of its lines", event.order, event.total));
        }
        let before = self.holds.get(&key);
        let follows = match before {
            None => event.attempt == 1 && event.checkout.is_some(),
            Some(hold) => !hold.state.live() && event.attempt == hold.attempt + 1 && lines == hold.lines,
        };
        if !follows {
            self.endings.add(format!("order {}: attempt {} follows {before:?}", event.order, event.attempt));
        }
        for (class, quantity) in &lines {
            self.add((event.show, *class), *quantity, 0, &event.order);
        }
        let (attempt, total, currency) = (event.attempt, event.total, event.currency);
        self.holds.insert(key, Hold { attempt, lines, total, currency, state: HoldState::Held });
    }

    fn end(&mut self, key: (OrderId, ShowId), attempt: i32, lines: &[Line], ending: Ending) {
        let lines = sums(lines.iter().copied());
        let (expected, state) = match ending {
            Ending::Confirm => (HoldState::Held, HoldState::Confirmed),
            Ending::Release(reason) => (HoldState::Held, HoldState::Returned(reason)),
            Ending::Expire => (HoldState::Held, HoldState::Returned(ReleaseReason::Expired)),
            Ending::Undo(reason) => (HoldState::Confirmed, HoldState::Undone(reason)),
        };
        match self.holds.get_mut(&key) {
            Some(hold) if hold.state == expected && hold.attempt == attempt && hold.lines == lines => {
                hold.state = state
            }
            found => {
                let found = found.map(|hold| (hold.attempt, hold.state, &hold.lines));
                let wanted = format!("order {}: {ending:?} of attempt {attempt}, {lines:?}", key.0);
                self.endings.add(format!("{wanted}, but there is {found:?}"));
                self.holds.entry(key).and_modify(|hold| hold.state = state);
            }
        }
        let (held, sold) = match ending {
            Ending::Confirm => (-1, 1),
            Ending::Release(_) | Ending::Expire => (-1, 0),
            Ending::Undo(_) => (0, -1),
        };
        for (class, quantity) in &lines {
            self.add((key.1, *class), held * quantity, sold * quantity, &key.0);
        }
        *match ending {
            Ending::Confirm => &mut self.confirmed,
            Ending::Release(_) => &mut self.released,
            Ending::Expire => &mut self.expired,
            Ending::Undo(_) => &mut self.undone,
        } += 1;
    }

    /// A hold that came back before turns out to have been for an order that never came to be. No stock moves.
    fn never_was(&mut self, it: &ReservationReleased) {
        let back = [ReleaseReason::Expired, ReleaseReason::ShowCancelled].map(HoldState::Returned);
        let taken = it.reason == ReleaseReason::OrderIdTaken && !it.confirmed;
        match self.holds.get_mut(&(it.order, it.show)) {
            Some(hold) if taken && back.contains(&hold.state) && hold.attempt == it.attempt => {
                hold.state = HoldState::Returned(it.reason);
            }
            found => {
                let found = found.map(|hold| (hold.attempt, hold.state));
                self.endings.add(format!("order {}: a release without stock, but there is {found:?}", it.order));
            }
        }
    }

    fn add(&mut self, key: (ShowId, TicketClassId), held: i64, sold: i64, by: &dyn Display) {
        let class = self.class(key, by);
        class.held += held;
        class.sold += sold;
        self.measure(key, by);
    }

    fn class(&mut self, key: (ShowId, TicketClassId), by: &dyn Display) -> &mut Class {
        if !self.classes.contains_key(&key) {
            self.oversold.add(format!("{by} names class {} of show {}, which is not on sale", key.1, key.0));
        }
        self.classes.entry(key).or_default()
    }

    fn measure(&mut self, key: (ShowId, TicketClassId), by: &dyn Display) {
        let Some(class) = self.classes.get_mut(&key) else { return };
        let committed = class.held + class.sold;
        class.peak = class.peak.max(committed);
        if committed > class.capacity || class.held < 0 || class.sold < 0 {
            let Class { name, capacity, held, sold, .. } = class;
            let fault = format!("{name}: {held} held and {sold} sold of {capacity}, by order {by}");
            self.oversold.add(fault);
        }
    }
}

fn sums(lines: impl Iterator<Item = Line>) -> Lines {
    lines.fold(Lines::new(), |mut sums, line| {
        *sums.entry(line.ticket_class).or_default() += i64::from(line.quantity);
        sums
    })
}

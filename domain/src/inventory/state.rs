//! The stock of a show as it is known: folded from its events.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::breakage::{Breakage, broken};
use crate::event_name::aggregate;
use crate::ids::{OrderId, SessionId, ShowId, TicketClassId};
use crate::inventory::{CloseReason, Command, Event, Refusal, ReleaseReason, SalesOpened, TicketsReserved};
use crate::principal::Principal;
use crate::root::{Context, Root};
use crate::short::ShortText;
use crate::show::ClassTerms;
use crate::value::{Actor, Currency, Fingerprint, Line, PricedLine, Timestamp};

/// The stock of one show; the default is that of a show whose sales never opened.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Inventory {
    opened: Option<Arc<Opened>>,
    closed: Option<CloseReason>,
    classes: OrdMap<TicketClassId, Arc<ClassStock>>,
    /// Active and confirmed reservations: what a cancelled show gives back, page by page.
    live: OrdMap<OrderId, Arc<Reservation>>,
    /// Released and expired ones: what retries and late money ask for.
    over: OrdMap<OrderId, Arc<Reservation>>,
    /// The active ones by the end of their hold.
    holds: OrdSet<(Timestamp, OrderId)>,
    /// What became of every checkout token that was used: its order, or none if it was barred.
    sessions: OrdMap<SessionId, Option<OrderId>>,
}

/// What is settled when sales open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Whose stock it is.
    pub show: ShowId,
    /// Principal of who runs the show.
    pub organizer: String,
    /// In what everything is priced.
    pub currency: Currency,
    /// Seconds a buyer has to pay.
    pub pay_within_s: i64,
    /// Whether only those may order whom the waiting room has admitted.
    pub waiting_room: bool,
}

/// A class on sale. Never `held + sold > terms.capacity`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassStock {
    /// Price, capacity and window as they are now.
    pub terms: ClassTerms,
    /// In reservations that are not paid.
    pub held: i64,
    /// In confirmed reservations.
    pub sold: i64,
}

/// The stock that one order has or had. Nothing personal is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reservation {
    /// How it stands.
    pub status: ReservationStatus,
    /// 1, and more if late money took the stock again.
    pub attempt: i32,
    /// Who ordered.
    pub principal: Principal,
    /// The order's code.
    pub code: ShortText,
    /// Of the request that reserved.
    pub fingerprint: Fingerprint,
    /// The place in the waiting room it came from.
    pub session: Option<SessionId>,
    /// What, at which price.
    pub lines: Box<[PricedLine]>,
    /// Sum of quantity times price, minor units of the show's currency.
    pub total: i64,
    /// Until when the order can be paid.
    pub pay_by: Timestamp,
    /// When the hold ends by itself.
    pub hold_until: Timestamp,
}

/// How a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReservationStatus {
    /// Held, not paid.
    Active,
    /// Sold.
    Confirmed,
    /// Given back on purpose.
    Released(ReleaseReason),
    /// Given back by the backstop.
    Expired,
}

impl ClassStock {
    /// What can still be reserved.
    pub fn available(&self) -> i64 {
        self.terms.capacity - self.committed()
    }

    /// What is held or sold.
    pub fn committed(&self) -> i64 {
        self.held + self.sold
    }
}

impl Reservation {
    /// Without prices.
    pub fn bare_lines(&self) -> Vec<Line> {
        self.lines.iter().map(PricedLine::line).collect()
    }

    /// Bytes on the heap behind this entry, its own included.
    pub fn heap_bytes(&self) -> usize {
        let counts = 2 * size_of::<usize>();
        counts + size_of::<Self>() + self.principal.heap_bytes() + self.code.heap_bytes() + size_of_val(&*self.lines)
    }
}

impl Inventory {
    /// What was settled at the opening; none before.
    pub fn opened(&self) -> Option<&Opened> {
        self.opened.as_deref()
    }

    /// Why nothing is sold any more, if so.
    pub fn closed(&self) -> Option<CloseReason> {
        self.closed
    }

    /// Whether anything can be reserved at all (classes have their own windows).
    pub fn on_sale(&self) -> bool {
        self.opened.is_some() && self.closed.is_none()
    }

    /// One class.
    pub fn class(&self, id: TicketClassId) -> Option<&ClassStock> {
        self.classes.get(&id).map(|class| &**class)
    }

    /// All classes, by id.
    pub fn classes(&self) -> impl Iterator<Item = &ClassStock> {
        self.classes.values().map(|class| &**class)
    }

    /// What this order has or had.
    pub fn reservation(&self, order: OrderId) -> Option<&Reservation> {
        self.live.get(&order).or_else(|| self.over.get(&order)).map(|reservation| &**reservation)
    }

    /// Every reservation there ever was, live ones first.
    pub fn reservations(&self) -> impl Iterator<Item = (&OrderId, &Reservation)> {
        self.live.iter().chain(self.over.iter()).map(|(order, reservation)| (order, &**reservation))
    }

    /// When the order was placed.
    pub fn created_at(&self, reservation: &Reservation) -> Timestamp {
        let pay_within_s = self.opened().map_or(0, |opened| opened.pay_within_s);
        reservation.pay_by.plus_s(-pay_within_s)
    }

    /// The order of this session, if it ever placed one.
    pub fn order_of(&self, session: SessionId) -> Option<OrderId> {
        self.sessions.get(&session).copied().flatten()
    }

    /// Whether this session placed an order or left: its checkout token buys nothing any more.
    pub fn used(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// Live reservations of a cancelled show are to be given back.
    pub(super) fn sweeping(&self) -> bool {
        self.closed == Some(CloseReason::ShowCancelled) && !self.live.is_empty()
    }

    pub(super) fn live(&self) -> impl Iterator<Item = (&OrderId, &Reservation)> {
        self.live.iter().map(|(order, reservation)| (order, &**reservation))
    }

    /// Orders whose hold has ended by this moment, the oldest first.
    pub(super) fn lapsed(&self, at: Timestamp) -> impl Iterator<Item = OrderId> {
        self.holds.iter().take_while(move |(until, _)| *until <= at).map(|(_, order)| *order)
    }

    pub(super) fn fold(&mut self, event: Event) {
        match event {
            Event::SalesOpened(event) => self.open(event),
            Event::SalesClosed(event) => self.closed = Some(event.reason),
            Event::PriceChanged(event) => self.class_mut(event.ticket_class).terms.price = event.price,
            Event::CapacityChanged(event) => {
                let class = self.class_mut(event.ticket_class);
                class.terms.capacity = event.capacity;
                class.check();
            }
            Event::TicketsReserved(event) => self.hold(event),
            Event::ReservationConfirmed(event) => self.sell(event.order),
            Event::ReservationReleased(event) => self.end(event.order, ReservationStatus::Released(event.reason)),
            Event::ReservationExpired(event) => self.end(event.order, ReservationStatus::Expired),
            Event::SessionBarred(event) => {
                self.sessions.insert(event.session, None);
            }
        }
    }

    fn open(&mut self, event: SalesOpened) {
        let SalesOpened { show, organizer, currency, pay_within_s, classes, waiting_room } = event;
        self.opened = Some(Arc::new(Opened { show, organizer, currency, pay_within_s, waiting_room }));
        let stock = |terms: ClassTerms| (terms.ticket_class, Arc::new(ClassStock { terms, held: 0, sold: 0 }));
        self.classes = classes.into_iter().map(stock).collect();
    }

    fn hold(&mut self, event: TicketsReserved) {
        for line in &event.lines {
            self.class_mut(line.ticket_class).shift(i64::from(line.quantity), 0);
        }
        self.holds.insert((event.hold_until, event.order));
        if let Some(session) = event.checkout.as_ref().and_then(|checkout| checkout.session) {
            self.sessions.insert(session, Some(event.order));
        }
        let reservation = match (event.checkout, self.over.remove(&event.order)) {
            (Some(checkout), None) => Reservation {
                status: ReservationStatus::Active,
                attempt: event.attempt,
                principal: checkout.principal.into(),
                code: checkout.code.into(),
                fingerprint: checkout.fingerprint,
                session: checkout.session,
                lines: event.lines.into(),
                total: event.total,
                pay_by: event.pay_by,
                hold_until: event.hold_until,
            },
            (None, Some(before)) => Reservation {
                status: ReservationStatus::Active,
                attempt: event.attempt,
                hold_until: event.hold_until,
                ..Arc::unwrap_or_clone(before)
            },
            _ => panic!("the first attempt, and only that, comes with a checkout"),
        };
        let before = self.live.insert(event.order, Arc::new(reservation));
        assert!(before.is_none(), "an order has one live reservation");
    }

    fn sell(&mut self, order: OrderId) {
        let entry = self.live.get_mut(&order).expect("only a live reservation is confirmed");
        let reservation = Arc::make_mut(entry);
        assert_eq!(reservation.status, ReservationStatus::Active, "only an active reservation is confirmed");
        reservation.status = ReservationStatus::Confirmed;
        let (lines, hold_until) = (reservation.lines.clone(), reservation.hold_until);
        if !broken(Breakage::ConfirmedExpires) {
            self.holds.remove(&(hold_until, order));
        }
        for line in &lines {
            self.class_mut(line.ticket_class).shift(-i64::from(line.quantity), i64::from(line.quantity));
        }
    }

    fn end(&mut self, order: OrderId, status: ReservationStatus) {
        let Some(mut entry) = self.live.remove(&order) else { return self.never_was(order, status) };
        let reservation = Arc::make_mut(&mut entry);
        let sold = reservation.status == ReservationStatus::Confirmed;
        reservation.status = status;
        self.holds.remove(&(reservation.hold_until, order));
        for line in &reservation.lines {
            let times = if broken(Breakage::StockFreedTwice) { 2 } else { 1 };
            let quantity = times * i64::from(line.quantity);
            let (held, sold) = if sold { (0, -quantity) } else { (-quantity, 0) };
            self.class_mut(line.ticket_class).shift(held, sold);
        }
        self.over.insert(order, entry);
    }

    /// The stock is back already.
    fn never_was(&mut self, order: OrderId, status: ReservationStatus) {
        let entry = self.over.get_mut(&order).expect("only what was reserved ends");
        let reservation = Arc::make_mut(entry);
        let back = [ReservationStatus::Expired, ReservationStatus::Released(ReleaseReason::ShowCancelled)];
        let taken = status == ReservationStatus::Released(ReleaseReason::OrderIdTaken);
        assert!(taken && back.contains(&reservation.status), "only a live reservation ends: {reservation:?}");
        reservation.status = status;
    }

    fn class_mut(&mut self, id: TicketClassId) -> &mut ClassStock {
        Arc::make_mut(self.classes.get_mut(&id).expect("events name only classes that exist"))
    }
}

impl ClassStock {
    fn shift(&mut self, held: i64, sold: i64) {
        self.held += held;
        self.sold += sold;
        self.check();
    }

    /// Overselling can only be a bug, so it stops the partition rather than a buyer at the door.
    fn check(&self) {
        assert!(self.held >= 0 && self.sold >= 0, "stock cannot be given back twice: {self:?}");
        assert!(self.committed() <= self.terms.capacity, "oversold: {self:?}");
    }
}

aggregate!(Inventory, "inventory");

impl Root for Inventory {
    type Ask = Command;
    type About = Option<OrderId>;
    const CONTEXT: Context = Context::Inventory;

    /// While a cancelled show gives its stock back it is due at once: long ago, and at another
    /// moment for every page, because a timer's command is named by when it was due.
    fn next_due(&self) -> Option<Timestamp> {
        if self.sweeping() {
            let left = i64::try_from(self.live.len()).expect("a map fits in memory");
            return Some(Timestamp(-left));
        }
        self.holds.get_min().map(|(until, _)| *until)
    }

    fn due() -> Command {
        Command::Tick
    }

    /// What is on sale, and the one reservation that the command is about.
    fn about(ask: &Command, _by: &Actor) -> Option<OrderId> {
        match ask {
            Command::Reserve { order, .. } | Command::Confirm { order } | Command::Release { order, .. } => {
                Some(*order)
            }
            Command::Open(_)
            | Command::Close { .. }
            | Command::ChangePrice { .. }
            | Command::ChangeCapacity { .. }
            | Command::Bar { .. }
            | Command::Tick
            | Command::Look => None,
        }
    }

    fn relevant(&self, about: &Option<OrderId>) -> Self {
        let one = |kept: &OrdMap<OrderId, Arc<Reservation>>| -> OrdMap<OrderId, Arc<Reservation>> {
            about.and_then(|order| Some((order, Arc::clone(kept.get(&order)?)))).into_iter().collect()
        };
        let (opened, classes) = (self.opened.clone(), self.classes.clone());
        Self { opened, closed: self.closed, classes, live: one(&self.live), over: one(&self.over), ..Self::default() }
    }

    fn id(event: &Event) -> uuid::Uuid {
        event.aggregate()
    }
}

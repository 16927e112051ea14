//! What happened when, by the broker's clock: what answers to clients are held against.

use std::collections::BTreeMap;

use domain::event::Event;
use domain::ids::{OrderId, PaymentId, SessionId, ShowId, TicketClassId};
use domain::order::CancelReason;
use domain::root::Meta;
use domain::value::{PricedLine, Timestamp};
use domain::{inventory, order, queue, show};
use event_log::log::Partition;

use super::facts::Logged;
use super::sales::Key;

/// Where and when an event was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// When, by the broker's clock.
    pub at: Timestamp,
    /// Where in its partition.
    pub offset: i64,
    /// In which partition.
    pub place: Partition,
}

/// How a class stood from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Level {
    /// Minor units.
    pub price: i64,
    /// How many there are.
    pub capacity: i64,
    /// Held and sold.
    pub committed: i64,
}

/// One class on sale.
#[derive(Debug, Clone, Default)]
pub struct ClassLife {
    /// How it stood, from each moment on.
    pub levels: Vec<(Moment, Level)>,
    /// When its sale starts and ends.
    pub window: (Option<Timestamp>, Option<Timestamp>),
    /// How many one order may have.
    pub max_per_order: i64,
    /// New prices and capacities that were set.
    pub prices: Vec<(Moment, i64)>,
    /// The same of capacities.
    pub capacities: Vec<(Moment, i64)>,
}

/// One show: its way to the sale, and the sale.
#[derive(Debug, Clone, Default)]
pub struct ShowLife {
    /// `draft`, `configured`, `approved`, `published`, `cancelled`, each with its moment.
    pub statuses: Vec<(Moment, &'static str)>,
    /// Classes, when they were defined.
    pub defined: BTreeMap<TicketClassId, Moment>,
    /// When sales opened.
    pub opened: Option<Moment>,
    /// When they closed.
    pub closed: Option<Moment>,
    /// Whether there is a waiting room in front of the sale.
    pub guarded: bool,
    /// Classes on sale.
    pub classes: BTreeMap<TicketClassId, ClassLife>,
    /// When the waiting room opened.
    pub room_opened: Option<Moment>,
    /// When it closed.
    pub room_closed: Option<Moment>,
    /// How long a queue ticket need not be shown, seconds.
    pub away_grace_s: i64,
    /// When the waiting room begins to admit.
    pub opens_at: Option<Timestamp>,
}

/// One order.
#[derive(Debug, Clone, Default)]
pub struct OrderLife {
    /// When its stock was reserved first.
    pub reserved: Option<Moment>,
    /// What was reserved.
    pub lines: Vec<PricedLine>,
    /// By whose checkout token.
    pub session: Option<SessionId>,
    /// Until when it can be paid.
    pub pay_by: Timestamp,
    /// When it was created.
    pub created: Option<Moment>,
    /// When it was paid.
    pub paid: Vec<Moment>,
    /// When it became overdue.
    pub overdue: Option<Moment>,
    /// When it ended, and whether the buyer wanted that.
    pub ended: Vec<(Moment, bool)>,
    /// Attempts to pay: the first, and each that was added.
    pub payments: BTreeMap<PaymentId, Moment>,
}

/// One place in a waiting room.
#[derive(Debug, Clone, Default)]
pub struct PlaceLife {
    /// Of which show.
    pub show: ShowId,
    /// Its number.
    pub number: i64,
    /// When it was given out.
    pub joined: Option<Moment>,
    /// When it was admitted.
    pub ready: Option<Moment>,
    /// Until when the visitor may enter.
    pub enter_by: Timestamp,
    /// When the visitor entered.
    pub entered: Option<Moment>,
    /// Until when the checkout token is good.
    pub token_ends: Timestamp,
    /// When the visitor left.
    pub left: Option<Moment>,
    /// When it ended in any way.
    pub ended: Option<Moment>,
    /// The order it was tied to.
    pub tied: Option<Moment>,
    /// When the stock learned that its token is worthless.
    pub barred: Option<Moment>,
    /// Orders that were placed by it.
    pub orders: Vec<(Moment, OrderId)>,
}

/// What happened when.
#[derive(Debug, Clone, Default)]
pub struct Chronicle {
    /// By show.
    pub shows: BTreeMap<ShowId, ShowLife>,
    /// By order and show.
    pub orders: BTreeMap<Key, OrderLife>,
    /// By session.
    pub places: BTreeMap<SessionId, PlaceLife>,
}

impl Chronicle {
    /// Takes the next valid event of a partition in.
    pub fn take(&mut self, logged: &Logged<'_>) {
        let moment = Moment { at: logged.appended_at, offset: logged.offset, place: logged.place };
        match logged.event {
            Event::Show(event) => self.show(event, moment),
            Event::Inventory(event) => self.inventory(event, moment),
            Event::Order(event) => self.order(event, moment, logged.meta),
            Event::Queue(event) => self.queue(event, moment),
            Event::Payment(_) | Event::Ticket(_) | Event::Account(_) => {}
        }
    }

    fn life(&mut self, key: Key) -> &mut OrderLife {
        self.orders.entry(key).or_default()
    }

    fn place(&mut self, session: SessionId) -> &mut PlaceLife {
        self.places.entry(session).or_default()
    }

    fn show(&mut self, event: &show::Event, moment: Moment) {
        use show::Event as E;
        let life = self.shows.entry(ShowId(event.aggregate())).or_default();
        let status = match event {
            E::ShowCreated(_) => "draft",
            E::ShowConfigured(_) => "configured",
            E::ShowApproved(_) => "approved",
            E::ShowPublished(_) => "published",
            E::ShowCancelled(_) => "cancelled",
            E::TicketClassDefined(it) => {
                life.defined.insert(it.terms.ticket_class, moment);
                return;
            }
            E::ShowEdited(_) | E::TicketClassEdited(_) => return,
        };
        life.statuses.push((moment, status));
    }

    fn inventory(&mut self, event: &inventory::Event, moment: Moment) {
        use inventory::Event as E;
        let show = ShowId(event.aggregate());
        let sale = self.shows.entry(show).or_default();
        match event {
            E::SalesOpened(it) => {
                (sale.opened, sale.guarded) = (Some(moment), it.waiting_room);
                for terms in &it.classes {
                    let level = Level { price: terms.price, capacity: terms.capacity, committed: 0 };
                    let life = ClassLife {
                        levels: vec![(moment, level)],
                        window: (terms.sale_starts_at, terms.sale_ends_at),
                        max_per_order: i64::from(terms.max_per_order),
                        ..ClassLife::default()
                    };
                    sale.classes.insert(terms.ticket_class, life);
                }
            }
            E::SalesClosed(_) => sale.closed = Some(moment),
            E::PriceChanged(it) => {
                let class = sale.classes.entry(it.ticket_class).or_default();
                class.prices.push((moment, it.price));
                class.change(moment, |level| level.price = it.price);
            }
            E::CapacityChanged(it) => {
                let class = sale.classes.entry(it.ticket_class).or_default();
                class.capacities.push((moment, it.capacity));
                class.change(moment, |level| level.capacity = it.capacity);
            }
            E::TicketsReserved(it) => {
                sale.commit(it.lines.iter().map(|line| (line.ticket_class, line.quantity)), 1, moment);
                self.reserve(it, moment);
            }
            E::ReservationReleased(it) => {
                sale.commit(it.lines.iter().map(|line| (line.ticket_class, line.quantity)), -1, moment);
            }
            E::ReservationExpired(it) => {
                sale.commit(it.lines.iter().map(|line| (line.ticket_class, line.quantity)), -1, moment);
            }
            E::SessionBarred(it) => self.places.entry(it.session).or_default().barred = Some(moment),
            E::ReservationConfirmed(_) => {}
        }
    }

    fn reserve(&mut self, it: &inventory::TicketsReserved, moment: Moment) {
        let Some(checkout) = &it.checkout else { return };
        let life = self.orders.entry((it.order, it.show)).or_default();
        (life.reserved, life.lines, life.session) = (Some(moment), it.lines.clone(), checkout.session);
        life.pay_by = it.pay_by;
        if let Some(session) = checkout.session {
            self.places.entry(session).or_default().orders.push((moment, it.order));
        }
    }

    fn order(&mut self, event: &order::Event, moment: Moment, meta: &Meta) {
        use order::Event as E;
        let order = OrderId(event.aggregate());
        match event {
            E::OrderCreated(it) => {
                let life = self.life((order, it.show));
                life.created = Some(moment);
                life.payments.extend(it.payment.iter().map(|choice| (choice.payment, moment)));
            }
            E::OrderPaymentAdded(it) => {
                self.life((order, it.show)).payments.insert(it.payment.payment, moment);
            }
            E::OrderPaid(it) => self.life((order, it.show)).paid.push(moment),
            E::OrderOverdue(it) => self.life((order, it.show)).overdue = Some(moment),
            E::OrderCompleted(it) => self.life((order, it.show)).ended.push((moment, false)),
            E::OrderFailed(it) => self.life((order, it.show)).ended.push((moment, false)),
            E::OrderCancelled(it) => {
                let by_buyer = it.reason == CancelReason::ByBuyer && meta.actor != "system";
                self.life((order, it.show)).ended.push((moment, by_buyer));
            }
            E::OrderPaymentEnded(_) | E::OrderStuck(_) | E::OrderTicketsRefunded(_) => {}
        }
    }

    fn queue(&mut self, event: &queue::Event, moment: Moment) {
        use queue::Event as E;
        let show = ShowId(event.aggregate());
        match event {
            E::WaitingRoomOpened(it) => {
                let room = self.shows.entry(show).or_default();
                room.room_opened = Some(moment);
                (room.away_grace_s, room.opens_at) = (it.terms.away_grace_s, it.terms.opens_at);
            }
            E::WaitingRoomClosed(_) => self.shows.entry(show).or_default().room_closed = Some(moment),
            E::QueueJoined(it) => {
                let place = self.place(it.session);
                (place.show, place.number, place.joined) = (show, it.number, Some(moment));
            }
            E::QueueReady(it) => {
                let place = self.place(it.session);
                (place.ready, place.enter_by) = (Some(moment), it.enter_by);
            }
            E::CheckoutStarted(it) => {
                let place = self.place(it.session);
                (place.entered, place.token_ends) = (Some(moment), it.expires_at);
            }
            E::CheckoutTied(it) => self.place(it.session).tied = Some(moment),
            E::QueueLeft(it) => {
                let place = self.place(it.session);
                (place.left, place.ended) = (Some(moment), Some(moment));
            }
            E::QueueExpired(it) => self.place(it.session).ended = Some(moment),
            E::CheckoutCompleted(it) => self.place(it.session).ended = Some(moment),
            E::CheckoutFailed(it) => self.place(it.session).ended = Some(moment),
            E::CheckoutExpired(it) => self.place(it.session).ended = Some(moment),
            E::PreQueueClosed(_) | E::QueueDrawn(_) | E::QueueModeSet(_) => {}
        }
    }
}

impl ShowLife {
    fn commit(&mut self, lines: impl Iterator<Item = (TicketClassId, i32)>, sign: i64, moment: Moment) {
        for (class, quantity) in lines {
            let class = self.classes.entry(class).or_default();
            class.change(moment, |level| level.committed += sign * i64::from(quantity));
        }
    }
}

impl ClassLife {
    fn change(&mut self, moment: Moment, how: impl FnOnce(&mut Level)) {
        let mut level = self.levels.last().map(|(_, level)| *level).unwrap_or_default();
        how(&mut level);
        self.levels.push((moment, level));
    }
}

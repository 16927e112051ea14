//! What may be done to the stock of a show, by whom, and when.

use crate::breakage::{Breakage, broken};
use crate::ids::{OrderId, SessionId, ShowId, TicketClassId};
use crate::inventory::reserve::Wish;
use crate::inventory::state::Opened;
use crate::inventory::{
    CapacityChanged, ClassStock, CloseReason, Command, Event, Inventory, PriceChanged, Refusal, ReleaseReason,
    Reservation, ReservationConfirmed, ReservationExpired, ReservationReleased, ReservationStatus, SalesClosed,
    SalesOpened, SessionBarred, TicketsReserved,
};
use crate::root::Issued;
use crate::value::{Actor, Role, Timestamp};

type Decision = Result<Vec<Event>, Refusal>;

/// So many reservations end in one tick at most.
const PAGE: usize = 100;

impl Inventory {
    pub(super) fn decide(&self, issued: Issued<Command>) -> Decision {
        let Issued { command, by, at, .. } = issued;
        match command {
            Command::Look => Ok(vec![]),
            Command::Reserve { order, lines, checkout, accepts, hold_backstop_s, admission } => {
                self.reserve(Wish { order, lines, checkout, accepts, hold_backstop_s, admission }, &by, at)
            }
            Command::ChangePrice { ticket_class, price } => self.change_price(ticket_class, price, &by),
            Command::ChangeCapacity { ticket_class, capacity } => self.change_capacity(ticket_class, capacity, &by),
            _ if !by.is_system() => Err(Refusal::Forbidden),
            Command::Open(opening) => Ok(self.open_sales(opening)),
            Command::Close { show, reason } => Ok(self.close(show, reason)),
            Command::Confirm { order } => self.confirm(order),
            Command::Release { order, reason } => self.release(order, reason),
            Command::Bar { show, session } => Ok(self.bar(show, session)),
            Command::Tick => Ok(self.tick(at)),
        }
    }

    /// A show cancelled in the same moment may close first; then nothing opens any more.
    fn open_sales(&self, opening: SalesOpened) -> Vec<Event> {
        if self.opened().is_some() || self.closed().is_some() {
            return vec![];
        }
        vec![opening.into()]
    }

    fn close(&self, show: ShowId, reason: CloseReason) -> Vec<Event> {
        if self.closed().is_some() {
            return vec![];
        }
        vec![SalesClosed { show, reason }.into()]
    }

    fn change_price(&self, ticket_class: TicketClassId, price: i64, by: &Actor) -> Decision {
        let (opened, class) = self.in_charge(ticket_class, by)?;
        // The edge lets nobody send a negative price; here nobody may.
        if price < 0 {
            return Err(Refusal::Forbidden);
        }
        if price == class.terms.price {
            return Ok(vec![]);
        }
        Ok(vec![PriceChanged { show: opened.show, ticket_class, price }.into()])
    }

    fn change_capacity(&self, ticket_class: TicketClassId, capacity: i64, by: &Actor) -> Decision {
        let (opened, class) = self.in_charge(ticket_class, by)?;
        if capacity < class.committed() && !broken(Breakage::CapacityUnchecked) {
            return Err(Refusal::BelowCommitted { committed: class.committed() });
        }
        if capacity == class.terms.capacity {
            return Ok(vec![]);
        }
        Ok(vec![CapacityChanged { show: opened.show, ticket_class, capacity }.into()])
    }

    fn in_charge(&self, ticket_class: TicketClassId, by: &Actor) -> Result<(&Opened, &ClassStock), Refusal> {
        let opened = self.opened().ok_or(Refusal::NotFound)?;
        if !by.runs(&opened.organizer) {
            return Err(if by.has(Role::Support) { Refusal::Forbidden } else { Refusal::NotFound });
        }
        if !self.on_sale() {
            return Err(Refusal::NotOnSale { line: None, opens_at: None });
        }
        let class = self.class(ticket_class).ok_or(Refusal::ClassNotFound { line: None })?;
        Ok((opened, class))
    }

    /// Money that came after the release takes the same stock again, if it is still there.
    fn confirm(&self, order: OrderId) -> Decision {
        let (show, reservation) = self.known(order)?;
        match reservation.status {
            ReservationStatus::Active => Ok(vec![confirmed(show, order, reservation, reservation.attempt)]),
            ReservationStatus::Confirmed => Ok(vec![]), // A retry.
            ReservationStatus::Released(reason) if !reopens(reason) => Err(self.gone()),
            ReservationStatus::Released(_) | ReservationStatus::Expired => self.take_again(order, reservation),
        }
    }

    fn take_again(&self, order: OrderId, reservation: &Reservation) -> Decision {
        let free = self.in_stock(&reservation.lines).is_ok() || broken(Breakage::ConfirmWithoutStock);
        if !self.on_sale() || !free {
            return Err(self.gone());
        }
        let opened = self.opened().expect("what was reserved was on sale");
        let attempt = reservation.attempt + 1;
        let again = TicketsReserved {
            show: opened.show,
            order,
            attempt,
            organizer: opened.organizer.clone(),
            lines: reservation.lines.to_vec(),
            currency: opened.currency,
            total: reservation.total,
            pay_by: reservation.pay_by,
            hold_until: reservation.hold_until,
            checkout: None,
        };
        Ok(vec![again.into(), confirmed(opened.show, order, reservation, attempt)])
    }

    /// Whose show is off learns that; everybody else lost to another buyer.
    fn gone(&self) -> Refusal {
        match self.closed() {
            Some(CloseReason::ShowCancelled) => Refusal::NotOnSale { line: None, opens_at: None },
            Some(CloseReason::Unknown) | None => Refusal::StockGone,
        }
    }

    /// What is sold comes back only because the show is off or the money goes back. Any other release
    /// of sold stock is an old one, sent before the money came: refused, so that nobody loses a seat. What came back
    /// before its order turned out never to have been says so now: no order's end does, and a slot may wait for it.
    fn release(&self, order: OrderId, reason: ReleaseReason) -> Decision {
        let (show, reservation) = self.known(order)?;
        match (reservation.status, reason) {
            (
                ReservationStatus::Expired | ReservationStatus::Released(ReleaseReason::ShowCancelled),
                ReleaseReason::OrderIdTaken,
            ) => {
                let (attempt, session) = (reservation.attempt, reservation.session);
                let (lines, confirmed) = (vec![], false);
                Ok(vec![ReservationReleased { show, order, attempt, lines, confirmed, reason, session }.into()])
            }
            (ReservationStatus::Released(_) | ReservationStatus::Expired, _) => Ok(vec![]), // A retry.
            (ReservationStatus::Active, _) => Ok(vec![released(show, order, reservation, reason)]),
            (ReservationStatus::Confirmed, ReleaseReason::ShowCancelled | ReleaseReason::Refunded) => {
                Ok(vec![released(show, order, reservation, reason)])
            }
            (ReservationStatus::Confirmed, _) => Err(Refusal::NoReservation),
        }
    }

    /// Where the token has bought something, its order goes on.
    fn bar(&self, show: ShowId, session: SessionId) -> Vec<Event> {
        if self.used(session) || self.closed().is_some() {
            return vec![];
        }
        vec![SessionBarred { show, session }.into()]
    }

    fn known(&self, order: OrderId) -> Result<(ShowId, &Reservation), Refusal> {
        let show = self.opened().map(|opened| opened.show);
        show.zip(self.reservation(order)).ok_or(Refusal::NoReservation)
    }

    fn tick(&self, at: Timestamp) -> Vec<Event> {
        let Some(opened) = self.opened() else { return vec![] };
        let show = opened.show;
        if self.sweeping() {
            let page = self.live().take(PAGE);
            return page.map(|(order, held)| released(show, *order, held, ReleaseReason::ShowCancelled)).collect();
        }
        self.lapsed(at).take(PAGE).filter_map(|order| Some(expired(show, order, self.reservation(order)?))).collect()
    }
}

/// Whether late money may take the stock again after such a release.
fn reopens(reason: ReleaseReason) -> bool {
    match reason {
        ReleaseReason::Expired | ReleaseReason::PaymentFailed | ReleaseReason::Unknown => true,
        ReleaseReason::ByBuyer
        | ReleaseReason::ShowCancelled
        | ReleaseReason::OrderIdTaken
        | ReleaseReason::Refunded => false,
    }
}

fn confirmed(show: ShowId, order: OrderId, reservation: &Reservation, attempt: i32) -> Event {
    ReservationConfirmed { show, order, attempt, lines: reservation.bare_lines() }.into()
}

fn released(show: ShowId, order: OrderId, reservation: &Reservation, reason: ReleaseReason) -> Event {
    let confirmed = reservation.status == ReservationStatus::Confirmed;
    let (attempt, lines, session) = (reservation.attempt, reservation.bare_lines(), reservation.session);
    ReservationReleased { show, order, attempt, lines, confirmed, reason, session }.into()
}

fn expired(show: ShowId, order: OrderId, reservation: &Reservation) -> Event {
    ReservationExpired { show, order, attempt: reservation.attempt, lines: reservation.bare_lines() }.into()
}

//! Whether a buyer gets what was asked: the checks of a new reservation, in the order buyers expect.

use crate::breakage::{Breakage, broken};
use crate::ids::{OrderId, SessionId, TicketClassId};
use crate::inventory::state::Opened;
use crate::inventory::{Admission, Available, Checkout, ClassStock, Event, Inventory, Refusal, TicketsReserved};
use crate::value::{Actor, Currency, PricedLine, Timestamp};

/// A buyer's wish.
pub(super) struct Wish {
    pub order: OrderId,
    pub lines: Vec<PricedLine>,
    pub checkout: Checkout,
    pub accepts: Vec<Currency>,
    pub hold_backstop_s: i64,
    pub admission: Option<Admission>,
}

/// At most so many lines in an order; a frame's size depends on it.
const MAX_LINES: usize = 20;
/// At most so many tickets of a line.
const MAX_QUANTITY: i32 = 100;

impl Inventory {
    /// What was reserved before is recognised first, for ever, even after sales closed. Then it must be the
    /// buyer's turn, and what the buyer asks for must exist, be on sale, be allowed, cost what the buyer saw,
    /// be there, and be payable. Each check goes over all lines before the next, so that the order of lines decides nothing.
    pub(super) fn reserve(&self, wish: Wish, by: &Actor, at: Timestamp) -> Result<Vec<Event>, Refusal> {
        if !by.is_system() && !by.is(&wish.checkout.principal) {
            return Err(Refusal::Forbidden);
        }
        if let Some(known) = self.reservation(wish.order) {
            let checkout = &wish.checkout;
            let same = known.fingerprint == checkout.fingerprint && known.principal.is(&checkout.principal);
            return if same { Ok(vec![]) } else { Err(Refusal::AlreadyExists) };
        }
        let closed = Refusal::NotOnSale { line: None, opens_at: None };
        let opened = self.opened().filter(|_| self.on_sale()).ok_or(closed)?;
        let session = self.admitted(opened, wish.admission, at)?;
        let classes = self.asked(&wish.lines)?;
        within_windows(&classes, at)?;
        within_limits(&wish.lines, &classes)?;
        at_the_price_seen(&wish.lines, &classes, opened.currency)?;
        self.in_stock(&wish.lines)?;
        let total = payable(&wish, opened.currency)?;
        let checkout = Checkout { session, ..wish.checkout };
        Ok(vec![reserved(Wish { checkout, ..wish }, opened, total, at).into()])
    }

    /// The session that may order now; none where nobody waits. A session has one order, ever.
    fn admitted(
        &self,
        opened: &Opened,
        admission: Option<Admission>,
        at: Timestamp,
    ) -> Result<Option<SessionId>, Refusal> {
        if !opened.waiting_room {
            return Ok(None);
        }
        let Admission { session, expires_at } = admission.ok_or(Refusal::CheckoutTokenMissing)?;
        // Two defences: either of them alone keeps a slot to one order.
        if self.used(session) && !broken(Breakage::SessionOrdersTwice) && !broken(Breakage::TieToSecondOrder) {
            return Err(Refusal::CheckoutTokenUsed);
        }
        if at > expires_at {
            return Err(Refusal::CheckoutTokenExpired { expired_at: expires_at });
        }
        Ok(Some(session))
    }

    /// The class of each line.
    fn asked(&self, lines: &[PricedLine]) -> Result<Vec<&ClassStock>, Refusal> {
        if lines.is_empty() {
            return Err(Refusal::ClassNotFound { line: None });
        }
        let class = |(line, asked): (usize, &PricedLine)| {
            self.class(asked.ticket_class).ok_or(Refusal::ClassNotFound { line: Some(line) })
        };
        lines.iter().enumerate().map(class).collect()
    }

    /// Whether so much is free of every class, however many lines ask for it.
    pub(super) fn in_stock(&self, lines: &[PricedLine]) -> Result<(), Refusal> {
        let more = i64::from(broken(Breakage::StockUnchecked));
        let free = |id| self.class(id).map_or(0, ClassStock::available) + more;
        if lines.iter().all(|line| wanted(lines, line.ticket_class) <= free(line.ticket_class)) {
            return Ok(());
        }
        let mut available: Vec<Available> = Vec::new();
        for line in lines {
            let ticket_class = line.ticket_class;
            if available.iter().all(|known| known.ticket_class != ticket_class) {
                available.push(Available { ticket_class, available: free(ticket_class) });
            }
        }
        Err(Refusal::SoldOut { available })
    }
}

fn wanted(lines: &[PricedLine], class: TicketClassId) -> i64 {
    lines.iter().filter(|line| line.ticket_class == class).map(|line| i64::from(line.quantity)).sum()
}

fn within_windows(classes: &[&ClassStock], at: Timestamp) -> Result<(), Refusal> {
    for (line, class) in classes.iter().enumerate() {
        if class.terms.sale_ends_at.is_some_and(|ends| at >= ends) {
            return Err(Refusal::NotOnSale { line: Some(line), opens_at: None });
        }
        if let Some(opens_at) = class.terms.sale_starts_at.filter(|starts| at < *starts) {
            return Err(Refusal::NotOnSale { line: Some(line), opens_at: Some(opens_at) });
        }
    }
    Ok(())
}

/// Also refuses what the edge lets nobody send: no line, or a negative one, may create stock here.
fn within_limits(lines: &[PricedLine], classes: &[&ClassStock]) -> Result<(), Refusal> {
    for (line, (asked, class)) in lines.iter().zip(classes).enumerate() {
        let max = class.terms.max_per_order;
        let so_far = wanted(&lines[..=line], asked.ticket_class);
        let sane = (1..=MAX_QUANTITY).contains(&asked.quantity) && line < MAX_LINES;
        if !sane || so_far > i64::from(max) {
            return Err(Refusal::LimitExceeded { line, max });
        }
    }
    Ok(())
}

fn at_the_price_seen(lines: &[PricedLine], classes: &[&ClassStock], currency: Currency) -> Result<(), Refusal> {
    for (line, (asked, class)) in lines.iter().zip(classes).enumerate() {
        let price = class.terms.price;
        if asked.unit_price != price {
            return Err(Refusal::PriceChanged { line, price, currency });
        }
    }
    Ok(())
}

/// The total, if the buyer said how to pay it exactly when there is something to pay.
fn payable(wish: &Wish, currency: Currency) -> Result<i64, Refusal> {
    let total = wish.lines.iter().try_fold(0_i64, |sum, line| {
        line.unit_price.checked_mul(i64::from(line.quantity)).and_then(|price| sum.checked_add(price))
    });
    // A sum that no provider can collect.
    let total = total.ok_or(Refusal::PaymentMismatch { total: i64::MAX })?;
    if (total > 0) != wish.checkout.payment.is_some() {
        return Err(Refusal::PaymentMismatch { total });
    }
    if total > 0 && !wish.accepts.contains(&currency) {
        return Err(Refusal::ProviderUnavailable { currency });
    }
    Ok(total)
}

fn reserved(wish: Wish, opened: &Opened, total: i64, at: Timestamp) -> TicketsReserved {
    let pay_by = at.plus_s(opened.pay_within_s);
    TicketsReserved {
        show: opened.show,
        order: wish.order,
        attempt: 1,
        organizer: opened.organizer.clone(),
        lines: wish.lines,
        currency: opened.currency,
        total,
        pay_by,
        hold_until: pay_by.plus_s(wish.hold_backstop_s),
        checkout: Some(wish.checkout),
    }
}

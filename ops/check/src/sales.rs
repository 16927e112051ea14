//! Orders, payments and tickets, recomputed from their topics by sums of its own.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::{OrderId, PaymentId, RefundId, ShowId, TicketClassId, TicketId};
use domain::value::{Currency, Provider};
use domain::{order, payment, ticket};
use serde::Serialize;

use super::report::Faults;

/// An order of a show: two shows may have been tried with one id.
pub type Key = (OrderId, ShowId);

/// One order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What it costs, minor units.
    pub total: i64,
    /// In what.
    pub currency: Currency,
    /// `open`, `completed`, `cancelled`, `failed` or `stuck`.
    pub phase: &'static str,
    /// Why it was cancelled or failed.
    pub reason: Option<String>,
    /// Whether it is paid and waits for its tickets.
    pub paid: bool,
    /// How often it was paid; late money may reopen an order once.
    pub times_paid: u32,
    /// The payment that paid it last.
    pub paid_by: Option<PaymentId>,
    /// What single tickets of it had cost whose money went back.
    pub given_back: i64,
}

/// One attempt to collect money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// For what.
    pub order: Key,
    /// Who collects.
    pub provider: Provider,
    /// Asked for, minor units.
    pub amount: i64,
    /// In what.
    pub currency: Currency,
    /// `requested`, `open`, `closing`, `completed`, `failed` or `expired`.
    pub status: &'static str,
    /// What has come and was applied.
    pub received: i64,
    /// What of it goes back.
    pub refunded: i64,
    /// What of that is due until a person did it.
    pub due: i64,
    /// What of that is done.
    pub done: i64,
}

/// Money that goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// Of which attempt.
    pub payment: PaymentId,
    /// Minor units of the payment's currency.
    pub amount: i64,
    /// Whether a person has to do it.
    pub due: bool,
    /// The provider's or the bank's name of it, once it is done.
    pub done: Option<String>,
    /// Whether a person did it, past the provider.
    pub by_hand: bool,
}

impl Payment {
    /// What came and does not go back.
    pub fn kept(&self) -> i64 {
        self.received - self.refunded
    }

    /// Whether it still may end in more than one way.
    pub fn open(&self) -> bool {
        matches!(self.status, "requested" | "open" | "closing")
    }
}

/// Money that moved, as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// Of which attempt; a derived id if the reference is unknown.
    pub payment: PaymentId,
    /// Minor units.
    pub amount: i64,
    /// In what.
    pub currency: Currency,
    /// Whether it was set aside instead of applied.
    pub quarantined: bool,
}

/// The tickets of one order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// All that were issued.
    pub tickets: Vec<(TicketId, TicketClassId)>,
    /// Whether they all died.
    pub revoked: bool,
    /// Those that died alone.
    pub dead: BTreeSet<TicketId>,
}

/// Orders, payments, money and tickets.
#[derive(Debug, Clone, Default)]
pub struct Sales {
    /// Every order.
    pub orders: BTreeMap<Key, Order>,
    /// Every attempt to collect money.
    pub payments: BTreeMap<PaymentId, Payment>,
    /// Every movement of money by the provider's reference.
    pub movements: BTreeMap<String, Movement>,
    /// Every order's tickets.
    pub batches: BTreeMap<Key, Batch>,
    /// Attempts that were declined.
    pub declined: u64,
    /// Every refund that was asked for.
    pub refunds: BTreeMap<RefundId, Refund>,
    /// Where money does not add up by itself.
    pub money: Faults,
    /// Where an order or its tickets do not add up by themselves.
    pub endings: Faults,
    ticket_ids: BTreeSet<TicketId>,
    /// Every movement by which a provider gave money back.
    paid_out: BTreeSet<(Provider, String)>,
}

impl Sales {
    /// Takes the next event of `order-events` in.
    pub fn fold_order(&mut self, event: &order::Event) {
        use order::Event as E;
        match event {
            E::OrderCreated(it) => self.create(it),
            E::OrderPaid(it) => self.pay(it),
            E::OrderCompleted(it) => {
                let tickets = i64::from(it.ticket_count);
                self.end((it.order, it.show), "completed", None);
                if tickets < 1 {
                    self.endings.add(format!("order {} was completed with {tickets} tickets", it.order));
                }
            }
            E::OrderCancelled(it) => self.end((it.order, it.show), "cancelled", Some(word(it.reason))),
            E::OrderFailed(it) => self.end((it.order, it.show), "failed", Some(word(it.reason))),
            E::OrderStuck(it) => {
                if let Some(order) = self.order((it.order, it.show)) {
                    (order.phase, order.reason) = ("stuck", None);
                }
            }
            E::OrderTicketsRefunded(it) => {
                if let Some(order) = self.order((it.order, it.show)) {
                    order.given_back += it.amount;
                }
            }
            E::OrderPaymentAdded(_) | E::OrderPaymentEnded(_) | E::OrderOverdue(_) => {}
        }
    }

    /// Takes the next event of `payment-events` in.
    pub fn fold_payment(&mut self, event: &payment::Event) {
        use payment::Event as E;
        match event {
            E::PaymentRequested(it) => self.request(it),
            E::PaymentIntentCreated(it) => self.turn(it.payment, "open"),
            E::PaymentClosureRequested(it) => self.turn(it.payment, "closing"),
            E::PaymentExpired(it) => self.turn(it.payment, "expired"),
            E::PaymentFailed(it) => {
                self.declined += 1;
                self.turn(it.payment, "failed");
            }
            E::PaymentPartiallyReceived(it) => {
                self.receive(it.payment, &it.reference, (it.amount, it.currency), it.received);
            }
            E::PaymentCompleted(it) => {
                self.receive(it.payment, &it.reference, (it.amount, it.currency), it.received);
                self.turn(it.payment, "completed");
                self.must_be_whole(it.payment);
            }
            E::PaymentQuarantined(it) => self.moved(&it.reference, it.payment, (it.amount, it.currency), true),
            E::RefundRequested(it) => self.refund(it),
            E::PaymentRefunded(it) => self.give_back(it),
            E::RefundFailed(it) => self.refund_fails(it),
        }
    }

    /// Takes the next event of `ticket-events` in.
    pub fn fold_ticket(&mut self, event: &ticket::Event) {
        match event {
            ticket::Event::TicketsIssued(it) => {
                let tickets: Vec<_> = it.tickets.iter().map(|one| (one.ticket, one.ticket_class)).collect();
                for (ticket, _) in &tickets {
                    if !self.ticket_ids.insert(*ticket) {
                        self.endings.add(format!("ticket {ticket} was issued twice"));
                    }
                }
                let issued = Batch { tickets, ..Batch::default() };
                if self.batches.insert((it.order, it.show), issued).is_some() {
                    self.endings.add(format!("order {} got its tickets twice", it.order));
                }
            }
            ticket::Event::TicketsRevoked(it) => {
                let batch = self.batches.entry((it.order, it.show)).or_default();
                let known = batch.tickets.iter().map(|(ticket, _)| *ticket);
                let known: BTreeSet<TicketId> = known.filter(|ticket| !batch.dead.contains(ticket)).collect();
                batch.revoked = true;
                if it.tickets.iter().copied().collect::<BTreeSet<_>>() != known {
                    self.endings.add(format!("order {}: other tickets were revoked than issued", it.order));
                }
            }
            ticket::Event::TicketRevoked(it) => {
                let batch = self.batches.entry((it.order, it.show)).or_default();
                let known = batch.tickets.iter().any(|(ticket, _)| *ticket == it.ticket);
                if !known || batch.revoked || !batch.dead.insert(it.ticket) {
                    self.endings.add(format!("order {}: a ticket was revoked that was not valid", it.order));
                }
            }
        }
    }

    fn create(&mut self, it: &order::OrderCreated) {
        let order = Order {
            total: it.total,
            currency: it.currency,
            phase: "open",
            reason: None,
            paid: false,
            times_paid: 0,
            paid_by: None,
            given_back: 0,
        };
        if self.orders.insert((it.order, it.show), order).is_some() {
            self.endings.add(format!("order {} was created twice", it.order));
        }
    }

    fn pay(&mut self, it: &order::OrderPaid) {
        let Some(order) = self.order((it.order, it.show)) else { return };
        let again = order.paid || order.phase == "completed";
        let other = (order.total, order.currency) != (it.total, it.currency);
        (order.phase, order.reason) = ("open", None);
        (order.paid, order.paid_by) = (true, it.payment);
        order.times_paid += 1;
        if again {
            self.endings.add(format!("order {} was paid although it was paid", it.order));
        }
        if other {
            self.endings.add(format!("order {} was paid with another total", it.order));
        }
    }

    fn end(&mut self, key: Key, phase: &'static str, reason: Option<String>) {
        let Some(order) = self.order(key) else { return };
        let unpaid = phase == "completed" && !order.paid;
        (order.phase, order.reason, order.paid) = (phase, reason, false);
        if unpaid {
            self.endings.add(format!("order {} was completed without being paid", key.0));
        }
    }

    fn order(&mut self, key: Key) -> Option<&mut Order> {
        if !self.orders.contains_key(&key) {
            self.endings.add(format!("something happened to order {} before it was created", key.0));
        }
        self.orders.get_mut(&key)
    }

    fn request(&mut self, it: &payment::PaymentRequested) {
        let payment = Payment {
            order: (it.order, it.show),
            provider: it.provider,
            amount: it.amount,
            currency: it.currency,
            status: "requested",
            received: 0,
            refunded: 0,
            due: 0,
            done: 0,
        };
        if self.payments.insert(it.payment, payment).is_some() {
            self.money.add(format!("payment {} was requested twice", it.payment));
        }
    }

    fn payment(&mut self, id: PaymentId) -> Option<&mut Payment> {
        if !self.payments.contains_key(&id) {
            self.money.add(format!("something happened to payment {id} before it was requested"));
        }
        self.payments.get_mut(&id)
    }

    fn turn(&mut self, id: PaymentId, status: &'static str) {
        if let Some(payment) = self.payment(id) {
            payment.status = status;
        }
    }

    fn receive(&mut self, id: PaymentId, reference: &str, money: (i64, Currency), said: i64) {
        self.moved(reference, id, money, false);
        let Some(payment) = self.payment(id) else { return };
        payment.received += money.0;
        let (received, amount) = (payment.received, payment.amount);
        let other_currency = payment.currency != money.1;
        if received != said {
            self.money.add(format!("payment {id}: {received} came, but the log says {said}"));
        }
        if received > amount || other_currency {
            self.money.add(format!("payment {id}: {received} {} were applied of {amount} asked for", money.1));
        }
    }

    fn must_be_whole(&mut self, id: PaymentId) {
        if let Some(payment) = self.payments.get(&id)
            && payment.received != payment.amount
        {
            let fault = format!("payment {id} is completed by {} of {}", payment.received, payment.amount);
            self.money.add(fault);
        }
    }

    fn moved(&mut self, reference: &str, payment: PaymentId, (amount, currency): (i64, Currency), quarantined: bool) {
        let movement = Movement { payment, amount, currency, quarantined };
        if self.movements.insert(reference.to_owned(), movement).is_some() {
            self.money.add(format!("the movement {reference} was counted twice"));
        }
    }

    fn refund(&mut self, it: &payment::RefundRequested) {
        let Some(payment) = self.payment(it.payment) else { return };
        payment.refunded += it.amount;
        payment.due += if it.by_hand { it.amount } else { 0 };
        if payment.refunded > payment.received || it.amount <= 0 {
            let fault = format!("payment {}: {} of {} go back", it.payment, payment.refunded, payment.received);
            self.money.add(fault);
        }
        let refund = Refund { payment: it.payment, amount: it.amount, due: it.by_hand, done: None, by_hand: false };
        if self.refunds.insert(it.refund, refund).is_some() {
            self.money.add(format!("refund {} was asked for twice", it.refund));
        }
    }

    fn give_back(&mut self, it: &payment::PaymentRefunded) {
        let Some(refund) = self.asked(it.refund, it.payment, it.amount) else { return };
        let due = refund.due;
        (refund.due, refund.by_hand) = (false, it.by_hand);
        let again = refund.done.replace(it.reference.clone()).is_some();
        if again {
            self.money.add(format!("refund {} was done twice", it.refund));
        }
        if !it.by_hand && !self.paid_out.insert((it.provider, it.reference.clone())) {
            self.money.add(format!("the refund {} at {} was counted twice", it.reference, it.provider.as_str()));
        }
        if let Some(payment) = self.payment(it.payment) {
            payment.done += it.amount;
            payment.due -= if due { it.amount } else { 0 };
        }
    }

    fn refund_fails(&mut self, it: &payment::RefundFailed) {
        let Some(refund) = self.asked(it.refund, it.payment, it.amount) else { return };
        let before = refund.due || refund.done.is_some();
        refund.due = true;
        if before {
            self.money.add(format!("refund {} failed although it was due or done", it.refund));
        }
        if let Some(payment) = self.payment(it.payment) {
            payment.due += it.amount;
        }
    }

    fn asked(&mut self, id: RefundId, payment: PaymentId, amount: i64) -> Option<&mut Refund> {
        let fits = |refund: &Refund| (refund.payment, refund.amount) == (payment, amount);
        if !self.refunds.get(&id).is_some_and(fits) {
            self.money.add(format!("refund {id} of {amount} was never asked for"));
            return None;
        }
        self.refunds.get_mut(&id)
    }
}

/// The word that a value of a fieldless enum has in events, such as `by_buyer`.
fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("a fieldless enum is a JSON string, not {other:?}"),
    }
}

//! Purchases as data: what the saga writes into all topics for one order, in each way that an order can go.

use domain::account::{self, ErasedOrder};
use domain::event::Event;
use domain::ids::{DataKeyId, OrderId, PaymentId, PersonId, RefundId, ShowId, TicketClassId, TicketId, derived};
use domain::inventory::{self, Checkout, CloseReason, ReleaseReason};
use domain::order::{self, CancelReason, FailReason, Step};
use domain::payment::{self, QuarantineReason, RefundWhy};
use domain::root::Context;
use domain::show::{self, ClassTerms, ShowDetails};
use domain::ticket::{self, IssuedTicket};
use domain::value::{Currency, Fingerprint, Line, PaymentChoice, PricedLine, Provider, Sealed, Timestamp};
use uuid::Uuid;

use crate::lanes::Told;

/// How an order goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Reserved,
    Awaiting,
    Completed,
    DeclinedThenCompleted,
    ByBuyer,
    Expired,
    Failed,
    Stuck,
    LateAndReopened,
    TooLate,
    InPart,
    ShowCancelled,
    Free,
    OneTicketBack,
}

pub const WAYS: [Way; 14] = [
    Way::Reserved,
    Way::Awaiting,
    Way::Completed,
    Way::DeclinedThenCompleted,
    Way::ByBuyer,
    Way::Expired,
    Way::Failed,
    Way::Stuck,
    Way::LateAndReopened,
    Way::TooLate,
    Way::InPart,
    Way::ShowCancelled,
    Way::Free,
    Way::OneTicketBack,
];

pub const PRICE: i64 = 150_000;
pub const QUANTITY: i32 = 2;
const TOTAL: i64 = PRICE * QUANTITY as i64;

pub fn id(kind: &str, n: u128) -> Uuid {
    Uuid::new_v5(&Uuid::from_u128(n), kind.as_bytes())
}

pub fn show_id(n: u128) -> ShowId {
    ShowId(id("show", n))
}

pub fn class_id(n: u128) -> TicketClassId {
    TicketClassId(id("class", n))
}

pub fn order_id(n: u128) -> OrderId {
    OrderId(id("order", n))
}

pub fn payment_id(n: u128, attempt: u8) -> PaymentId {
    PaymentId(id(&format!("payment {attempt}"), n))
}

/// Collects what is told, in the order of a log that all topics shared.
#[derive(Default)]
pub struct Story {
    pub told: Vec<Told>,
}

impl Story {
    pub fn tell(&mut self, context: Context, key: impl Into<Uuid>, events: Vec<Event>) {
        let at = 1_700_000_000_000_000 + i64::try_from(self.told.len()).unwrap();
        self.told.push(Told { context, key: key.into(), at, events });
    }

    /// A show of one class, on sale.
    pub fn show(&mut self, n: u128) -> &mut Self {
        let (show, organizer) = (show_id(n), "account:anna".to_owned());
        let catalog = |event: show::Event| vec![Event::Show(event)];
        let (details, fingerprint) = (details(&format!("Concert {n}")), Fingerprint([1; 16]));
        let created = show::ShowCreated { show, organizer: organizer.clone(), details, fingerprint };
        self.tell(Context::Catalog, show, catalog(show::Event::ShowCreated(created)));
        let terms = terms(n);
        let defined = show::TicketClassDefined { show, terms: ClassTerms { price: 1, ..terms.clone() }, fingerprint };
        self.tell(Context::Catalog, show, catalog(show::Event::TicketClassDefined(defined)));
        let edited = show::TicketClassEdited { show, terms: terms.clone() };
        self.tell(Context::Catalog, show, catalog(show::Event::TicketClassEdited(edited)));
        let edited = show::ShowEdited { show, details: details_with_city(n) };
        self.tell(Context::Catalog, show, catalog(show::Event::ShowEdited(edited)));
        let room = (n == 1).then(|| crate::queue::terms(Some(Timestamp(1_700_000_000_000_000))));
        let configured = show::ShowConfigured { show, pay_within_s: 900, checkout_url: None, waiting_room: room };
        self.tell(Context::Catalog, show, catalog(show::Event::ShowConfigured(configured)));
        self.tell(Context::Catalog, show, catalog(show::Event::ShowApproved(show::ShowApproved { show })));
        let (currency, classes) = (vnd(), vec![terms]);
        let published = show::ShowPublished {
            show,
            organizer: organizer.clone(),
            currency,
            pay_within_s: 900,
            classes: classes.clone(),
            checkout_url: None,
            waiting_room: room,
            draw_hash: room.map(|_| "ab".repeat(32)),
        };
        self.tell(Context::Catalog, show, catalog(show::Event::ShowPublished(published)));
        let opened =
            inventory::SalesOpened { show, organizer, currency, pay_within_s: 900, classes, waiting_room: false };
        self.stock(n, inventory::Event::SalesOpened(opened))
    }

    pub fn stock(&mut self, show: u128, event: inventory::Event) -> &mut Self {
        self.tell(Context::Inventory, show_id(show), vec![Event::Inventory(event)]);
        self
    }

    /// Several events of one command.
    pub fn stock_frame(&mut self, show: u128, events: Vec<inventory::Event>) -> &mut Self {
        self.tell(Context::Inventory, show_id(show), events.into_iter().map(Event::Inventory).collect());
        self
    }

    pub fn order(&mut self, n: u128, event: order::Event) -> &mut Self {
        self.tell(Context::Order, order_id(n), vec![Event::Order(event)]);
        self
    }

    pub fn payment(&mut self, payment: PaymentId, event: payment::Event) -> &mut Self {
        self.tell(Context::Payment, payment, vec![Event::Payment(event)]);
        self
    }

    pub fn cancel_show(&mut self, n: u128) -> &mut Self {
        let show = show_id(n);
        let cancelled = show::ShowCancelled { show, published: true, waiting_room: false };
        self.tell(Context::Catalog, show, vec![Event::Show(show::Event::ShowCancelled(cancelled))]);
        self.stock(
            n,
            inventory::Event::SalesClosed(inventory::SalesClosed { show, reason: CloseReason::ShowCancelled }),
        )
    }

    /// An order of two tickets of show `s`, all the way.
    pub fn purchase(&mut self, s: u128, n: u128, way: Way) -> &mut Self {
        let free = way == Way::Free;
        self.stock(s, reserved(s, n, 1, free));
        self.created(s, n, free);
        match way {
            Way::Reserved => self,
            Way::Free => self.paid(s, n, None).delivered(s, n),
            Way::Awaiting => self.asked(s, n, 1),
            Way::Completed => self.asked(s, n, 1).received(s, n, 1).paid(s, n, Some(1)).delivered(s, n),
            Way::OneTicketBack => {
                self.asked(s, n, 1).received(s, n, 1).paid(s, n, Some(1)).delivered(s, n).one_ticket_back(s, n)
            }
            Way::DeclinedThenCompleted => self
                .asked(s, n, 1)
                .declined(s, n, 1)
                .asked(s, n, 2)
                .received(s, n, 2)
                .paid(s, n, Some(2))
                .delivered(s, n),
            Way::ByBuyer => self.asked(s, n, 1).cancelled(s, n, CancelReason::ByBuyer, ReleaseReason::ByBuyer, false),
            Way::Expired => self.asked(s, n, 1).cancelled(s, n, CancelReason::Expired, ReleaseReason::Expired, false),
            Way::Failed => {
                self.asked(s, n, 1).declined(s, n, 1);
                let (order, show, reason) = (order_id(n), show_id(s), FailReason::PaymentFailed);
                let failed = order::OrderFailed { order, show, reason, open_payments: vec![], session: None };
                self.order(n, order::Event::OrderFailed(failed));
                self.stock(s, released(s, n, ReleaseReason::PaymentFailed, false))
            }
            Way::Stuck => {
                let (order, show, step) = (order_id(n), show_id(s), Step::PaymentStatus);
                let stuck = order::OrderStuck { order, show, step, reason: "silent".to_owned() };
                self.asked(s, n, 1).order(n, order::Event::OrderStuck(stuck))
            }
            Way::LateAndReopened => {
                self.asked(s, n, 1).cancelled(s, n, CancelReason::Expired, ReleaseReason::Expired, false);
                self.received(s, n, 1).paid(s, n, Some(1));
                let confirmed = inventory::ReservationConfirmed {
                    show: show_id(s),
                    order: order_id(n),
                    attempt: 2,
                    lines: lines(s),
                };
                let again = vec![reserved(s, n, 2, false), inventory::Event::ReservationConfirmed(confirmed)];
                self.stock_frame(s, again).issued(s, n).completed(s, n)
            }
            Way::TooLate => {
                self.asked(s, n, 1).cancelled(s, n, CancelReason::Expired, ReleaseReason::Expired, false);
                self.received(s, n, 1).refund(s, n, TOTAL, RefundWhy::PaidTooLate).refund_failed(s, n, TOTAL)
            }
            Way::InPart => {
                let (payment, order, show) = (payment_id(n, 1), order_id(n), show_id(s));
                let partial = payment::PaymentPartiallyReceived {
                    payment,
                    order,
                    show,
                    reference: "part".to_owned(),
                    amount: 1000,
                    currency: vnd(),
                    received: 1000,
                    fee: 0,
                    provider: Provider::Payos,
                };
                self.asked(s, n, 1).payment(payment, payment::Event::PaymentPartiallyReceived(partial));
                self.cancelled(s, n, CancelReason::Expired, ReleaseReason::Expired, false);
                let expired = payment::PaymentExpired { payment, order, show };
                self.payment(payment, payment::Event::PaymentExpired(expired));
                // What comes after the end goes back by itself.
                self.refund(s, n, 1000, RefundWhy::PaidInPart).refund(s, n, 500, RefundWhy::PaidInPart)
            }
            Way::ShowCancelled => {
                self.asked(s, n, 1).received(s, n, 1).paid(s, n, Some(1)).delivered(s, n);
                self.cancelled(s, n, CancelReason::ShowCancelled, ReleaseReason::ShowCancelled, true);
                self.revoked(s, n).refund(s, n, TOTAL, RefundWhy::ShowCancelled).given_back(s, n, TOTAL)
            }
        }
    }

    /// Money that fits nothing.
    pub fn quarantine(&mut self, n: u128) -> &mut Self {
        let payment = payment_id(n, 9);
        let quarantined = payment::PaymentQuarantined {
            payment,
            order: None,
            show: None,
            provider: Provider::Payos,
            serial: 77,
            reference: "FT-1".to_owned(),
            amount: 5,
            currency: vnd(),
            reason: QuarantineReason::UnknownReference,
        };
        self.payment(payment, payment::Event::PaymentQuarantined(quarantined))
    }

    pub fn created(&mut self, s: u128, n: u128, free: bool) -> &mut Self {
        let created = order::OrderCreated {
            order: order_id(n),
            show: show_id(s),
            organizer: "account:anna".to_owned(),
            person: person(n),
            principal: principal(n),
            code: code(n),
            lines: priced(s, free),
            currency: vnd(),
            total: if free { 0 } else { TOTAL },
            pay_by: Timestamp(900),
            hold_until: Timestamp(1200),
            created_at: Timestamp(1),
            payment: (!free).then(|| choice(n)),
            session: None,
        };
        self.order(n, order::Event::OrderCreated(created))
    }

    pub fn asked(&mut self, s: u128, n: u128, attempt: u8) -> &mut Self {
        let (payment, order, show) = (payment_id(n, attempt), order_id(n), show_id(s));
        let requested = payment::PaymentRequested {
            payment,
            order,
            show,
            provider: Provider::Payos,
            serial: i64::try_from(n).unwrap() * 10 + i64::from(attempt),
            amount: TOTAL,
            currency: vnd(),
            code: code(n),
            return_url: "https://shop.example/back".to_owned(),
            cancel_url: None,
            pay_by: Timestamp(900),
        };
        self.payment(payment, payment::Event::PaymentRequested(requested));
        let (reference, url) = (format!("link-{n}-{attempt}"), format!("https://pay.example/{n}/{attempt}"));
        let intent = payment::PaymentIntentCreated { payment, order, show, reference, url };
        self.payment(payment, payment::Event::PaymentIntentCreated(intent))
    }

    fn declined(&mut self, s: u128, n: u128, attempt: u8) -> &mut Self {
        let (payment, order, show) = (payment_id(n, attempt), order_id(n), show_id(s));
        let failed = payment::PaymentFailed { payment, order, show, reason: "declined".to_owned() };
        self.payment(payment, payment::Event::PaymentFailed(failed));
        let ended = order::OrderPaymentEnded { order, show, payment, failed: true };
        self.order(n, order::Event::OrderPaymentEnded(ended))
    }

    /// The buyer of an order is forgotten.
    pub fn erase(&mut self, s: u128, n: u128) -> &mut Self {
        let key = DataKeyId(id("key", n));
        let orders = vec![ErasedOrder { order: order_id(n), show: show_id(s), key }];
        let erased = account::PersonErased { person: person(n), orders };
        self.tell(Context::Account, person(n), vec![Event::Account(erased.into())]);
        self
    }

    pub fn received(&mut self, s: u128, n: u128, attempt: u8) -> &mut Self {
        let (payment, order, show) = (payment_id(n, attempt), order_id(n), show_id(s));
        let completed = payment::PaymentCompleted {
            payment,
            order,
            show,
            reference: format!("FT-{n}-{attempt}"),
            amount: TOTAL,
            currency: vnd(),
            received: TOTAL,
            fee: 0,
            provider: Provider::Payos,
        };
        self.payment(payment, payment::Event::PaymentCompleted(completed))
    }

    pub fn paid(&mut self, s: u128, n: u128, attempt: Option<u8>) -> &mut Self {
        let paid = order::OrderPaid {
            order: order_id(n),
            show: show_id(s),
            payment: attempt.map(|attempt| payment_id(n, attempt)),
            lines: priced(s, attempt.is_none()),
            currency: vnd(),
            total: attempt.map_or(0, |_| TOTAL),
        };
        self.order(n, order::Event::OrderPaid(paid))
    }

    /// Confirmed, issued, completed.
    pub fn delivered(&mut self, s: u128, n: u128) -> &mut Self {
        let (show, order) = (show_id(s), order_id(n));
        let confirmed = inventory::ReservationConfirmed { show, order, attempt: 1, lines: lines(s) };
        self.stock(s, inventory::Event::ReservationConfirmed(confirmed)).issued(s, n).completed(s, n)
    }

    fn issued(&mut self, s: u128, n: u128) -> &mut Self {
        let issue = |ticket| IssuedTicket { ticket, ticket_class: class_id(s) };
        let (order, show, tickets) = (order_id(n), show_id(s), tickets(n).map(issue).to_vec());
        let issued = ticket::Event::TicketsIssued(ticket::TicketsIssued { order, show, tickets });
        self.tell(Context::Ticket, order, vec![Event::Ticket(issued)]);
        self
    }

    fn revoked(&mut self, s: u128, n: u128) -> &mut Self {
        let (order, show, tickets) = (order_id(n), show_id(s), tickets(n).to_vec());
        let revoked = ticket::Event::TicketsRevoked(ticket::TicketsRevoked { order, show, tickets });
        self.tell(Context::Ticket, order, vec![Event::Ticket(revoked)]);
        self
    }

    fn completed(&mut self, s: u128, n: u128) -> &mut Self {
        let completed =
            order::OrderCompleted { order: order_id(n), show: show_id(s), ticket_count: QUANTITY, session: None };
        self.order(n, order::Event::OrderCompleted(completed))
    }

    fn cancelled(&mut self, s: u128, n: u128, why: CancelReason, release: ReleaseReason, sold: bool) -> &mut Self {
        let cancelled = order::OrderCancelled {
            order: order_id(n),
            show: show_id(s),
            reason: why,
            open_payments: vec![],
            refund: None,
            refund_why: None,
            issued: sold,
            session: None,
        };
        self.order(n, order::Event::OrderCancelled(cancelled));
        self.stock(s, released(s, n, release, sold))
    }

    fn refund(&mut self, s: u128, n: u128, amount: i64, why: RefundWhy) -> &mut Self {
        let payment = payment_id(n, 1);
        let refund = payment::RefundRequested {
            payment,
            order: order_id(n),
            show: show_id(s),
            provider: Provider::Payos,
            amount,
            currency: vnd(),
            why,
            by_hand: true,
            refund: refund_id(payment, amount),
            requested_at: Timestamp(0),
        };
        self.payment(payment, payment::Event::RefundRequested(refund))
    }

    fn given_back(&mut self, s: u128, n: u128, amount: i64) -> &mut Self {
        let payment = payment_id(n, 1);
        let back = payment::PaymentRefunded {
            payment,
            order: order_id(n),
            show: show_id(s),
            provider: Provider::Payos,
            refund: refund_id(payment, amount),
            reference: format!("FT back {n}"),
            amount,
            currency: vnd(),
            by_hand: true,
        };
        self.payment(payment, payment::Event::PaymentRefunded(back))
    }

    fn refund_failed(&mut self, s: u128, n: u128, amount: i64) -> &mut Self {
        let payment = payment_id(n, 1);
        let failed = payment::RefundFailed {
            payment,
            order: order_id(n),
            show: show_id(s),
            provider: Provider::Payos,
            refund: refund_id(payment, amount),
            amount,
            currency: vnd(),
            reason: "account_closed".to_owned(),
        };
        self.payment(payment, payment::Event::RefundFailed(failed))
    }

    /// The first ticket of an order dies, and its money goes back.
    fn one_ticket_back(&mut self, s: u128, n: u128) -> &mut Self {
        let (order, show, ticket) = (order_id(n), show_id(s), tickets(n)[0]);
        let (payment, amount) = (payment_id(n, 1), TOTAL / 2);
        let (refund, currency) = (refund_id(payment, amount), vnd());
        let some =
            order::OrderTicketsRefunded { order, show, refund, payment, tickets: vec![ticket], amount, currency };
        self.order(n, order::Event::OrderTicketsRefunded(some));
        let dead = ticket::Event::TicketRevoked(ticket::TicketRevoked { order, show, ticket });
        self.tell(Context::Ticket, order, vec![Event::Ticket(dead)]);
        self.refund(s, n, amount, RefundWhy::ByStaff)
    }
}

fn refund_id(payment: PaymentId, amount: i64) -> RefundId {
    RefundId(derived(payment.0, "refund", u64::try_from(amount).unwrap()))
}

/// Three shows, an order for every way in each of the first two, waiting rooms, and some money that
/// fits nothing.
pub fn everything() -> Story {
    let mut story = Story::default();
    story.show(1).show(2).show(3);
    for (n, way) in (0..).zip(WAYS.iter().cycle().take(4 * WAYS.len())) {
        // Every way in both shows.
        let round = n / WAYS.len() as u128;
        story.purchase(1 + (n + round) % 2, 100 + n, *way);
    }
    let price = inventory::PriceChanged { show: show_id(2), ticket_class: class_id(2), price: PRICE + 1 };
    let capacity = inventory::CapacityChanged { show: show_id(2), ticket_class: class_id(2), capacity: 2000 };
    story.stock(2, inventory::Event::PriceChanged(price)).stock(2, inventory::Event::CapacityChanged(capacity));
    story.room(1, 40).room(2, 30).room(3, 9).close_room(3);
    story.quarantine(1).cancel_show(3).erase(1, 100);
    story
}

pub fn reserved(s: u128, n: u128, attempt: i32, free: bool) -> inventory::Event {
    let checkout = Checkout {
        session: None,
        person: person(n),
        principal: principal(n),
        code: code(n),
        buyer: Sealed(vec![1, 2, 3]),
        email_hash: format!("{n:032x}"),
        payment: (!free).then(|| choice(n)),
        fingerprint: Fingerprint([2; 16]),
    };
    inventory::Event::TicketsReserved(inventory::TicketsReserved {
        show: show_id(s),
        order: order_id(n),
        attempt,
        organizer: "account:anna".to_owned(),
        lines: priced(s, free),
        currency: vnd(),
        total: if free { 0 } else { TOTAL },
        pay_by: Timestamp(900),
        hold_until: Timestamp(1200 * i64::from(attempt)),
        checkout: (attempt == 1).then_some(checkout),
    })
}

pub fn released(s: u128, n: u128, reason: ReleaseReason, confirmed: bool) -> inventory::Event {
    inventory::Event::ReservationReleased(inventory::ReservationReleased {
        show: show_id(s),
        order: order_id(n),
        attempt: 1,
        lines: lines(s),
        confirmed,
        reason,
        session: None,
    })
}

pub fn code(n: u128) -> String {
    format!("CODE{n:06}")
}

pub fn principal(n: u128) -> String {
    format!("guest:{}", id("guest", n))
}

fn person(n: u128) -> PersonId {
    PersonId(id("person", n))
}

fn tickets(n: u128) -> [TicketId; QUANTITY as usize] {
    [TicketId(id("ticket 0", n)), TicketId(id("ticket 1", n))]
}

fn choice(n: u128) -> PaymentChoice {
    let return_url = "https://shop.example/back".to_owned();
    PaymentChoice { payment: payment_id(n, 1), provider: Provider::Payos, return_url, cancel_url: None }
}

fn lines(s: u128) -> Vec<Line> {
    vec![Line { ticket_class: class_id(s), quantity: QUANTITY }]
}

fn priced(s: u128, free: bool) -> Vec<PricedLine> {
    let unit_price = if free { 0 } else { PRICE };
    vec![PricedLine { ticket_class: class_id(s), quantity: QUANTITY, unit_price }]
}

fn vnd() -> Currency {
    "VND".parse().unwrap()
}

fn terms(n: u128) -> ClassTerms {
    ClassTerms {
        ticket_class: class_id(n),
        name: "Standing".to_owned(),
        price: PRICE,
        capacity: 1000,
        sale_starts_at: None,
        sale_ends_at: Some(Timestamp(5)),
        max_per_order: 10,
    }
}

fn details(name: &str) -> ShowDetails {
    ShowDetails {
        name: name.to_owned(),
        description: Some("Loud".to_owned()),
        starts_at: Timestamp(10),
        ends_at: None,
        time_zone: "Asia/Ho_Chi_Minh".to_owned(),
        venue_name: "Nhà hát".to_owned(),
        venue_city: None,
        currency: vnd(),
        categories: vec!["Rock".to_owned(), "Live".to_owned()],
    }
}

fn details_with_city(n: u128) -> ShowDetails {
    ShowDetails { description: None, venue_city: Some("Saigon".to_owned()), ..details(&format!("Concert {n}")) }
}

//! A good purchase holds every law; every way in which a log could be wrong breaks the law that is meant to see it.

use domain::event::Event;
use domain::ids::{OrderId, PaymentId, PersonId, RefundId, SessionId, ShowId, TicketClassId, TicketId};
use domain::inventory::{
    Checkout, ReleaseReason, ReservationConfirmed, ReservationReleased, SalesOpened, TicketsReserved,
};
use domain::order::{CancelReason, OrderCancelled, OrderCompleted, OrderCreated, OrderOverdue, OrderPaid};
use domain::payment::{
    PaymentCompleted, PaymentExpired, PaymentIntentCreated, PaymentPartiallyReceived, PaymentQuarantined,
    PaymentRefunded, PaymentRequested, QuarantineReason, RefundRequested, RefundWhy,
};
use domain::root::Context;
use domain::show::ClassTerms;
use domain::ticket::{IssuedTicket, TicketsIssued};
use domain::value::{Currency, Fingerprint, Line, PricedLine, Provider, Sealed, Timestamp};
use domain::{inventory, order, payment, ticket};
use uuid::Uuid;

use super::{Expected, Facts, Sums, Transfer, compare, compare_statement, expected, from_facts, promised};

pub(crate) const SHOW: ShowId = ShowId(Uuid::from_u128(0x51));
pub(crate) const CLASS: TicketClassId = TicketClassId(Uuid::from_u128(0xc1));
const PRICE: i64 = 100;
/// Until when orders can be paid, and how long their stock is held.
const DEADLINES: (Timestamp, Timestamp) = (Timestamp(100_000_000_000), Timestamp(100_300_000_000));

pub(crate) fn order(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

pub(crate) fn paying(n: u128) -> PaymentId {
    PaymentId(Uuid::from_u128(0xa00 + n))
}

pub(crate) fn vnd() -> Currency {
    "VND".parse().unwrap()
}

fn lines(quantity: i32) -> Vec<PricedLine> {
    vec![PricedLine { ticket_class: CLASS, quantity, unit_price: PRICE }]
}

pub(crate) fn bare(quantity: i32) -> Vec<Line> {
    vec![Line { ticket_class: CLASS, quantity }]
}

fn total(quantity: i32) -> i64 {
    PRICE * i64::from(quantity)
}

pub(crate) fn opened(capacity: i64) -> Event {
    let terms = ClassTerms {
        ticket_class: CLASS,
        name: "GA".to_owned(),
        price: PRICE,
        capacity,
        sale_starts_at: None,
        sale_ends_at: None,
        max_per_order: 10,
    };
    let (organizer, currency) = ("account:o".to_owned(), vnd());
    let (pay_within_s, classes, waiting_room) = (20, vec![terms], false);
    inventory::Event::from(SalesOpened { show: SHOW, organizer, currency, pay_within_s, classes, waiting_room }).into()
}

pub(crate) fn reserved(n: u128, quantity: i32) -> Event {
    reserved_again(n, quantity, 1)
}

pub(crate) fn reserved_again(n: u128, quantity: i32, attempt: i32) -> Event {
    let Event::Inventory(inventory::Event::TicketsReserved(reserved)) = reserved_by(order(n), SHOW, None) else {
        unreachable!("that is what it makes")
    };
    let checkout = reserved.checkout.filter(|_| attempt == 1);
    let (lines, total) = (lines(quantity), total(quantity));
    inventory::Event::from(TicketsReserved { lines, total, attempt, checkout, ..reserved }).into()
}

/// An order of one, by a session of a waiting room or without one.
pub(crate) fn reserved_by(order: OrderId, show: ShowId, session: Option<SessionId>) -> Event {
    let checkout = Checkout {
        session,
        person: PersonId::default(),
        principal: "guest:1".to_owned(),
        code: "ABCDEFGHJK".to_owned(),
        buyer: Sealed::default(),
        email_hash: String::new(),
        payment: None,
        fingerprint: Fingerprint::default(),
    };
    let reserved = TicketsReserved {
        show,
        order,
        attempt: 1,
        organizer: "account:o".to_owned(),
        lines: lines(1),
        currency: vnd(),
        total: total(1),
        pay_by: DEADLINES.0,
        hold_until: DEADLINES.1,
        checkout: Some(checkout),
    };
    inventory::Event::from(reserved).into()
}

pub(crate) fn confirmed(n: u128, quantity: i32) -> Event {
    confirmed_again(n, quantity, 1)
}

pub(crate) fn confirmed_again(n: u128, quantity: i32, attempt: i32) -> Event {
    let confirmed = ReservationConfirmed { show: SHOW, order: order(n), attempt, lines: bare(quantity) };
    inventory::Event::from(confirmed).into()
}

pub(crate) fn released(n: u128, quantity: i32, confirmed: bool) -> Event {
    let reason = if confirmed { ReleaseReason::Refunded } else { ReleaseReason::ByBuyer };
    let lines = bare(quantity);
    let released =
        ReservationReleased { show: SHOW, order: order(n), attempt: 1, lines, confirmed, reason, session: None };
    inventory::Event::from(released).into()
}

pub(crate) fn created(n: u128, quantity: i32) -> Event {
    let Event::Order(order::Event::OrderCreated(created)) = created_order(order(n), SHOW) else {
        unreachable!("that is what it makes")
    };
    let (lines, total) = (lines(quantity), total(quantity));
    order::Event::from(OrderCreated { lines, total, ..created }).into()
}

/// An order of one.
pub(crate) fn created_order(order: OrderId, show: ShowId) -> Event {
    let created = OrderCreated {
        order,
        show,
        organizer: "account:o".to_owned(),
        person: PersonId::default(),
        principal: "guest:1".to_owned(),
        code: "ABCDEFGHJK".to_owned(),
        lines: lines(1),
        currency: vnd(),
        total: total(1),
        created_at: Timestamp(0),
        pay_by: DEADLINES.0,
        hold_until: DEADLINES.1,
        payment: None,
        session: None,
    };
    order::Event::from(created).into()
}

pub(crate) fn requested(payment: u128, n: u128, amount: i64) -> Event {
    let requested = PaymentRequested {
        payment: paying(payment),
        order: order(n),
        show: SHOW,
        provider: Provider::Payos,
        serial: 8,
        amount,
        currency: vnd(),
        code: String::new(),
        return_url: String::new(),
        cancel_url: None,
        pay_by: Timestamp(0),
    };
    payment::Event::from(requested).into()
}

pub(crate) fn opened_page(payment: u128, n: u128) -> Event {
    let (reference, url) = ("l".to_owned(), "http://x".to_owned());
    let created = PaymentIntentCreated { payment: paying(payment), order: order(n), show: SHOW, reference, url };
    payment::Event::from(created).into()
}

pub(crate) fn completed_payment(payment: u128, n: u128, amount: i64, reference: &str) -> Event {
    let completed = PaymentCompleted {
        payment: paying(payment),
        order: order(n),
        show: SHOW,
        reference: reference.to_owned(),
        amount,
        currency: vnd(),
        received: amount,
        fee: 0,
        provider: Provider::Payos,
    };
    payment::Event::from(completed).into()
}

pub(crate) fn part(payment: u128, n: u128, amount: i64, reference: &str) -> Event {
    let part = PaymentPartiallyReceived {
        payment: paying(payment),
        order: order(n),
        show: SHOW,
        reference: reference.to_owned(),
        amount,
        currency: vnd(),
        received: amount,
        fee: 0,
        provider: Provider::Payos,
    };
    payment::Event::from(part).into()
}

pub(crate) fn expired_payment(payment: u128, n: u128) -> Event {
    payment::Event::from(PaymentExpired { payment: paying(payment), order: order(n), show: SHOW }).into()
}

pub(crate) fn refund(payment: u128, n: u128, amount: i64) -> Event {
    let refund = RefundRequested {
        payment: paying(payment),
        order: order(n),
        show: SHOW,
        provider: Provider::Payos,
        amount,
        currency: vnd(),
        why: RefundWhy::PaidTooLate,
        by_hand: true,
        refund: RefundId(Uuid::from_u128(0x4ef0_0000 + payment)),
        requested_at: Timestamp(0),
    };
    payment::Event::from(refund).into()
}

pub(crate) fn paid(n: u128, quantity: i32, payment: u128) -> Event {
    let paid = OrderPaid {
        order: order(n),
        show: SHOW,
        payment: Some(paying(payment)),
        lines: lines(quantity),
        currency: vnd(),
        total: total(quantity),
    };
    order::Event::from(paid).into()
}

pub(crate) fn issued(n: u128, count: u128) -> Event {
    let ticket = |at: u128| IssuedTicket { ticket: ticket_id(n, at), ticket_class: CLASS };
    let tickets = (0..count).map(ticket).collect();
    ticket::Event::from(TicketsIssued { order: order(n), show: SHOW, tickets }).into()
}

pub(crate) fn ticket_id(n: u128, at: u128) -> TicketId {
    TicketId(Uuid::from_u128(n * 1000 + at))
}

pub(crate) fn completed(n: u128, ticket_count: i32) -> Event {
    order::Event::from(OrderCompleted { order: order(n), show: SHOW, ticket_count, session: None }).into()
}

/// The end of an order that got its ticket.
pub(crate) fn completed_order(order: OrderId, show: ShowId) -> Event {
    order::Event::from(OrderCompleted { order, show, ticket_count: 1, session: None }).into()
}

pub(crate) fn cancelled(n: u128) -> Event {
    cancelled_order(order(n), SHOW)
}

/// The end of an order that nobody paid.
pub(crate) fn cancelled_order(order: OrderId, show: ShowId) -> Event {
    let cancelled = OrderCancelled {
        order,
        show,
        reason: CancelReason::ByBuyer,
        open_payments: vec![],
        refund: None,
        refund_why: None,
        issued: false,
        session: None,
    };
    order::Event::from(cancelled).into()
}

/// The end of an order whose time to pay is over.
pub(crate) fn lapsed(n: u128) -> Event {
    match cancelled(n) {
        Event::Order(order::Event::OrderCancelled(it)) => {
            order::Event::from(OrderCancelled { reason: CancelReason::Expired, ..it }).into()
        }
        other => other,
    }
}

/// The time to pay is over, and open payments are asked for.
pub(crate) fn overdue(n: u128) -> Event {
    order::Event::from(OrderOverdue { order: order(n), show: SHOW, payments: vec![] }).into()
}

/// An order of two from its reservation to its tickets.
pub(crate) fn purchase(n: u128) -> Vec<Event> {
    let reference = format!("r{n}");
    vec![
        reserved(n, 2),
        created(n, 2),
        requested(n, n, 200),
        opened_page(n, n),
        completed_payment(n, n, 200, &reference),
        paid(n, 2, n),
        confirmed(n, 2),
        issued(n, 2),
        completed(n, 2),
    ]
}

/// An order of one that nobody paid.
pub(crate) fn walk_away(n: u128) -> Vec<Event> {
    let (reserved, created) = (reserved(n, 1), created(n, 1));
    vec![
        reserved,
        created,
        requested(n, n, 100),
        opened_page(n, n),
        expired_payment(n, n),
        cancelled(n),
        released(n, 1, false),
    ]
}

fn folded(events: impl IntoIterator<Item = Event>) -> Facts {
    let mut facts = Facts::default();
    events.into_iter().for_each(|event| facts.fold(&event, Timestamp(0)));
    facts
}

pub(crate) fn good() -> Vec<Event> {
    [vec![opened(4)], purchase(1), walk_away(2), purchase(3)].concat()
}

/// The names of the laws that these events break.
fn broken(events: Vec<Event>) -> Vec<&'static str> {
    let report = from_facts(&folded(events));
    report.laws.iter().filter(|law| !law.holds()).map(|law| law.name).collect()
}

/// Without the first event of that name.
fn without(mut events: Vec<Event>, name: &str) -> Vec<Event> {
    let at = events.iter().position(|event| event.name() == name).unwrap();
    events.remove(at);
    events
}

#[test]
fn a_good_log_holds_every_law() {
    assert_eq!(broken(good()), [""; 0], "{}", from_facts(&folded(good())).text());
}

#[test]
fn topics_may_be_read_in_any_order() {
    let mut events = good();
    events.sort_by_key(|event| std::cmp::Reverse(event.context()));
    assert_eq!(broken(events), [""; 0]);
}

#[test]
fn one_ticket_too_many_is_oversold() {
    let events = [vec![opened(3)], purchase(1), purchase(3)].concat();
    assert_eq!(broken(events), ["held + sold never exceeds capacity"]);
}

#[test]
fn oversold_for_a_moment_is_oversold() {
    let early = [vec![opened(4)], vec![reserved(2, 1), created(2, 1)], purchase(1), purchase(3)].concat();
    let events = [early, vec![cancelled(2), released(2, 1, false)]].concat();
    assert_eq!(broken(events), ["held + sold never exceeds capacity"]);
}

#[test]
fn a_reservation_that_ends_twice_is_seen() {
    let twice = [good(), vec![confirmed(1, 2)]].concat();
    assert!(broken(twice).contains(&"every reservation ends exactly once"));
    let after_release = [good(), vec![confirmed(2, 1)]].concat();
    assert!(broken(after_release).contains(&"every reservation ends exactly once"));
    let other_lines = [good(), vec![reserved(4, 1), released(4, 2, false)]].concat();
    assert!(broken(other_lines).contains(&"every reservation ends exactly once"));
    let second_attempt_too_early = [good(), vec![reserved_again(1, 2, 2)]].concat();
    assert!(broken(second_attempt_too_early).contains(&"every reservation ends exactly once"));
}

#[test]
fn stock_that_nobody_gives_back_is_seen() {
    let events = without(good(), "ReservationReleased");
    assert!(broken(events).contains(&"stock is held for open orders only"));
}

#[test]
fn who_paid_without_a_ticket_is_seen() {
    let paid = "who paid has the tickets or a refund";
    let never_issued = without(without(good(), "TicketsIssued"), "OrderCompleted");
    assert_eq!(broken(never_issued), [paid, "as many valid tickets as were sold", "all money is accounted for"]);
    let says_completed = without(good(), "TicketsIssued");
    assert!(broken(says_completed).contains(&paid));
    let one_missing: Vec<Event> =
        good().into_iter().map(|event| if event == issued(1, 2) { issued(1, 1) } else { event }).collect();
    assert!(broken(one_missing).contains(&paid));
}

#[test]
fn tickets_without_money_are_seen() {
    let events = without(without(good(), "PaymentCompleted"), "PaymentIntentCreated");
    let broken = broken(events);
    assert!(broken.contains(&"who paid has the tickets or a refund"), "{broken:?}");
    assert!(broken.contains(&"all money is accounted for"), "{broken:?}");
}

#[test]
fn late_money_goes_back_or_is_seen() {
    let late = [good(), vec![completed_payment(2, 2, 100, "late")]].concat();
    assert_eq!(broken(late.clone()), ["all money is accounted for"]);
    assert_eq!(broken([late, vec![refund(2, 2, 100)]].concat()), [""; 0]);
}

#[test]
fn a_second_payment_goes_back_or_is_seen() {
    let second = vec![requested(9, 1, 200), opened_page(9, 1), completed_payment(9, 1, 200, "second")];
    let twice = [good(), second].concat();
    assert_eq!(broken(twice.clone()), ["all money is accounted for", "no order keeps two payments"]);
    assert_eq!(broken([twice, vec![refund(9, 1, 200)]].concat()), [""; 0]);
}

#[test]
fn a_refund_of_a_served_order_is_seen() {
    let events = [good(), vec![refund(1, 1, 200)]].concat();
    assert!(broken(events).contains(&"who paid has the tickets or a refund"));
}

#[test]
fn money_counted_twice_is_seen() {
    let again = [good(), vec![part(1, 1, 200, "r1")]].concat();
    assert!(broken(again).contains(&"all money is accounted for"));
}

#[test]
fn one_movement_that_settles_two_refunds_is_seen() {
    let back = |payment: u128, n: u128, reference: &str| {
        let Event::Payment(payment::Event::RefundRequested(asked)) = refund(payment, n, 100) else { unreachable!() };
        let done = PaymentRefunded {
            payment: asked.payment,
            order: asked.order,
            show: asked.show,
            provider: asked.provider,
            refund: asked.refund,
            reference: reference.to_owned(),
            amount: asked.amount,
            currency: asked.currency,
            by_hand: false,
        };
        vec![refund(payment, n, 100), payment::Event::from(done).into()]
    };
    let late =
        |payment| vec![requested(payment, 2, 100), completed_payment(payment, 2, 100, &format!("late {payment}"))];
    let both = [good(), late(7), late(8)].concat();
    assert_eq!(broken([both.clone(), back(7, 2, "one"), back(8, 2, "two")].concat()), [""; 0]);
    assert_eq!(broken([both, back(7, 2, "one"), back(8, 2, "one")].concat()), ["no money is counted twice"]);
}

#[test]
fn a_part_waits_while_the_order_is_open_only() {
    let open = [good(), vec![reserved(4, 0), created(4, 0), requested(4, 4, 100), part(4, 4, 40, "p")]].concat();
    assert_eq!(broken(open.clone()), [""; 0]);
    let over = [open, vec![expired_payment(4, 4)]].concat();
    assert_eq!(broken(over.clone()), ["all money is accounted for"]);
    assert_eq!(broken([over, vec![refund(4, 4, 40)]].concat()), [""; 0]);
}

#[test]
fn an_event_lost_or_applied_twice_is_seen_by_its_version() {
    let mut facts = Facts::default();
    for version in [1, 2, 4, 4] {
        facts.log.version((Context::Inventory, SHOW.0), "SalesOpened", version);
    }
    assert_eq!(facts.log.versions.count, 2);
    assert!(!from_facts(&facts).holds());
}

#[test]
fn an_acknowledged_order_or_ticket_that_is_missing_is_seen() {
    let facts = folded(good());
    let known = (order(1), SHOW);
    assert!(promised(&facts, &[known], &[(order(1), ticket_id(1, 1))]).holds());
    assert!(!promised(&facts, &[known, (order(9), SHOW)], &[]).holds());
    assert!(!promised(&facts, &[known], &[(order(1), ticket_id(1, 2))]).holds());
}

#[test]
fn other_sums_in_postgres_are_seen() {
    let log = Sums::of(&folded(good()));
    assert!(compare(&log, &log.clone()).holds());
    let one_less = Sums::of(&folded([vec![opened(4)], purchase(1), walk_away(2)].concat()));
    assert!(!compare(&log, &one_less).holds());
    assert!(!compare(&one_less, &log).holds());
    let mut views = log.clone();
    views.payments.values_mut().for_each(|sums| sums.refund += 1);
    assert_eq!(compare(&log, &views).faults.count, 2);
}

#[test]
fn the_statement_is_compared_to_the_unit() {
    let quarantined = PaymentQuarantined {
        payment: paying(1),
        order: Some(order(1)),
        show: Some(SHOW),
        provider: Provider::Payos,
        serial: 8,
        reference: "q".to_owned(),
        amount: 5,
        currency: vnd(),
        reason: QuarantineReason::TooMuch,
    };
    let facts = folded([good(), vec![payment::Event::from(quarantined).into()]].concat());
    let transfer =
        |reference: &str, amount| Transfer { reference: reference.to_owned(), amount, currency: "VND".to_owned() };
    let right = vec![transfer("r1", 200), transfer("r3", 200), transfer("q", 5)];
    assert!(compare_statement(&facts, &right).holds());
    assert!(!compare_statement(&facts, &right[..2]).holds());
    let more = [right.clone(), vec![transfer("lost", 1)]].concat();
    assert!(!compare_statement(&facts, &more).holds());
    let other = vec![transfer("r1", 201), right[1].clone(), right[2].clone()];
    assert!(!compare_statement(&facts, &other).holds());
}

#[test]
fn a_run_that_was_through_nothing_is_void() {
    let doubtful = crate::history::Call { op: crate::history::Op::Join, ..crate::history::Call::default() };
    let holds = |fenced, in_doubt, facts: &Facts, calls: Option<&[crate::history::Call]>| {
        expected(Expected { fenced, in_doubt }, facts, calls).is_none_or(|law| law.holds())
    };
    let mut facts = folded(good());
    assert!(holds(false, false, &facts, None), "nothing was expected");
    assert!(!holds(true, false, &facts, None) && !holds(false, true, &facts, None));
    assert!(!holds(false, true, &facts, Some(&[])) && holds(false, true, &facts, Some(&[doubtful])));
    let place = event_log::log::Partition { context: Context::Order, number: 0 };
    facts.partitions.insert(place, crate::Counts { old_term: 1, ..crate::Counts::default() });
    assert!(holds(true, false, &facts, None));
}

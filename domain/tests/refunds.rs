//! Money that staff gives back, and what becomes of every refund.

use domain::ids::{RefundId, TicketId, derived};
use domain::inventory::ReleaseReason;
use domain::order::{
    self, CancelReason, Order, OrderCancelled, OrderCompleted, OrderPaid, OrderTicketsRefunded, Status,
};
use domain::payment::{
    self, Payment, PaymentCompleted, PaymentRefunded, PaymentRequested, RefundFailed, RefundRequested, RefundWhy,
};
use domain::root::Root;
use domain::saga::{Action, Effect};
use domain::ticket::{self, TicketBatch, TicketRevoked, TicketsIssued};
use domain::value::{Provider, Role};
use domain::{event, inventory};
use uuid::Uuid;

use crate::common::{
    BALCONY, FLOOR, ORDER, PAYMENT, PRICE, SHOW, account, another_organizer, at, buyer, given, organizer, priced,
    state, support, vnd,
};
use crate::order::creation;
use crate::saga::reaction;

const ONE: RefundId = RefundId(Uuid::from_u128(0x4e1));
const TWO: RefundId = RefundId(Uuid::from_u128(0x4e2));
const AMOUNT: i64 = 300;

fn ticket(n: u64) -> TicketId {
    TicketId(derived(ORDER.0, "ticket", n))
}

fn give_back(refund: RefundId, tickets: &[u64]) -> order::Command {
    order::Command::Refund { refund, tickets: tickets.iter().map(|n| ticket(*n)).collect() }
}

fn created() -> order::Event {
    order::OrderCreated { lines: vec![priced(FLOOR, 3, PRICE)], total: AMOUNT, ..creation(SHOW) }.into()
}

fn paid() -> order::Event {
    let (lines, payment) = (vec![priced(FLOOR, 3, PRICE)], Some(PAYMENT));
    OrderPaid { order: ORDER, show: SHOW, payment, lines, currency: vnd(), total: AMOUNT }.into()
}

/// An order of three floor tickets that was completed.
fn served() -> Vec<order::Event> {
    let completed = OrderCompleted { order: ORDER, show: SHOW, ticket_count: 3, session: None };
    vec![created(), paid(), completed.into()]
}

fn some(refund: RefundId, tickets: &[u64]) -> order::Event {
    let amount = PRICE * i64::try_from(tickets.len()).unwrap();
    let tickets = tickets.iter().map(|n| ticket(*n)).collect();
    let currency = vnd();
    OrderTicketsRefunded { order: ORDER, show: SHOW, refund, payment: PAYMENT, tickets, amount, currency }.into()
}

fn all() -> order::Event {
    OrderCancelled {
        order: ORDER,
        show: SHOW,
        reason: CancelReason::Refunded,
        open_payments: vec![],
        refund: Some(PAYMENT),
        refund_why: Some(RefundWhy::ByStaff),
        issued: true,
        session: None,
    }
    .into()
}

#[test]
fn single_tickets_go_back_and_the_last_one_ends_the_order() {
    given::<Order>(served()).by(support()).when(give_back(ONE, &[1])).then_expect_events(vec![some(ONE, &[1])]);
    let one_back = [served(), vec![some(ONE, &[1])]].concat();
    given::<Order>(one_back.clone()).by(support()).when(give_back(TWO, &[0])).then_expect_events(vec![some(TWO, &[0])]);
    let last = give_back(TWO, &[0, 2]);
    given::<Order>(one_back.clone()).by(support()).when(last).then_expect_events(vec![all()]);
    given::<Order>(one_back.clone()).by(support()).when(give_back(TWO, &[])).then_expect_events(vec![all()]);
    assert_eq!(state::<Order>(&one_back).known().unwrap().status, Status::Completed);
}

#[test]
fn a_ticket_goes_back_once() {
    let one_back = [served(), vec![some(ONE, &[1])]].concat();
    let refused = order::Refusal::RefundedBefore { n: 1 };
    given::<Order>(one_back).by(support()).when(give_back(TWO, &[0, 1])).then_expect_error(refused);
    let twice = order::Refusal::RefundedBefore { n: 1 };
    given::<Order>(served()).by(support()).when(give_back(ONE, &[0, 0])).then_expect_error(twice);
    let strange = order::Refusal::NoSuchTicket { n: 0 };
    given::<Order>(served()).by(support()).when(give_back(ONE, &[3])).then_expect_error(strange);
}

#[test]
fn only_what_was_paid_and_served_goes_back() {
    let cases = [
        (vec![created()], order::Refusal::NotCompleted),
        (vec![created(), paid()], order::Refusal::NotCompleted),
        ([served(), vec![all()]].concat(), order::Refusal::Over),
    ];
    for (events, refusal) in cases {
        given::<Order>(events).by(support()).when(give_back(ONE, &[])).then_expect_error(refusal);
    }
}

#[test]
fn staff_and_the_organizer_give_money_back_and_nobody_else() {
    let admin = account("account:ada", &[Role::Admin]);
    for by in [support(), organizer(), admin] {
        given::<Order>(served()).by(by).when(give_back(ONE, &[])).then_expect_events(vec![all()]);
    }
    given::<Order>(served()).by(buyer()).when(give_back(ONE, &[])).then_expect_error(order::Refusal::Forbidden);
    for by in [another_organizer(), account("account:gus", &[Role::Staff])] {
        given::<Order>(served()).by(by).when(give_back(ONE, &[])).then_expect_error(order::Refusal::NotFound);
    }
}

#[test]
fn what_staff_gives_back_dies_and_its_money_goes() {
    let money = payment::Command::RefundPart { refund: ONE, amount: PRICE, why: RefundWhy::ByStaff };
    let tickets = ticket::Command::RevokeSome { order: ORDER, show: SHOW, tickets: vec![ticket(1)] };
    let expected = [
        Action::Command(event::Command::Payment(PAYMENT, money)),
        Action::Command(event::Command::Ticket(ORDER, tickets)),
    ];
    assert_eq!(reaction(some(ONE, &[1])), expected);
    let release = inventory::Command::Release { order: ORDER, reason: ReleaseReason::Refunded };
    assert!(reaction(all()).contains(&Action::Command(event::Command::Inventory(SHOW, release))));
}

#[test]
fn one_ticket_dies_and_the_others_live() {
    let issued: ticket::Event = TicketsIssued {
        order: ORDER,
        show: SHOW,
        tickets: [(0, FLOOR), (1, FLOOR), (2, BALCONY)]
            .map(|(n, ticket_class)| ticket::IssuedTicket { ticket: ticket(n), ticket_class })
            .to_vec(),
    }
    .into();
    let dead: ticket::Event = TicketRevoked { order: ORDER, show: SHOW, ticket: ticket(1) }.into();
    let some = |n| ticket::Command::RevokeSome { order: ORDER, show: SHOW, tickets: vec![ticket(n)] };
    given::<TicketBatch>(vec![issued.clone()]).when(some(1)).then_expect_events(vec![dead.clone()]);
    given::<TicketBatch>(vec![issued.clone(), dead.clone()]).when(some(1)).then_expect_events(vec![]);
    given::<TicketBatch>(vec![issued.clone()]).when(some(7)).then_expect_events(vec![]);
    given::<TicketBatch>(vec![issued.clone()]).by(buyer()).when(some(1)).then_expect_error(ticket::Refusal::NotFound);
    let batch = state::<TicketBatch>(&[issued, dead]);
    assert_eq!([0, 1, 2].map(|n| batch.is_valid(ticket(n))), [true, false, true]);
}

fn requested(provider: Provider) -> payment::Event {
    PaymentRequested {
        payment: PAYMENT,
        order: ORDER,
        show: SHOW,
        provider,
        serial: 42,
        amount: AMOUNT,
        currency: vnd(),
        code: "0123456789".to_owned(),
        return_url: "https://shop.test/back".to_owned(),
        cancel_url: None,
        pay_by: at(900),
    }
    .into()
}

fn captured(provider: Provider) -> Vec<payment::Event> {
    let (reference, currency) = ("pi_1".to_owned(), vnd());
    let whole = PaymentCompleted {
        payment: PAYMENT,
        order: ORDER,
        show: SHOW,
        reference,
        amount: AMOUNT,
        currency,
        received: AMOUNT,
        fee: 0,
        provider,
    };
    vec![requested(provider), whole.into()]
}

fn asked(provider: Provider, refund: RefundId, amount: i64, why: RefundWhy) -> payment::Event {
    let by_hand = provider == Provider::Payos;
    let (currency, requested_at) = (vnd(), at(0));
    let asked = RefundRequested {
        payment: PAYMENT,
        order: ORDER,
        show: SHOW,
        provider,
        amount,
        currency,
        why,
        by_hand,
        refund,
        requested_at,
    };
    asked.into()
}

fn done(provider: Provider, refund: RefundId, amount: i64, reference: &str) -> payment::Event {
    let (reference, currency) = (reference.to_owned(), vnd());
    let by_hand = provider == Provider::Payos;
    PaymentRefunded {
        payment: PAYMENT,
        order: ORDER,
        show: SHOW,
        provider,
        refund,
        reference,
        amount,
        currency,
        by_hand,
    }
    .into()
}

fn part(refund: RefundId, amount: i64) -> payment::Command {
    payment::Command::RefundPart { refund, amount, why: RefundWhy::ByStaff }
}

fn after(events: Vec<payment::Event>, command: payment::Command, expected: Vec<payment::Event>) {
    given::<Payment>(events).when(command).then_expect_events(expected);
}

#[test]
fn parts_go_back_once_each_and_never_more_than_came() {
    let stripe = Provider::Stripe;
    let first = asked(stripe, ONE, 200, RefundWhy::ByStaff);
    after(captured(stripe), part(ONE, 200), vec![first.clone()]);
    let after_first = [captured(stripe), vec![first]].concat();
    after(after_first.clone(), part(ONE, 200), vec![]);
    let rest = asked(stripe, TWO, 100, RefundWhy::ByStaff);
    after(after_first.clone(), part(TWO, 200), vec![rest.clone()]);
    let nth = RefundId(derived(PAYMENT.0, "refund", 1));
    let everything = payment::Command::Refund { why: RefundWhy::ShowCancelled };
    after(after_first.clone(), everything.clone(), vec![asked(stripe, nth, 100, RefundWhy::ShowCancelled)]);
    let all_gone = [after_first, vec![rest]].concat();
    after(all_gone.clone(), everything, vec![]);
    after(all_gone, part(RefundId(Uuid::from_u128(9)), 1), vec![]);
}

#[test]
fn a_refund_is_asked_for_at_the_provider_until_it_says_how_it_went() {
    let stripe = Provider::Stripe;
    let ask = asked(stripe, ONE, AMOUNT, RefundWhy::ByStaff);
    let effect =
        Effect::RefundPayment { payment: PAYMENT, provider: stripe, refund: ONE, amount: AMOUNT, currency: vnd() };
    assert_eq!(reaction(ask.clone()), [Action::Effect(effect)]);
    let open = [captured(stripe), vec![ask]].concat();
    assert!(state::<Payment>(&open).watched());
    let success = payment::Command::RecordRefund { refund: ONE, reference: "re_1".to_owned() };
    let gone = done(stripe, ONE, AMOUNT, "re_1");
    after(open.clone(), success.clone(), vec![gone.clone()]);
    let over = [open.clone(), vec![gone]].concat();
    assert!(!state::<Payment>(&over).watched());
    after(over.clone(), success, vec![]);
    let failure = payment::Command::RecordRefundFailure { refund: ONE, reason: "expired_card".to_owned() };
    after(over, failure.clone(), vec![]);
    let failed: payment::Event = RefundFailed {
        payment: PAYMENT,
        order: ORDER,
        show: SHOW,
        provider: stripe,
        refund: ONE,
        amount: AMOUNT,
        currency: vnd(),
        reason: "expired_card".to_owned(),
    }
    .into();
    after(open.clone(), failure.clone(), vec![failed.clone()]);
    let due = [open, vec![failed]].concat();
    assert!(!state::<Payment>(&due).watched(), "a person has to do it");
    after(due, failure, vec![]);
    given::<Payment>(captured(stripe))
        .when(payment::Command::RecordRefund { refund: ONE, reference: "re_1".to_owned() })
        .then_expect_error(payment::Refusal::NoSuchRefund);
}

#[test]
fn one_movement_settles_one_refund() {
    let vnpay = Provider::Vnpay;
    let both = [asked(vnpay, ONE, 150, RefundWhy::ByStaff), asked(vnpay, TWO, 150, RefundWhy::ShowCancelled)];
    let one_done = [captured(vnpay), both.to_vec(), vec![done(vnpay, ONE, 150, "14220001")]].concat();
    let told = |reference: &str| payment::Command::RecordRefund { refund: TWO, reference: reference.to_owned() };
    let failed: payment::Event = RefundFailed {
        payment: PAYMENT,
        order: ORDER,
        show: SHOW,
        provider: vnpay,
        refund: TWO,
        amount: 150,
        currency: vnd(),
        reason: "another-refund".to_owned(),
    }
    .into();
    after(one_done.clone(), told("14220001"), vec![failed.clone()]);
    let due = [one_done.clone(), vec![failed]].concat();
    after(due.clone(), told("14220001"), vec![]);
    for events in [one_done, due] {
        after(events, told("14220002"), vec![done(vnpay, TWO, 150, "14220002")]);
    }
}

#[test]
fn what_is_due_is_settled_by_hand_once() {
    let payos = Provider::Payos;
    let due = [captured(payos), vec![asked(payos, ONE, 100, RefundWhy::PaidTwice)]].concat();
    assert_eq!(reaction(due.last().unwrap().clone()), []);
    let settle = |refund, reference: &str| payment::Command::SettleRefund { refund, reference: reference.to_owned() };
    let by = |events: &[payment::Event]| given::<Payment>(events.to_vec()).by(support());
    let gone = done(payos, ONE, 100, "FT1");
    by(&due).when(settle(None, "FT1")).then_expect_events(vec![gone.clone()]);
    by(&due).when(settle(Some(ONE), "FT1")).then_expect_events(vec![gone.clone()]);
    by(&due).when(settle(Some(TWO), "FT1")).then_expect_error(payment::Refusal::NoSuchRefund);
    let over = [due.clone(), vec![gone]].concat();
    by(&over).when(settle(None, "FT1")).then_expect_events(vec![]);
    by(&over).when(settle(Some(ONE), "FT1")).then_expect_events(vec![]);
    by(&over).when(settle(None, "FT2")).then_expect_error(payment::Refusal::NoSuchRefund);
    let before = payment::Refusal::RefundedBefore { reference: "FT1".to_owned() };
    by(&over).when(settle(Some(ONE), "FT2")).then_expect_error(before);
    let two = [due, vec![asked(payos, TWO, 50, RefundWhy::PaidTwice)]].concat();
    by(&two).when(settle(None, "FT1")).then_expect_error(payment::Refusal::SeveralDue);
    // One transfer may have been for both.
    let one_done = [two.clone(), vec![done(payos, ONE, 100, "FT1")]].concat();
    by(&one_done).when(settle(None, "FT1")).then_expect_error(payment::Refusal::SeveralDue);
    by(&one_done).when(settle(Some(TWO), "FT1")).then_expect_events(vec![done(payos, TWO, 50, "FT1")]);
    by(&one_done).when(settle(None, "FT2")).then_expect_events(vec![done(payos, TWO, 50, "FT2")]);
    let strangers = [buyer(), organizer(), account("account:gus", &[Role::Staff])];
    for stranger in strangers {
        given::<Payment>(two.clone())
            .by(stranger)
            .when(settle(Some(ONE), "FT1"))
            .then_expect_error(payment::Refusal::NotFound);
    }
}

#[test]
fn refunds_of_early_versions_have_names_too() {
    let nameless = asked(Provider::Payos, RefundId(Uuid::nil()), 100, RefundWhy::PaidInPart);
    let events = [captured(Provider::Payos), vec![nameless.clone(), nameless]].concat();
    let known = state::<Payment>(&events);
    let names: Vec<RefundId> = known.known().unwrap().refunds.iter().map(|refund| refund.refund).collect();
    assert_eq!(names, [0, 1].map(|n| RefundId(derived(PAYMENT.0, "refund", n))));
}

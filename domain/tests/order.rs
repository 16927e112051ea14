//! An order: paid once, over once, and reopened only by late money.

use domain::ids::{OrderId, PaymentId, ShowId};
use domain::order::{
    CancelReason, Command, Event, FailReason, Order, OrderCancelled, OrderCompleted, OrderCreated, OrderFailed,
    OrderOverdue, OrderPaid, OrderPaymentAdded, OrderPaymentEnded, OrderStuck, Refusal, Status, Step,
};
use domain::payment::RefundWhy;
use domain::root::Root;
use domain::value::{Actor, Role};
use uuid::Uuid;

use crate::common::{
    BACKSTOP_S, BUYER, FLOOR, FREE, ORDER, ORGANIZER, OTHER_PAYMENT, OTHER_SHOW, PAY_WITHIN_S, PAYMENT, PRICE, SHOW,
    account, admin, another_organizer, at, buyer, choice, given, guest, holder, organizer, priced, state, support, usd,
    vnd,
};

const TOTAL: i64 = 2 * PRICE;

pub fn creation(show: ShowId) -> OrderCreated {
    OrderCreated {
        order: ORDER,
        show,
        organizer: ORGANIZER.to_owned(),
        person: Uuid::from_u128(0xbe).into(),
        principal: BUYER.to_owned(),
        code: "0123456789".to_owned(),
        lines: vec![priced(FLOOR, 2, PRICE)],
        currency: vnd(),
        total: TOTAL,
        created_at: at(0),
        pay_by: at(PAY_WITHIN_S),
        hold_until: at(PAY_WITHIN_S + BACKSTOP_S),
        payment: Some(choice(PAYMENT)),
        session: None,
    }
}

fn free_creation() -> OrderCreated {
    OrderCreated { lines: vec![priced(FREE, 2, 0)], total: 0, payment: None, ..creation(SHOW) }
}

fn created() -> Event {
    creation(SHOW).into()
}

fn added(payment: PaymentId) -> Event {
    OrderPaymentAdded {
        order: ORDER,
        show: SHOW,
        payment: choice(payment),
        code: "0123456789".to_owned(),
        amount: TOTAL,
        currency: vnd(),
        pay_by: at(PAY_WITHIN_S),
    }
    .into()
}

fn ended(payment: PaymentId, failed: bool) -> Event {
    OrderPaymentEnded { order: ORDER, show: SHOW, payment, failed }.into()
}

fn overdue(payments: Vec<PaymentId>) -> Event {
    OrderOverdue { order: ORDER, show: SHOW, payments }.into()
}

fn paid(payment: PaymentId) -> Event {
    let lines = vec![priced(FLOOR, 2, PRICE)];
    OrderPaid { order: ORDER, show: SHOW, payment: Some(payment), lines, currency: vnd(), total: TOTAL }.into()
}

fn free_paid() -> Event {
    let lines = vec![priced(FREE, 2, 0)];
    OrderPaid { order: ORDER, show: SHOW, payment: None, lines, currency: vnd(), total: 0 }.into()
}

fn completed() -> Event {
    OrderCompleted { order: ORDER, show: SHOW, ticket_count: 2, session: None }.into()
}

fn cancellation(reason: CancelReason) -> OrderCancelled {
    OrderCancelled {
        order: ORDER,
        show: SHOW,
        reason,
        open_payments: vec![],
        refund: None,
        refund_why: None,
        issued: false,
        session: None,
    }
}

fn refunded(reason: CancelReason, why: RefundWhy) -> OrderCancelled {
    OrderCancelled { refund: Some(PAYMENT), refund_why: Some(why), issued: true, ..cancellation(reason) }
}

fn expired() -> Event {
    cancellation(CancelReason::Expired).into()
}

fn by_buyer() -> Event {
    OrderCancelled { open_payments: vec![PAYMENT], ..cancellation(CancelReason::ByBuyer) }.into()
}

fn show_off() -> Event {
    OrderCancelled { open_payments: vec![PAYMENT], ..cancellation(CancelReason::ShowCancelled) }.into()
}

fn stock_refused() -> Event {
    refunded(CancelReason::Expired, RefundWhy::PaidTooLate).into()
}

fn failed() -> Event {
    let reason = FailReason::PaymentFailed;
    OrderFailed { order: ORDER, show: SHOW, reason, open_payments: vec![], session: None }.into()
}

fn stuck(step: Step) -> Event {
    let reason = "the provider does not say whether an overdue payment was made".to_owned();
    OrderStuck { order: ORDER, show: SHOW, step, reason }.into()
}

fn add(payment: PaymentId) -> Command {
    Command::AddPayment { payment: choice(payment), accepts: vec![vnd()] }
}

fn mark(payment: PaymentId) -> Command {
    Command::MarkPaid { payment }
}

fn end(payment: PaymentId, failed: bool) -> Command {
    Command::EndPayment { payment, failed }
}

fn cancel_show() -> Command {
    Command::CancelShow { show: SHOW }
}

/// Every way an order can be over without tickets.
fn ends() -> Vec<Vec<Event>> {
    vec![
        vec![created(), expired()],
        vec![created(), by_buyer()],
        vec![created(), show_off()],
        vec![created(), ended(PAYMENT, true), failed()],
        vec![created(), paid(PAYMENT), stock_refused()],
    ]
}

#[test]
fn an_order_is_born_once() {
    given::<Order>(vec![]).when(Command::Create(creation(SHOW))).then_expect_events(vec![created()]);
    given::<Order>(vec![created()]).when(Command::Create(creation(SHOW))).then_expect_events(vec![]);
    for history in ends() {
        given::<Order>(history).when(Command::Create(creation(SHOW))).then_expect_events(vec![]);
    }
    given::<Order>(vec![created()])
        .when(Command::Create(creation(OTHER_SHOW)))
        .then_expect_error(Refusal::OrderIdTaken);
    given::<Order>(vec![]).by(buyer()).when(Command::Create(creation(SHOW))).then_expect_error(Refusal::NotFound);
}

#[test]
fn a_free_order_is_paid_at_once() {
    given::<Order>(vec![])
        .when(Command::Create(free_creation()))
        .then_expect_events(vec![free_creation().into(), free_paid()]);
    let order = state::<Order>(&[free_creation().into(), free_paid()]);
    assert_eq!((order.known().unwrap().status, order.next_due()), (Status::Paid, None));
    given::<Order>(vec![free_creation().into(), free_paid()])
        .by(buyer())
        .when(add(PAYMENT))
        .then_expect_error(Refusal::NothingToPay);
}

#[test]
fn the_owner_tries_to_pay_in_another_way() {
    for by in [buyer(), holder(ORDER, SHOW)] {
        given::<Order>(vec![created()])
            .by(by)
            .at(at(PAY_WITHIN_S - 1))
            .when(add(OTHER_PAYMENT))
            .then_expect_events(vec![added(OTHER_PAYMENT)]);
    }
    given::<Order>(vec![created(), added(OTHER_PAYMENT)])
        .by(buyer())
        .when(add(OTHER_PAYMENT))
        .then_expect_events(vec![]);
    given::<Order>(vec![created(), by_buyer()]).by(buyer()).when(add(PAYMENT)).then_expect_events(vec![]);
}

#[test]
fn nobody_pays_for_somebody_else() {
    let strangers = [
        guest(),
        support(),
        admin(),
        organizer(),
        account("account:bob", &[Role::Buyer]),
        holder(OrderId(Uuid::from_u128(9)), SHOW),
        holder(ORDER, OTHER_SHOW),
    ];
    for by in strangers {
        given::<Order>(vec![created()]).by(by).when(add(OTHER_PAYMENT)).then_expect_error(Refusal::NotFound);
    }
    given::<Order>(vec![]).by(buyer()).when(add(OTHER_PAYMENT)).then_expect_error(Refusal::NotFound);
}

#[test]
fn no_attempt_comes_too_late() {
    let try_at = |events, when| given::<Order>(events).by(buyer()).at(at(when)).when(add(OTHER_PAYMENT));
    try_at(vec![created()], PAY_WITHIN_S).then_expect_error(Refusal::Over);
    try_at(vec![created(), overdue(vec![PAYMENT])], 0).then_expect_error(Refusal::Over);
    for history in ends() {
        try_at(history, 0).then_expect_error(Refusal::Over);
    }
    try_at(vec![created(), paid(PAYMENT)], 0).then_expect_error(Refusal::AlreadyPaid);
    try_at(vec![created(), paid(PAYMENT), completed()], 0).then_expect_error(Refusal::AlreadyPaid);
}

#[test]
fn an_order_has_five_attempts() {
    let payment = |n: u128| PaymentId(Uuid::from_u128(n));
    let mut events = vec![created(), added(payment(1)), added(payment(2)), added(payment(3))];
    given::<Order>(events.clone()).by(buyer()).when(add(payment(4))).then_expect_events(vec![added(payment(4))]);
    events.extend([added(payment(4)), ended(payment(1), true)]);
    given::<Order>(events).by(buyer()).when(add(payment(5))).then_expect_error(Refusal::TooManyPayments { max: 5 });
}

#[test]
fn an_attempt_needs_a_provider_of_the_currency() {
    let command = Command::AddPayment { payment: choice(OTHER_PAYMENT), accepts: vec![usd()] };
    given::<Order>(vec![created()])
        .by(buyer())
        .when(command)
        .then_expect_error(Refusal::ProviderUnavailable { currency: vnd() });
}

#[test]
fn the_first_payment_pays() {
    let histories = [
        vec![created()],
        vec![created(), overdue(vec![PAYMENT])],
        vec![created(), overdue(vec![PAYMENT]), stuck(Step::PaymentStatus)],
        vec![created(), ended(PAYMENT, false)],
    ];
    for history in histories {
        given::<Order>(history).when(mark(PAYMENT)).then_expect_events(vec![paid(PAYMENT)]);
    }
}

#[test]
fn late_money_reopens_what_time_or_a_decline_ended() {
    given::<Order>(vec![created(), expired()]).when(mark(PAYMENT)).then_expect_events(vec![paid(PAYMENT)]);
    let declined = vec![created(), ended(PAYMENT, true), failed()];
    given::<Order>(declined).when(mark(PAYMENT)).then_expect_events(vec![paid(PAYMENT)]);
}

#[test]
fn a_payment_pays_once() {
    for history in [vec![], vec![completed()], vec![stock_refused()]] {
        let events: Vec<Event> = [created(), paid(PAYMENT)].into_iter().chain(history).collect();
        given::<Order>(events).when(mark(PAYMENT)).then_expect_events(vec![]);
    }
}

#[test]
fn money_that_an_order_does_not_take_is_refused() {
    let try_with = |events| given::<Order>(events).when(mark(OTHER_PAYMENT));
    let first = || vec![created(), added(OTHER_PAYMENT), paid(PAYMENT)];
    try_with(first()).then_expect_error(Refusal::PaidByAnother);
    try_with(first().into_iter().chain([completed()]).collect()).then_expect_error(Refusal::PaidByAnother);
    let too_late = || Refusal::EndedBefore { why: RefundWhy::PaidTooLate };
    try_with(vec![created(), by_buyer()]).then_expect_error(too_late());
    let off = Refusal::EndedBefore { why: RefundWhy::ShowCancelled };
    try_with(vec![created(), show_off()]).then_expect_error(off);
    try_with(vec![]).then_expect_error(Refusal::NotFound);
    // Else a refusal of this payment, sent again, could turn refunded money into tickets.
    try_with(first().into_iter().chain([stock_refused()]).collect()).then_expect_error(too_late());
}

#[test]
fn a_failed_attempt_does_not_end_an_order_in_time() {
    given::<Order>(vec![created()]).when(end(PAYMENT, true)).then_expect_events(vec![ended(PAYMENT, true)]);
    given::<Order>(vec![created(), ended(PAYMENT, true)]).when(end(PAYMENT, true)).then_expect_events(vec![]);
    given::<Order>(vec![created(), paid(PAYMENT)]).when(end(PAYMENT, false)).then_expect_events(vec![]);
    for history in ends() {
        given::<Order>(history).when(end(PAYMENT, false)).then_expect_events(vec![]);
    }
    given::<Order>(vec![created()]).when(end(OTHER_PAYMENT, true)).then_expect_error(Refusal::WrongState);
}

#[test]
fn the_last_open_attempt_ends_an_overdue_order() {
    let alone = || vec![created(), overdue(vec![PAYMENT])];
    given::<Order>(alone()).when(end(PAYMENT, false)).then_expect_events(vec![ended(PAYMENT, false), expired()]);
    given::<Order>(alone()).when(end(PAYMENT, true)).then_expect_events(vec![ended(PAYMENT, true), failed()]);
    let two = || vec![created(), added(OTHER_PAYMENT), overdue(vec![PAYMENT, OTHER_PAYMENT])];
    given::<Order>(two()).when(end(PAYMENT, true)).then_expect_events(vec![ended(PAYMENT, true)]);
    let after: Vec<Event> = two().into_iter().chain([ended(PAYMENT, true)]).collect();
    given::<Order>(after)
        .when(end(OTHER_PAYMENT, false))
        .then_expect_events(vec![ended(OTHER_PAYMENT, false), failed()]);
    let stuck: Vec<Event> = alone().into_iter().chain([stuck(Step::PaymentStatus)]).collect();
    given::<Order>(stuck).when(end(PAYMENT, false)).then_expect_events(vec![ended(PAYMENT, false), expired()]);
}

#[test]
fn at_pay_by_the_order_ends_or_asks_its_providers() {
    let tick_at = |events, when| given::<Order>(events).at(at(when)).when(Command::Tick);
    tick_at(vec![created()], PAY_WITHIN_S - 1).then_expect_events(vec![]);
    tick_at(vec![created()], PAY_WITHIN_S).then_expect_events(vec![overdue(vec![PAYMENT])]);
    tick_at(vec![created(), ended(PAYMENT, false)], PAY_WITHIN_S).then_expect_events(vec![expired()]);
    tick_at(vec![created(), ended(PAYMENT, true)], PAY_WITHIN_S).then_expect_events(vec![failed()]);
    tick_at(vec![created(), paid(PAYMENT)], PAY_WITHIN_S).then_expect_events(vec![]);
    assert_eq!(state::<Order>(&[created()]).next_due(), Some(at(PAY_WITHIN_S)));
    for history in ends() {
        assert_eq!(state::<Order>(&history).next_due(), None);
        tick_at(history, 99_999).then_expect_events(vec![]);
    }
}

#[test]
fn a_silent_provider_is_a_persons_business() {
    let events = vec![created(), overdue(vec![PAYMENT])];
    let due = PAY_WITHIN_S + BACKSTOP_S / 2;
    assert_eq!(state::<Order>(&events).next_due(), Some(at(due)));
    given::<Order>(events.clone()).at(at(due - 1)).when(Command::Tick).then_expect_events(vec![]);
    given::<Order>(events.clone()).at(at(due)).when(Command::Tick).then_expect_events(vec![stuck(Step::PaymentStatus)]);
    let told: Vec<Event> = events.into_iter().chain([stuck(Step::PaymentStatus)]).collect();
    let order = state::<Order>(&told);
    assert_eq!((order.next_due(), order.known().unwrap().stuck()), (None, Some(Step::PaymentStatus)));
    given::<Order>(told).at(at(due + 9)).when(Command::Tick).then_expect_events(vec![]);
}

#[test]
fn a_step_that_does_not_get_on_is_marked_once() {
    let mark = || Command::MarkStuck { step: Step::Saga, reason: "no answer".to_owned() };
    let marked: Event =
        OrderStuck { order: ORDER, show: SHOW, step: Step::Saga, reason: "no answer".to_owned() }.into();
    for history in [vec![created()], vec![created(), overdue(vec![PAYMENT])], vec![created(), paid(PAYMENT)]] {
        given::<Order>(history.clone()).when(mark()).then_expect_events(vec![marked.clone()]);
        let again: Vec<Event> = history.into_iter().chain([marked.clone()]).collect();
        assert_eq!(state::<Order>(&again).known().unwrap().stuck(), Some(Step::Saga));
        given::<Order>(again).when(mark()).then_expect_events(vec![]);
    }
    given::<Order>(vec![created(), paid(PAYMENT), completed()]).when(mark()).then_expect_error(Refusal::WrongState);
    let done = state::<Order>(&[created(), paid(PAYMENT), marked, completed()]);
    assert_eq!(done.known().unwrap().stuck(), None);
}

#[test]
fn buyers_and_their_helpers_cancel_what_is_not_paid() {
    for by in [buyer(), holder(ORDER, SHOW), support(), admin()] {
        given::<Order>(vec![created()]).by(by.clone()).when(Command::Cancel).then_expect_events(vec![by_buyer()]);
        given::<Order>(vec![created(), overdue(vec![PAYMENT])])
            .by(by)
            .when(Command::Cancel)
            .then_expect_events(vec![by_buyer()]);
    }
    for by in [guest(), organizer(), another_organizer(), holder(ORDER, OTHER_SHOW)] {
        given::<Order>(vec![created()]).by(by).when(Command::Cancel).then_expect_error(Refusal::NotFound);
    }
}

#[test]
fn cancelling_again_is_a_retry_and_otherwise_too_late() {
    let cancel = |events| given::<Order>(events).by(buyer()).when(Command::Cancel);
    cancel(vec![created(), by_buyer()]).then_expect_events(vec![]);
    cancel(vec![created(), paid(PAYMENT)]).then_expect_error(Refusal::AlreadyPaid);
    cancel(vec![created(), paid(PAYMENT), completed()]).then_expect_error(Refusal::AlreadyPaid);
    for history in [vec![expired()], vec![show_off()], vec![failed()]] {
        cancel([created()].into_iter().chain(history).collect()).then_expect_error(Refusal::Over);
    }
}

#[test]
fn stock_that_is_gone_ends_a_paid_order() {
    given::<Order>(vec![created(), paid(PAYMENT)]).when(Command::RefuseStock).then_expect_events(vec![stock_refused()]);
    let unpaid_other = OrderCancelled {
        open_payments: vec![OTHER_PAYMENT],
        ..refunded(CancelReason::Expired, RefundWhy::PaidTooLate)
    };
    given::<Order>(vec![created(), added(OTHER_PAYMENT), paid(PAYMENT)])
        .when(Command::RefuseStock)
        .then_expect_events(vec![unpaid_other.into()]);
    let free = OrderCancelled { issued: true, ..cancellation(CancelReason::Expired) };
    given::<Order>(vec![free_creation().into(), free_paid()])
        .when(Command::RefuseStock)
        .then_expect_events(vec![free.into()]);
    for history in ends() {
        given::<Order>(history).when(Command::RefuseStock).then_expect_events(vec![]);
    }
    given::<Order>(vec![created()]).when(Command::RefuseStock).then_expect_error(Refusal::WrongState);
    given::<Order>(vec![created(), paid(PAYMENT), completed()])
        .when(Command::RefuseStock)
        .then_expect_error(Refusal::WrongState);
}

#[test]
fn a_cancelled_show_ends_every_order() {
    let back: Event = refunded(CancelReason::ShowCancelled, RefundWhy::ShowCancelled).into();
    let try_with = |events| given::<Order>(events).when(cancel_show());
    try_with(vec![created()]).then_expect_events(vec![show_off()]);
    try_with(vec![created(), overdue(vec![PAYMENT])]).then_expect_events(vec![show_off()]);
    try_with(vec![created(), paid(PAYMENT)]).then_expect_events(vec![back.clone()]);
    try_with(vec![created(), paid(PAYMENT), completed()]).then_expect_events(vec![back]);
    let free = OrderCancelled { issued: true, ..cancellation(CancelReason::ShowCancelled) };
    try_with(vec![free_creation().into(), free_paid(), completed()]).then_expect_events(vec![free.into()]);
    for history in ends() {
        try_with(history).then_expect_events(vec![]);
    }
}

#[test]
fn another_show_with_the_same_order_id_ends_nothing() {
    given::<Order>(vec![created(), paid(PAYMENT)])
        .when(Command::CancelShow { show: OTHER_SHOW })
        .then_expect_error(Refusal::WrongState);
}

#[test]
fn an_order_completes_once() {
    let complete = || Command::Complete { ticket_count: 2 };
    given::<Order>(vec![created(), paid(PAYMENT)]).when(complete()).then_expect_events(vec![completed()]);
    given::<Order>(vec![created(), paid(PAYMENT), completed()]).when(complete()).then_expect_events(vec![]);
    given::<Order>(vec![created()]).when(complete()).then_expect_error(Refusal::WrongState);
    for history in ends() {
        given::<Order>(history).when(complete()).then_expect_error(Refusal::WrongState);
    }
}

#[test]
fn an_order_is_seen_by_those_it_concerns() {
    for by in [buyer(), holder(ORDER, SHOW), organizer(), support(), admin(), Actor::System] {
        given::<Order>(vec![created()]).by(by).when(Command::Look).then_expect_events(vec![]);
    }
    for by in [guest(), another_organizer(), account(ORGANIZER, &[Role::Buyer]), holder(ORDER, OTHER_SHOW)] {
        given::<Order>(vec![created()]).by(by).when(Command::Look).then_expect_error(Refusal::NotFound);
    }
    given::<Order>(vec![]).by(admin()).when(Command::Look).then_expect_error(Refusal::NotFound);
}

#[test]
fn only_the_saga_takes_its_steps() {
    let commands = [
        mark(PAYMENT),
        end(PAYMENT, true),
        Command::RefuseStock,
        cancel_show(),
        Command::Complete { ticket_count: 2 },
        Command::MarkStuck { step: Step::Saga, reason: String::new() },
        Command::Tick,
    ];
    for command in commands {
        given::<Order>(vec![created()]).by(buyer()).when(command).then_expect_error(Refusal::NotFound);
    }
}

#[test]
fn what_is_bought_stays_readable() {
    let order = state::<Order>(&[created(), paid(PAYMENT), completed()]);
    let known = order.known().unwrap();
    assert_eq!(known.lines().collect::<Vec<_>>(), vec![priced(FLOOR, 2, PRICE)]);
    assert_eq!((known.total(), known.ticket_count(), known.paid_by()), (TOTAL, 2, Some(PAYMENT)));
    assert_eq!((known.principal.to_string().as_str(), known.code.as_str()), (BUYER, "0123456789"));
}

//! A payment: every movement of money is applied once, given back, or quarantined.

use domain::ids::{RefundId, derived};
use domain::payment::{
    Command, Event, Movement, Payment, PaymentClosureRequested, PaymentCompleted, PaymentExpired, PaymentFailed,
    PaymentIntentCreated, PaymentPartiallyReceived, PaymentQuarantined, PaymentRequested, QuarantineReason,
    RefundRequested, RefundWhy, Refusal, Standing, Status,
};
use domain::root::Root;
use domain::value::{Currency, Provider};

use crate::common::{ORDER, PAYMENT, SHOW, at, buyer, given, state, usd, vnd};

const AMOUNT: i64 = 100;

fn request() -> Command {
    Command::Request {
        payment: PAYMENT,
        order: ORDER,
        show: SHOW,
        provider: Provider::Payos,
        amount: AMOUNT,
        currency: vnd(),
        code: "0123456789".to_owned(),
        return_url: "https://shop.test/back".to_owned(),
        cancel_url: None,
        pay_by: at(900),
    }
}

fn requested() -> Event {
    PaymentRequested {
        payment: PAYMENT,
        order: ORDER,
        show: SHOW,
        provider: Provider::Payos,
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

fn ready() -> Event {
    let (reference, url) = ("link-1".to_owned(), "https://pay.test/1".to_owned());
    PaymentIntentCreated { payment: PAYMENT, order: ORDER, show: SHOW, reference, url }.into()
}

fn intent() -> Command {
    Command::RecordIntent { reference: "link-1".to_owned(), url: "https://pay.test/1".to_owned() }
}

fn closing() -> Event {
    PaymentClosureRequested { payment: PAYMENT, order: ORDER, show: SHOW, provider: Provider::Payos, serial: 42 }.into()
}

fn part(reference: &str, amount: i64, received: i64) -> Event {
    let (reference, currency) = (reference.to_owned(), vnd());
    PaymentPartiallyReceived {
        payment: PAYMENT,
        order: ORDER,
        show: SHOW,
        reference,
        amount,
        currency,
        received,
        fee: 0,
        provider: Provider::Payos,
    }
    .into()
}

fn whole(reference: &str, amount: i64) -> Event {
    let (reference, currency) = (reference.to_owned(), vnd());
    PaymentCompleted {
        payment: PAYMENT,
        order: ORDER,
        show: SHOW,
        reference,
        amount,
        currency,
        received: AMOUNT,
        fee: 0,
        provider: Provider::Payos,
    }
    .into()
}

fn failed(reason: &str) -> Event {
    PaymentFailed { payment: PAYMENT, order: ORDER, show: SHOW, reason: reason.to_owned() }.into()
}

fn expired() -> Event {
    PaymentExpired { payment: PAYMENT, order: ORDER, show: SHOW }.into()
}

fn refund(amount: i64, why: RefundWhy) -> Event {
    nth_refund(0, amount, why)
}

fn nth_refund(n: u64, amount: i64, why: RefundWhy) -> Event {
    RefundRequested {
        payment: PAYMENT,
        order: ORDER,
        show: SHOW,
        provider: Provider::Payos,
        amount,
        currency: vnd(),
        why,
        by_hand: true,
        refund: RefundId(derived(PAYMENT.0, "refund", n)),
        requested_at: at(0),
    }
    .into()
}

fn quarantined(reference: &str, amount: i64, currency: Currency, reason: QuarantineReason) -> PaymentQuarantined {
    PaymentQuarantined {
        payment: PAYMENT,
        order: Some(ORDER),
        show: Some(SHOW),
        provider: Provider::Payos,
        serial: 42,
        reference: reference.to_owned(),
        amount,
        currency,
        reason,
    }
}

fn moved(reference: &str, amount: i64) -> Movement {
    Movement { reference: reference.to_owned(), amount, currency: vnd(), fee: 0 }
}

fn report(movements: Vec<Movement>, standing: Standing) -> Command {
    Command::Report { movements, standing }
}

fn after(events: Vec<Event>, command: Command, expected: Vec<Event>) {
    given::<Payment>(events).when(command).then_expect_events(expected);
}

/// Every way an attempt can be over.
fn ends() -> [Vec<Event>; 3] {
    [
        vec![requested(), ready(), whole("a", AMOUNT)],
        vec![requested(), ready(), failed("declined")],
        vec![requested(), ready(), expired()],
    ]
}

#[test]
fn a_payment_is_requested_once_under_the_owners_number() {
    after(vec![], request(), vec![requested()]);
    after(vec![requested()], request(), vec![]);
    assert_eq!(Payment::serial(&requested()), Some(42));
    assert_eq!(Payment::serial(&ready()), None);
}

#[test]
fn the_providers_page_is_recorded_once() {
    after(vec![requested()], intent(), vec![ready()]);
    after(vec![requested(), ready()], intent(), vec![]);
    after(vec![requested(), closing()], intent(), vec![]);
    for end in ends() {
        after(end, intent(), vec![]);
    }
    let payment = state::<Payment>(&[requested(), ready()]);
    assert_eq!(payment.known().unwrap().url.as_deref(), Some("https://pay.test/1"));
}

#[test]
fn a_provider_that_refuses_fails_the_payment() {
    let fail = || Command::RecordFailure { reason: "no such bank".to_owned() };
    for events in [vec![requested()], vec![requested(), ready()], vec![requested(), closing()]] {
        after(events, fail(), vec![failed("no such bank")]);
    }
    after(vec![requested(), ready(), part("a", 40, 40)], fail(), vec![]);
    for end in ends() {
        after(end, fail(), vec![]);
    }
}

#[test]
fn the_whole_amount_completes() {
    let all = || report(vec![moved("a", AMOUNT)], Standing::Paid);
    let histories = [
        vec![requested()],
        vec![requested(), ready()],
        vec![requested(), ready(), closing()],
        vec![requested(), ready(), failed("declined")],
        vec![requested(), ready(), expired()],
    ];
    for history in histories {
        after(history, all(), vec![whole("a", AMOUNT)]);
    }
    after(vec![requested(), whole("a", AMOUNT)], all(), vec![]);
}

#[test]
pub fn parts_are_summed_by_reference() {
    let both = || report(vec![moved("a", 40), moved("b", 60)], Standing::Paid);
    after(vec![requested(), ready()], both(), vec![part("a", 40, 40), whole("b", 60)]);
    after(vec![requested(), ready(), part("a", 40, 40)], both(), vec![whole("b", 60)]);
    let twice = report(vec![moved("a", 40), moved("a", 40)], Standing::Open);
    after(vec![requested(), ready()], twice, vec![part("a", 40, 40)]);
}

#[test]
pub fn money_that_does_not_fit_is_quarantined_once() {
    let dollars = || Movement { currency: usd(), ..moved("a", AMOUNT) };
    let wrong: Event = quarantined("a", AMOUNT, usd(), QuarantineReason::WrongCurrency).into();
    after(vec![requested(), ready()], report(vec![dollars()], Standing::Open), vec![wrong.clone()]);
    after(vec![requested(), ready(), wrong], report(vec![dollars()], Standing::Open), vec![]);
    let too_much =
        |reference: &str, amount| -> Event { quarantined(reference, amount, vnd(), QuarantineReason::TooMuch).into() };
    after(vec![requested(), ready()], report(vec![moved("a", 101)], Standing::Open), vec![too_much("a", 101)]);
    after(
        vec![requested(), ready(), part("a", 40, 40)],
        report(vec![moved("b", 61), moved("c", i64::MAX)], Standing::Open),
        vec![too_much("b", 61), too_much("c", i64::MAX)],
    );
    let done = vec![requested(), ready(), whole("a", AMOUNT)];
    after(done, report(vec![moved("b", 1)], Standing::Paid), vec![too_much("b", 1)]);
    let nothing: Event = quarantined("a", 0, vnd(), QuarantineReason::Unknown).into();
    after(vec![requested()], report(vec![moved("a", 0)], Standing::Open), vec![nothing]);
}

#[test]
fn a_decline_fails_and_an_end_expires() {
    let say = |standing| report(vec![], standing);
    for events in [vec![requested()], vec![requested(), ready()], vec![requested(), ready(), closing()]] {
        after(events.clone(), say(Standing::Failed), vec![failed("declined")]);
        after(events.clone(), say(Standing::Ended), vec![expired()]);
        after(events.clone(), say(Standing::Open), vec![]);
        after(events, say(Standing::Paid), vec![]);
    }
    for end in ends() {
        after(end.clone(), say(Standing::Failed), vec![]);
        after(end, say(Standing::Ended), vec![]);
    }
}

#[test]
fn a_page_paid_with_money_in_quarantine_is_over() {
    let too_much: Event = quarantined("b", 70, vnd(), QuarantineReason::TooMuch).into();
    let back = refund(40, RefundWhy::PaidInPart);
    after(
        vec![requested(), ready()],
        report(vec![moved("a", 40), moved("b", 70)], Standing::Paid),
        vec![part("a", 40, 40), too_much, expired(), back],
    );
}

#[test]
fn what_came_in_part_goes_back_at_the_end() {
    let back = || refund(40, RefundWhy::PaidInPart);
    for standing in [Standing::Ended, Standing::Failed] {
        after(vec![requested(), ready(), part("a", 40, 40)], report(vec![], standing), vec![expired(), back()]);
        after(
            vec![requested(), ready(), closing()],
            report(vec![moved("a", 40)], standing),
            vec![part("a", 40, 40), expired(), back()],
        );
    }
}

#[test]
fn a_part_that_comes_after_the_end_goes_back_at_once() {
    for end in [failed("declined"), expired()] {
        after(
            vec![requested(), ready(), end],
            report(vec![moved("a", 40)], Standing::Ended),
            vec![part("a", 40, 40), refund(40, RefundWhy::PaidInPart)],
        );
    }
}

#[test]
fn what_went_back_in_part_never_becomes_whole() {
    let history = vec![requested(), ready(), part("a", 40, 40), expired(), refund(40, RefundWhy::PaidInPart)];
    let expected = vec![part("b", 60, AMOUNT), nth_refund(1, 60, RefundWhy::PaidInPart)];
    after(history, report(vec![moved("b", 60)], Standing::Paid), expected);
}

#[test]
fn a_report_takes_in_a_hundred_movements() {
    let movements: Vec<Movement> = (0..150).map(|n| moved(&format!("too much {n}"), AMOUNT + 1)).collect();
    let given = given::<Payment>(vec![requested(), ready()]);
    let events = given.when(report(movements, Standing::Ended)).inspect_result().unwrap();
    assert_eq!(events.len(), 100, "the rest, and the end, come with the next report");
    assert!(!events.contains(&expired()));
}

#[test]
fn closing_asks_the_provider_once() {
    after(vec![requested()], Command::Close, vec![closing()]);
    after(vec![requested(), ready()], Command::Close, vec![closing()]);
    after(vec![requested(), ready(), closing()], Command::Close, vec![]);
    for end in ends() {
        after(end, Command::Close, vec![]);
    }
}

#[test]
pub fn the_whole_amount_goes_back_once() {
    let give_back = |why| Command::Refund { why };
    let done = vec![requested(), ready(), whole("a", AMOUNT)];
    let refunded = refund(AMOUNT, RefundWhy::PaidTwice);
    after(done.clone(), give_back(RefundWhy::PaidTwice), vec![refunded.clone()]);
    let twice: Vec<Event> = done.into_iter().chain([refunded]).collect();
    after(twice, give_back(RefundWhy::ShowCancelled), vec![]);
    for history in [vec![requested()], vec![requested(), ready(), expired()]] {
        given::<Payment>(history).when(give_back(RefundWhy::PaidTwice)).then_expect_error(Refusal::WrongState);
    }
}

#[test]
fn money_for_nobody_is_kept_apart_once() {
    let command = |reference: &str| {
        let movement = moved(reference, 5);
        Command::Quarantine { payment: PAYMENT, provider: Provider::Payos, serial: 42, movement }
    };
    let kept = |reference: &str, known: bool| -> Event {
        let event = quarantined(reference, 5, vnd(), QuarantineReason::UnknownReference);
        let (order, show) = if known { (event.order, event.show) } else { (None, None) };
        PaymentQuarantined { order, show, ..event }.into()
    };
    after(vec![], command("a"), vec![kept("a", false)]);
    after(vec![kept("a", false)], command("a"), vec![]);
    after(vec![kept("a", false)], command("b"), vec![kept("b", false)]);
    after(vec![requested()], command("a"), vec![kept("a", true)]);
    assert!(state::<Payment>(&[kept("a", false)]).known().is_none());
}

#[test]
fn nothing_is_done_to_what_does_not_exist_nor_by_others() {
    let commands = [
        intent(),
        Command::RecordFailure { reason: String::new() },
        report(vec![], Standing::Ended),
        Command::Close,
        Command::Refund { why: RefundWhy::PaidTwice },
        Command::Look,
    ];
    for command in commands {
        given::<Payment>(vec![]).when(command.clone()).then_expect_error(Refusal::NotFound);
        if command != Command::Look {
            given::<Payment>(vec![requested()]).by(buyer()).when(command).then_expect_error(Refusal::NotFound);
        }
    }
    given::<Payment>(vec![requested()]).by(buyer()).when(Command::Look).then_expect_events(vec![]);
    given::<Payment>(vec![]).by(buyer()).when(request()).then_expect_error(Refusal::NotFound);
}

#[test]
fn open_pages_are_watched() {
    let watched = |events: Vec<Event>| state::<Payment>(&events).watched();
    assert!(watched(vec![requested(), ready()]) && watched(vec![requested(), closing()]));
    assert!(!watched(vec![]) && !watched(vec![requested()]));
    assert!(ends().into_iter().all(|end| !watched(end)));
    let payment = state::<Payment>(&ends()[0]);
    assert_eq!((payment.known().unwrap().status, payment.known().unwrap().url.as_deref()), (Status::Completed, None));
}

#[test]
fn a_payment_that_nobody_waits_for_ends_with_less_than_was_asked_for_whatever_its_provider_calls_it() {
    let short = vec![requested(), ready(), part("a", 40, 40)];
    let told = |events: Vec<Event>, movements, seconds| {
        given::<Payment>(events).at(at(seconds)).when(report(movements, Standing::Paid))
    };
    // Its list of the money may be late.
    told(short.clone(), vec![moved("a", 40)], 900 + 599).then_expect_events(vec![]);
    let mut back = refund(40, RefundWhy::PaidInPart);
    if let Event::RefundRequested(refund) = &mut back {
        refund.requested_at = at(900 + 600);
    }
    let closing = [short, vec![closing()]].concat();
    told(closing, vec![moved("a", 40)], 900 + 600).then_expect_events(vec![expired(), back]);
    // Where no money was listed at all, it is still to be told of.
    told(vec![requested(), ready(), self::closing()], vec![], 900 + 600).then_expect_events(vec![]);
}

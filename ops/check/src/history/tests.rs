//! A history that the log bears out holds every law; each lie, of the log or of an answer, breaks the law that is meant
//! to see it.

use std::sync::LazyLock;

use domain::event::Event;
use domain::ids::{OrderId, SessionId, ShowId, TicketClassId};
use domain::inventory::{self, CapacityChanged, PriceChanged, SalesClosed, SessionBarred};
use domain::queue::session;
use domain::root::Context;
use domain::value::{PricedLine, Timestamp};
use serde_json::{Value, json};
use service_kit::consistency::Token;
use uuid::Uuid;

use super::{Asked, Call, Ended, KEPT, Margins, Op, Outcome, REFUSALS, REPEATS, Recorder, Said, UNASKED, laws, read};
use crate::book::{Book, CLAIM, at};
use crate::rooms;
use crate::tests::{CLASS, SHOW, bare, cancelled, confirmed, created, opened, order, reserved, reserved_by};

/// A call of a client that took a second, beginning at this one.
fn call(op: Op, seconds: i64, status: u16) -> Call {
    Call {
        client: "ann".to_owned(),
        op,
        path: "/v1/thing".to_owned(),
        called_us: at(seconds).0,
        answered_us: Some(at(seconds + 1).0),
        called_at: at(seconds),
        answered_at: Some(at(seconds + 1)),
        status: Some(status),
        asked: Asked { show: Some(SHOW), ..Asked::default() },
        ..Call::default()
    }
}

fn refused(op: Op, seconds: i64, problem: &str) -> Call {
    let status = if problem.ends_with("not-found") { 404 } else { 409 };
    Call { said: Said { problem: Some(problem.to_owned()), ..Said::default() }, ..call(op, seconds, status) }
}

/// Nobody answered.
fn lost(call: Call) -> Call {
    Call { status: None, answered_us: None, answered_at: None, said: Said::default(), token: None, ..call }
}

fn lines(quantity: i32, unit_price: i64) -> Vec<PricedLine> {
    vec![PricedLine { ticket_class: CLASS, quantity, unit_price }]
}

/// An order of so many, as [`reserved`] has it.
fn ordering(n: u128, quantity: i32, call: Call) -> Call {
    let asked = Asked { order: Some(order(n)), lines: lines(quantity, 100), ..call.asked };
    Call { asked, path: format!("/v1/orders/{n}"), ..call }
}

fn broken(book: &Book, calls: &[Call]) -> Vec<&'static str> {
    let broken = laws(&book.facts(), calls, Margins::NONE);
    broken.iter().filter(|law| !law.holds()).map(|law| law.name).collect()
}

/// Sales of four open in second 1, two are reserved in second 10, one of them comes back in second 20, the price
/// becomes 7 in second 30.
fn book() -> Book {
    let price = inventory::Event::from(PriceChanged { show: SHOW, ticket_class: CLASS, price: 7 }).into();
    Book::timed([
        (opened(4), at(1)),
        (reserved(1, 2), at(10)),
        (created(1, 2), at(10)),
        (reserved(2, 2), at(11)),
        (created(2, 2), at(11)),
        (cancelled(2), at(20)),
        (crate::tests::released(2, 2, false), at(20)),
        (price, at(30)),
    ])
}

/// Everything in the book was asked for.
fn history() -> Vec<Call> {
    let cancel = call(Op::Cancel, 19, 200);
    let price = call(Op::Price, 29, 200);
    vec![
        ordering(1, 2, call(Op::Order, 9, 201)),
        ordering(2, 2, call(Op::Order, 10, 201)),
        Call { asked: Asked { order: Some(order(2)), ..Asked::default() }, ..cancel },
        Call { asked: Asked { class: Some(CLASS), value: Some(7), ..price.asked.clone() }, ..price },
    ]
}

fn with(more: Call) -> Vec<Call> {
    [history(), vec![more]].concat()
}

#[test]
fn a_history_that_the_log_bears_out_holds() {
    assert_eq!(broken(&book(), &history()), [""; 0]);
    assert_eq!(broken(&Book::default(), &[]), [""; 0]);
    let doubt: Vec<Call> = history().into_iter().map(lost).collect();
    assert_eq!(broken(&book(), &doubt), [""; 0], "what is in doubt may be there");
    assert_eq!(broken(&Book::default(), &doubt), [""; 0], "or not");
    let ended = Ended::of(&[history(), doubt].concat());
    assert_eq!((ended.acknowledged, ended.in_doubt, ended.refused), (4, 4, 0));
}

#[test]
fn what_was_acknowledged_and_is_not_there_is_seen() {
    assert_eq!(broken(&book().without("PriceChanged"), &history()), [KEPT]);
    let lost_order = book().with(|book| book.lines.retain(|line| line.event != reserved(1, 2)));
    assert_eq!(broken(&lost_order, &history()), [KEPT]);
    assert_eq!(broken(&book().without("OrderCancelled"), &history()), [KEPT]);
    let other_lines = ordering(1, 3, call(Op::Order, 9, 201));
    assert_eq!(broken(&book(), &with(other_lines)), [KEPT], "another order than was asked for");
    let ticket = Said { tickets: vec![Uuid::from_u128(5).into()], ..Said::default() };
    let handed_out = Call { said: ticket, ..ordering(1, 2, call(Op::Read, 40, 200)) };
    assert_eq!(broken(&book(), &with(handed_out)), [KEPT], "a ticket that was handed out");
    for op in
        [Op::CreateShow, Op::DefineClass, Op::Approve, Op::Publish, Op::CancelShow, Op::Join, Op::Enter, Op::Leave]
    {
        assert!(broken(&book(), &with(call(op, 40, 200))).contains(&KEPT), "{op:?}");
    }
    let payment = Said { payments: vec![Uuid::from_u128(5).into()], ..Said::default() };
    let paying = Call { said: payment, ..ordering(1, 2, call(Op::Pay, 40, 201)) };
    assert_eq!(broken(&book(), &with(paying)), [KEPT]);
}

#[test]
fn an_answer_before_its_event_is_seen() {
    let mut early = history();
    assert_eq!(broken(&book(), &early), [""; 0], "in the last moment");
    early[0] = ordering(1, 2, call(Op::Order, 8, 201));
    assert_eq!(broken(&book(), &early), [KEPT]);
}

#[test]
fn a_token_that_points_elsewhere_is_seen() {
    let facts = |token: Token| {
        let mut calls = history();
        calls[0].token = Some(token.to_string());
        let mut facts = book().facts();
        let place = event_log::log::Partition { context: Context::Inventory, number: 0 };
        facts.log.identities.insert(place, CLAIM);
        let laws = laws(&facts, &calls, Margins::NONE);
        laws.into_iter().filter(|law| !law.holds()).map(|law| law.name).collect::<Vec<_>>()
    };
    // Its reservation lies at offset 2.
    assert_eq!(facts(Token::at(Context::Inventory, 0, 2, CLAIM)), [""; 0]);
    assert_eq!(facts(Token::at(Context::Inventory, 0, 1, CLAIM)), [KEPT], "in front of its own write");
    assert_eq!(facts(Token::at(Context::Inventory, 0, 2, Uuid::from_u128(1))), [KEPT], "of another log");
}

#[test]
fn what_was_so_already_may_be_acknowledged_between_others() {
    let as_it_was = |offset| {
        let same = call(Op::Capacity, 11, 200);
        let asked = Asked { class: Some(CLASS), value: Some(4), ..same.asked.clone() };
        let token = Some(Token::at(Context::Inventory, 0, offset, CLAIM).to_string());
        broken(&book(), &with(Call { asked, token, ..same }))
    };
    // Sales opened at offset 1; the reservations at 2 and 3 were there when it was answered.
    assert_eq!(as_it_was(2), [""; 0]);
    assert_eq!(as_it_was(0), [KEPT]);
}

#[test]
fn what_nobody_asked_for_is_seen() {
    for missing in [0, 2, 3] {
        let mut calls = history();
        let call = calls.remove(missing);
        assert_eq!(broken(&book(), &calls), [UNASKED], "{:?}", call.op);
    }
    let elsewhere = Call {
        asked: Asked { show: Some(ShowId(Uuid::from_u128(0x99))), ..Asked::default() },
        ..call(Op::Join, 1, 500)
    };
    assert_eq!(broken(&book(), &[elsewhere]), [""; 0], "other shows are none of this history");
}

#[test]
fn what_was_refused_and_happened_is_seen() {
    let mut calls = history();
    calls[0] = ordering(1, 2, refused(Op::Order, 9, "validation"));
    assert_eq!(broken(&book(), &calls), [UNASKED]);
    calls[0] = ordering(1, 2, refused(Op::Order, 9, "overloaded"));
    calls[0].status = Some(503);
    assert_eq!(calls[0].outcome(), Outcome::TurnedAway);
    assert_eq!(broken(&book(), &calls), [UNASKED], "turned away means that nothing was changed");
    let in_doubt = ordering(1, 2, refused(Op::Order, 9, "in-doubt"));
    calls.push(Call { status: Some(503), ..in_doubt });
    assert_eq!(broken(&book(), &calls), [""; 0], "another attempt was in doubt");
}

#[test]
fn the_same_price_set_twice_by_one_request_is_seen() {
    let mut twice = book();
    for price in [8, 7] {
        let change = PriceChanged { show: SHOW, ticket_class: CLASS, price };
        twice.write(vec![inventory::Event::from(change).into()], at(30));
    }
    let value = |value| Asked { class: Some(CLASS), value: Some(value), ..call(Op::Price, 29, 200).asked };
    let eight = Call { asked: value(8), path: "8".to_owned(), ..call(Op::Price, 29, 200) };
    assert_eq!(broken(&twice, &with(eight)), [UNASKED]);
}

#[test]
fn repeats_get_one_answer() {
    let first = Call { key: Some("k".to_owned()), ..ordering(1, 2, call(Op::Order, 9, 201)) };
    let said = |n| Said { order: Some(order(n)), ..Said::default() };
    let of = |second: Call| {
        let calls = [vec![Call { said: said(1), ..first.clone() }, second], history().split_off(1)].concat();
        broken(&book(), &calls)
    };
    let again = Call { said: said(1), called_us: at(50).0, ..first.clone() };
    assert_eq!(of(again.clone()), [""; 0]);
    assert_eq!(of(Call { said: said(2), ..again.clone() }), [REPEATS], "another id");
    assert_eq!(of(Call { status: Some(200), ..again.clone() }), [REPEATS], "another status");
    assert_eq!(of(Call { body_hash: "b".to_owned(), ..again.clone() }), [REPEATS], "another body");
    assert_eq!(of(Call { client: "bob".to_owned(), said: said(2), ..again.clone() }), [""; 0], "somebody else's key");
    let by_id = |call: Call| Call { key: None, ..call };
    let calls = [
        vec![by_id(Call { said: said(1), ..first.clone() }), by_id(Call { status: Some(200), ..again })],
        history().split_off(1),
    ];
    assert_eq!(broken(&book(), &calls.concat()), [""; 0], "a PUT again is 200");
}

/// What becomes of the law of refusals with one more call.
fn judged(book: &Book, call: Call, others: &[Call]) -> bool {
    let calls = [others.to_vec(), vec![call]].concat();
    let law = laws(&book.facts(), &calls, Margins::NONE).into_iter().find(|law| law.name == REFUSALS).unwrap();
    assert!(!law.numbers.ends_with("none; 1 that the log cannot tell"), "it was not judged: {}", law.numbers);
    law.holds()
}

fn told(book: &Book, call: Call) -> bool {
    judged(book, call, &[])
}

#[test]
fn sold_out_is_true_only_while_it_is() {
    let sold_out = |seconds, quantity| ordering(9, quantity, refused(Op::Order, seconds, "sold-out"));
    assert!(told(&book(), sold_out(12, 1)), "nothing was left");
    assert!(!told(&book(), sold_out(21, 1)), "two had come back");
    assert!(told(&book(), sold_out(20, 1)), "they came back while it was asked");
    assert!(told(&book(), sold_out(21, 3)), "two are less than three");
    assert!(!told(&book(), sold_out(5, 4)), "nobody had ordered");
    let available = |left| Said { available: [(CLASS, left)].into(), ..sold_out(21, 3).said };
    assert!(told(&book(), Call { said: available(2), ..sold_out(21, 3) }));
    assert!(!told(&book(), Call { said: available(1), ..sold_out(21, 3) }), "one was never left then");
}

#[test]
fn prices_limits_and_times_of_sale_are_those_of_the_moment() {
    let priced = |seconds, seen, price| {
        let call = ordering(9, 1, refused(Op::Order, seconds, "price-changed"));
        let said = Said { price: Some((0, price)), ..call.said };
        Call { asked: Asked { lines: lines(1, seen), ..call.asked }, said, ..call }
    };
    assert!(told(&book(), priced(31, 100, 7)) && told(&book(), priced(29, 100, 7)));
    assert!(!told(&book(), priced(20, 100, 7)), "it had not changed");
    assert!(!told(&book(), priced(31, 7, 7)), "that is what the client saw");
    let limit = |quantity| ordering(9, quantity, refused(Op::Order, 5, "limit-exceeded"));
    assert!(told(&book(), limit(11)) && !told(&book(), limit(10)));
    let closed = |seconds| ordering(9, 1, refused(Op::Order, seconds, "not-on-sale"));
    assert!(told(&book(), closed(0)) && !told(&book(), closed(2)));
    let over = book().with(|book| {
        let closed = SalesClosed { show: SHOW, reason: inventory::CloseReason::ShowCancelled };
        book.write(vec![inventory::Event::from(closed).into()], at(40));
    });
    assert!(told(&over, closed(40)) && told(&over, closed(50)) && !told(&over, closed(35)));
    let unknown = |op, class: u128| {
        let call = ordering(9, 1, refused(op, 5, "ticket-class-not-found"));
        let lines =
            vec![PricedLine { ticket_class: TicketClassId(Uuid::from_u128(class)), quantity: 1, unit_price: 100 }];
        Call { asked: Asked { lines, ..call.asked }, ..call }
    };
    assert!(told(&book(), unknown(Op::Order, 0x77)) && !told(&book(), unknown(Op::Order, CLASS.0.as_u128())));
    let no_show = |seconds| ordering(9, 1, refused(Op::Order, seconds, "show-not-found"));
    assert!(told(&book(), no_show(0)) && !told(&book(), no_show(5)));
}

#[test]
fn what_an_organizer_is_refused_is_so() {
    let below = |seconds, value| {
        let call = refused(Op::Capacity, seconds, "capacity-below-committed");
        Call { asked: Asked { class: Some(CLASS), value: Some(value), ..call.asked }, ..call }
    };
    assert!(told(&book(), below(12, 3)) && told(&book(), below(21, 1)));
    assert!(!told(&book(), below(21, 3)) && !told(&book(), below(5, 0)));
    let exists = |n| ordering(n, 1, refused(Op::Order, 12, "already-exists"));
    assert!(told(&book(), exists(1)) && !told(&book(), exists(9)));
    let larger = CapacityChanged { show: SHOW, ticket_class: CLASS, capacity: 9 };
    let larger = book().with(|book| book.write(vec![inventory::Event::from(larger).into()], at(40)));
    let asked = call(Op::Capacity, 39, 200);
    let asked = Call { asked: Asked { class: Some(CLASS), value: Some(9), ..asked.asked.clone() }, ..asked };
    assert_eq!(broken(&larger, &with(asked)), [""; 0]);
}

#[test]
fn what_a_buyer_is_refused_about_an_order_is_so() {
    let of = |op, n, seconds, problem| ordering(n, 0, refused(op, seconds, problem));
    assert!(told(&book(), of(Op::Pay, 2, 20, "order-over")) && !told(&book(), of(Op::Pay, 2, 12, "order-over")));
    let paid = book().with(|book| {
        book.write(vec![crate::tests::paid(1, 2, 1)], at(15));
        book.write(vec![confirmed(1, 2)], at(16));
    });
    assert!(told(&paid, of(Op::Cancel, 1, 15, "already-paid")) && !told(&paid, of(Op::Cancel, 1, 13, "already-paid")));
    assert!(!told(&book(), of(Op::Pay, 1, 12, "too-many-payments")));
    let own = history();
    assert!(judged(&book(), of(Op::Pay, 1, 8, "not-found"), &own), "it was not there");
    assert!(!judged(&book(), of(Op::Pay, 1, 12, "not-found"), &own), "it was");
    assert!(told(&book(), of(Op::Pay, 9, 12, "not-found")), "nobody knows it");
}

#[test]
fn a_key_is_reused_only_if_it_was_used() {
    let keyed = |body: &str| Call {
        key: Some("k".to_owned()),
        body_hash: body.to_owned(),
        ..ordering(1, 2, call(Op::Order, 9, 201))
    };
    let problem = Said { problem: Some("idempotency-key-reused".to_owned()), ..Said::default() };
    let reused = Call { status: Some(422), said: problem, ..keyed("other") };
    assert!(judged(&book(), reused.clone(), &[keyed("one")]));
    assert!(!judged(&book(), reused.clone(), &[keyed("other")]), "with the same body");
    assert!(!told(&book(), reused), "for the first time");
    assert!(told(&book(), refused(Op::Join, 5, "idempotency-key-missing")));
    assert!(!told(&book(), Call { key: Some("k".to_owned()), ..refused(Op::Join, 5, "idempotency-key-missing") }));
}

static ROOM: LazyLock<Book> = LazyLock::new(|| {
    let mut events: Vec<(Event, Timestamp)> = rooms::good().into_iter().map(|(it, at)| (it.into(), at)).collect();
    let of = |place| session(rooms::SHOW, rooms::number(place));
    let ordered = |place, seconds| (reserved_by(rooms::order(place), rooms::SHOW, Some(of(place))), at(seconds));
    let barred = inventory::Event::from(SessionBarred { show: rooms::SHOW, session: of(5) }).into();
    events.extend([ordered(1, 13), ordered(2, 15), (barred, at(19))]);
    Book::timed(events)
});

fn in_room(op: Op, place: u32, seconds: i64, problem: &str) -> Call {
    let session = session(rooms::SHOW, rooms::number(place));
    let asked =
        Asked { show: Some(rooms::SHOW), session: Some(session), order: Some(rooms::order(60)), ..Asked::default() };
    Call { asked, ..refused(op, seconds, problem) }
}

#[test]
fn what_a_visitor_is_refused_is_so() {
    let told = |op, place, seconds, problem: &str| told(&ROOM, in_room(op, place, seconds, problem));
    // The first is admitted in second 11, the third in second 12 and lapses in second 17, the fifth leaves in 19.
    assert!(told(Op::Enter, 1, 9, "not-admitted") && !told(Op::Enter, 1, 12, "not-admitted"));
    assert!(told(Op::Enter, 3, 17, "queue-place-lost") && !told(Op::Enter, 3, 13, "queue-place-lost"));
    assert!(told(Op::Order, 1, 14, "checkout-token-used") && !told(Op::Order, 1, 11, "checkout-token-used"));
    assert!(told(Op::Order, 5, 19, "checkout-token-used") && !told(Op::Order, 6, 19, "checkout-token-used"));
    let ends = 19 + rooms::TTL_S;
    assert!(told(Op::Order, 6, ends, "checkout-token-invalid") && !told(Op::Order, 6, 30, "checkout-token-invalid"));
    assert!(told(Op::Leave, 1, 14, "wrong-status") && !told(Op::Leave, 6, 20, "wrong-status"));
    let join = |seconds| super::tests::told(&ROOM, in_room(Op::Join, 1, seconds, "not-on-sale"));
    assert!(join(-5) && !join(5));
}

#[test]
fn a_place_is_the_one_that_was_told() {
    let joined = |said: Said| {
        let asked = Asked { show: Some(rooms::SHOW), ..Asked::default() };
        Call { asked, said, ..call(Op::Join, 0, 201) }
    };
    let of =
        |number: u32| Said { session: Some(session(rooms::SHOW, number)), number: Some(number), ..Said::default() };
    let law = |said: Said| {
        let laws = laws(&ROOM.facts(), &[joined(said)], Margins::ONE_MACHINE);
        laws.into_iter().find(|law| law.name == KEPT).unwrap().faults.count
    };
    let place = rooms::place(1);
    assert_eq!(law(of(1)), 0);
    assert_eq!(law(Said { place: Some(place), ..of(1) }), 0);
    assert_eq!(law(Said { place: Some(place + 1), ..of(1) }), 1, "another place in the order of service");
    assert_eq!(law(Said { number: Some(2), ..of(1) }), 1, "another number");
    assert_eq!(law(Said { session: Some(SessionId(Uuid::nil())), ..of(1) }), 1, "nobody's");
}

#[test]
fn who_joined_or_entered_without_asking_is_seen() {
    let calls = |joins: u32, in_doubt: u32, op: Op| -> Vec<Call> {
        let asked = |number| Asked {
            show: Some(rooms::SHOW),
            session: (op != Op::Join).then(|| session(rooms::SHOW, number)),
            ..Asked::default()
        };
        let said =
            |number| Said { session: Some(session(rooms::SHOW, number)), number: Some(number), ..Said::default() };
        let one = |number: u32| {
            let call = Call { key: Some(number.to_string()), asked: asked(number), ..call(op, 0, 201) };
            if number > joins - in_doubt { lost(call) } else { Call { said: said(number), ..call } }
        };
        (1..=joins).map(one).collect()
    };
    let unasked = |joins: &[Call]| {
        let everything = |op| calls(7, 0, op);
        let others = [everything(Op::Enter), everything(Op::Leave)].concat();
        let orders = [1, 2].map(|place| in_room(Op::Order, place, 5, "")).map(|call| {
            let order = if call.asked.session == in_room(Op::Order, 1, 5, "").asked.session { 1 } else { 2 };
            lost(Call { asked: Asked { order: Some(rooms::order(order)), ..call.asked.clone() }, ..call })
        });
        let all = [joins.to_vec(), others, orders.to_vec()].concat();
        let laws = laws(&ROOM.facts(), &all, Margins::ONE_MACHINE);
        laws.into_iter().find(|law| law.name == UNASKED).unwrap().faults
    };
    assert_eq!(unasked(&calls(7, 0, Op::Join)).count, 0);
    assert_eq!(unasked(&calls(7, 3, Op::Join)).count, 0, "three are in doubt");
    assert_eq!(unasked(&calls(6, 0, Op::Join)).count, 1, "the seventh never asked");
    assert_eq!(unasked(&calls(6, 3, Op::Join)).count, 1);
    let only_joins = laws(&ROOM.facts(), &calls(7, 0, Op::Join), Margins::ONE_MACHINE);
    let unasked = only_joins.into_iter().find(|law| law.name == UNASKED).unwrap();
    assert_eq!(unasked.faults.count, 4 + 2 + 2, "four entered, two left, two ordered: {:?}", unasked.faults);
}

#[test]
fn operations_and_ids_are_read_off_a_request() {
    let (show, other) = (SHOW.to_string(), CLASS.to_string());
    for (method, path, op) in [
        ("PUT", format!("/v1/shows/{show}"), Op::CreateShow),
        ("POST", format!("/v1/shows/{show}/ticket-classes/{other}/capacity"), Op::Capacity),
        ("POST", format!("/v1/shows/{show}/queue"), Op::Join),
        ("POST", format!("/v1/shows/{show}/queue/{other}/enter"), Op::Enter),
        ("DELETE", format!("/v1/shows/{show}/queue/{other}"), Op::Leave),
        ("PUT", format!("/v1/orders/{other}"), Op::Order),
        ("POST", format!("/v1/orders/{other}/cancel"), Op::Cancel),
        ("GET", format!("/v1/payments/payos/notify?a={other}"), Op::Notify),
        ("GET", format!("/v1/orders/{other}/tickets"), Op::Read),
        ("PATCH", format!("/v1/shows/{show}"), Op::Write),
    ] {
        assert_eq!(Op::of(method, &path), op, "{method} {path}");
    }
    let body = json!({"show": show, "lines": [{"ticket_class": other, "quantity": 2, "unit_price": {"amount": 5, "currency": "VND"}}]});
    let asked = Asked::of(&format!("/v1/orders/{}", order(3)), &body);
    assert_eq!((asked.show, asked.order), (Some(SHOW), Some(order(3))));
    assert_eq!(asked.lines, lines(2, 5));
    let asked = Asked::of(&format!("/v1/shows/{show}/ticket-classes/{other}/price"), &json!({"price": {"amount": 9}}));
    assert_eq!((asked.class, asked.value), (Some(CLASS), Some(9)));
    let sold_out =
        json!({"type": "/problems/sold-out", "status": 409, "available": [{"ticket_class": other, "available": 1}]});
    let said = Said::of(Op::Order, &sold_out);
    assert_eq!((said.problem.as_deref(), said.available.get(&CLASS)), (Some("sold-out"), Some(&1)));
    let changed = json!({"type": "/problems/price-changed", "price": {"amount": 8}, "errors": [{"pointer": "/lines/1/unit_price"}]});
    assert_eq!(Said::of(Op::Order, &changed).price, Some((1, 8)));
}

#[test]
fn what_is_recorded_is_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    let recorder = Recorder::create(&path).unwrap();
    let (url, body) =
        (format!("/v1/orders/{}?x=1", order(3)), json!({"show": SHOW, "buyer": {"email": "a@b.example"}}));
    let begin = || recorder.begin("ann", "PUT", &url, Some("secret-key"), Some(&body));
    begin().with_session(SessionId(SHOW.0)).answered(201, Some("token"), true, &json!({"id": order(3)}));
    drop(begin());
    let calls = read(&path).unwrap();
    assert_eq!(calls.iter().map(Call::outcome).collect::<Vec<_>>(), [Outcome::Acknowledged, Outcome::InDoubt]);
    let [answered, dropped] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!((&answered.key, &answered.body_hash), (&dropped.key, &dropped.body_hash), "a repeat is recognised");
    assert_eq!((answered.said.order, answered.said.replayed), (Some(OrderId(order(3).0)), true));
    assert_eq!((answered.asked.session, answered.token.as_deref()), (Some(SessionId(SHOW.0)), Some("token")));
    assert!(answered.answered_us >= Some(answered.called_us) && dropped.answered_us.is_none());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("secret-key") && !text.contains("a@b.example"), "{text}");
    std::fs::write(&path, format!("{text}{{\"client\":\"cut")).unwrap();
    assert_eq!(read(&path).unwrap().len(), 2, "half a line is what a killed recorder leaves");
    std::fs::write(&path, format!("nonsense\n{text}")).unwrap();
    assert!(read(&path).unwrap_err().to_string().contains("line 1"));
    let claims = "eyJzZXNzaW9uIjoiMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDUxIn0";
    let token = format!("e30.{claims}.x");
    let recorder = Recorder::create(&path).unwrap();
    let begun = recorder.begin("ann", "PUT", &url, None, None).with_checkout_token(Some(&token));
    begun.answered(409, None, false, &Value::Null);
    assert_eq!(read(&path).unwrap()[0].asked.session, Some(SessionId(SHOW.0)));
    assert_ne!(bare(1), bare(2));
}

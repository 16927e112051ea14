//! Stock: who gets it, who gives it back.

use domain::ids::{OrderId, TicketClassId};
use domain::inventory::{
    Available, CapacityChanged, Checkout, CloseReason, Command, Event, Inventory, PriceChanged, Refusal, ReleaseReason,
    ReservationConfirmed, ReservationExpired, ReservationReleased, ReservationStatus, SalesClosed, SalesOpened,
    TicketsReserved,
};
use domain::root::Root;
use domain::show::ClassTerms;
use domain::value::{Actor, Currency, PricedLine, Timestamp};
use uuid::Uuid;

use crate::common::{
    BACKSTOP_S, BALCONY, BALCONY_PRICE, FLOOR, FREE, NOWHERE, ORDER, ORGANIZER, OTHER_ORDER, PAY_WITHIN_S, PAYMENT,
    PRICE, SHOW, admin, another_organizer, at, buyer, checkout, fingerprint, given, guest, line, opening, organizer,
    priced, state, support, terms, usd, vnd,
};

fn opened() -> Event {
    opening(SHOW).into()
}

fn closed() -> Event {
    SalesClosed { show: SHOW, reason: CloseReason::ShowCancelled }.into()
}

fn wish(order: OrderId, lines: Vec<PricedLine>) -> Command {
    reserve(order, lines, checkout(Some(PAYMENT)), vec![vnd()])
}

fn reserve(order: OrderId, lines: Vec<PricedLine>, checkout: Checkout, accepts: Vec<Currency>) -> Command {
    Command::Reserve { order, lines, checkout, accepts, hold_backstop_s: BACKSTOP_S, admission: None }
}

fn floor(quantity: i32) -> Vec<PricedLine> {
    vec![priced(FLOOR, quantity, PRICE)]
}

fn held(order: OrderId, lines: Vec<PricedLine>, when: i64) -> TicketsReserved {
    let total = lines.iter().map(|line| line.unit_price * i64::from(line.quantity)).sum();
    TicketsReserved {
        show: SHOW,
        order,
        attempt: 1,
        organizer: ORGANIZER.to_owned(),
        lines,
        currency: vnd(),
        total,
        pay_by: at(when + PAY_WITHIN_S),
        hold_until: at(when + PAY_WITHIN_S + BACKSTOP_S),
        checkout: Some(checkout(Some(PAYMENT))),
    }
}

/// The second attempt of what `held` held.
fn held_again(first: TicketsReserved) -> Event {
    TicketsReserved { attempt: 2, checkout: None, ..first }.into()
}

fn confirmed(attempt: i32, quantity: i32) -> Event {
    ReservationConfirmed { show: SHOW, order: ORDER, attempt, lines: vec![line(FLOOR, quantity)] }.into()
}

fn released(quantity: i32, confirmed: bool, reason: ReleaseReason) -> Event {
    let lines = vec![line(FLOOR, quantity)];
    ReservationReleased { show: SHOW, order: ORDER, attempt: 1, lines, confirmed, reason, session: None }.into()
}

fn expired(quantity: i32) -> Event {
    ReservationExpired { show: SHOW, order: ORDER, attempt: 1, lines: vec![line(FLOOR, quantity)] }.into()
}

fn refused(given_events: Vec<Event>, command: Command, refusal: Refusal) {
    given::<Inventory>(given_events).by(buyer()).when(command).then_expect_error(refusal);
}

const NOT_ON_SALE: Refusal = Refusal::NotOnSale { line: None, opens_at: None };

#[test]
fn sales_open_once() {
    given::<Inventory>(vec![]).when(Command::Open(opening(SHOW))).then_expect_events(vec![opened()]);
    given::<Inventory>(vec![opened()]).when(Command::Open(opening(SHOW))).then_expect_events(vec![]);
    let close = || Command::Close { show: SHOW, reason: CloseReason::ShowCancelled };
    given::<Inventory>(vec![opened()]).when(close()).then_expect_events(vec![closed()]);
    given::<Inventory>(vec![opened(), closed()]).when(close()).then_expect_events(vec![]);
}

#[test]
fn what_closed_before_it_opened_never_opens() {
    let close = Command::Close { show: SHOW, reason: CloseReason::ShowCancelled };
    given::<Inventory>(vec![]).when(close).then_expect_events(vec![closed()]);
    given::<Inventory>(vec![closed()]).when(Command::Open(opening(SHOW))).then_expect_events(vec![]);
    refused(vec![closed()], wish(ORDER, floor(1)), NOT_ON_SALE);
}

#[test]
fn only_the_saga_opens_closes_confirms_and_releases() {
    let commands = [
        Command::Open(opening(SHOW)),
        Command::Close { show: SHOW, reason: CloseReason::ShowCancelled },
        Command::Confirm { order: ORDER },
        Command::Release { order: ORDER, reason: ReleaseReason::ByBuyer },
        Command::Tick,
    ];
    for command in commands {
        let given = given::<Inventory>(vec![opened(), held(ORDER, floor(1), 0).into()]);
        given.by(admin()).when(command).then_expect_error(Refusal::Forbidden);
    }
}

#[test]
fn a_reservation_holds_what_was_asked() {
    let lines = vec![priced(FLOOR, 2, PRICE), priced(BALCONY, 1, BALCONY_PRICE)];
    let event: Event = held(ORDER, lines.clone(), 5).into();
    given::<Inventory>(vec![opened()])
        .by(buyer())
        .at(at(5))
        .when(wish(ORDER, lines))
        .then_expect_events(vec![event.clone()]);
    let stock = state::<Inventory>(&[opened(), event]);
    assert_eq!(stock.class(FLOOR).unwrap().available(), 8);
    assert_eq!(stock.class(BALCONY).unwrap().held, 1);
    let reservation = stock.reservation(ORDER).unwrap();
    assert_eq!((reservation.total, reservation.status), (2 * PRICE + BALCONY_PRICE, ReservationStatus::Active));
    assert_eq!(stock.created_at(reservation), at(5));
    assert_eq!(stock.next_due(), Some(at(5 + PAY_WITHIN_S + BACKSTOP_S)));
}

#[test]
fn nobody_orders_in_anothers_name() {
    for by in [guest(), organizer()] {
        let given = given::<Inventory>(vec![opened()]);
        given.by(by).when(wish(ORDER, floor(1))).then_expect_error(Refusal::Forbidden);
    }
}

#[test]
fn the_same_order_is_recognised_for_ever() {
    let first: Event = held(ORDER, floor(1), 0).into();
    let histories = [
        vec![],
        vec![confirmed(1, 1)],
        vec![released(1, false, ReleaseReason::ByBuyer)],
        vec![expired(1)],
        vec![closed()],
    ];
    for history in histories {
        let events: Vec<Event> = [opened(), first.clone()].into_iter().chain(history).collect();
        given::<Inventory>(events.clone()).by(buyer()).when(wish(ORDER, floor(1))).then_expect_events(vec![]);
        let changed = Checkout { fingerprint: fingerprint(8), ..checkout(Some(PAYMENT)) };
        refused(events.clone(), reserve(ORDER, floor(1), changed, vec![vnd()]), Refusal::AlreadyExists);
        let foreign = Checkout { principal: guest().principal(), ..checkout(Some(PAYMENT)) };
        given::<Inventory>(events)
            .by(guest())
            .when(reserve(ORDER, floor(1), foreign, vec![vnd()]))
            .then_expect_error(Refusal::AlreadyExists);
    }
}

#[test]
fn nothing_is_sold_before_the_opening_or_after_the_end() {
    refused(vec![], wish(ORDER, floor(1)), NOT_ON_SALE);
    refused(vec![opened(), closed()], wish(ORDER, floor(1)), NOT_ON_SALE);
}

#[test]
fn a_class_is_sold_within_its_window() {
    let class = ClassTerms { sale_starts_at: Some(at(10)), sale_ends_at: Some(at(20)), ..terms(FLOOR, PRICE, 10) };
    let opened = || -> Event { SalesOpened { classes: vec![class.clone()], ..opening(SHOW) }.into() };
    let try_at = |when| given::<Inventory>(vec![opened()]).by(buyer()).at(at(when)).when(wish(ORDER, floor(1)));
    try_at(9).then_expect_error(Refusal::NotOnSale { line: Some(0), opens_at: Some(at(10)) });
    try_at(10).then_expect_events(vec![held(ORDER, floor(1), 10).into()]);
    try_at(19).then_expect_events(vec![held(ORDER, floor(1), 19).into()]);
    try_at(20).then_expect_error(Refusal::NotOnSale { line: Some(0), opens_at: None });
}

#[test]
fn classes_must_exist() {
    let lines = vec![priced(FLOOR, 1, PRICE), priced(NOWHERE, 1, 1)];
    refused(vec![opened()], wish(ORDER, lines), Refusal::ClassNotFound { line: Some(1) });
    refused(vec![opened()], wish(ORDER, vec![]), Refusal::ClassNotFound { line: None });
}

#[test]
fn an_order_has_a_limit_per_class_over_all_lines() {
    given::<Inventory>(vec![opened()])
        .by(buyer())
        .when(wish(ORDER, floor(4)))
        .then_expect_events(vec![held(ORDER, floor(4), 0).into()]);
    refused(vec![opened()], wish(ORDER, floor(5)), Refusal::LimitExceeded { line: 0, max: 4 });
    let split = vec![priced(FLOOR, 3, PRICE), priced(BALCONY, 1, BALCONY_PRICE), priced(FLOOR, 2, PRICE)];
    refused(vec![opened()], wish(ORDER, split), Refusal::LimitExceeded { line: 2, max: 4 });
}

#[test]
fn no_line_creates_stock() {
    for quantity in [0, -1, i32::MIN] {
        refused(vec![opened()], wish(ORDER, floor(quantity)), Refusal::LimitExceeded { line: 0, max: 4 });
    }
    let negated = vec![priced(FLOOR, 4, PRICE), priced(FLOOR, -3, PRICE)];
    refused(vec![opened()], wish(ORDER, negated), Refusal::LimitExceeded { line: 1, max: 4 });
    let class = |n: u128| TicketClassId(Uuid::from_u128(n));
    let classes: Vec<ClassTerms> = (0..21).map(|n| terms(class(n), PRICE, 5)).collect();
    let lines = (0..21).map(|n| priced(class(n), 1, PRICE)).collect();
    let opened = SalesOpened { classes, ..opening(SHOW) };
    refused(vec![opened.into()], wish(ORDER, lines), Refusal::LimitExceeded { line: 20, max: 4 });
}

#[test]
fn the_buyer_pays_the_price_seen() {
    let raised: Event = PriceChanged { show: SHOW, ticket_class: FLOOR, price: 120 }.into();
    let refusal = Refusal::PriceChanged { line: 0, price: 120, currency: vnd() };
    refused(vec![opened(), raised], wish(ORDER, floor(1)), refusal);
}

#[test]
pub fn sold_out_names_what_is_left_of_each_class() {
    let events = vec![opened(), held(OTHER_ORDER, floor(4), 0).into(), held(third(), floor(4), 0).into()];
    let lines = vec![priced(BALCONY, 1, BALCONY_PRICE), priced(FLOOR, 3, PRICE)];
    let available =
        vec![Available { ticket_class: BALCONY, available: 5 }, Available { ticket_class: FLOOR, available: 2 }];
    refused(events.clone(), wish(ORDER, lines), Refusal::SoldOut { available });
    given::<Inventory>(events)
        .by(buyer())
        .when(wish(ORDER, floor(2)))
        .then_expect_events(vec![held(ORDER, floor(2), 0).into()]);
}

#[test]
fn two_lines_of_a_class_share_its_stock() {
    let few = SalesOpened { classes: vec![terms(FLOOR, PRICE, 3)], ..opening(SHOW) };
    let lines = vec![priced(FLOOR, 2, PRICE), priced(FLOOR, 2, PRICE)];
    let available = vec![Available { ticket_class: FLOOR, available: 3 }];
    refused(vec![few.into()], wish(ORDER, lines), Refusal::SoldOut { available });
}

fn third() -> OrderId {
    OrderId(Uuid::from_u128(0x03))
}

#[test]
fn a_payment_is_named_exactly_when_there_is_something_to_pay() {
    let unpaid = reserve(ORDER, floor(2), checkout(None), vec![vnd()]);
    refused(vec![opened()], unpaid, Refusal::PaymentMismatch { total: 2 * PRICE });
    let free = vec![priced(FREE, 1, 0)];
    refused(vec![opened()], wish(ORDER, free.clone()), Refusal::PaymentMismatch { total: 0 });
    let event = TicketsReserved { checkout: Some(checkout(None)), ..held(ORDER, free.clone(), 0) };
    given::<Inventory>(vec![opened()])
        .by(buyer())
        .when(reserve(ORDER, free, checkout(None), vec![]))
        .then_expect_events(vec![event.into()]);
}

#[test]
fn a_sum_that_overflows_is_refused() {
    let dear = SalesOpened { classes: vec![terms(FLOOR, i64::MAX / 2, 10)], ..opening(SHOW) };
    let lines = vec![priced(FLOOR, 3, i64::MAX / 2)];
    refused(vec![dear.into()], wish(ORDER, lines), Refusal::PaymentMismatch { total: i64::MAX });
}

#[test]
fn the_provider_must_take_the_currency() {
    let command = reserve(ORDER, floor(1), checkout(Some(PAYMENT)), vec![usd()]);
    refused(vec![opened()], command, Refusal::ProviderUnavailable { currency: vnd() });
}

/// The documented order of refusals: each wish has everything wrong from its place on.
#[test]
fn refusals_come_in_the_order_buyers_expect() {
    let class = ClassTerms { sale_starts_at: Some(at(10)), ..terms(FLOOR, PRICE, 1) };
    let opened = || -> Event { SalesOpened { classes: vec![class.clone()], ..opening(SHOW) }.into() };
    let ask = |lines: Vec<PricedLine>, when: i64| {
        let command = reserve(ORDER, lines, checkout(None), vec![usd()]);
        given::<Inventory>(vec![opened()]).by(buyer()).at(at(when)).when(command).inspect_result().unwrap_err()
    };
    let unknown = vec![priced(FLOOR, 9, 1), priced(NOWHERE, 1, 1)];
    assert_eq!(ask(unknown, 0), Refusal::ClassNotFound { line: Some(1) });
    assert_eq!(ask(vec![priced(FLOOR, 9, 1)], 0), Refusal::NotOnSale { line: Some(0), opens_at: Some(at(10)) });
    assert_eq!(ask(vec![priced(FLOOR, 9, 1)], 10), Refusal::LimitExceeded { line: 0, max: 4 });
    let dearer = Refusal::PriceChanged { line: 0, price: PRICE, currency: vnd() };
    assert_eq!(ask(vec![priced(FLOOR, 4, 1)], 10), dearer);
    let available = vec![Available { ticket_class: FLOOR, available: 1 }];
    assert_eq!(ask(vec![priced(FLOOR, 4, PRICE)], 10), Refusal::SoldOut { available });
    assert_eq!(ask(vec![priced(FLOOR, 1, PRICE)], 10), Refusal::PaymentMismatch { total: PRICE });
}

#[test]
pub fn a_paid_reservation_is_sold_once() {
    let events = vec![opened(), held(ORDER, floor(2), 0).into()];
    given::<Inventory>(events.clone())
        .when(Command::Confirm { order: ORDER })
        .then_expect_events(vec![confirmed(1, 2)]);
    let sold: Vec<Event> = events.into_iter().chain([confirmed(1, 2)]).collect();
    given::<Inventory>(sold.clone()).when(Command::Confirm { order: ORDER }).then_expect_events(vec![]);
    let stock = state::<Inventory>(&sold);
    assert_eq!((stock.class(FLOOR).unwrap().held, stock.class(FLOOR).unwrap().sold), (0, 2));
    assert_eq!(stock.next_due(), None);
    given::<Inventory>(vec![opened()])
        .when(Command::Confirm { order: ORDER })
        .then_expect_error(Refusal::NoReservation);
    given::<Inventory>(vec![]).when(Command::Confirm { order: ORDER }).then_expect_error(Refusal::NoReservation);
}

#[test]
pub fn late_money_takes_the_same_stock_again() {
    let first = held(ORDER, floor(2), 0);
    let ends =
        [expired(2), released(2, false, ReleaseReason::Expired), released(2, false, ReleaseReason::PaymentFailed)];
    for end in ends {
        let again = vec![held_again(first.clone()), confirmed(2, 2)];
        given::<Inventory>(vec![opened(), first.clone().into(), end])
            .at(at(5000))
            .when(Command::Confirm { order: ORDER })
            .then_expect_events(again);
    }
}

#[test]
pub fn late_money_finds_the_stock_gone() {
    let few: Event = SalesOpened { classes: vec![terms(FLOOR, PRICE, 4)], ..opening(SHOW) }.into();
    let events = vec![few, held(ORDER, floor(2), 0).into(), expired(2), held(OTHER_ORDER, floor(3), 0).into()];
    given::<Inventory>(events).when(Command::Confirm { order: ORDER }).then_expect_error(Refusal::StockGone);
}

#[test]
fn late_money_does_not_reopen_what_was_ended_on_purpose() {
    for reason in [ReleaseReason::ByBuyer, ReleaseReason::OrderIdTaken, ReleaseReason::Refunded] {
        let events = vec![opened(), held(ORDER, floor(2), 0).into(), released(2, false, reason)];
        given::<Inventory>(events).when(Command::Confirm { order: ORDER }).then_expect_error(Refusal::StockGone);
    }
    let cancelled = released(2, false, ReleaseReason::ShowCancelled);
    for end in [cancelled, expired(2)] {
        let events = vec![opened(), held(ORDER, floor(2), 0).into(), closed(), end];
        given::<Inventory>(events).when(Command::Confirm { order: ORDER }).then_expect_error(NOT_ON_SALE);
    }
}

#[test]
fn stock_comes_back_once() {
    let events = vec![opened(), held(ORDER, floor(2), 0).into()];
    let release = |reason| Command::Release { order: ORDER, reason };
    let end = released(2, false, ReleaseReason::ByBuyer);
    given::<Inventory>(events.clone()).when(release(ReleaseReason::ByBuyer)).then_expect_events(vec![end.clone()]);
    for end in [end, expired(2)] {
        let over: Vec<Event> = events.iter().cloned().chain([end]).collect();
        given::<Inventory>(over.clone()).when(release(ReleaseReason::Refunded)).then_expect_events(vec![]);
        assert_eq!(state::<Inventory>(&over).class(FLOOR).unwrap().available(), 10);
        assert_eq!(state::<Inventory>(&over).next_due(), None);
    }
    given::<Inventory>(vec![opened()]).when(release(ReleaseReason::ByBuyer)).then_expect_error(Refusal::NoReservation);
}

#[test]
fn sold_stock_comes_back_only_for_a_cancelled_show_or_a_refund() {
    let sold = vec![opened(), held(ORDER, floor(2), 0).into(), confirmed(1, 2)];
    for reason in [ReleaseReason::ShowCancelled, ReleaseReason::Refunded] {
        given::<Inventory>(sold.clone())
            .when(Command::Release { order: ORDER, reason })
            .then_expect_events(vec![released(2, true, reason)]);
    }
    for reason in [ReleaseReason::Expired, ReleaseReason::PaymentFailed, ReleaseReason::ByBuyer] {
        given::<Inventory>(sold.clone())
            .when(Command::Release { order: ORDER, reason })
            .then_expect_error(Refusal::NoReservation);
    }
}

#[test]
fn the_backstop_ends_a_hold() {
    let events = vec![opened(), held(ORDER, floor(2), 0).into(), held(OTHER_ORDER, floor(1), 10).into()];
    let until = PAY_WITHIN_S + BACKSTOP_S;
    assert_eq!(state::<Inventory>(&events).next_due(), Some(at(until)));
    given::<Inventory>(events.clone()).at(at(until - 1)).when(Command::Tick).then_expect_events(vec![]);
    given::<Inventory>(events.clone()).at(at(until)).when(Command::Tick).then_expect_events(vec![expired(2)]);
    given::<Inventory>(vec![]).when(Command::Tick).then_expect_events(vec![]);
}

fn many(n: u128) -> Vec<Event> {
    let large = SalesOpened { classes: vec![terms(FLOOR, PRICE, 1000)], ..opening(SHOW) };
    let orders = (1..=n).map(|n| held(OrderId(Uuid::from_u128(n)), floor(1), 0).into());
    [large.into()].into_iter().chain(orders).collect()
}

#[test]
fn at_most_a_hundred_holds_end_in_a_tick() {
    let given = given::<Inventory>(many(150)).at(at(9_999));
    assert_eq!(given.when(Command::Tick).inspect_result().unwrap().len(), 100);
}

#[test]
fn a_cancelled_show_gives_everything_back_page_by_page() {
    let mut events = many(150);
    events.push(confirmed(1, 1));
    events.push(closed());
    let mut stock = state::<Inventory>(&events);
    let mut dues: Vec<Timestamp> = Vec::new();
    let mut released = 0;
    while let Some(due) = stock.next_due() {
        assert!(due < at(0) && !dues.contains(&due), "due at once, and each page under another name");
        dues.push(due);
        let page =
            crate::common::decide(&mut stock, crate::common::issued(Command::Tick, Actor::System, at(1))).unwrap();
        released += page.len();
        assert!(page.len() <= 100);
        for event in page {
            let Event::ReservationReleased(event) = event else { panic!("not a release: {event:?}") };
            assert_eq!(event.reason, ReleaseReason::ShowCancelled);
            assert_eq!(event.confirmed, event.order == ORDER, "only this one had been sold");
        }
    }
    assert_eq!((released, dues.len()), (150, 2));
    assert_eq!(stock.class(FLOOR).unwrap().committed(), 0);
}

#[test]
pub fn organizers_and_admins_change_prices_and_capacity() {
    let price = || Command::ChangePrice { ticket_class: FLOOR, price: 120 };
    let capacity = |capacity| Command::ChangeCapacity { ticket_class: FLOOR, capacity };
    let changed = CapacityChanged { show: SHOW, ticket_class: FLOOR, capacity: 2 };
    let events = || vec![opened(), held(ORDER, floor(2), 0).into()];
    for by in [organizer(), admin()] {
        let repriced = PriceChanged { show: SHOW, ticket_class: FLOOR, price: 120 };
        given::<Inventory>(events()).by(by.clone()).when(price()).then_expect_events(vec![repriced.into()]);
        given::<Inventory>(events()).by(by).when(capacity(2)).then_expect_events(vec![changed.clone().into()]);
    }
    let sold: Vec<Event> =
        events().into_iter().chain([confirmed(1, 2), held(OTHER_ORDER, floor(1), 0).into()]).collect();
    given::<Inventory>(sold)
        .by(organizer())
        .when(capacity(2))
        .then_expect_error(Refusal::BelowCommitted { committed: 3 });
    given::<Inventory>(vec![opened()])
        .by(organizer())
        .when(capacity(-1))
        .then_expect_error(Refusal::BelowCommitted { committed: 0 });
}

#[test]
fn a_change_that_changes_nothing_writes_nothing() {
    let same = [
        Command::ChangePrice { ticket_class: FLOOR, price: PRICE },
        Command::ChangeCapacity { ticket_class: FLOOR, capacity: 10 },
    ];
    for command in same {
        given::<Inventory>(vec![opened()]).by(organizer()).when(command).then_expect_events(vec![]);
    }
}

#[test]
fn changes_are_refused_to_others_and_to_what_is_not_there() {
    let price = |class| Command::ChangePrice { ticket_class: class, price: 120 };
    let ask = |events, by, command, refusal| given::<Inventory>(events).by(by).when(command).then_expect_error(refusal);
    for by in [buyer(), guest(), another_organizer()] {
        ask(vec![opened()], by, price(FLOOR), Refusal::NotFound);
    }
    ask(vec![opened()], support(), price(FLOOR), Refusal::Forbidden);
    ask(vec![], organizer(), price(FLOOR), Refusal::NotFound);
    ask(vec![opened()], organizer(), price(NOWHERE), Refusal::ClassNotFound { line: None });
    ask(vec![opened(), closed()], organizer(), price(FLOOR), NOT_ON_SALE);
    let below_zero = Command::ChangePrice { ticket_class: FLOOR, price: -1 };
    ask(vec![opened()], organizer(), below_zero, Refusal::Forbidden);
}

#[test]
fn a_price_holds_for_new_reservations_only() {
    let repriced: Event = PriceChanged { show: SHOW, ticket_class: FLOOR, price: 120 }.into();
    let first = held(ORDER, floor(2), 0);
    let again = vec![held_again(first.clone()), confirmed(2, 2)];
    given::<Inventory>(vec![opened(), first.into(), repriced, expired(2)])
        .when(Command::Confirm { order: ORDER })
        .then_expect_events(again);
}

#[test]
#[should_panic(expected = "oversold")]
fn overselling_stops_the_partition() {
    state::<Inventory>(&[opened(), held(ORDER, floor(11), 0).into()]);
}

#[test]
fn anybody_may_look() {
    given::<Inventory>(vec![opened()]).by(buyer()).when(Command::Look).then_expect_events(vec![]);
    assert_eq!(Inventory::due(), Command::Tick);
}

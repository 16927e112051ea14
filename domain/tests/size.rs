//! What is finished stays in memory for ever, so it has to be small.

use cqrs_es::Aggregate;
use domain::ids::TicketClassId;
use domain::inventory::{Inventory, ReservationExpired, TicketsReserved};
use domain::order::{Order, OrderCompleted, OrderCreated, OrderPaid};
use domain::principal::Principal;
use domain::queue::{self, WaitingRoom};
use domain::ticket::{IssuedTicket, TicketBatch, TicketsIssued};
use uuid::Uuid;

use crate::common::{
    BALCONY, BUYER, FLOOR, ORDER, PAYMENT, SHOW, at, checkout, choice, line, opening, priced, room, room_terms, state,
    vnd,
};
use crate::queue_story;

const ORGANIZER: &str = "account:7c9e6679-7425-40de-944b-e07fc1f90ae7";

#[test]
fn a_finished_order_takes_at_most_256_bytes() {
    let lines = vec![priced(FLOOR, 2, 100), priced(BALCONY, 1, 70)];
    let created = OrderCreated {
        order: ORDER,
        show: SHOW,
        organizer: ORGANIZER.to_owned(),
        person: Uuid::from_u128(1).into(),
        principal: BUYER.to_owned(),
        code: "0123456789".to_owned(),
        lines: lines.clone(),
        currency: vnd(),
        total: 270,
        created_at: at(0),
        pay_by: at(900),
        hold_until: at(1200),
        payment: Some(choice(PAYMENT)),
        session: None,
    };
    let (order, show, currency) = (ORDER, SHOW, vnd());
    let paid = OrderPaid { order, show, payment: Some(PAYMENT), lines, currency, total: 270 };
    let done = OrderCompleted { order, show, ticket_count: 3, session: None };
    let order = state::<Order>(&[created.into(), paid.into(), done.into()]);
    let bytes = size_of::<Order>() + order.heap_bytes();
    assert!((128..=256).contains(&bytes), "{bytes} bytes");
}

#[test]
fn a_reservation_that_is_over_takes_at_most_256_bytes() {
    let reserved = TicketsReserved {
        show: SHOW,
        order: ORDER,
        attempt: 1,
        organizer: ORGANIZER.to_owned(),
        lines: vec![priced(FLOOR, 2, 100), priced(BALCONY, 1, 70)],
        currency: vnd(),
        total: 270,
        pay_by: at(900),
        hold_until: at(1200),
        checkout: Some(checkout(Some(PAYMENT))),
    };
    let lines = vec![line(FLOOR, 2), line(BALCONY, 1)];
    let expired = ReservationExpired { show: SHOW, order: ORDER, attempt: 1, lines };
    let stock = state::<Inventory>(&[opening(SHOW).into(), reserved.into(), expired.into()]);
    let bytes = size_of_val(&ORDER) + size_of::<usize>() + stock.reservation(ORDER).unwrap().heap_bytes();
    assert!((128..=256).contains(&bytes), "{bytes} bytes");
}

#[test]
fn two_tickets_take_at_most_64_bytes_each() {
    let ticket = |n: u128| IssuedTicket { ticket: Uuid::from_u128(n).into(), ticket_class: TicketClassId::default() };
    let mut batch = TicketBatch::default();
    batch.apply(TicketsIssued { order: ORDER, show: SHOW, tickets: vec![ticket(1), ticket(2)] }.into());
    let bytes = size_of::<TicketBatch>() + batch.heap_bytes();
    assert!((64..=2 * 64 + 8).contains(&bytes), "{bytes} bytes");
}

/// Of everybody who waits, the room keeps who has which number, and the log keeps the rest. In memory a map takes
/// about half as much again (measured: 52 bytes each for 100,000).
#[test]
fn a_waiting_visitor_takes_less_than_64_bytes() {
    let holder = size_of::<(Principal, u32)>();
    assert!(holder <= 32, "{holder} bytes");
    let snapshot = |count: u32| {
        let joined = (1..=count).map(|number| {
            let principal = format!("guest:{}", Uuid::from_u128(u128::from(number) << 96));
            let session = queue::session(SHOW, number);
            queue::QueueJoined { show: SHOW, session, number: number.into(), principal }.into()
        });
        let opened = [room(SHOW, room_terms(None)).into()];
        let events: Vec<queue::Event> = opened.into_iter().chain(joined).collect();
        postcard::to_stdvec(&state::<WaitingRoom>(&events)).unwrap().len()
    };
    let each = (snapshot(3_000) - snapshot(1_000)) / 2_000;
    assert!((20..64).contains(&each), "{each} bytes in a snapshot");
}

/// Of those who went through, nothing is kept but what is kept of those who wait, and two bits.
#[test]
fn who_is_through_leaves_nothing_behind() {
    let crowd: Vec<queue::Event> = queue_story::crowd(400);
    let through = (1..=400).flat_map(|number| {
        [queue_story::ready(number, number, 0), queue_story::started(number, 0), queue_story::completed(number, ORDER)]
    });
    let through: Vec<queue::Event> = crowd.iter().cloned().chain(through).collect();
    let snapshot = |events: &[queue::Event]| postcard::to_stdvec(&state::<WaitingRoom>(events)).unwrap().len();
    let more = snapshot(&through) - snapshot(&crowd);
    assert!(more < 200, "{more} bytes more for 400 who are through");
}

#[test]
fn a_principal_stays_the_text_it_was() {
    let upper = "account:0F8FAD5B-D9CB-469F-A165-70867728950E";
    for text in [BUYER, ORGANIZER, "guest:7c9e6679-7425-40de-944b-e07fc1f90ae7", "account:olga", upper, "system", ""] {
        let principal = Principal::from(text);
        assert_eq!(principal.to_string(), text);
        assert!(principal.is(text));
        assert!(
            !principal.is("account:x") && !principal.is(&text.replace("0", "1").replace("account", "guest"))
                || text.len() < 7
        );
    }
    assert!(!Principal::from(BUYER).is(upper), "another spelling is another account");
    assert_eq!(size_of::<Principal>(), 24);
}

/// What a snapshot does to a state changes nothing.
#[test]
fn states_survive_serialization() {
    let stock = state::<Inventory>(&[opening(SHOW).into()]);
    let text = serde_json::to_string(&stock).unwrap();
    assert_eq!(serde_json::from_str::<Inventory>(&text).unwrap(), stock);
}

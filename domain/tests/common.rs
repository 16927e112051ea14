//! Names, people and things that the tests share.

use std::fmt::Debug;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cqrs_es::event_sink::EventSink;
use cqrs_es::test::{AggregateResultValidator, TestFramework};
use domain::ids::{OrderId, PaymentId, PersonId, ShowId, TicketClassId};
use domain::inventory::{Checkout, SalesOpened};
use domain::queue;
use domain::root::{Issued, Root};
use domain::show::ClassTerms;
use domain::value::{Actor, Currency, Fingerprint, Line, PaymentChoice, PricedLine, Provider, Role, Sealed, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub const SHOW: ShowId = ShowId(Uuid::from_u128(0x51));
pub const OTHER_SHOW: ShowId = ShowId(Uuid::from_u128(0x52));
pub const ORDER: OrderId = OrderId(Uuid::from_u128(0x01));
pub const OTHER_ORDER: OrderId = OrderId(Uuid::from_u128(0x02));
pub const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(0xa1));
pub const OTHER_PAYMENT: PaymentId = PaymentId(Uuid::from_u128(0xa2));
pub const FLOOR: TicketClassId = TicketClassId(Uuid::from_u128(0xc1));
pub const BALCONY: TicketClassId = TicketClassId(Uuid::from_u128(0xc2));
pub const FREE: TicketClassId = TicketClassId(Uuid::from_u128(0xc3));
pub const NOWHERE: TicketClassId = TicketClassId(Uuid::from_u128(0xcf));

pub const ORGANIZER: &str = "account:olga";
pub const BUYER: &str = "account:0f8fad5b-d9cb-469f-a165-70867728950e";
pub const PAY_WITHIN_S: i64 = 900;
pub const BACKSTOP_S: i64 = 300;
/// Of `room_terms`.
pub const ENTER_S: i64 = 10;
pub const TOKEN_S: i64 = 60;
pub const AWAY_S: i64 = 300;
pub const SEED: queue::Seed = queue::Seed([7; 32]);
/// Prices of a floor and a balcony ticket.
pub const PRICE: i64 = 100;
pub const BALCONY_PRICE: i64 = 70;

pub fn account(principal: &str, roles: &[Role]) -> Actor {
    Actor::Account { principal: principal.to_owned(), roles: roles.iter().copied().collect() }
}

pub fn organizer() -> Actor {
    account(ORGANIZER, &[Role::Organizer])
}

pub fn another_organizer() -> Actor {
    account("account:oscar", &[Role::Organizer])
}

pub fn admin() -> Actor {
    account("account:ada", &[Role::Admin])
}

pub fn support() -> Actor {
    account("account:sue", &[Role::Support])
}

pub fn buyer() -> Actor {
    account(BUYER, &[Role::Buyer])
}

pub fn guest() -> Actor {
    Actor::Guest { principal: "guest:7c9e6679-7425-40de-944b-e07fc1f90ae7".to_owned() }
}

pub fn holder(order: OrderId, show: ShowId) -> Actor {
    Actor::OrderHolder { order, show }
}

/// So many seconds after the tests' beginning of time.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp(1_000_000_000).plus_s(seconds)
}

pub fn vnd() -> Currency {
    "VND".parse().unwrap()
}

pub fn usd() -> Currency {
    "USD".parse().unwrap()
}

pub fn fingerprint(n: u8) -> Fingerprint {
    Fingerprint([n; 16])
}

pub fn terms(class: TicketClassId, price: i64, capacity: i64) -> ClassTerms {
    ClassTerms {
        ticket_class: class,
        name: "A class".to_owned(),
        price,
        capacity,
        sale_starts_at: None,
        sale_ends_at: None,
        max_per_order: 4,
    }
}

/// Ten on the floor, five on the balcony, three for nothing.
pub fn opening(show: ShowId) -> SalesOpened {
    SalesOpened {
        show,
        organizer: ORGANIZER.to_owned(),
        currency: vnd(),
        pay_within_s: PAY_WITHIN_S,
        classes: vec![terms(FLOOR, PRICE, 10), terms(BALCONY, BALCONY_PRICE, 5), terms(FREE, 0, 3)],
        waiting_room: false,
    }
}

/// Three slots, two admitted every second, ten seconds to enter, a minute to order, five minutes away.
pub fn room_terms(opens_at: Option<Timestamp>) -> queue::Terms {
    queue::Terms {
        opens_at,
        slots: 3,
        admission_batch: 2,
        enter_s: ENTER_S,
        token_ttl_s: TOKEN_S,
        away_grace_s: AWAY_S,
        ..queue::Terms::default()
    }
}

/// A waiting room with these terms; where it draws, by `SEED`.
pub fn room(show: ShowId, terms: queue::Terms) -> queue::WaitingRoomOpened {
    queue::WaitingRoomOpened {
        show,
        organizer: ORGANIZER.to_owned(),
        terms,
        checkout_url: Some("https://shop.test/checkout".to_owned()),
        draw_hash: terms.opens_at.map(|_| SEED.hash()),
    }
}

pub fn choice(payment: PaymentId) -> PaymentChoice {
    PaymentChoice {
        payment,
        provider: Provider::Payos,
        return_url: "https://shop.test/back".to_owned(),
        cancel_url: None,
    }
}

pub fn checkout(payment: Option<PaymentId>) -> Checkout {
    Checkout {
        session: None,
        person: PersonId(Uuid::from_u128(0xbe)),
        principal: BUYER.to_owned(),
        code: "0123456789".to_owned(),
        buyer: Sealed(vec![1, 2, 3]),
        email_hash: "abc".to_owned(),
        payment: payment.map(choice),
        fingerprint: fingerprint(7),
    }
}

pub fn priced(class: TicketClassId, quantity: i32, unit_price: i64) -> PricedLine {
    PricedLine { ticket_class: class, quantity, unit_price }
}

pub fn line(class: TicketClassId, quantity: i32) -> Line {
    Line { ticket_class: class, quantity }
}

/// A command with its envelope: fingerprint 7, serial 42.
pub fn issued<C>(command: C, by: Actor, at: Timestamp) -> Issued<C> {
    Issued { command, by, at, fingerprint: fingerprint(7), serial: 42 }
}

/// Given these events, when a command comes, then …
pub struct Given<A: Root> {
    events: Vec<A::Event>,
    by: Actor,
    at: Timestamp,
}

/// The system acts, at the beginning of time, unless told otherwise.
pub fn given<A: Root>(events: Vec<A::Event>) -> Given<A> {
    Given { events, by: Actor::System, at: at(0) }
}

impl<A: Root> Given<A> {
    pub fn by(self, by: Actor) -> Self {
        Self { by, ..self }
    }

    pub fn at(self, at: Timestamp) -> Self {
        Self { at, ..self }
    }

    pub fn when(self, ask: A::Ask) -> AggregateResultValidator<A> {
        TestFramework::<A>::with(()).given(self.events).when(issued(ask, self.by, self.at))
    }
}

/// The state after these events.
pub fn state<A: Root>(events: &[A::Event]) -> A {
    let mut state = A::default();
    events.iter().cloned().for_each(|event| state.apply(event));
    state
}

/// Decides as the owner of a partition does: on a copy, polled once. The state changes only with the events.
pub fn decide<A>(state: &mut A, command: Issued<A::Ask>) -> Result<Vec<A::Event>, A::Error>
where
    A: Root + PartialEq,
{
    let mut copy = state.clone();
    let sink = EventSink::default();
    let polled = {
        let future = pin!(copy.handle(command, &(), &sink));
        future.poll(&mut Context::from_waker(Waker::noop()))
    };
    let Poll::Ready(decided) = polled else { panic!("a decision never waits") };
    match decided {
        Err(refusal) => {
            assert_eq!(copy, *state, "a refused command leaves no trace");
            Err(refusal)
        }
        Ok(()) => {
            let Poll::Ready(events) = pin!(sink.collect()).poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("collecting never waits")
            };
            events.iter().cloned().for_each(|event| state.apply(event));
            assert_eq!(copy, *state, "folding the emitted events gives the state");
            Ok(events)
        }
    }
}

/// What it is after a journey to another instance, or through a snapshot: itself.
pub fn carried<T: Serialize + DeserializeOwned + PartialEq + Debug>(thing: T) -> T {
    let bytes = postcard::to_stdvec(&thing).unwrap();
    let arrived: T = postcard::from_bytes(&bytes).unwrap_or_else(|error| panic!("{thing:?}: {error}"));
    assert_eq!(arrived, thing);
    arrived
}

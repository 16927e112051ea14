//! A show on sale, for every benchmark that decides, encodes or appends reservations: the same at every run.
#![allow(dead_code, reason = "every benchmark uses a part of it")]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cqrs_es::Aggregate as _;
use cqrs_es::event_sink::EventSink;
use domain::ids::{OrderId, PaymentId, PersonId, ShowId, TicketClassId};
use domain::inventory::{Checkout, Command, Event, Inventory, Refusal, SalesOpened};
use domain::root::{Issued, Meta};
use domain::show::ClassTerms;
use domain::value::{Actor, Currency, Fingerprint, PaymentChoice, PricedLine, Provider, Sealed, Timestamp};
use uuid::Uuid;

/// The show.
pub const SHOW: ShowId = ShowId(Uuid::from_u128(0x5105));
const CLASS: TicketClassId = TicketClassId(Uuid::from_u128(0xc1a5));
const PRICE: i64 = 150_000;
/// When it is sold.
pub const AT: Timestamp = Timestamp(1_790_000_000_000_000);

/// What puts it on sale.
pub fn opened(capacity: i64) -> SalesOpened {
    let terms = ClassTerms {
        ticket_class: CLASS,
        name: "Standing".to_owned(),
        price: PRICE,
        capacity,
        sale_starts_at: None,
        sale_ends_at: None,
        max_per_order: 10,
    };
    SalesOpened {
        show: SHOW,
        organizer: "account:organizer".to_owned(),
        currency: vnd(),
        pay_within_s: 900,
        classes: vec![terms],
        waiting_room: false,
    }
}

/// A buyer's wish for two tickets, as large as real ones. Orders come in no order, as real ids do.
pub fn reserve(n: u64) -> Command {
    let order = order(n);
    let payment = PaymentChoice {
        payment: PaymentId(scattered(n, 2)),
        provider: Provider::Payos,
        return_url: "https://tickets.example.com/shows/42/thanks".to_owned(),
        cancel_url: None,
    };
    let checkout = Checkout {
        session: None,
        person: PersonId(scattered(n, 3)),
        principal: buyer(n).principal(),
        code: "0123456789".to_owned(),
        buyer: Sealed(vec![7; 150]),
        email_hash: "0123456789abcdef0123456789abcdef".to_owned(),
        payment: Some(payment),
        fingerprint: Fingerprint(scattered(n, 4).into_bytes()),
    };
    let lines = vec![PricedLine { ticket_class: CLASS, quantity: 2, unit_price: PRICE }];
    Command::Reserve { order, lines, checkout, accepts: vec![vnd()], hold_backstop_s: 60, admission: None }
}

/// Who wishes.
pub fn buyer(n: u64) -> Actor {
    Actor::Guest { principal: format!("guest:{}", scattered(n, 1)) }
}

/// Which order it is for.
pub fn order(n: u64) -> OrderId {
    OrderId(scattered(n, 0))
}

/// A command as it reaches the stock.
pub fn issued(command: Command, by: Actor, n: u64) -> Issued<Command> {
    Issued { command, by, at: AT, fingerprint: Fingerprint(scattered(n, 4).into_bytes()), serial: n }
}

/// Decides as the owner of the partition does: the stock as it is then, and what happened.
///
/// # Errors
/// The stock's refusal.
pub fn decide(stock: &Inventory, issued: Issued<Command>) -> Result<(Inventory, Vec<Event>), Refusal> {
    let mut after = stock.clone();
    let sink = EventSink::default();
    at_once(after.handle(issued, &(), &sink))?;
    let events = at_once(sink.collect());
    Ok((after, events))
}

/// The stock while so many reservations are open.
pub fn selling(reservations: u64, capacity: i64) -> Inventory {
    let by_system = issued(Command::Open(opened(capacity)), Actor::System, 0);
    let (mut stock, _) = decide(&Inventory::default(), by_system).expect("nothing was on sale");
    for n in 0..reservations {
        stock = decide(&stock, issued(reserve(n), buyer(n), n)).expect("there is enough").0;
    }
    stock
}

/// What the owner of the partition writes beside an event.
pub fn meta(n: u64) -> Meta {
    Meta {
        event_id: scattered(n, 5),
        occurred_at: AT,
        version: 1 + i64::try_from(n).expect("there are few"),
        correlation_id: scattered(n, 6),
        causation_id: scattered(n, 7),
        actor: buyer(n).principal(),
    }
}

fn vnd() -> Currency {
    "VND".parse().expect("three upper-case letters")
}

/// An id that tells nothing about its neighbours.
pub fn scattered(n: u64, of: u64) -> Uuid {
    // SplitMix64, twice.
    let mix = |seed: u64| {
        let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let seed = 16 * n + 2 * of;
    Uuid::from_u64_pair(mix(seed + 1), mix(seed + 2))
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("aggregates never wait"),
    }
}

//! How long an event takes to become bytes, and bytes to become an event.
//!
//! `cargo bench -p schemas`

#[path = "../../domain/benches/support/sale.rs"]
mod sale;

use divan::{Bencher, black_box};
use domain::event::Event;
use domain::inventory::Command;
use domain::root::Meta;
use domain::value::Actor;
use schemas::Codec;

fn main() {
    divan::main();
}

/// The largest event of a purchase, and one of the smallest.
#[derive(Debug, Clone, Copy)]
enum Of {
    TicketsReserved,
    ReservationConfirmed,
}

const BOTH: [Of; 2] = [Of::TicketsReserved, Of::ReservationConfirmed];

fn event(of: Of) -> (Meta, Event) {
    let stock = sale::selling(1, 100);
    let issued = match of {
        Of::TicketsReserved => sale::issued(sale::reserve(1), sale::buyer(1), 1),
        Of::ReservationConfirmed => sale::issued(Command::Confirm { order: sale::order(0) }, Actor::System, 1),
    };
    let (_, events) = sale::decide(&stock, issued).expect("there is enough");
    let event = events.into_iter().next().expect("something happened");
    (sale::meta(1), event.into())
}

#[divan::bench(args = BOTH)]
fn encode(bencher: Bencher, of: Of) {
    let (codec, (meta, event)) = (Codec::in_memory(), event(of));
    bencher.bench_local(|| codec.encode(black_box(&meta), black_box(&event)));
}

#[divan::bench(args = BOTH)]
fn decode(bencher: Bencher, of: Of) {
    let (codec, (meta, event)) = (Codec::in_memory(), event(of));
    let value = codec.encode(&meta, &event).expect("it fits its schema");
    bencher.bench_local(|| codec.decode(black_box(&value)));
}

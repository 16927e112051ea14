//! How long the stock takes to decide, with few and with many reservations open.
//!
//! `cargo bench -p domain`

#[path = "support/sale.rs"]
mod sale;

use divan::{Bencher, black_box};
use domain::inventory::Command;
use domain::value::Actor;

const OPEN: [u64; 2] = [100, 100_000];
const PLENTY: i64 = 1_000_000_000;

fn main() {
    divan::main();
}

#[divan::bench(args = OPEN)]
fn reserve(bencher: Bencher, open: u64) {
    let stock = sale::selling(open, PLENTY);
    let mut next = open;
    bencher
        .with_inputs(|| {
            next += 1;
            sale::issued(sale::reserve(next), sale::buyer(next), next)
        })
        .bench_local_values(|issued| sale::decide(black_box(&stock), issued));
}

#[divan::bench(args = OPEN)]
fn recognise_a_repeat(bencher: Bencher, open: u64) {
    let stock = sale::selling(open, PLENTY);
    bencher
        .with_inputs(|| sale::issued(sale::reserve(open / 2), sale::buyer(open / 2), open / 2))
        .bench_local_values(|issued| sale::decide(black_box(&stock), issued));
}

#[divan::bench(args = OPEN)]
fn refuse_what_is_sold_out(bencher: Bencher, open: u64) {
    let stock = sale::selling(open, 2 * i64::try_from(open).expect("it is small"));
    bencher
        .with_inputs(|| sale::issued(sale::reserve(open), sale::buyer(open), open))
        .bench_local_values(|issued| sale::decide(black_box(&stock), issued));
}

#[divan::bench(args = OPEN)]
fn confirm(bencher: Bencher, open: u64) {
    let stock = sale::selling(open, PLENTY);
    let mut next = 0;
    bencher
        .with_inputs(|| {
            next = (next + 1) % open;
            sale::issued(Command::Confirm { order: sale::order(next) }, Actor::System, next)
        })
        .bench_local_values(|issued| sale::decide(black_box(&stock), issued));
}

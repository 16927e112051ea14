//! How long a reservation takes from the owner's mailbox to its answer on the log in memory: decided, encoded, appended,
//! acknowledged, read back and folded; alone, and in batches as a busy owner makes them. Folding a whole log is measured
//! by the bench `fold`.
//!
//! `cargo bench -p event-log --bench append`

#[path = "../../domain/benches/support/sale.rs"]
mod sale;
#[path = "support/serving.rs"]
mod serving;
mod support;

use divan::Bencher;
use divan::counter::ItemsCount;
use serving::{Serving, reservations};
use support::settings;

fn main() {
    divan::main();
}

#[divan::bench(args = [1, 16, 256])]
fn append(bencher: Bencher, batch: u64) {
    let (mut serving, mut next) = (Serving::new(), 0);
    bencher
        .counter(ItemsCount::new(batch))
        .with_inputs(|| {
            next += batch;
            reservations(next, batch)
        })
        .bench_local_values(|commands| serving.carry_out(commands));
}

//! A whole box office on one thread: the real owners, validity, outbox, timers, snapshots and projectors, with a seeded
//! clock, log, network, payment provider and row store.
//!
//! Invariant: the same seed and the same code give the same history, to the byte.

mod acts;
mod campaign;
mod clients;
mod dice;
mod heal;
mod history;
mod host;
mod later;
mod oracle;
mod outbox;
mod part;
mod plan;
mod provider;
mod readers;
mod seats;
mod seen;
mod stated;
mod truth;
mod wire;
mod world;

pub use campaign::{Campaign, Outcome, Progress, bites, campaign};
pub use history::{Failure, Options, run};
pub use plan::{Knobs, Step};
pub use seen::Seen;
pub use stated::{Bite, bite_all, stated, table};

//! Everything of a state in a form that can be compared: what is stored of it, and what is built anew.

use domain::inventory::Inventory;
use domain::root::Root;
use domain::value::Timestamp;
use event_log::state::State;
use imbl::OrdSet;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Position, time, outbox, aggregates with versions, repeats by age, serial numbers.
    pub bytes: Vec<u8>,
    timers: OrdSet<(Timestamp, Uuid)>,
    rounds: OrdSet<(Timestamp, Uuid)>,
    watched: OrdSet<Uuid>,
    next_serial: u64,
}

pub fn image<A: Root>(state: &State<A>) -> Image {
    let mut bytes = Vec::new();
    state.store(&mut bytes).unwrap();
    Image {
        bytes,
        timers: state.timers.clone(),
        rounds: state.rounds.clone(),
        watched: state.watched.clone(),
        next_serial: state.next_serial(1, 4, Timestamp(0)),
    }
}

impl Image {
    pub fn restore(&self) -> State<Inventory> {
        State::restore(&self.bytes).unwrap()
    }
}

//! Faults of processes: killed at the worst moments, frozen, misled about the time.

mod clock;
mod crashes;
mod everything;
mod kill;
mod zombie;

use crate::fault::Fault;

/// Every one.
pub static ALL: &[Fault] = &[
    kill::KILL,
    crashes::BEFORE_APPEND,
    crashes::AFTER_APPEND,
    crashes::AFTER_RECORD_2,
    crashes::IN_SNAPSHOT,
    zombie::ZOMBIE,
    zombie::TWO_OWNERS,
    everything::EVERYTHING,
    clock::CLOCK,
];

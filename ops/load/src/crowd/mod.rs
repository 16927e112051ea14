//! A crowd in a waiting room: people who join once, and then stay and ask, or stay and are told, until it is their turn.
//!
//! Invariant: nothing that a person was told is forgotten, so that a place that changes is seen by whom it belongs to.

mod checkout;
mod frame;
mod join;
mod people;
mod person;
mod plan;
mod poll;
mod scan;
mod socket;
mod tally;
pub mod worker;

pub use plan::{Plan, Stage};
pub use tally::Tally;

//! The writing routes as a client sees them, over a log in memory and a provider that only takes note.

mod checkout;
mod flow;
mod joining;
pub(super) mod patient;
mod persons;
mod queue;
mod rooms;
mod world;

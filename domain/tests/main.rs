//! The rules of the domain as given, when, then; its laws as properties.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;
mod inventory;
mod order;
mod payment;
mod properties;
mod saga;
mod show;
mod size;
mod ticket;
mod world;

//! The write side: partition owners, outbox, payment gateways and the HTTP commands.

mod background;
pub mod cluster;
pub mod config;
pub mod effects;
pub mod front;
pub mod http;
pub mod outbox;
pub mod owners;
pub mod payments;
pub mod person_keys;
pub mod pressure;
pub mod service;
mod steps;
pub mod watch;

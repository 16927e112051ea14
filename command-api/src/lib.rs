//! The write side: partition owners, outbox, payment gateways and the HTTP commands.

pub mod payments;

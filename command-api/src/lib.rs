//! The write side: partition owners, outbox, payment gateways and the HTTP commands.

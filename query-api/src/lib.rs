//! The read side: HTTP queries, waiting reads and event streams over the read models.
//!
//! Invariant: nothing here writes, and nothing here reads Kafka. What is answered comes from the views of
//! [`projectors`], and only whoever may see a thing learns that it exists.

mod boards;
mod buyers;
mod changes;
pub mod config;
mod cursor;
mod database;
mod figures;
mod http;
mod progress;
pub mod service;
mod stale;
pub mod ticket_code;
mod together;
mod turns;

//! A whole Boxoffice in one process for tests: real Kafka, registry, Postgres and HTTP; the payment provider is played.

pub mod client;
pub mod purchase;
pub mod world;

pub use client::{Answer, Client};
pub use world::World;

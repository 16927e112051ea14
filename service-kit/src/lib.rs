//! What every process shares: configuration, telemetry, health, shutdown, problems, authentication.

mod access;
pub mod auth;
mod bearer;
pub mod caller;
pub mod canonical;
pub mod clock;
pub mod code;
pub mod config;
pub mod consistency;
pub mod env;
pub mod extract;
pub mod health;
pub mod http;
pub mod idempotency;
pub mod json;
pub mod keys;
pub mod operations;
pub mod prefer;
pub mod problem;
pub mod problems;
pub mod random;
pub mod serve;
pub mod shutdown;
pub mod telemetry;
pub mod trace;
pub mod validate;
pub mod views;

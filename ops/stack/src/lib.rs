//! The local stack without containers: Kafka, a schema registry and Postgres on loopback.
//!
//! Invariant: a server belongs to a stack because its command line names the stack's folder, never because a file
//! holds its process id. A crash, a reboot or a deleted folder therefore cannot make us trust or end a stranger.

mod config;
mod download;

mod ephemeral;
mod java;
mod ports;
mod probe;
mod process;
mod servers;
mod shared_folder;
mod stack;
mod start;
mod world;

pub use config::{Endpoints, StackConfig, find_root};
pub use ephemeral::EphemeralStack;
pub use ports::free_port;
pub use process::{Signal, send};
pub use servers::Server;
pub use stack::{ServerStatus, down, endpoints, kill, restart, status, up, wipe};

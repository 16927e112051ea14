//! The local stack without containers: Kafka, a schema registry and Postgres on loopback.
//!
//! Invariant: a server belongs to a stack because its command line names the stack's folder, never because a file
//! holds its process id. A crash, a reboot or a deleted folder therefore cannot make us trust or end a stranger.

mod config;
mod disk;
mod download;

mod ephemeral;
mod java;
mod ports;
mod probe;
mod process;
mod registry_proxy;
mod servers;
mod shared_folder;
mod stack;
mod start;
mod world;

pub use config::{Brokers, Endpoints, StackConfig, find_root};
pub use disk::{Ballast, fill};
pub use ephemeral::EphemeralStack;
pub use ports::free_port;
pub use process::{Signal, send};
pub use registry_proxy::{Answers, RegistryProxy};
pub use servers::Server;
pub use stack::{ServerStatus, down, endpoints, kill, lose, restart, start, status, up, wipe};

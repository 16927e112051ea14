//! The only place of this crate that reads the environment, the clock and the source of random ids.

use std::path::PathBuf;
use std::time::Instant;

use uuid::Uuid;

/// The folder for downloaded servers that the user asked for, if any.
pub fn servers_cache() -> Option<PathBuf> {
    folder("BOXOFFICE_SERVERS_CACHE")
}

/// The Java installation that the user asked for, if any.
pub fn java_home() -> Option<PathBuf> {
    folder("JAVA_HOME")
}

/// The folder of the crate that cargo is running, if cargo started this process.
pub fn crate_folder() -> Option<PathBuf> {
    folder("CARGO_MANIFEST_DIR")
}

/// A moment to measure waiting times from.
#[expect(clippy::disallowed_methods, reason = "waiting for real servers takes real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// An id that no other stack has.
#[expect(clippy::disallowed_methods, reason = "ports, clusters and temporary folders must differ between stacks")]
pub fn random_id() -> Uuid {
    Uuid::new_v4()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the stack is started by tools and tests that have no configuration struct to take these from"
)]
fn folder(name: &str) -> Option<PathBuf> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(PathBuf::from)
}

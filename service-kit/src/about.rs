//! What this process is, for whoever looks at it from outside: `/livez` says so.

use std::sync::OnceLock;
use std::time::Instant;

use serde_json::{Value, json};

use crate::clock;

/// Which program, under which name, since when.
#[derive(Debug)]
struct About {
    service: &'static str,
    instance: String,
    since: Instant,
}

static ABOUT: OnceLock<About> = OnceLock::new();

/// Says what this process is; the first word counts.
pub(crate) fn set(service: &'static str, instance: &str) {
    ABOUT.get_or_init(|| About { service, instance: instance.to_owned(), since: clock::monotonic() });
}

/// The answer of `/livez`: that it lives, and what it is.
pub(crate) fn answer() -> Value {
    let Some(about) = ABOUT.get() else { return json!({ "status": "live" }) };
    json!({
        "status": "live",
        "service": about.service,
        "instance": about.instance,
        "version": env!("CARGO_PKG_VERSION"),
        "commit": option_env!("BOXOFFICE_COMMIT").unwrap_or("unknown"),
        "uptime_s": clock::monotonic().duration_since(about.since).as_secs(),
    })
}

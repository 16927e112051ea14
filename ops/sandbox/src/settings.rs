//! What a sandbox is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Everything that is fixed for the life of one sandbox.
#[derive(Clone)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The expected `x-client-id`.
    pub client_id: String,
    /// The expected `x-api-key`.
    pub api_key: String,
    /// The key of all signatures, used as the bytes of its text.
    pub checksum_key: String,
    /// Where webhooks go until `/confirm-webhook` or the control API says otherwise.
    pub webhook_url: Option<String>,
    /// The most characters of a description: 25, or 9 for a bank account that is not linked.
    pub description_limit: usize,
    /// The journal file that keeps the books across restarts.
    pub state: Option<PathBuf>,
}

impl Default for Settings {
    /// A free loopback port and well-known keys, for tests.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            client_id: "sandbox-client".to_owned(),
            api_key: "sandbox-api-key".to_owned(),
            checksum_key: "sandbox-checksum-key".to_owned(),
            webhook_url: None,
            description_limit: 25,
            state: None,
        }
    }
}

//! Where a request came from.

use std::net::IpAddr;

/// The address at the other end of a request's connection, among the request's extensions; behind a proxy it is the proxy's.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

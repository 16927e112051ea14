//! Several instances as processes on the real servers: forwarding, hand-over, take-over.

#![allow(clippy::unwrap_used)]

mod cluster;

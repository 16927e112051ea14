//! One command with who sends it.

use std::time::Duration;

use domain::ids::CommandId;
use domain::value::{Actor, Fingerprint};
use uuid::Uuid;

/// One command with who sends it, before it has a destination.
#[derive(Debug, Clone)]
pub struct Request<C> {
    /// What is asked.
    pub ask: C,
    /// Who asks.
    pub by: Actor,
    /// What a repeat is recognised by.
    pub id: CommandId,
    /// HMAC of the body.
    pub hash: Fingerprint,
    /// The request that it all started with.
    pub correlation_id: Uuid,
    /// What caused it.
    pub causation_id: Uuid,
    /// Not decided later than this from now; never too late if none.
    pub within: Option<Duration>,
}

//! Notifications on their way: one record each, tried until the shop takes it or the provider's schedule ends.

mod courier;
mod index;
mod target;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use courier::{post, resume, start};
pub use index::Deliveries;
pub use target::{Target, Targets};

use crate::provider::Provider;
use crate::script::Keys;

/// One notification and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Its number, given when it is added.
    pub id: u64,
    /// Who sends it.
    #[serde(default)]
    pub provider: Provider,
    /// The shop's reference of the payment that it speaks of.
    #[serde(default)]
    pub payment: String,
    /// The number of the sale that it speaks of; 0 for PayOS.
    #[serde(default)]
    pub number: u64,
    /// The order code that it speaks of, for PayOS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_code: Option<i64>,
    /// What names it: for PayOS the transfer that it reports, else the event. Copies have the same.
    pub reference: String,
    /// The provider's name of its kind.
    #[serde(default)]
    pub kind: String,
    /// GET or POST.
    #[serde(default = "post_method")]
    pub method: String,
    /// Where it goes, if not to the provider's target.
    #[serde(default)]
    pub url: Option<String>,
    /// What the URL gains behind its question mark.
    #[serde(default)]
    pub query: String,
    /// The exact body.
    pub body: String,
    /// Whether its signature must not verify.
    #[serde(default)]
    pub forged: bool,
    /// Which keys sign it.
    #[serde(default)]
    pub keys: Keys,
    /// When the next try is due, by the sandbox's clock.
    pub due: Timestamp,
    /// Where it stands.
    pub state: State,
    /// Every try so far.
    pub attempts: Vec<Attempt>,
}

fn post_method() -> String {
    "POST".to_owned()
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A try is still to come.
    Waiting,
    /// The shop took it.
    Delivered,
    /// The schedule ended, or the shop refused for good.
    GivenUp,
    /// The script says never.
    Suppressed,
}

impl State {
    /// Its name in the control API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
            Self::Suppressed => "suppressed",
        }
    }
}

/// One try.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// When it began, by the sandbox's clock.
    pub at: Timestamp,
    /// The HTTP status that came back, if one did.
    pub status: Option<u16>,
    /// Why none came back.
    pub error: Option<String>,
    /// The beginning of an answer that did not take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// How long it took.
    pub took_ms: u64,
}

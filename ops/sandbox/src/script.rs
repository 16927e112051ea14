//! How a payment misbehaves: the script that a test or a demo gives to it.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::provider::Provider;

/// What goes wrong with one payment; the default is that nothing does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// How webhooks are delivered.
    pub webhook: WebhookMode,
    /// The delay of a webhook; what it means and its default depend on `webhook`.
    pub delay_ms: Option<u64>,
    /// Create makes the link, but its answer never arrives.
    pub lose_create_answer: Lost,
    /// Create makes the link at once and answers this much later.
    pub slow_create_ms: u64,
    /// Queries and cancels are held until the caller gives up.
    pub silent: bool,
    /// The next so many API calls for this payment answer HTTP 500 without any effect.
    pub http_500_times: u32,
    /// Every transfer carries this amount instead of the one asked for.
    pub wrong_amount: Option<i64>,
    /// The payment is paid and its webhook answered before create answers.
    pub webhook_before_create_answer: bool,
    /// The currency of transfers, instead of VND.
    pub currency: Option<String>,
    /// The payment is paid by itself so long after its creation.
    pub auto_pay_ms: Option<u64>,
    /// The next so many API calls for this payment answer a page of HTML with status 200, without any effect.
    pub html: u32,
    /// Which of the provider's keys sign its webhooks; only where the provider has two.
    pub rotated_key: Keys,
    /// What becomes of the money that is taken; not for PayOS.
    pub capture: Outcome,
    /// How long pending money takes.
    pub capture_delay_ms: Option<u64>,
    /// The money is taken by a capture call, but its answer never arrives; only for PayPal.
    pub capture_lost: Lost,
    /// What becomes of its refunds; not for PayOS.
    pub refund: Outcome,
    /// How long a pending refund takes.
    pub refund_delay_ms: Option<u64>,
    /// A refund is made, but its answer never arrives.
    pub refund_lost: Lost,
    /// A failure is told after the success.
    pub failure_after_success: bool,
}

/// What becomes of money that is to move.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It moves at once.
    #[default]
    Done,
    /// It moves after a while.
    Pending,
    /// It is refused at once.
    Fail,
    /// It fails after a while.
    PendingFail,
}

/// Which keys sign.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keys {
    /// The first.
    #[default]
    First,
    /// Both, as during a roll.
    Both,
    /// The second only.
    Second,
}

/// How a transfer is notified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookMode {
    /// At once, or after `delay_ms`.
    #[default]
    Normal,
    /// After `delay_ms`, or two seconds.
    Slow,
    /// The same body a second time, `delay_ms` after the first.
    Twice,
    /// After `delay_ms`; without it when the link has expired, or after a minute if it never does.
    Late,
    /// Not at all.
    Never,
    /// With a signature that does not verify.
    BadSignature,
    /// The parts of one payment in reverse order, `delay_ms` or 200 ms apart.
    OutOfOrder,
}

/// Whether and how the answer to a create is lost; in JSON `false`, `true` (cut), `"cut"` or `"504"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Lost {
    /// `true` cuts the connection.
    Flag(bool),
    /// The chosen way.
    How(LostHow),
}

/// The ways in which an answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LostHow {
    /// The connection closes without a byte.
    #[serde(rename = "cut")]
    Cut,
    /// A gateway answers 504.
    #[serde(rename = "504")]
    GatewayTimeout,
}

impl Default for Lost {
    fn default() -> Self {
        Self::Flag(false)
    }
}

impl Lost {
    /// How the answer is lost, if it is.
    pub fn how(self) -> Option<LostHow> {
        match self {
            Self::Flag(false) => None,
            Self::Flag(true) => Some(LostHow::Cut),
            Self::How(how) => Some(how),
        }
    }
}

/// The scripts of payments that do not exist yet.
#[derive(Default)]
pub struct Scripts {
    /// For every new payment that no other rule names.
    pub default: Script,
    next: VecDeque<(Option<Provider>, Script)>,
    by_reference: HashMap<(Provider, String), Script>,
}

impl Scripts {
    /// Gives `script` to each of the next `count` creations, of one provider or of any.
    pub fn queue(&mut self, provider: Option<Provider>, script: &Script, count: usize) {
        self.next.extend(std::iter::repeat_n((provider, script.clone()), count));
    }

    /// Drops what was queued.
    pub fn clear_queue(&mut self) {
        self.next.clear();
    }

    /// Gives `script` to the payment that will be created with this reference of the shop.
    pub fn set_for(&mut self, provider: Provider, reference: &str, script: Script) {
        self.by_reference.insert((provider, reference.to_owned()), script);
    }

    /// How this create call must fail, if it must; counts it.
    pub fn fault_of_create(&mut self, provider: Provider, reference: &str) -> Option<Failure> {
        self.claim(provider, reference).next_failure()
    }

    /// The script of a payment that is being created.
    pub fn take(&mut self, provider: Provider, reference: &str) -> Script {
        self.claim(provider, reference);
        self.by_reference.remove(&(provider, reference.to_owned())).unwrap_or_default()
    }

    fn claim(&mut self, provider: Provider, reference: &str) -> &mut Script {
        let (next, default) = (&mut self.next, &self.default);
        self.by_reference.entry((provider, reference.to_owned())).or_insert_with(|| {
            let place = next.iter().position(|(only, _)| only.is_none_or(|only| only == provider));
            place.and_then(|place| next.remove(place)).map_or_else(|| default.clone(), |(_, script)| script)
        })
    }
}

/// A call that fails without effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// HTTP 500.
    Http500,
    /// A page of HTML with status 200.
    Html,
}

impl Script {
    /// How the next call fails, if it does; counts it.
    pub fn next_failure(&mut self) -> Option<Failure> {
        if self.http_500_times > 0 {
            self.http_500_times -= 1;
            return Some(Failure::Http500);
        }
        if self.html > 0 {
            self.html -= 1;
            return Some(Failure::Html);
        }
        None
    }
}

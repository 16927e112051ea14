//! How a payment misbehaves: the script that a test or a demo gives to it.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

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
    next: VecDeque<Script>,
    by_order: HashMap<i64, Script>,
}

impl Scripts {
    /// Gives `script` to each of the next `count` creations.
    pub fn queue(&mut self, script: &Script, count: usize) {
        self.next.extend(std::iter::repeat_n(script.clone(), count));
    }

    /// Drops what was queued.
    pub fn clear_queue(&mut self) {
        self.next.clear();
    }

    /// Gives `script` to the payment that will be created with this order code.
    pub fn set_for(&mut self, order_code: i64, script: Script) {
        self.by_order.insert(order_code, script);
    }

    /// Whether this create call must fail with HTTP 500; counts it.
    pub fn fails_create(&mut self, order_code: i64) -> bool {
        let script = self.claim(order_code);
        let fails = script.http_500_times > 0;
        script.http_500_times = script.http_500_times.saturating_sub(1);
        fails
    }

    /// The script of a payment that is being created.
    pub fn take(&mut self, order_code: i64) -> Script {
        self.claim(order_code);
        self.by_order.remove(&order_code).unwrap_or_default()
    }

    fn claim(&mut self, order_code: i64) -> &mut Script {
        let (next, default) = (&mut self.next, &self.default);
        self.by_order.entry(order_code).or_insert_with(|| next.pop_front().unwrap_or_else(|| default.clone()))
    }
}

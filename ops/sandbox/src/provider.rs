//! The providers that are played, and what each must say about itself so that the rest can serve it.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::delivery::Delivery;
use crate::notice::Notice;
use crate::sale::{Happening, Refund, Sale};
use crate::{payos, paypal, stripe, vnpay, zalopay};

/// A payment provider; its name in JSON, in URLs and on the statement is lower-case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the providers' own")]
pub enum Provider {
    #[default]
    Payos,
    Stripe,
    Vnpay,
    Zalopay,
    Paypal,
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 5] = [Self::Payos, Self::Stripe, Self::Vnpay, Self::Zalopay, Self::Paypal];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Payos => "payos",
            Self::Stripe => "stripe",
            Self::Vnpay => "vnpay",
            Self::Zalopay => "zalopay",
            Self::Paypal => "paypal",
        }
    }

    /// The provider with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.name() == name)
    }

    /// How it behaves.
    pub fn protocol(self) -> &'static dyn Protocol {
        match self {
            Self::Payos => &payos::Payos,
            Self::Stripe => &stripe::Stripe,
            Self::Vnpay => &vnpay::Vnpay,
            Self::Zalopay => &zalopay::Zalopay,
            Self::Paypal => &paypal::Paypal,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What differs from provider to provider. No method may lock the books: the caller holds them.
pub trait Protocol: Sync {
    /// Its API, at the paths of the real one.
    fn router(&self) -> Router<Arc<App>>;

    /// The pauses before each further try of a notification.
    fn retry_ms(&self) -> Vec<u64> {
        vec![1_000, 5_000, 30_000, 120_000, 600_000]
    }

    /// What the shop's answer to a notification means: HTTP status and body.
    fn judge(&self, status: u16, _body: &str) -> Verdict {
        if (200..=299).contains(&status) { Verdict::Accepted } else { Verdict::Again }
    }

    /// The headers of one try besides the content type: signatures that name the time of sending belong here.
    fn headers(&self, _app: &App, _delivery: &Delivery, _now: Timestamp) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// The notifications that tell of a happening, oldest first; `sale` is as it is after it.
    fn notices(&self, _app: &App, _sale: &Sale, _happening: &Happening) -> Vec<Notice> {
        Vec::new()
    }

    /// Whether the payer only approves, and money moves once the shop captures.
    fn approves_first(&self) -> bool {
        false
    }

    /// Whether a payment stays open after this.
    fn stays_open_after(&self, _event: Unhappy) -> bool {
        false
    }

    /// Whether even a refund that succeeds at once is answered as pending first.
    fn refunds_later(&self) -> bool {
        false
    }

    /// Where the browser goes back to.
    fn back_url(&self, _app: &App, sale: &Sale, way: WayBack) -> String {
        match way {
            WayBack::Paid => sale.return_url.clone(),
            WayBack::Declined | WayBack::Left => sale.cancel_url.clone(),
        }
    }

    /// The reference of money that is taken: unique, also against other providers.
    fn capture_reference(&self, _sale: &Sale) -> String {
        crate::ids::bank_reference()
    }

    /// The provider's name of a new refund: unique, also against other providers.
    fn refund_id(&self, _sale: &Sale) -> String {
        crate::ids::bank_reference()
    }

    /// The name that a refund has on the provider's statement.
    fn on_statement<'a>(&self, refund: &'a Refund) -> &'a str {
        &refund.id
    }

    /// What the provider keeps of money that is taken, in minor units.
    fn fee(&self, _amount: i64, _currency: &str) -> i64 {
        0
    }

    /// The provider's error body for a 500 or a 504.
    fn trouble(&self, status: StatusCode) -> Response {
        status.into_response()
    }
}

/// What became of one try of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It counts as delivered.
    Accepted,
    /// It is tried again while the schedule lasts.
    Again,
    /// It failed and is not tried again.
    Refused,
}

/// What a payer does instead of paying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unhappy {
    /// The bank refused.
    Declined,
    /// The payer pressed cancel.
    Left,
}

/// On which way a browser leaves the payment page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayBack {
    /// Paid or approved, or the money is on its way.
    Paid,
    /// Declined.
    Declined,
    /// The payer walked away, or the payment has ended.
    Left,
}

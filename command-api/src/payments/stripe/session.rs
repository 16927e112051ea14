//! A Checkout Session as Stripe tells of it, and what that says of a payment.
//!
//! Invariant: only a session whose payment status is "paid" moves money.

use domain::payment::{Movement, Standing};
use domain::value::Currency;
use serde::Deserialize;
use service_kit::validate::is_web_url;

use super::amounts;
use crate::payments::gateway::{About, Report};
use crate::payments::reference;

/// A session; fields that we do not know are left alone.
#[derive(Debug, Deserialize)]
pub(super) struct Session {
    pub id: String,
    #[serde(default)]
    pub status: Option<Status>,
    pub payment_status: PaymentStatus,
    #[serde(default)]
    pub amount_total: Option<i64>,
    #[serde(default)]
    pub currency: Option<String>,
    #[serde(default)]
    pub client_reference_id: Option<String>,
    #[serde(default)]
    pub metadata: Option<Metadata>,
    #[serde(default)]
    pub payment_intent: Option<PaymentIntent>,
    #[serde(default)]
    pub url: Option<String>,
}

/// What we wrote onto it.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    #[serde(default)]
    pub payment: Option<String>,
    #[serde(default)]
    pub refund: Option<String>,
}

/// Whether the payer can still use the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Open,
    Complete,
    Expired,
    #[serde(other)]
    Unknown,
}

/// Whether the money is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PaymentStatus {
    Paid,
    Unpaid,
    NoPaymentRequired,
    #[serde(other)]
    Unknown,
}

/// The money's own name, or all of it where we asked for that.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum PaymentIntent {
    Name(String),
    Whole { id: String, status: String, amount_received: i64, currency: String },
}

impl PaymentIntent {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Name(id) | Self::Whole { id, .. } => id,
        }
    }
}

impl Session {
    /// Which payment it is; one whose two references differ is not ours.
    pub(super) fn about(&self) -> About {
        let written = self.metadata.as_ref().and_then(|it| it.payment.as_deref());
        match (self.client_reference_id.as_deref(), written) {
            (Some(one), Some(other)) if one != other => About::Foreign(self.id.clone()),
            (Some(one), _) | (None, Some(one)) => reference::about(one),
            (None, None) => About::Foreign(self.id.clone()),
        }
    }

    /// What it says, or what about it makes no sense.
    pub(super) fn report(self) -> Result<Report, &'static str> {
        let standing = self.standing();
        let currency = match self.currency.as_deref() {
            Some(text) => Some(amounts::currency(text).ok_or("currency is no ISO 4217 code")?),
            None => None,
        };
        let amount = match (self.amount_total, currency) {
            (Some(amount), Some(currency)) => Some(ours(amount, currency)?),
            _ => None,
        };
        let movements = match self.payment_status {
            PaymentStatus::Paid => self.movement(amount.zip(currency))?.into_iter().collect(),
            PaymentStatus::Unpaid | PaymentStatus::NoPaymentRequired | PaymentStatus::Unknown => Vec::new(),
        };
        let url = self.url.filter(|url| is_web_url(url));
        Ok(Report { movements, standing, reference: Some(self.id), url, amount })
    }

    fn movement(&self, asked: Option<(i64, Currency)>) -> Result<Option<Movement>, &'static str> {
        let intent = self.payment_intent.as_ref().ok_or("a paid session names no payment_intent")?;
        let (amount, currency) = match intent {
            PaymentIntent::Name(_) => asked.ok_or("a paid session has no amount_total")?,
            PaymentIntent::Whole { amount_received, currency, .. } => {
                let currency = amounts::currency(currency).ok_or("currency is no ISO 4217 code")?;
                (ours(*amount_received, currency)?, currency)
            }
        };
        if intent.id().is_empty() || intent.id().len() > 128 {
            return Err("payment_intent is empty or too long");
        }
        if amount <= 0 {
            tracing::error!(provider.reference = self.id, "Stripe says paid, but nothing came: taken as no money");
            return Ok(None);
        }
        Ok(Some(Movement { reference: intent.id().to_owned(), amount, currency, fee: 0 }))
    }

    fn standing(&self) -> Standing {
        match (self.payment_status, self.status) {
            (PaymentStatus::Paid, _) => Standing::Paid,
            (PaymentStatus::Unpaid, Some(Status::Open)) => Standing::Open,
            (PaymentStatus::Unpaid, Some(Status::Expired)) => Standing::Ended,
            (PaymentStatus::Unpaid, Some(Status::Complete)) => self.unpaid(),
            (PaymentStatus::Unpaid | PaymentStatus::NoPaymentRequired | PaymentStatus::Unknown, _) => {
                tracing::error!(provider.reference = self.id, provider.status = ?self.status, provider.paid = ?self.payment_status, "Stripe says what cannot be: taken as still open");
                Standing::Open
            }
        }
    }

    /// The payer is done, and the money is on its way, or did not come.
    fn unpaid(&self) -> Standing {
        match &self.payment_intent {
            Some(PaymentIntent::Whole { status, .. })
                if matches!(&**status, "canceled" | "requires_payment_method") =>
            {
                Standing::Failed
            }
            Some(PaymentIntent::Whole { .. } | PaymentIntent::Name(_)) | None => Standing::Open,
        }
    }
}

fn ours(amount: i64, currency: Currency) -> Result<i64, &'static str> {
    amounts::from_stripe(amount, currency).ok_or("an amount is smaller than its currency allows")
}

//! An order as PayPal tells of it, and what that says of a payment.
//!
//! Invariant: only a capture that is complete moved money; an order that is, need not have.

use domain::payment::{Movement, Standing};
use domain::value::Currency;
use serde::{Deserialize, Serialize};
use service_kit::validate::is_web_url;

use super::decimals;
use crate::payments::gateway::Report;

/// An order; fields that we do not know are left alone.
#[derive(Debug, Deserialize)]
pub(super) struct Order {
    pub id: String,
    pub status: Status,
    #[serde(default)]
    pub purchase_units: Vec<Unit>,
    #[serde(default)]
    pub links: Vec<Link>,
}

/// How far the payer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Status {
    Created,
    Saved,
    PayerActionRequired,
    Approved,
    Voided,
    Completed,
    #[serde(other)]
    Unknown,
}

/// What is paid for; we always have one.
#[derive(Debug, Deserialize)]
pub(super) struct Unit {
    #[serde(default)]
    pub custom_id: Option<String>,
    #[serde(default)]
    pub amount: Option<Money>,
    #[serde(default)]
    pub payments: Option<Payments>,
}

/// What was done about it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Payments {
    #[serde(default)]
    pub captures: Vec<Capture>,
    #[serde(default)]
    pub refunds: Vec<MoneyBack>,
}

/// An amount as PayPal writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Money {
    pub currency_code: String,
    pub value: String,
}

/// Money taken from the payer, or the try of it.
#[derive(Debug, Deserialize)]
pub(super) struct Capture {
    pub id: String,
    pub status: CaptureStatus,
    #[serde(default)]
    pub amount: Option<Money>,
    #[serde(default)]
    pub custom_id: Option<String>,
    #[serde(default)]
    pub invoice_id: Option<String>,
    #[serde(default)]
    pub seller_receivable_breakdown: Option<Breakdown>,
}

/// What of the money is the shop's.
#[derive(Debug, Deserialize)]
pub(super) struct Breakdown {
    #[serde(default)]
    pub paypal_fee: Option<Money>,
}

/// Whether it worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum CaptureStatus {
    Completed,
    Pending,
    Declined,
    Failed,
    PartiallyRefunded,
    Refunded,
    #[serde(other)]
    Unknown,
}

/// Money given back, or the try of it.
#[derive(Debug, Deserialize)]
pub(super) struct MoneyBack {
    pub id: String,
    pub status: String,
    #[serde(default)]
    pub custom_id: Option<String>,
}

/// Where to go on.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    pub href: String,
    pub rel: String,
}

impl Capture {
    /// Whether money came by it, given back later or not.
    pub(super) fn is_money(&self) -> bool {
        use CaptureStatus::{Completed, Declined, Failed, PartiallyRefunded, Pending, Refunded, Unknown};
        match self.status {
            Completed | PartiallyRefunded | Refunded => true,
            Pending | Declined | Failed | Unknown => false,
        }
    }

    /// The money that came by it, or what about it makes no sense.
    pub(super) fn movement(&self) -> Result<Movement, &'static str> {
        if self.id.is_empty() || self.id.len() > 128 {
            return Err("a capture's id is empty or too long");
        }
        let Money { currency_code, value } = self.amount.as_ref().ok_or("a capture has no amount")?;
        let currency = currency_code.parse().map_err(|_| "currency_code is no ISO 4217 code")?;
        let amount = decimals::from_text(value, currency).filter(|it| *it > 0).ok_or("an amount cannot be read")?;
        Ok(Movement { reference: self.id.clone(), amount, currency, fee: self.fee(currency) })
    }

    /// What PayPal kept, if it says so in the money's own currency; it is told to the ledger and decides nothing.
    fn fee(&self, currency: Currency) -> i64 {
        let fee = self.seller_receivable_breakdown.as_ref().and_then(|it| it.paypal_fee.as_ref());
        let fee = fee.filter(|it| it.currency_code == currency.as_str());
        fee.and_then(|it| decimals::from_text(&it.value, currency)).unwrap_or(0)
    }
}

impl Order {
    pub(super) fn captures(&self) -> impl Iterator<Item = &Capture> {
        self.purchase_units.iter().filter_map(|unit| unit.payments.as_ref()).flat_map(|it| &it.captures)
    }

    pub(super) fn refunds(&self) -> impl Iterator<Item = &MoneyBack> {
        self.purchase_units.iter().filter_map(|unit| unit.payments.as_ref()).flat_map(|it| &it.refunds)
    }

    /// Our own name of it, if all of it bears the same.
    pub(super) fn custom_id(&self) -> Option<&str> {
        let units = self.purchase_units.iter().filter_map(|unit| unit.custom_id.as_deref());
        let mut names = units.chain(self.captures().filter_map(|it| it.custom_id.as_deref()));
        let first = names.next()?;
        names.all(|name| name == first).then_some(first)
    }

    /// The page for the payer, as long as there is something to do on it.
    pub(super) fn page(&self) -> Option<String> {
        let page = self.links.iter().find(|link| matches!(&*link.rel, "payer-action" | "approve"))?;
        is_web_url(&page.href).then(|| page.href.clone())
    }

    /// What is to be collected, with its currency.
    pub(super) fn asked(&self) -> Option<&Money> {
        match self.purchase_units.as_slice() {
            [unit] => unit.amount.as_ref(),
            _ => None,
        }
    }

    /// What it says, or what about it makes no sense.
    pub(super) fn report(&self) -> Result<Report, &'static str> {
        let movements =
            self.captures().filter(|it| it.is_money()).map(Capture::movement).collect::<Result<Vec<_>, _>>()?;
        let amount = match self.asked() {
            Some(Money { currency_code, value }) => {
                let currency = currency_code.parse().map_err(|_| "currency_code is no ISO 4217 code")?;
                Some(decimals::from_text(value, currency).ok_or("an amount cannot be read")?)
            }
            None => None,
        };
        let standing = self.standing();
        Ok(Report { movements, standing, reference: Some(self.id.clone()), url: self.page(), amount })
    }

    fn standing(&self) -> Standing {
        let any = |status| self.captures().any(|it| it.status == status);
        let odd = match self.status {
            _ if any(CaptureStatus::Pending) => return Standing::Open,
            _ if self.captures().any(Capture::is_money) => return Standing::Paid,
            _ if any(CaptureStatus::Declined) || any(CaptureStatus::Failed) => return Standing::Failed,
            _ if any(CaptureStatus::Unknown) => true,
            Status::Voided => return Standing::Ended,
            Status::Created | Status::Saved | Status::PayerActionRequired | Status::Approved => false,
            Status::Completed | Status::Unknown => true,
        };
        if odd {
            tracing::error!(provider.reference = self.id, provider.status = ?self.status, "PayPal says what cannot be: taken as still open");
        }
        Standing::Open
    }
}

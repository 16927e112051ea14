//! The banks' side of the story: every movement of money that ever was, in order.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::provider::Provider;

/// Money that moved at a provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Movement {
    /// Where.
    pub provider: Provider,
    /// In which direction.
    pub kind: Kind,
    /// The provider's own reference, unique unless a test repeats it on purpose.
    pub reference: String,
    /// The shop's reference of the payment.
    pub payment: String,
    /// Minor units of `currency`; negative when it was given back.
    pub amount: i64,
    /// The currency code.
    pub currency: String,
    /// What the provider kept, in the same units.
    pub fee: i64,
    /// When it moved, by the sandbox's clock.
    pub time: Timestamp,
    /// Whether a payment of the sandbox received it.
    pub matched: bool,
}

/// The direction of a movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// From the payer to the shop.
    Capture,
    /// From the shop to the payer.
    Refund,
}

/// One bank transfer at PayOS.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transfer {
    /// The bank's own reference, unique unless a test repeats it on purpose.
    pub reference: String,
    /// The order code that the payer named, known or not.
    pub order_code: i64,
    /// The link that the transfer was matched to, or an unknown one.
    pub payment_link_id: String,
    /// The amount in whole units of `currency`.
    pub amount: i64,
    /// The currency code, `VND` unless scripted.
    pub currency: String,
    /// The bank memo.
    pub description: String,
    /// When it arrived, by the sandbox's clock.
    pub time: Timestamp,
    /// Whether a payment link of the sandbox received it.
    pub matched: bool,
}

impl From<&Transfer> for Movement {
    fn from(transfer: &Transfer) -> Self {
        Self {
            provider: Provider::Payos,
            kind: Kind::Capture,
            reference: transfer.reference.clone(),
            payment: transfer.order_code.to_string(),
            amount: transfer.amount,
            currency: transfer.currency.clone(),
            fee: 0,
            time: transfer.time,
            matched: transfer.matched,
        }
    }
}

/// All movements, oldest first, and PayOS's transfers in its own words.
#[derive(Default)]
pub struct Ledger {
    movements: Vec<Movement>,
    transfers: Vec<Transfer>,
}

impl Ledger {
    /// Books one transfer of PayOS.
    pub fn push_transfer(&mut self, transfer: Transfer) {
        self.movements.push(Movement::from(&transfer));
        self.transfers.push(transfer);
    }

    /// Books one movement at another provider.
    pub fn push(&mut self, movement: Movement) {
        self.movements.push(movement);
    }

    /// The transfers of PayOS, oldest first.
    pub fn transfers(&self) -> &[Transfer] {
        &self.transfers
    }

    /// The movements of one provider or of all, oldest first.
    pub fn movements(&self, provider: Option<Provider>) -> impl Iterator<Item = &Movement> {
        self.movements.iter().filter(move |movement| provider.is_none_or(|only| only == movement.provider))
    }

    /// The statement as CSV with a header line. No free text but the shop's references, which are quoted if need be.
    pub fn csv(&self, provider: Option<Provider>) -> String {
        let header = "provider,kind,reference,payment,amount,currency,fee,time,matched\n".to_owned();
        self.movements(provider).fold(header, |text, movement| text + &csv_line(movement))
    }

    /// The transfers of PayOS as CSV with a header line. No free text, so nothing needs quoting.
    pub fn transfers_csv(&self) -> String {
        let header = "reference,orderCode,paymentLinkId,amount,currency,time,matched\n".to_owned();
        self.transfers.iter().fold(header, |text, transfer| text + &transfer_line(transfer))
    }
}

fn csv_line(movement: &Movement) -> String {
    let Movement { provider, reference, amount, currency, fee, time, matched, .. } = movement;
    let kind = match movement.kind {
        Kind::Capture => "capture",
        Kind::Refund => "refund",
    };
    let payment = quoted(&movement.payment);
    format!("{provider},{kind},{reference},{payment},{amount},{currency},{fee},{time},{matched}\n")
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn transfer_line(transfer: &Transfer) -> String {
    let Transfer { reference, order_code, payment_link_id, amount, currency, time, matched, .. } = transfer;
    format!("{reference},{order_code},{payment_link_id},{amount},{currency},{time},{matched}\n")
}

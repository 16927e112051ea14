//! The bank's side of the story: every transfer that ever arrived, in order.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One bank transfer.
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

/// All transfers, oldest first.
#[derive(Default)]
pub struct Ledger {
    transfers: Vec<Transfer>,
}

impl Ledger {
    /// Books one transfer.
    pub fn push(&mut self, transfer: Transfer) {
        self.transfers.push(transfer);
    }

    /// All transfers, oldest first.
    pub fn all(&self) -> &[Transfer] {
        &self.transfers
    }

    /// The statement as CSV with a header line. No free text, so nothing needs quoting.
    pub fn csv(&self) -> String {
        let header = "reference,orderCode,paymentLinkId,amount,currency,time,matched\n".to_owned();
        self.transfers.iter().fold(header, |text, transfer| text + &csv_line(transfer))
    }
}

fn csv_line(transfer: &Transfer) -> String {
    let Transfer { reference, order_code, payment_link_id, amount, currency, time, matched, .. } = transfer;
    format!("{reference},{order_code},{payment_link_id},{amount},{currency},{time},{matched}\n")
}

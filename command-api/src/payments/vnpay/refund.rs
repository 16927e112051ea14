//! Giving money back. VNPay names neither a refund by our name nor all of them: it shows the payment's last one.
//!
//! Invariant: all of it is never asked for twice with effect, since VNPay has only so much; a part is asked for only on
//! the day it was wanted, while VNPay refuses a second request of its name.

use domain::payment::Movement;
use service_kit::clock;

use super::client::{DONE, GiveBack, Told};
use super::reference::TxnRef;
use super::status::{Found, reference};
use super::verdict::Verdict;
use super::{Vnpay, money};
use crate::payments::gateway::{GatewayError, Refund, Refunded};
use crate::payments::vietnam;

impl Vnpay {
    pub(super) async fn give_back(&self, refund: &Refund) -> Result<Refunded, GatewayError> {
        let of = reference(&refund.attempt)?;
        let now = clock::now();
        let today = vietnam::same_day(refund.requested_at, now);
        let found = self.find(&of, now).await?;
        let money = match found {
            Found::Nothing => return Err(GatewayError::NotFound),
            // It shows the last one alone, and ours comes after that.
            Found::Refund { verdict: Verdict::Paid, transaction, .. } if refund.done.contains(&transaction) => {
                let reference = refund.capture.clone().unwrap_or_default();
                Movement { reference, amount: refund.attempt.amount, currency: refund.attempt.currency, fee: 0 }
            }
            Found::Refund { .. } => return Ok(known(refund, found)),
            Found::Payment { verdict: Verdict::GoesBack | Verdict::StaysHere, .. } => return Ok(known(refund, found)),
            Found::Payment { verdict: Verdict::Paid, money: Some(money) } => money,
            Found::Payment { .. } => return Ok(failed("not-paid")),
        };
        let Some(amount) = money::written(refund.amount).filter(|_| refund.amount <= money.amount) else {
            return Ok(failed("amount-out-of-range"));
        };
        let all = refund.amount == money.amount;
        if !all && !today {
            return Ok(failed("too-late-to-repeat"));
        }
        let kind = if all { "02" } else { "03" };
        let request = refund.refund.0.simple().to_string();
        let back = GiveBack { request, kind, amount, transaction: &money.reference };
        match self.client.refund(back, &of, now).await {
            Ok(told) => self.answered(refund, &of, &told).await,
            Err(failure) => Err(failure.of_deed()),
        }
    }

    async fn answered(&self, refund: &Refund, of: &TxnRef, told: &Told) -> Result<Refunded, GatewayError> {
        match told.code.as_str() {
            DONE => Ok(accepted(refund, told)),
            // It was asked for before, and VNPay is at it.
            "94" => match self.find(of, clock::now()).await {
                Ok(found) => Ok(known(refund, found)),
                Err(_) => Ok(Refunded::Pending),
            },
            "16" => {
                let cause = "VNPay gives no money back at this time".into();
                Err(GatewayError::Unavailable { retry_after: None, cause })
            }
            code @ ("91" | "93" | "95") => Ok(failed(code)),
            code => Err(GatewayError::Ambiguous(format!("VNPay answers a refund with code {code}").into())),
        }
    }
}

/// VNPay took the request; whether the bank did is told later, by a question.
fn accepted(refund: &Refund, told: &Told) -> Refunded {
    match Verdict::of_transaction(&told.text("vnp_TransactionStatus")) {
        Verdict::Paid => done(refund, &told.text("vnp_TransactionNo")),
        Verdict::StaysHere => failed("09"),
        _ => Refunded::Pending,
    }
}

/// What VNPay shows of a refund. It cannot tell two of the same amount apart: the payment takes one movement for one refund.
fn known(refund: &Refund, found: Found) -> Refunded {
    match found {
        Found::Refund { verdict: Verdict::Paid, amount, transaction, .. } if amount == refund.amount => {
            done(refund, &transaction)
        }
        Found::Refund { verdict: Verdict::Paid, .. } => failed("another-refund"),
        Found::Refund { verdict: Verdict::StaysHere, .. } | Found::Payment { verdict: Verdict::StaysHere, .. } => {
            failed("09")
        }
        Found::Refund { verdict: Verdict::Failed | Verdict::Ended | Verdict::Reversed, .. } => failed("refund-refused"),
        Found::Refund { .. } | Found::Payment { .. } | Found::Nothing => Refunded::Pending,
    }
}

fn done(refund: &Refund, transaction: &str) -> Refunded {
    let named = super::ipn::is_transaction(transaction);
    let reference = if named { transaction.to_owned() } else { refund.refund.0.simple().to_string() };
    Refunded::Done { reference }
}

fn failed(code: &str) -> Refunded {
    Refunded::Failed { code: code.to_owned() }
}

#[cfg(test)]
#[path = "refund_tests.rs"]
mod tests;

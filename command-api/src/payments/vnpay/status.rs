//! How a payment stands: VNPay is asked by our reference and its date.

use domain::payment::{Movement, Standing};
use domain::value::Timestamp;
use service_kit::{clock, random};

use super::client::{DONE, Told};
use super::ipn::is_transaction;
use super::reference::TxnRef;
use super::verdict::Verdict;
use super::{DONG, Vnpay, is_over, money};
use crate::payments::failure::{Failure, Trouble};
use crate::payments::gateway::{Attempt, GatewayError, Report};

/// What VNPay has under a reference.
#[derive(Debug)]
pub(super) enum Found {
    /// Nobody has opened the page yet.
    Nothing,
    /// A payment, with its money if any was taken.
    Payment { verdict: Verdict, money: Option<Movement> },
    /// Money that goes back, or did.
    Refund { all: bool, verdict: Verdict, amount: i64, transaction: String },
}

impl Vnpay {
    pub(super) async fn ask(&self, attempt: &Attempt) -> Result<Report, GatewayError> {
        let reference = reference(attempt)?;
        let now = clock::now();
        let found = self.find(&reference, now).await?;
        let (movements, standing) = read(found, is_over(attempt, now));
        let named = Some(reference.to_string());
        // Its amount is that of the money, which is told as it came.
        Ok(Report { movements, standing, reference: named, url: None, amount: None })
    }

    pub(super) async fn find(&self, reference: &TxnRef, now: Timestamp) -> Result<Found, GatewayError> {
        let request = random::opaque_id().simple().to_string();
        found(&self.client.query(request, reference, now).await.map_err(Failure::of_question)?)
    }
}

/// Our name of an attempt, which tells its date. Without one, nobody was ever sent to its page.
pub(super) fn reference(attempt: &Attempt) -> Result<TxnRef, GatewayError> {
    let text = attempt.reference.as_deref().ok_or(GatewayError::NotFound)?;
    let ours = TxnRef::read(text).filter(|ours| ours.payment == attempt.payment);
    ours.ok_or_else(|| GatewayError::Refused { code: "not-our-reference".to_owned() })
}

fn found(told: &Told) -> Result<Found, GatewayError> {
    match told.code.as_str() {
        DONE => {}
        "91" => return Ok(Found::Nothing),
        // A repeated name, or something of VNPay's own.
        code => {
            let cause = format!("VNPay does not answer the question: code {code}").into();
            return Err(GatewayError::Unavailable { retry_after: None, cause });
        }
    }
    let verdict = Verdict::of_transaction(&told.text("vnp_TransactionStatus"));
    let transaction = told.text("vnp_TransactionNo");
    let amount = money::read(&told.text("vnp_Amount"));
    let unreadable = |what: &'static str| {
        let cause = Box::new(Trouble::Unreadable(what.into()));
        GatewayError::Unavailable { retry_after: None, cause }
    };
    match (told.text("vnp_TransactionType").as_str(), verdict) {
        (kind @ ("02" | "03"), _) => {
            let amount = amount.ok_or_else(|| unreadable("a refund has no amount"))?;
            Ok(Found::Refund { all: kind == "02", verdict, amount, transaction })
        }
        ("" | "01", Verdict::Paid | Verdict::GoesBack | Verdict::StaysHere) => {
            let named = is_transaction(&transaction);
            let amount = amount.filter(|_| named).ok_or_else(|| unreadable("money has no amount or no name"))?;
            let money = Movement { reference: transaction, amount, currency: *DONG, fee: 0 };
            Ok(Found::Payment { verdict, money: Some(money) })
        }
        ("" | "01", _) => Ok(Found::Payment { verdict, money: None }),
        _ => Err(unreadable("vnp_TransactionType is none that is documented")),
    }
}

/// What came, and how it stands once everybody has had the time that the page gives.
fn read(found: Found, over: bool) -> (Vec<Movement>, Standing) {
    match found {
        Found::Nothing => (vec![], if over { Standing::Ended } else { Standing::Open }),
        Found::Payment { money: Some(money), .. } => (vec![money], Standing::Paid),
        Found::Payment { verdict, money: None } => (vec![], standing(verdict, over)),
        Found::Refund { all, .. } => {
            tracing::error!(
                refund.whole = all,
                "VNPay gave money back that was never told to us: a person has to look"
            );
            (vec![], if all { Standing::Ended } else { Standing::Open })
        }
    }
}

fn standing(verdict: Verdict, over: bool) -> Standing {
    match verdict {
        Verdict::NotYet if over => Standing::Ended,
        Verdict::Reversed if over => Standing::Failed,
        Verdict::NotYet | Verdict::Reversed => Standing::Open,
        Verdict::Failed => Standing::Failed,
        Verdict::Ended => Standing::Ended,
        Verdict::Held => {
            tracing::warn!("VNPay holds money that it suspects of fraud: a person has to decide there");
            Standing::Open
        }
        Verdict::Unclear | Verdict::Paid | Verdict::GoesBack | Verdict::StaysHere => {
            tracing::error!("VNPay says what is not documented: taken as still open");
            Standing::Open
        }
    }
}

//! Money that goes back: all of it (02) or a part (03).

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Map, Value};

use super::answer::{self, Refusal};
use super::merchant::{self, Request};
use super::signing::Fields;
use super::{fields, querydr};
use crate::app::App;
use crate::faults;
use crate::sale::{self, NewRefund, NoRefund, Progress};
use crate::script::Outcome;

/// What a request signs.
pub fn text(fields: &Fields) -> String {
    let names = [
        "vnp_RequestId",
        "vnp_Version",
        "vnp_Command",
        "vnp_TmnCode",
        "vnp_TransactionType",
        "vnp_TxnRef",
        "vnp_Amount",
        "vnp_TransactionNo",
        "vnp_TransactionDate",
        "vnp_CreateBy",
        "vnp_CreateDate",
        "vnp_IpAddr",
        "vnp_OrderInfo",
    ];
    merchant::text(fields, &names)
}

/// Takes a refund in; whether the bank pays it out shows later, by a question.
pub fn refund(app: &Arc<App>, number: u64, request: &Request) -> Result<Response, Refusal> {
    let amount = fields::dong(&request.fields["vnp_Amount"]).ok_or(Refusal::WrongAmount)?;
    let kind = request.fields["vnp_TransactionType"].as_str();
    may_refund(app, number, kind, amount)?;
    let mut extra = Map::new();
    extra.insert("vnp_TransactionType".to_owned(), Value::from(kind));
    let reference = Some(request.fields["vnp_RequestId"].clone());
    sale::refund(app, number, NewRefund { reference, capture: None, amount: Some(amount), extra })?;
    let sale = app.books().sales().get(number).cloned().ok_or(Refusal::NotFound)?;
    let told = querydr::told(&sale, request, app.clock.now());
    let answer = answer::signed(&app.settings.vnpay.vnpay_hash_secret, "refund", &told);
    Ok(faults::answer_or_lose(sale.provider, sale.script.refund_lost, answer))
}

fn may_refund(app: &App, number: u64, kind: &str, amount: i64) -> Result<(), Refusal> {
    let books = app.books();
    let sale = books.sales().get(number).ok_or(Refusal::NotFound)?;
    let money = sale.captures.iter().find(|money| money.status == Progress::Done).ok_or(Refusal::NotPaid)?;
    if sale.refunds.iter().any(|refund| refund.status == Progress::Pending) {
        return Err(Refusal::Repeated);
    }
    let whole = amount == money.amount;
    if (kind == "02") != whole {
        return Err(Refusal::WrongAmount);
    }
    if sale.script.refund == Outcome::Fail { Err(Refusal::NotNow) } else { Ok(()) }
}

impl From<NoRefund> for Refusal {
    fn from(why: NoRefund) -> Self {
        match why {
            NoRefund::NothingTaken => Self::NotPaid,
            NoRefund::AllGivenBack => Self::Repeated,
            NoRefund::TooMuch { .. } => Self::WrongAmount,
        }
    }
}

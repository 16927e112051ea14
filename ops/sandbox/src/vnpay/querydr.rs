//! How a payment stands, or its newest refund once there is one.

use axum::response::Response;
use jiff::Timestamp;

use super::answer::{self, Refusal};
use super::merchant::{self, Request};
use super::message::{pay_date, units};
use super::signing::Fields;
use crate::app::App;
use crate::sale::{Progress, Refund, Sale, Status};

/// What a question signs.
pub fn text(fields: &Fields) -> String {
    let names = [
        "vnp_RequestId",
        "vnp_Version",
        "vnp_Command",
        "vnp_TmnCode",
        "vnp_TxnRef",
        "vnp_TransactionDate",
        "vnp_CreateDate",
        "vnp_IpAddr",
        "vnp_OrderInfo",
    ];
    merchant::text(fields, &names)
}

/// Answers a question about the sale with this number.
pub fn query(app: &App, number: u64, request: &Request) -> Result<Response, Refusal> {
    let now = app.clock.now();
    let sale = app.books().sales().get(number).cloned().ok_or(Refusal::NotFound)?;
    Ok(answer::signed(&app.settings.vnpay.vnpay_hash_secret, "querydr", &told(&sale, request, now)))
}

/// The fields of an answer about a payment, for questions and refunds.
pub fn told(sale: &Sale, request: &Request, now: Timestamp) -> Vec<(&'static str, String)> {
    let seen = sale.refunds.last().map_or_else(|| of_payment(sale, now), |refund| of_refund(refund, now));
    let Seen { amount, number, date, kind, status } = seen;
    let echo = |name: &'static str| (name, request.fields.get(name).cloned().unwrap_or_default());
    vec![
        ("vnp_ResponseCode", "00".to_owned()),
        ("vnp_Message", "Success".to_owned()),
        echo("vnp_TmnCode"),
        echo("vnp_TxnRef"),
        ("vnp_Amount", units(amount)),
        ("vnp_BankCode", if number == "0" { String::new() } else { "NCB".to_owned() }),
        ("vnp_PayDate", date.map(pay_date).unwrap_or_default()),
        ("vnp_TransactionNo", number),
        ("vnp_TransactionType", kind),
        ("vnp_TransactionStatus", status.to_owned()),
        echo("vnp_OrderInfo"),
    ]
}

struct Seen {
    amount: i64,
    number: String,
    date: Option<Timestamp>,
    kind: String,
    status: &'static str,
}

fn of_payment(sale: &Sale, now: Timestamp) -> Seen {
    let money = sale.captures.iter().find(|money| money.status == Progress::Done);
    let status = match sale.status(now) {
        _ if money.is_some() => "00",
        Status::Pending | Status::Approved | Status::Processing | Status::Paid => "01",
        Status::Cancelled | Status::Failed => "02",
        Status::Expired => "08",
    };
    Seen {
        amount: money.map_or(sale.amount, |money| money.amount),
        number: money.map_or("0", |money| &money.reference).to_owned(),
        date: money.map(|money| money.time),
        kind: "01".to_owned(),
        status,
    }
}

/// While it waits VNPay works on it (05), then the bank (06): each for half of the time (our choice).
fn of_refund(refund: &Refund, now: Timestamp) -> Seen {
    let status = match (refund.status, refund.due) {
        (Progress::Done, _) => "00",
        (Progress::Failed, _) => "09",
        (Progress::Pending, Some(due)) if now.duration_since(refund.time) * 2 >= due.at.duration_since(refund.time) => {
            "06"
        }
        (Progress::Pending, _) => "05",
    };
    let kind = refund.extra.get("vnp_TransactionType").and_then(|kind| kind.as_str()).unwrap_or("03").to_owned();
    Seen { amount: refund.amount, number: refund.id.clone(), date: Some(refund.time), kind, status }
}

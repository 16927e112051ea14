//! What VNPay tells of a payment: the IPN to the shop and the return of the browser, with the same fields and hash.

use jiff::Timestamp;

use super::signing;
use crate::app::App;
use crate::notice::Notice;
use crate::sale::{Capture, Happening, Progress, Sale, Status};
use crate::script::WebhookMode;
use crate::{signature, vietnam};

/// `vnp_ResponseCode` and `vnp_TransactionStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outcome(&'static str, &'static str);

const PAID: Outcome = Outcome("00", "00");
/// The payer did everything, the bank not yet.
const UNDERWAY: Outcome = Outcome("00", "01");
const CANCELLED: Outcome = Outcome("24", "02");
const NO_FUNDS: Outcome = Outcome("51", "02");
const TIMED_OUT: Outcome = Outcome("11", "08");
const OTHER: Outcome = Outcome("99", "02");

/// The IPN of a happening. Refunds are not told, nor is money that is still on its way.
pub fn notice(app: &App, sale: &Sale, happening: &Happening) -> Option<Notice> {
    let (outcome, money) = match happening {
        Happening::Captured(money) | Happening::CaptureSettled(money) => (of_money(money)?, Some(money)),
        Happening::Declined => (NO_FUNDS, None),
        Happening::Cancelled | Happening::FailureAfterSuccess => (CANCELLED, None),
        Happening::Expired(_) => (TIMED_OUT, None),
        Happening::Approved | Happening::Refunded(_) | Happening::RefundSettled(_) => return None,
    };
    let money = money.filter(|_| outcome == PAID);
    let secret = &app.settings.vnpay.vnpay_hash_secret;
    let forged = sale.script.webhook == WebhookMode::BadSignature;
    let secret = if forged { format!("not {secret}") } else { secret.clone() };
    let query = signed(&secret, fields(app, sale, outcome, money));
    let name = money.map_or_else(|| format!("{}-{}", sale.id, outcome.0), |money| money.reference.clone());
    Some(Notice::get(name, "ipn", query))
}

/// Where the browser goes back to. One that leaves an open payment says "cancelled", although no IPN does.
pub fn back_url(app: &App, sale: &Sale) -> String {
    let now = app.clock.now();
    let money = sale.captures.iter().find(|money| money.status == Progress::Done);
    let outcome = match sale.status(now) {
        _ if money.is_some() => PAID,
        _ if sale.has_pending_money() => UNDERWAY,
        Status::Expired => TIMED_OUT,
        Status::Failed => NO_FUNDS,
        Status::Pending | Status::Approved | Status::Processing | Status::Paid | Status::Cancelled => CANCELLED,
    };
    let query = signed(&app.settings.vnpay.vnpay_hash_secret, fields(app, sale, outcome, money));
    let joint = if sale.return_url.contains('?') { '&' } else { '?' };
    format!("{}{joint}{query}", sale.return_url)
}

fn of_money(money: &Capture) -> Option<Outcome> {
    match money.status {
        Progress::Done => Some(PAID),
        Progress::Pending => None,
        Progress::Failed => Some(OTHER),
    }
}

fn fields(app: &App, sale: &Sale, outcome: Outcome, money: Option<&Capture>) -> Vec<(&'static str, String)> {
    let (amount, time) = money.map_or((sale.amount, app.clock.now()), |money| (money.amount, money.time));
    let (bank, card) = if money.is_some() || outcome == NO_FUNDS { ("NCB", "ATM") } else { ("VNPAY", "QRCODE") };
    vec![
        ("vnp_Amount", units(amount)),
        ("vnp_BankCode", bank.to_owned()),
        ("vnp_BankTranNo", money.map(|money| format!("VNP{}", money.reference)).unwrap_or_default()),
        ("vnp_CardType", card.to_owned()),
        ("vnp_OrderInfo", sale.description.clone()),
        ("vnp_PayDate", pay_date(time)),
        ("vnp_ResponseCode", outcome.0.to_owned()),
        ("vnp_TmnCode", app.settings.vnpay.vnpay_tmn_code.clone()),
        ("vnp_TransactionNo", money.map_or("0", |money| &money.reference).to_owned()),
        ("vnp_TransactionStatus", outcome.1.to_owned()),
        ("vnp_TxnRef", sale.reference.clone()),
    ]
}

/// Dong as VNPay writes them.
pub fn units(dong: i64) -> String {
    dong.saturating_mul(super::UNITS).to_string()
}

/// A time as VNPay writes it.
pub fn pay_date(time: Timestamp) -> String {
    vietnam::stamp(time)
}

fn signed(secret: &str, fields: Vec<(&'static str, String)>) -> String {
    let query = signing::query(&fields);
    let hash = signature::sign_sha512(secret, &query);
    format!("{query}&vnp_SecureHash={hash}")
}

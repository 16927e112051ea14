//! Where the browser goes back to, with a checksum of key2.

use super::signing;
use crate::app::App;
use crate::sale::{Progress, Sale, Status};
use crate::signature;

/// The number of the wallet among the ways to pay.
pub const CHANNEL: i64 = 38;

/// The order's `redirecturl` with ZaloPay's fields appended; the payment page itself when it has none.
pub fn back_url(app: &App, sale: &Sale) -> String {
    if sale.return_url.is_empty() {
        return sale.page_url(&app.base_url);
    }
    let status = status(app, sale);
    let keys = &app.settings.zalopay;
    let (app_id, status_text) = (keys.zalopay_app_id.to_string(), status.to_string());
    let channel = if status == 1 { CHANNEL } else { 0 }.to_string();
    let amount = sale.shown().0.to_string();
    let signed = signing::joined([&app_id, &sale.reference, &channel, "", &amount, "0", &status_text]);
    let checksum = signature::sign(&keys.zalopay_key2, &signed);
    let joint = if sale.return_url.contains('?') { '&' } else { '?' };
    format!(
        "{url}{joint}amount={amount}&appid={app_id}&apptransid={reference}&bankcode=&checksum={checksum}\
         &discountamount=0&pmcid={channel}&status={status}",
        url = sale.return_url,
        reference = sale.reference,
    )
}

/// 1 and -49 are seen live; the others are the query's codes (our choice).
fn status(app: &App, sale: &Sale) -> i64 {
    let paid = sale.captures.iter().any(|money| money.status == Progress::Done);
    match sale.status(app.clock.now()) {
        _ if paid => 1,
        _ if sale.has_pending_money() => 3,
        Status::Expired => -54,
        Status::Failed => -217,
        Status::Pending | Status::Approved | Status::Processing | Status::Paid | Status::Cancelled => -49,
    }
}

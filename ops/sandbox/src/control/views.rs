//! What the control API shows.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::app::App;
use crate::payos::Payment;

/// A payment with its script and transfers.
pub fn payment(app: &App, payment: &Payment, now: Timestamp) -> Value {
    json!({
        "orderCode": payment.order_code,
        "paymentLinkId": payment.link_id,
        "status": payment.status(now),
        "amount": payment.amount,
        "amountPaid": payment.paid(),
        "amountRemaining": payment.rest(),
        "description": payment.description,
        "returnUrl": payment.return_url,
        "cancelUrl": payment.cancel_url,
        "checkoutUrl": payment.checkout_url(&app.base_url),
        "createdAt": payment.created_at,
        "expiredAt": payment.expired_at,
        "transfers": payment.transfers,
        "script": payment.script,
    })
}

/// The payment with this number and its deliveries.
pub fn with_deliveries(app: &App, number: u64) -> Value {
    let books = app.books();
    let Some(found) = books.payments().get(number) else {
        return Value::Null;
    };
    let mut view = payment(app, found, app.clock.now());
    view["deliveries"] = json!(books.deliveries().of_order(found.order_code).collect::<Vec<_>>());
    view
}

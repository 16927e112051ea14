//! What the control API shows.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::find::Found;
use crate::app::App;
use crate::books::Books;
use crate::payos::{CURRENCY, Payment};
use crate::provider::Provider;
use crate::sale::Sale;

/// A payment of PayOS with its script and transfers.
pub fn payment(app: &App, payment: &Payment, now: Timestamp) -> Value {
    json!({
        "provider": Provider::Payos,
        "number": payment.number,
        "reference": payment.order_code.to_string(),
        "id": payment.link_id,
        "currency": CURRENCY,
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

/// A sale with its script and its money.
pub fn sale(app: &App, sale: &Sale, now: Timestamp) -> Value {
    json!({
        "provider": sale.provider,
        "number": sale.number,
        "reference": sale.reference,
        "id": sale.id,
        "currency": sale.currency,
        "status": sale.status(now),
        "amount": sale.amount,
        "amountPaid": sale.paid(),
        "amountRefunded": sale.refunded(),
        "description": sale.description,
        "returnUrl": sale.return_url,
        "cancelUrl": sale.cancel_url,
        "notifyUrl": sale.notify_url,
        "checkoutUrl": sale.page_url(&app.base_url),
        "createdAt": sale.created_at,
        "expiresAt": sale.expires_at,
        "captures": sale.captures,
        "refunds": sale.refunds,
        "extra": sale.extra,
        "script": sale.script,
    })
}

/// A payment or sale and its deliveries.
pub fn with_deliveries(app: &App, books: &Books, found: Found) -> Value {
    let now = app.clock.now();
    let (mut view, provider, reference) = match found {
        Found::Link(number) => {
            let Some(found) = books.payments().get(number) else { return Value::Null };
            (payment(app, found, now), Provider::Payos, found.order_code.to_string())
        }
        Found::Sale(number) => {
            let Some(found) = books.sales().get(number) else { return Value::Null };
            (sale(app, found, now), found.provider, found.reference.clone())
        }
    };
    view["deliveries"] = json!(books.deliveries().of(provider, &reference).collect::<Vec<_>>());
    view
}

//! Stripe's objects: the session, the payment intent, the charge and the refund of a sale.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::app::App;
use crate::sale::{Capture, Progress, Refund, Sale, Status};

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It may be paid.
    Open,
    /// The payer is done, even if the money is still on its way or never came.
    Complete,
    /// It ended without.
    Expired,
}

impl Stage {
    /// Of a sale at this time.
    pub fn of(sale: &Sale, now: Timestamp) -> Self {
        match sale.status(now) {
            _ if !sale.captures.is_empty() => Self::Complete,
            Status::Pending | Status::Approved | Status::Processing => Self::Open,
            Status::Paid | Status::Failed => Self::Complete,
            Status::Cancelled | Status::Expired => Self::Expired,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Expired => "expired",
        }
    }
}

/// The session.
pub fn session(app: &App, sale: &Sale, now: Timestamp) -> Value {
    let stage = Stage::of(sale, now);
    let (amount, currency) = sale.shown();
    let paid = sale.captures.iter().any(|capture| capture.status == Progress::Done);
    // An intent exists from the first attempt on.
    let attempted = sale.declines > 0 || !sale.captures.is_empty();
    json!({
        "id": sale.id,
        "object": "checkout.session",
        "amount_subtotal": amount,
        "amount_total": amount,
        "cancel_url": sale.extra["cancel_url"],
        "client_reference_id": sale.extra["client_reference_id"],
        "created": sale.created_at.as_second(),
        "currency": currency.to_lowercase(),
        "customer": null,
        "expires_at": sale.expires_at.map(Timestamp::as_second),
        "livemode": false,
        "metadata": sale.extra["metadata"],
        "mode": "payment",
        "payment_intent": attempted.then(|| sale.extra_text("alias")),
        "payment_method_types": ["card"],
        "payment_status": if paid { "paid" } else { "unpaid" },
        "status": stage.name(),
        "success_url": sale.return_url,
        "url": (stage == Stage::Open).then(|| sale.page_url(&app.base_url)),
    })
}

/// The payment intent of this name: the session's own, or that of money that came once more.
pub fn intent(sale: &Sale, id: &str, now: Timestamp) -> Value {
    let capture = sale.captures.iter().find(|capture| capture.reference == id);
    let amount = capture.map_or(sale.amount, |capture| capture.amount);
    let currency = capture.map_or(&sale.currency, |capture| &capture.currency);
    let progress = capture.map(|capture| capture.status);
    let received = if progress == Some(Progress::Done) { amount } else { 0 };
    let declined = progress == Some(Progress::Failed) || (capture.is_none() && sale.declines > 0);
    let cancelled = capture.is_none() && Stage::of(sale, now) == Stage::Expired;
    let status = match progress {
        Some(Progress::Done) => "succeeded",
        Some(Progress::Pending) => "processing",
        Some(Progress::Failed) => "requires_payment_method",
        None if cancelled => "canceled",
        None => "requires_payment_method",
    };
    json!({
        "id": id,
        "object": "payment_intent",
        "amount": amount,
        "amount_received": received,
        "canceled_at": null,
        "cancellation_reason": cancelled.then_some("expired"),
        "client_secret": format!("{id}_secret_sandbox"),
        "created": sale.created_at.as_second(),
        "currency": currency.to_lowercase(),
        "last_payment_error": declined.then(decline),
        "latest_charge": (progress.is_some() || sale.declines > 0).then(|| charge_id(id)),
        "livemode": false,
        "metadata": sale.extra["intent_metadata"],
        "payment_method_types": ["card"],
        "status": status,
    })
}

fn decline() -> Value {
    json!({
        "type": "card_error",
        "code": "card_declined",
        "decline_code": "generic_decline",
        "message": "Your card was declined.",
    })
}

/// The charge of a capture.
pub fn charge(sale: &Sale, capture: &Capture) -> Value {
    let counted = |refund: &&Refund| refund.capture == capture.reference && refund.status != Progress::Failed;
    let refunded: i64 = sale.refunds.iter().filter(counted).map(|refund| refund.amount).sum();
    json!({
        "id": charge_id(&capture.reference),
        "object": "charge",
        "amount": capture.amount,
        "amount_captured": capture.amount,
        "amount_refunded": refunded,
        "captured": true,
        "created": capture.time.as_second(),
        "currency": capture.currency.to_lowercase(),
        "livemode": false,
        "metadata": sale.extra["intent_metadata"],
        "paid": true,
        "payment_intent": capture.reference,
        "refunded": refunded >= capture.amount,
        "status": "succeeded",
    })
}

/// A refund.
pub fn refund(refund: &Refund) -> Value {
    let status = match refund.status {
        Progress::Pending => "pending",
        Progress::Done => "succeeded",
        Progress::Failed => "failed",
    };
    let mut view = json!({
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "charge": charge_id(&refund.capture),
        "created": refund.time.as_second(),
        "currency": refund.currency.to_lowercase(),
        "metadata": refund.extra["metadata"],
        "payment_intent": refund.capture,
        "reason": refund.extra["reason"],
        "status": status,
    });
    if refund.status == Progress::Failed {
        view["failure_reason"] = "expired_or_canceled_card".into();
    }
    view
}

/// Every intent has one charge, and their names go together.
pub fn charge_id(intent: &str) -> String {
    intent.replacen("pi_", "ch_", 1)
}

/// A page of a list: `items`, newest first, from behind `after`.
pub fn list(url: &str, items: Vec<Value>, after: Option<&str>, limit: usize) -> Value {
    let start = after.and_then(|id| items.iter().position(|item| item["id"] == id).map(|place| place + 1));
    let rest = &items[start.unwrap_or(0)..];
    let page: Vec<&Value> = rest.iter().take(limit).collect();
    json!({ "object": "list", "url": url, "has_more": rest.len() > page.len(), "data": page })
}

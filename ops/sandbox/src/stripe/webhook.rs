//! The events that tell of a sale.

use serde_json::{Value, json};

use super::{new_id, views};
use crate::app::App;
use crate::notice::Notice;
use crate::sale::{Capture, Happening, Progress, Refund, Sale};

/// The events of one happening, oldest first.
pub fn notices(app: &App, sale: &Sale, happening: &Happening) -> Vec<Notice> {
    let now = app.clock.now();
    let session = || views::session(app, sale, now);
    let intent = || views::intent(sale, sale.extra_text("alias"), now);
    let told: Vec<(&str, Value)> = match happening {
        Happening::Captured(capture) => match capture.status {
            Progress::Done | Progress::Pending => vec![("checkout.session.completed", session())],
            Progress::Failed => vec![("payment_intent.payment_failed", intent())],
        },
        Happening::CaptureSettled(capture) => settled(capture, session(), intent()),
        Happening::Declined | Happening::FailureAfterSuccess => {
            vec![("payment_intent.payment_failed", failed_once(intent()))]
        }
        Happening::Expired(_) => vec![("checkout.session.expired", session())],
        Happening::Refunded(refund) => refunded(sale, refund),
        Happening::RefundSettled(refund) => settled_refund(refund),
        // The payer walks away without a word, and there is no approval.
        Happening::Cancelled | Happening::Approved => Vec::new(),
    };
    told.into_iter().map(|(kind, object)| event(app, sale, kind, &object)).collect()
}

fn settled(capture: &Capture, session: Value, intent: Value) -> Vec<(&'static str, Value)> {
    match capture.status {
        Progress::Done => vec![("checkout.session.async_payment_succeeded", session)],
        Progress::Failed => {
            vec![("checkout.session.async_payment_failed", session), ("payment_intent.payment_failed", intent)]
        }
        Progress::Pending => Vec::new(),
    }
}

fn refunded(sale: &Sale, refund: &Refund) -> Vec<(&'static str, Value)> {
    let charge = sale.captures.iter().find(|capture| capture.reference == refund.capture);
    match (refund.status, charge) {
        (Progress::Done | Progress::Pending, Some(capture)) => vec![("charge.refunded", views::charge(sale, capture))],
        (Progress::Failed, _) => vec![("refund.failed", views::refund(refund))],
        (Progress::Done | Progress::Pending, None) => Vec::new(),
    }
}

fn settled_refund(refund: &Refund) -> Vec<(&'static str, Value)> {
    let view = views::refund(refund);
    match refund.status {
        Progress::Failed => vec![("refund.updated", view.clone()), ("refund.failed", view)],
        Progress::Done | Progress::Pending => vec![("refund.updated", view)],
    }
}

/// The intent as it was when the card was declined, also if it has been paid since.
fn failed_once(mut intent: Value) -> Value {
    intent["status"] = "requires_payment_method".into();
    intent["amount_received"] = 0.into();
    intent
}

/// The body is indented, as Stripe sends it: who parses it and writes it again breaks the signature.
fn event(app: &App, sale: &Sale, kind: &str, object: &Value) -> Notice {
    let id = new_id("evt");
    let event = json!({
        "id": id,
        "object": "event",
        "api_version": sale.extra["version"],
        "created": app.clock.now().as_second(),
        "data": { "object": object },
        "livemode": false,
        "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null },
        "type": kind,
    });
    Notice::post(id, kind, format!("{event:#}"))
}

//! The events that tell of an order.

use serde_json::{Value, json};

use super::views;
use crate::app::App;
use crate::ids;
use crate::notice::Notice;
use crate::sale::{Capture, Happening, Progress, Refund, Sale, Status};

/// What an event tells of.
struct Told {
    kind: &'static str,
    resource_type: &'static str,
    resource: Value,
}

/// The events of one happening, oldest first.
pub fn notices(app: &App, sale: &Sale, happening: &Happening) -> Vec<Notice> {
    let order = |kind| {
        let resource = views::order(app, sale, app.clock.now());
        Some(Told { kind, resource_type: "checkout-order", resource })
    };
    let told = match happening {
        Happening::Approved => order("CHECKOUT.ORDER.APPROVED"),
        Happening::Captured(capture) | Happening::CaptureSettled(capture) => Some(captured(app, sale, capture)),
        Happening::Expired(Status::Approved) => order("CHECKOUT.PAYMENT-APPROVAL.REVERSED"),
        Happening::Refunded(refund) | Happening::RefundSettled(refund) => Some(refunded(app, sale, refund)),
        Happening::FailureAfterSuccess => sale
            .captures
            .last()
            .map(|capture| captured(app, sale, &Capture { status: Progress::Failed, ..capture.clone() })),
        // The payer goes without a word, and an order that nobody approved lapses without one.
        Happening::Expired(_) | Happening::Declined | Happening::Cancelled => None,
    };
    told.map(|told| event(app, &told)).into_iter().collect()
}

fn captured(app: &App, sale: &Sale, capture: &Capture) -> Told {
    let kind = match capture.status {
        Progress::Done => "PAYMENT.CAPTURE.COMPLETED",
        Progress::Pending => "PAYMENT.CAPTURE.PENDING",
        Progress::Failed => "PAYMENT.CAPTURE.DENIED",
    };
    Told { kind, resource_type: "capture", resource: views::capture(app, sale, capture) }
}

fn refunded(app: &App, sale: &Sale, refund: &Refund) -> Told {
    let kind = match refund.status {
        Progress::Done => "PAYMENT.CAPTURE.REFUNDED",
        Progress::Pending => "PAYMENT.REFUND.PENDING",
        Progress::Failed => "PAYMENT.REFUND.FAILED",
    };
    Told { kind, resource_type: "refund", resource: views::refund(app, sale, refund) }
}

fn event(app: &App, told: &Told) -> Notice {
    let random = ids::hex32().to_uppercase();
    let id = format!("WH-{}-{}", &random[..17], &ids::hex32().to_uppercase()[..17]);
    let own = format!("{}{}/{id}", app.base_url, super::EVENTS);
    let event = json!({
        "id": id,
        "event_version": "1.0",
        "create_time": views::time(app.clock.now()),
        "resource_type": told.resource_type,
        "resource_version": "2.0",
        "event_type": told.kind,
        "summary": format!("{} for the sandbox", told.kind),
        "resource": told.resource,
        "links": [
            { "href": own, "rel": "self", "method": "GET" },
            { "href": format!("{own}/resend"), "rel": "resend", "method": "POST" },
        ],
    });
    Notice::post(id, told.kind, event.to_string())
}

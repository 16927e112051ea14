//! PayPal's objects: the order, its captures and its refunds.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::amount;
use crate::app::App;
use crate::sale::{Capture, Progress, Refund, Sale, Status};

/// Who pays, always.
pub const PAYER: &str = "SANDBOXPAYER1";

/// The status of an order. One that lapsed shows as VOIDED, which is our choice.
pub fn status(sale: &Sale, now: Timestamp) -> &'static str {
    match sale.status(now) {
        _ if !sale.captures.is_empty() => "COMPLETED",
        Status::Pending | Status::Processing if sale.extra["has_source"] == true => "PAYER_ACTION_REQUIRED",
        Status::Pending | Status::Processing => "CREATED",
        Status::Approved => "APPROVED",
        Status::Paid => "COMPLETED",
        Status::Cancelled | Status::Expired | Status::Failed => "VOIDED",
    }
}

/// The order in short: what a create or a capture answers.
pub fn order_minimal(app: &App, sale: &Sale, now: Timestamp) -> Value {
    let mut view = json!({
        "id": sale.id,
        "status": status(sale, now),
        "links": links(app, sale, now),
    });
    if sale.extra["has_source"] == true {
        view["payment_source"] = json!({ "paypal": {} });
    }
    if !sale.captures.is_empty() {
        view["purchase_units"] = json!([{
            "reference_id": sale.extra["reference_id"],
            "payments": payments(app, sale),
        }]);
    }
    view
}

/// The whole order.
pub fn order(app: &App, sale: &Sale, now: Timestamp) -> Value {
    let mut view = order_minimal(app, sale, now);
    let mut unit = json!({
        "reference_id": sale.extra["reference_id"],
        "amount": amount::view(sale.amount, &sale.currency),
        "payee": { "merchant_id": "SANDBOXMERCHANT" },
    });
    for name in ["custom_id", "invoice_id", "description"] {
        if sale.extra[name].is_string() {
            unit[name] = sale.extra[name].clone();
        }
    }
    if !sale.captures.is_empty() {
        unit["payments"] = payments(app, sale);
    }
    view["intent"] = "CAPTURE".into();
    view["purchase_units"] = json!([unit]);
    view["create_time"] = time(sale.created_at);
    if sale.state != Status::Pending {
        view["payer"] = json!({ "payer_id": PAYER });
    }
    view
}

fn payments(app: &App, sale: &Sale) -> Value {
    let captures: Vec<Value> = sale.captures.iter().map(|one| capture(app, sale, one)).collect();
    let refunds: Vec<Value> = sale.refunds.iter().map(|one| refund(app, sale, one)).collect();
    if refunds.is_empty() {
        json!({ "captures": captures })
    } else {
        json!({ "captures": captures, "refunds": refunds })
    }
}

fn links(app: &App, sale: &Sale, now: Timestamp) -> Value {
    let own = format!("{}/v2/checkout/orders/{}", app.base_url, sale.id);
    let mut links = vec![json!({ "href": own, "rel": "self", "method": "GET" })];
    match (sale.status(now), sale.captures.is_empty()) {
        (Status::Pending | Status::Processing, true) => {
            links.push(json!({ "href": sale.page_url(&app.base_url), "rel": approval_rel(sale), "method": "GET" }));
        }
        (Status::Approved, true) => {
            links.push(json!({ "href": format!("{own}/capture"), "rel": "capture", "method": "POST" }));
        }
        _ => {}
    }
    json!(links)
}

/// What the link to the payment page is called.
pub fn approval_rel(sale: &Sale) -> &'static str {
    if sale.extra["has_source"] == true { "payer-action" } else { "approve" }
}

/// A capture.
pub fn capture(app: &App, sale: &Sale, capture: &Capture) -> Value {
    let own = format!("{}/v2/payments/captures/{}", app.base_url, capture.reference);
    let mut view = json!({
        "id": capture.reference,
        "status": capture_status(sale, capture),
        "amount": amount::view(capture.amount, &capture.currency),
        "final_capture": true,
        "seller_protection": { "status": "NOT_ELIGIBLE" },
        "supplementary_data": { "related_ids": { "order_id": sale.id } },
        "create_time": time(capture.time),
        "update_time": time(capture.time),
        "links": [
            { "href": own, "rel": "self", "method": "GET" },
            { "href": format!("{own}/refund"), "rel": "refund", "method": "POST" },
            { "href": format!("{}/v2/checkout/orders/{}", app.base_url, sale.id), "rel": "up", "method": "GET" },
        ],
    });
    for name in ["custom_id", "invoice_id"] {
        if sale.extra[name].is_string() {
            view[name] = sale.extra[name].clone();
        }
    }
    match capture.status {
        Progress::Pending => view["status_details"] = json!({ "reason": "PENDING_REVIEW" }),
        Progress::Done => {
            view["seller_receivable_breakdown"] = json!({
                "gross_amount": amount::view(capture.amount, &capture.currency),
                "paypal_fee": amount::view(capture.fee, &capture.currency),
                "net_amount": amount::view(capture.amount - capture.fee, &capture.currency),
            });
        }
        Progress::Failed => {}
    }
    view
}

fn capture_status(sale: &Sale, capture: &Capture) -> &'static str {
    let counted = |refund: &&Refund| refund.capture == capture.reference && refund.status == Progress::Done;
    let refunded: i64 = sale.refunds.iter().filter(counted).map(|refund| refund.amount).sum();
    match capture.status {
        Progress::Pending => "PENDING",
        Progress::Failed => "DECLINED",
        Progress::Done if refunded >= capture.amount => "REFUNDED",
        Progress::Done if refunded > 0 => "PARTIALLY_REFUNDED",
        Progress::Done => "COMPLETED",
    }
}

/// A refund in short.
pub fn refund_minimal(app: &App, refund: &Refund) -> Value {
    let own = format!("{}/v2/payments/refunds/{}", app.base_url, refund.id);
    let up = format!("{}/v2/payments/captures/{}", app.base_url, refund.capture);
    json!({
        "id": refund.id,
        "status": refund_status(refund),
        "links": [
            { "href": own, "rel": "self", "method": "GET" },
            { "href": up, "rel": "up", "method": "GET" },
        ],
    })
}

/// A refund.
pub fn refund(app: &App, sale: &Sale, refund: &Refund) -> Value {
    let mut view = refund_minimal(app, refund);
    view["amount"] = amount::view(refund.amount, &refund.currency);
    view["create_time"] = time(refund.time);
    view["update_time"] = time(refund.time);
    for name in ["custom_id", "invoice_id", "note_to_payer"] {
        if refund.extra.get(name).is_some_and(Value::is_string) {
            view[name] = refund.extra[name].clone();
        }
    }
    let gone: i64 = sale.refunds.iter().filter(|one| one.status == Progress::Done).map(|one| one.amount).sum();
    view["seller_payable_breakdown"] = json!({
        "gross_amount": amount::view(refund.amount, &refund.currency),
        "paypal_fee": amount::view(0, &refund.currency),
        "net_amount": amount::view(refund.amount, &refund.currency),
        "total_refunded_amount": amount::view(gone, &refund.currency),
    });
    match refund.status {
        Progress::Pending => view["status_details"] = json!({ "reason": "ECHECK" }),
        Progress::Done | Progress::Failed => {}
    }
    view
}

fn refund_status(refund: &Refund) -> &'static str {
    match refund.status {
        Progress::Pending => "PENDING",
        Progress::Done => "COMPLETED",
        Progress::Failed => "FAILED",
    }
}

/// A time to the second.
pub fn time(time: Timestamp) -> Value {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}

//! POST /v2/create.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::answer::{self, Refusal};
use super::body::Body;
use super::order;
use crate::app::App;
use crate::faults;
use crate::payos::qr::crc16;
use crate::provider::Provider;
use crate::sale::Sale;

/// Makes an order. It exists before any scripted trouble with the answer begins.
pub async fn create(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    let read = Body::read(&headers, &body);
    let wanted = match read.and_then(|body| order::read(&body, &app.settings.zalopay, app.clock.now())) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal.into_response(),
    };
    if let Some(response) = faults::of_create(&app, Provider::Zalopay, &wanted.reference) {
        return response;
    }
    match add(&app, wanted) {
        Ok(sale) => faults::answer_create(&app, &sale, created(&app, &sale)).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn add(app: &App, wanted: Sale) -> Result<Sale, Refusal> {
    let mut books = app.books();
    if books.sales().by_reference(Provider::Zalopay, &wanted.reference).is_some() {
        return Err(Refusal::DuplicateOrder);
    }
    let script = books.scripts.take(Provider::Zalopay, &wanted.reference);
    Ok(books.add_sale(Sale { script, ..wanted }))
}

fn created(app: &App, sale: &Sale) -> Response {
    let token = format!("AC{}", &sale.id[..22]);
    let more = json!({
        "order_url": sale.page_url(&app.base_url), "zp_trans_token": token, "order_token": token,
        "qr_code": qr_code(sale, &token),
    });
    answer::told(1, 1, "Giao dịch thành công", more)
}

/// An EMV text of ZaloPay's kind, enough to be drawn.
fn qr_code(sale: &Sale, token: &str) -> String {
    let tag = |name: &str, value: &str| format!("{name}{:02}{value}", value.len());
    let account = tag("00", "vn.zalopay") + &tag("01", token);
    let parts = [
        tag("00", "01"),
        tag("01", "12"),
        tag("26", &account),
        tag("53", "704"),
        tag("54", &sale.amount.to_string()),
        tag("58", "VN"),
        "6304".to_owned(),
    ];
    let text = parts.concat();
    format!("{text}{:04X}", crc16(text.as_bytes()))
}

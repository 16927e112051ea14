//! The page that a browser is sent to when a payment URL is wrong. The codes are those of the real page; `reason` is our
//! addition, for whoever has to find the mistake.

use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;

use super::signing;
use crate::page::escape;

/// Where it is.
pub const PATH: &str = "/paymentv2/Payment/Error.html";

/// Why a payment URL leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The reference was used the same day.
    Duplicate,
    /// A field is missing or wrong.
    WrongField(String),
    /// Its time is over.
    TooLate,
    /// The hash is not that of the query.
    WrongHash,
    /// There is no such terminal.
    UnknownTerminal,
}

/// What the page is asked for.
#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    code: String,
    #[serde(default)]
    reason: String,
}

impl Refusal {
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Duplicate => ("01", "vnp_TxnRef was used today"),
            Self::WrongField(reason) => ("03", reason),
            Self::TooLate => ("15", "vnp_ExpireDate has passed"),
            Self::WrongHash => ("70", "vnp_SecureHash is not that of the query"),
            Self::UnknownTerminal => ("72", "vnp_TmnCode is not known"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (code, reason) = self.parts();
        let query = signing::query(&[("code", code.to_owned()), ("reason", reason.to_owned())]);
        (StatusCode::FOUND, [(header::LOCATION, format!("{PATH}?{query}"))]).into_response()
    }
}

/// The page.
pub async fn show(Query(Asked { code, reason }): Query<Asked>) -> Response {
    let text = match code.as_str() {
        "01" => "Giao dịch đã tồn tại",
        "03" => "Dữ liệu gửi sang không đúng định dạng",
        "15" => "Giao dịch đã quá thời gian chờ thanh toán. Quý khách vui lòng thực hiện lại giao dịch",
        "70" => "Sai chữ ký",
        "72" => "Không tìm thấy website",
        _ => "Có lỗi xảy ra trong quá trình xử lý",
    };
    let (code, reason) = (escape(&code), escape(&reason));
    let page = format!(
        "<!doctype html>\n<html lang=\"vi\">\n<head><meta charset=\"utf-8\"><title>VNPay</title></head>\n\
         <body><main><h1>{text}</h1>\n<p>Mã lỗi: <strong>{code}</strong></p>\n<p lang=\"en\">{reason}</p></main></body>\n</html>\n"
    );
    ([(header::CACHE_CONTROL, "no-store")], Html(page)).into_response()
}

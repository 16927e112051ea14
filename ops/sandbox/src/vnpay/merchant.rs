//! POST /merchant_webapi/api/transaction: questions and refunds, signed both ways.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value};

use super::answer::{self, Refusal};
use super::fields::{self, Form, Rule};
use super::requests::Requests;
use super::signing::{self, Fields};
use super::{querydr, refund};
use crate::app::App;
use crate::provider::Provider;
use crate::sale::Sale;
use crate::{faults, signature, vietnam};

const QUERYDR: [Rule; 9] = [
    ("vnp_RequestId", 1, 32, Form::Plain),
    ("vnp_Version", 1, 8, Form::Is("2.1.0")),
    ("vnp_Command", 1, 16, Form::Is("querydr")),
    ("vnp_TmnCode", 1, 32, Form::Word),
    ("vnp_TxnRef", 1, 100, Form::Plain),
    ("vnp_TransactionDate", 14, 14, Form::Stamp),
    ("vnp_CreateDate", 14, 14, Form::Stamp),
    ("vnp_IpAddr", 7, 45, Form::Ip),
    ("vnp_OrderInfo", 1, 255, Form::Plain),
];
const REFUND: [Rule; 12] = [
    ("vnp_RequestId", 1, 32, Form::Plain),
    ("vnp_Version", 1, 8, Form::Is("2.1.0")),
    ("vnp_Command", 1, 16, Form::Is("refund")),
    ("vnp_TmnCode", 1, 32, Form::Word),
    ("vnp_TransactionType", 2, 2, Form::OneOf(&["02", "03"])),
    ("vnp_TxnRef", 1, 100, Form::Plain),
    ("vnp_Amount", 1, 12, Form::Amount),
    ("vnp_TransactionDate", 14, 14, Form::Stamp),
    ("vnp_CreateBy", 1, 245, Form::Plain),
    ("vnp_CreateDate", 14, 14, Form::Stamp),
    ("vnp_IpAddr", 7, 45, Form::Ip),
    ("vnp_OrderInfo", 1, 255, Form::Plain),
];
const TRANSACTION_NO: Rule = ("vnp_TransactionNo", 1, 15, Form::Digits);

/// A request in order.
pub struct Request {
    /// Its fields as text.
    pub fields: Fields,
    /// Whether it is a refund.
    refund: bool,
}

/// Answers with HTTP 200 whatever happens, as long as no script says otherwise.
pub async fn transaction(
    State(app): State<Arc<App>>,
    Extension(requests): Extension<Arc<Requests>>,
    body: Bytes,
) -> Response {
    let (fields, request) = match read(&body) {
        Ok(fields) => (fields.clone(), check(&app, fields)),
        Err(refusal) => (Fields::new(), Err(refusal)),
    };
    let refused = |refusal: Refusal| refuse(&app, &fields, &refusal);
    let request = match request {
        Ok(request) => request,
        Err(refusal) => return refused(refusal),
    };
    let found = find(&app, &request.fields).map(|sale| sale.number);
    if let Some(number) = found
        && let Some(response) = faults::of_call(&app, number).await
    {
        return response;
    }
    if !requests.note(&vietnam::day(app.clock.now()), &request.fields["vnp_RequestId"]) {
        return refused(Refusal::Repeated);
    }
    let Some(number) = found else { return refused(Refusal::NotFound) };
    let _turn = requests.turn();
    let answered =
        if request.refund { refund::refund(&app, number, &request) } else { querydr::query(&app, number, &request) };
    answered.unwrap_or_else(refused)
}

/// The JSON object with its values as text: VNPay's own samples send amounts as text and as numbers.
fn read(body: &[u8]) -> Result<Fields, Refusal> {
    let body: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| Refusal::WrongFormat("the body is no JSON object".to_owned()))?;
    let mut fields = Fields::new();
    for (name, value) in body {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Null => continue,
            _ => return Err(Refusal::WrongFormat(format!("{name} is no text"))),
        };
        fields.insert(name, text);
    }
    Ok(fields)
}

fn check(app: &App, fields: Fields) -> Result<Request, Refusal> {
    let given = |name: &str| fields.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let (refund, rules) = match given("vnp_Command") {
        Some("querydr") => (false, &QUERYDR[..]),
        Some("refund") => (true, &REFUND[..]),
        _ => return Err(Refusal::WrongFormat("vnp_Command must be querydr or refund".to_owned())),
    };
    let number = given(TRANSACTION_NO.0).and(Some(&TRANSACTION_NO));
    for rule in rules.iter().chain(number) {
        fields::check(given(rule.0), rule).map_err(Refusal::WrongFormat)?;
    }
    let keys = &app.settings.vnpay;
    if given("vnp_TmnCode") != Some(&keys.vnpay_tmn_code) {
        return Err(Refusal::UnknownTerminal);
    }
    let text = if refund { refund::text(&fields) } else { querydr::text(&fields) };
    if given("vnp_SecureHash") != Some(&signature::sign_sha512(&keys.vnpay_hash_secret, &text)) {
        return Err(Refusal::WrongHash);
    }
    Ok(Request { fields, refund })
}

/// The payment with this reference that was opened with this date; a transaction number, if given, must be its own.
fn find(app: &App, fields: &Fields) -> Option<Sale> {
    let (reference, date) = (&fields["vnp_TxnRef"], &fields["vnp_TransactionDate"]);
    let number = fields.get("vnp_TransactionNo").filter(|number| !matches!(number.as_str(), "" | "0"));
    let fits = |sale: &&Sale| sale.reference == *reference && sale.extra_text("vnp_CreateDate") == date;
    let named =
        |sale: &&Sale| number.is_none_or(|number| sale.captures.iter().any(|capture| capture.reference == *number));
    let books = app.books();
    let newest = books.sales().by_reference(Provider::Vnpay, reference)?;
    // An older one of another day may have the same reference.
    let found = Some(newest).filter(fits).or_else(|| books.sales().of(Provider::Vnpay).find(fits));
    found.filter(named).cloned()
}

fn refuse(app: &App, fields: &Fields, refusal: &Refusal) -> Response {
    let (code, message) = refusal.parts();
    let echo = |name: &'static str| (name, fields.get(name).cloned().unwrap_or_default());
    let told = [
        ("vnp_ResponseCode", code.to_owned()),
        ("vnp_Message", message.to_owned()),
        echo("vnp_TmnCode"),
        echo("vnp_TxnRef"),
        echo("vnp_OrderInfo"),
    ];
    let command = fields.get("vnp_Command").map_or("", String::as_str);
    answer::signed(&app.settings.vnpay.vnpay_hash_secret, command, &told)
}

/// The raw values of these fields, as requests sign them.
pub fn text(fields: &Fields, names: &[&str]) -> String {
    signing::joined(names.iter().map(|name| fields.get(*name).map_or("", String::as_str)))
}

//! GET /paymentv2/vpcpay.html: a browser brings a payment.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::error_page::Refusal;
use super::fields::{self, Form, Rule};
use super::signing::{self, Fields, Read};
use crate::app::App;
use crate::provider::Provider;
use crate::sale::{Sale, Status};
use crate::{faults, ids, signature, vietnam};

/// How far ahead of the sandbox's clock a shop's may be (our choice).
const AHEAD: SignedDuration = SignedDuration::from_mins(15);

const RULES: [Rule; 12] = [
    ("vnp_Version", 1, 8, Form::Is("2.1.0")),
    ("vnp_Command", 1, 16, Form::Is("pay")),
    ("vnp_Amount", 1, 12, Form::Amount),
    ("vnp_CurrCode", 3, 3, Form::Is("VND")),
    ("vnp_TxnRef", 1, 100, Form::Plain),
    ("vnp_OrderInfo", 1, 255, Form::Plain),
    ("vnp_OrderType", 1, 100, Form::Plain),
    ("vnp_Locale", 2, 5, Form::OneOf(&["vn", "en"])),
    ("vnp_ReturnUrl", 10, 255, Form::Url),
    ("vnp_IpAddr", 7, 45, Form::Ip),
    ("vnp_CreateDate", 14, 14, Form::Stamp),
    ("vnp_ExpireDate", 14, 14, Form::Stamp),
];
const BANK_CODE: Rule = ("vnp_BankCode", 3, 20, Form::Word);

/// Takes the payment in and leads to its page; what is wrong leads to the error page.
pub async fn open(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    let now = app.clock.now();
    let fields = match check(&app, &query.unwrap_or_default(), now) {
        Ok(fields) => fields,
        Err(refusal) => return refusal.into_response(),
    };
    if let Some(response) = faults::of_create(&app, Provider::Vnpay, &fields["vnp_TxnRef"]) {
        return response;
    }
    match take_in(&app, &fields, now) {
        Ok((sale, true)) => {
            let page = Redirect::to(&sale.page_url("")).into_response();
            faults::answer_create(&app, &sale, page).await
        }
        Ok((sale, false)) => Redirect::to(&sale.page_url("")).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn check(app: &App, query: &str, now: Timestamp) -> Result<Fields, Refusal> {
    let wrong = |problem: &str| Refusal::WrongField(problem.to_owned());
    let Read { text, fields } = signing::read(query).ok_or_else(|| wrong("the query is malformed"))?;
    let given = |name: &str| fields.get(name).map(String::as_str);
    let keys = &app.settings.vnpay;
    if given("vnp_TmnCode") != Some(&keys.vnpay_tmn_code) {
        return Err(Refusal::UnknownTerminal);
    }
    if given("vnp_SecureHash") != Some(&signature::sign_sha512(&keys.vnpay_hash_secret, &text)) {
        return Err(Refusal::WrongHash);
    }
    let bank = fields.contains_key(BANK_CODE.0).then_some(&BANK_CODE);
    for rule in RULES.iter().chain(bank) {
        fields::check(given(rule.0), rule).map_err(Refusal::WrongField)?;
    }
    let (created, expires) = (time(&fields, "vnp_CreateDate"), time(&fields, "vnp_ExpireDate"));
    if created.duration_since(now) > AHEAD {
        return Err(wrong("vnp_CreateDate is in the future"));
    }
    if expires <= created {
        return Err(wrong("vnp_ExpireDate is not after vnp_CreateDate"));
    }
    if expires <= now { Err(Refusal::TooLate) } else { Ok(fields) }
}

/// The sale, and whether it is new. The very same URL leads to its page again while that takes money (our choice: a
/// browser may reload).
fn take_in(app: &App, fields: &Fields, now: Timestamp) -> Result<(Sale, bool), Refusal> {
    let reference = &fields["vnp_TxnRef"];
    let mut books = app.books();
    if let Some(before) = books.sales().by_reference(Provider::Vnpay, reference) {
        let again = before.extra_text("vnp_SecureHash") == fields["vnp_SecureHash"] && before.takes_money(now);
        let same_day = before.extra_text("vnp_CreateDate")[..8] == fields["vnp_CreateDate"][..8];
        match (again, same_day) {
            (true, _) => return Ok((before.clone(), false)),
            (false, true) => return Err(Refusal::Duplicate),
            (false, false) => {}
        }
    }
    let script = books.scripts.take(Provider::Vnpay, reference);
    let sale = Sale { script, ..new_sale(fields, now) };
    Ok((books.add_sale(sale), true))
}

fn new_sale(fields: &Fields, now: Timestamp) -> Sale {
    let kept = ["vnp_CreateDate", "vnp_SecureHash", "vnp_IpAddr", "vnp_BankCode"];
    let extra = kept.into_iter().filter_map(|name| Some((name.to_owned(), Value::from(fields.get(name)?.as_str()))));
    Sale {
        number: 0,
        provider: Provider::Vnpay,
        reference: fields["vnp_TxnRef"].clone(),
        id: ids::hex32(),
        amount: fields::dong(&fields["vnp_Amount"]).expect("the amount was checked"),
        currency: "VND".to_owned(),
        description: fields["vnp_OrderInfo"].clone(),
        state: Status::Pending,
        created_at: now,
        expires_at: Some(time(fields, "vnp_ExpireDate")),
        return_url: fields["vnp_ReturnUrl"].clone(),
        cancel_url: fields["vnp_ReturnUrl"].clone(),
        notify_url: None,
        extra: extra.collect::<Map<_, _>>(),
        captures: Vec::new(),
        refunds: Vec::new(),
        declines: 0,
        script: Default::default(),
    }
}

fn time(fields: &Fields, name: &str) -> Timestamp {
    vietnam::read_stamp(&fields[name]).expect("the form of dates was checked")
}

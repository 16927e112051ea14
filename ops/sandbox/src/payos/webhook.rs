//! Webhooks: one for each bank transfer, signed over `data`.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::payment::{local_time, object};
use super::{ACCOUNT_NUMBER, signing};
use crate::delivery::{Delivery, State};
use crate::ledger::Transfer;
use crate::notice::{Place, schedule};
use crate::provider::Provider;
use crate::script::{Keys, Script, WebhookMode};
use crate::signature;

/// One transfer of a payment, and its place among the parts that came with it.
pub struct Notice<'a> {
    /// The transfer.
    pub transfer: &'a Transfer,
    /// How many parts come after it.
    pub parts_after: u64,
    /// When the link expires, in Unix seconds.
    pub expired_at: Option<i64>,
}

/// The deliveries that a script makes of one transfer.
pub fn deliveries(checksum_key: &str, script: &Script, notice: &Notice<'_>, now: Timestamp) -> Vec<Delivery> {
    let signed = script.webhook != WebhookMode::BadSignature;
    let body = body(checksum_key, notice.transfer, signed);
    let expires_at = notice.expired_at.and_then(|seconds| Timestamp::from_second(seconds).ok());
    let place = Place { after: notice.parts_after, holds_back: false, expires_at };
    let (dues, state) = schedule(script, place, now);
    dues.into_iter().map(|due| delivery(notice.transfer, &body, due, state)).collect()
}

fn delivery(transfer: &Transfer, body: &str, due: Timestamp, state: State) -> Delivery {
    Delivery {
        id: 0,
        provider: Provider::Payos,
        payment: transfer.order_code.to_string(),
        number: 0,
        order_code: Some(transfer.order_code),
        reference: transfer.reference.clone(),
        kind: "transfer".to_owned(),
        method: "POST".to_owned(),
        url: None,
        query: String::new(),
        body: body.to_owned(),
        forged: false,
        keys: Keys::First,
        due,
        state,
        attempts: Vec::new(),
    }
}

fn body(checksum_key: &str, transfer: &Transfer, signed: bool) -> String {
    let data = object(json!({
        "orderCode": transfer.order_code,
        "amount": transfer.amount,
        "description": transfer.description,
        "accountNumber": ACCOUNT_NUMBER,
        "reference": transfer.reference,
        "transactionDateTime": local_time(transfer.time),
        "currency": transfer.currency,
        "paymentLinkId": transfer.payment_link_id,
        "code": "00",
        "desc": "Thành công",
        "counterAccountBankId": "970436",
        "counterAccountBankName": "",
        "counterAccountName": "NGUYEN VAN AN",
        "counterAccountNumber": "0123456789",
        "virtualAccountName": null,
        "virtualAccountNumber": "",
    }));
    let right_key = if signed { checksum_key.to_owned() } else { format!("not {checksum_key}") };
    envelope(&right_key, data)
}

/// The sample of `/confirm-webhook`: the one that the documentation shows. Its order code is unknown to a shop.
pub fn sample(checksum_key: &str) -> String {
    let data = object(json!({
        "accountNumber": "12345678",
        "amount": 3000,
        "description": "VQRIO123",
        "reference": "TF230204212323",
        "transactionDateTime": "2023-02-04 18:25:00",
        "virtualAccountNumber": "",
        "counterAccountBankId": "",
        "counterAccountBankName": "",
        "counterAccountName": "",
        "counterAccountNumber": "",
        "virtualAccountName": "",
        "currency": "VND",
        "orderCode": 123,
        "paymentLinkId": "124c33293c43417ab7879e14c8d9eb18",
        "code": "00",
        "desc": "Thành công",
    }));
    envelope(checksum_key, data)
}

fn envelope(checksum_key: &str, data: Map<String, Value>) -> String {
    let signature = signature::sign(checksum_key, &signing::data_text(&data));
    json!({ "code": "00", "desc": "success", "success": true, "data": data, "signature": signature }).to_string()
}

//! For tests: a scripted server that signs as VNPay does, and what is asked of it.

use domain::ids::{PaymentId, RefundId};
use domain::value::Timestamp;
use serde_json::{Map, Value, json};
use service_kit::clock;
use uuid::Uuid;

use super::vectors::TEST_SECRET;
use super::{DONG, GRACE_S, Vnpay, VnpayKeys, VnpaySettings, signature};
use crate::payments::caller::CallSettings;
use crate::payments::gateway::{Attempt, Refund};
use crate::payments::scripted::{Answering, Asked, Scripted, answer, calls};

pub(super) const REFERENCE: &str = "20261011003000-00000000000000000000000000000007";

pub(super) fn vnpay(server: &Scripted) -> Vnpay {
    vnpay_at(&server.url, |_| {})
}

pub(super) fn vnpay_at(url: &str, change: impl FnOnce(&mut CallSettings)) -> Vnpay {
    let mut settings = calls();
    change(&mut settings);
    let keys = VnpayKeys::new("CGXZLS0Z", TEST_SECRET);
    Vnpay::new(VnpaySettings::new(url, "https://pay.test/vpcpay.html", keys), settings).unwrap()
}

pub(super) fn attempt(pay_by: Timestamp) -> Attempt {
    let (payment, reference) = (PaymentId(Uuid::from_u128(7)), Some(REFERENCE.to_owned()));
    Attempt { payment, serial: 1, reference, amount: 150_000, currency: *DONG, pay_by }
}

pub(super) fn running() -> Attempt {
    attempt(clock::now().plus_s(900))
}

pub(super) fn refund(amount: i64, requested_at: Timestamp) -> Refund {
    Refund {
        refund: RefundId(Uuid::from_u128(9)),
        attempt: running(),
        amount,
        requested_at,
        capture: None,
        done: vec![],
    }
}

/// An answer as VNPay signs it; its fields echo those of the request.
pub(super) fn told(changes: Value) -> Answering {
    Box::new(move |body| answer("200 OK", &Value::from(signed(body, &changes)).to_string()))
}

pub(super) fn signed(body: &str, changes: &Value) -> Map<String, Value> {
    let asked: Value = serde_json::from_str(body).unwrap();
    let command = asked["vnp_Command"].as_str().unwrap();
    let mut names =
        vec!["vnp_ResponseId", "vnp_Command", "vnp_ResponseCode", "vnp_Message", "vnp_TmnCode", "vnp_TxnRef"];
    names.extend(["vnp_Amount", "vnp_BankCode", "vnp_PayDate", "vnp_TransactionNo", "vnp_TransactionType"]);
    names.extend(["vnp_TransactionStatus", "vnp_OrderInfo"]);
    if command == "querydr" {
        names.extend(["vnp_PromotionCode", "vnp_PromotionAmount"]);
    }
    let usual = json!({
        "vnp_ResponseId": "r1", "vnp_Command": command, "vnp_ResponseCode": "00", "vnp_Message": "Success",
        "vnp_TmnCode": asked["vnp_TmnCode"], "vnp_TxnRef": asked["vnp_TxnRef"], "vnp_Amount": "15000000", "vnp_BankCode": "NCB",
        "vnp_PayDate": "20261011003124", "vnp_TransactionNo": "14422574", "vnp_TransactionType": "01",
        "vnp_TransactionStatus": "00", "vnp_OrderInfo": "x",
    });
    let mut fields = usual.as_object().unwrap().clone();
    fields.extend(changes.as_object().unwrap().clone());
    let text = |name: &&str| fields.get(*name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let joined = names.iter().map(text).collect::<Vec<_>>().join("|");
    fields.insert("vnp_SecureHash".to_owned(), signature::HashSecret::new(TEST_SECRET).sign(&joined).into());
    fields
}

pub(super) fn body(asked: &Asked) -> Value {
    serde_json::from_str(&asked.body).unwrap()
}

pub(super) fn over() -> Attempt {
    attempt(clock::now().plus_s(-GRACE_S - 1))
}

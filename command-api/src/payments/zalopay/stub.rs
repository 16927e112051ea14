//! For tests: a scripted server that answers as ZaloPay does, and what is asked of it.

use domain::ids::{PaymentId, RefundId};
use domain::saga::CreatePayment;
use domain::value::{Provider, Timestamp};
use serde_json::{Value, json};
use service_kit::clock;
use uuid::Uuid;

use super::vectors::{KEY1_OF_2553, KEY2_OF_2553};
use super::{DONG, Zalopay, ZalopayKeys, ZalopaySettings};
use crate::payments::caller::CallSettings;
use crate::payments::gateway::{Attempt, Refund, Urls};
use crate::payments::scripted::{Scripted, answer, calls};

pub(super) const REFERENCE: &str = "261011_00000000000000000000000000000007";

pub(super) fn zalopay(server: &Scripted) -> Zalopay {
    zalopay_at(&server.url, |_| {})
}

pub(super) fn zalopay_at(url: &str, change: impl FnOnce(&mut CallSettings)) -> Zalopay {
    let mut settings = calls();
    change(&mut settings);
    let keys = ZalopayKeys::new(2553, KEY1_OF_2553, KEY2_OF_2553);
    Zalopay::new(ZalopaySettings::new(url, keys), settings).unwrap()
}

pub(super) fn payment() -> CreatePayment {
    CreatePayment {
        payment: PaymentId(Uuid::from_u128(7)),
        provider: Provider::Zalopay,
        serial: 1,
        amount: 150_000,
        currency: *DONG,
        code: "K7M2P9Q4TX".to_owned(),
        return_url: "https://shop.test/r".to_owned(),
        cancel_url: None,
        pay_by: clock::now().plus_s(900),
    }
}

pub(super) fn urls() -> Urls {
    crate::payments::Gateways::new("https://tickets.test").urls(Provider::Zalopay, payment().payment)
}

pub(super) fn attempt(pay_by: Timestamp) -> Attempt {
    let reference = Some(REFERENCE.to_owned());
    Attempt { payment: payment().payment, serial: 1, reference, amount: 150_000, currency: *DONG, pay_by }
}

pub(super) fn running() -> Attempt {
    attempt(clock::now().plus_s(900))
}

pub(super) fn over() -> Attempt {
    attempt(clock::now().plus_s(-super::SHORTEST_S - super::GRACE_S - 1))
}

pub(super) fn refund(amount: i64) -> Refund {
    let requested_at = Timestamp(1_791_653_400_000_000);
    Refund {
        refund: RefundId(Uuid::from_u128(9)),
        attempt: running(),
        amount,
        requested_at,
        capture: None,
        done: vec![],
    }
}

pub(super) fn told(body: Value) -> String {
    answer("200 OK", &body.to_string())
}

pub(super) fn no(sub: i64) -> String {
    told(json!({ "return_code": 2, "return_message": "no", "sub_return_code": sub, "sub_return_message": "no" }))
}

pub(super) fn not_yet(processing: bool) -> String {
    told(
        json!({ "return_code": 3, "sub_return_code": 0, "is_processing": processing, "amount": 150_000, "zp_trans_id": 0 }),
    )
}

pub(super) fn paid() -> String {
    told(json!({ "return_code": 1, "is_processing": false, "amount": 150_000, "zp_trans_id": 261_011_000_000_389_i64 }))
}

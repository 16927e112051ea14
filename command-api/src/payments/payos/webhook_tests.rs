//! Which webhooks are believed, and what they say.

use http::HeaderMap;
use proptest::prelude::{any, prop_assert, prop_assume, proptest};
use serde_json::json;

use super::*;

fn key() -> ChecksumKey {
    ChecksumKey::new("a checksum key")
}

fn data() -> Value {
    json!({
        "orderCode": 8_190, "amount": 150_000, "description": "K7M2P9Q4TX", "accountNumber": "VQRQ0001", "reference": "FT26325001",
        "transactionDateTime": "2026-11-21 18:25:00", "currency": "VND", "paymentLinkId": "0b1d7e5c3f2a49c8a6e4d2b09f817263",
        "code": "00", "desc": "Thành công", "counterAccountBankId": "970436", "counterAccountBankName": null,
        "counterAccountName": "A & B", "counterAccountNumber": "0123", "virtualAccountName": "", "virtualAccountNumber": null,
    })
}

fn with(changes: Value) -> Value {
    let mut data = data();
    for (name, value) in changes.as_object().unwrap() {
        data[name] = value.clone();
    }
    data
}

fn signed(data: &Value) -> Vec<u8> {
    let signature = key().sign(&signature::data_text(data.as_object().unwrap()));
    json!({ "code": "00", "desc": "success", "success": true, "data": data, "signature": signature })
        .to_string()
        .into_bytes()
}

fn read_body(body: &[u8]) -> Result<Notified, Rejected> {
    read(&key(), &Notification { method: &Method::POST, headers: &HeaderMap::new(), query: "", body })
}

fn movement(notified: &Notified) -> (&str, i64, &str) {
    let [movement] = notified.report.movements.as_slice() else { panic!("{notified:?}") };
    (&movement.reference, movement.amount, movement.currency.as_str())
}

#[test]
fn a_signed_webhook_is_one_movement_of_an_open_payment() {
    let notified = read_body(&signed(&data())).unwrap();
    assert_eq!((notified.about.clone(), notified.report.standing), (About::Serial(8_190), Standing::Open));
    assert_eq!(movement(&notified), ("FT26325001", 150_000, "VND"));
    assert_eq!(notified.report.reference.as_deref(), Some("0b1d7e5c3f2a49c8a6e4d2b09f817263"));
}

#[test]
fn the_documented_sample_is_genuine_and_moves_no_money() {
    let body = r#"{"code":"00","desc":"success","success":true,"data":{"accountNumber":"12345678","amount":3000,
        "description":"VQRIO123","reference":"TF230204212323","transactionDateTime":"2023-02-04 18:25:00",
        "virtualAccountNumber":"","counterAccountBankId":"","counterAccountBankName":"","counterAccountName":"",
        "counterAccountNumber":"","virtualAccountName":"","currency":"VND","orderCode":123,
        "paymentLinkId":"124c33293c43417ab7879e14c8d9eb18","code":"00","desc":"Thành công"},
        "signature":"412e915d2871504ed31be63c8f62a149a4410d34c4c42affc9006ef9917eaa03"}"#;
    let key = ChecksumKey::new("1a54716c8f0efb2744fb28b6e38b25da7f67a925d98bc1c18bd8faaecadd7675");
    let raw = Notification { method: &Method::POST, headers: &HeaderMap::new(), query: "", body: body.as_bytes() };
    let notified = read(&key, &raw).unwrap();
    assert_eq!(
        (notified.about, notified.report.movements),
        (About::Serial(123), vec![]),
        "order code 123 may be a real payment"
    );
    assert_eq!(read_body(body.as_bytes()), Err(Rejected::Signature), "under our own key it is none");
}

#[test]
fn a_real_transfer_of_order_code_123_counts() {
    let notified = read_body(&signed(&with(json!({ "orderCode": 123, "reference": "TF230204212323" })))).unwrap();
    assert_eq!((notified.about.clone(), movement(&notified).1), (About::Serial(123), 150_000));
}

#[test]
fn what_is_outside_data_decides_nothing() {
    let body = String::from_utf8(signed(&data())).unwrap();
    let mut envelope: Value = serde_json::from_str(&body).unwrap();
    (envelope["code"], envelope["success"]) = (json!("99"), json!(false));
    assert_eq!(movement(&read_body(envelope.to_string().as_bytes()).unwrap()).1, 150_000);
}

#[test]
fn a_transfer_that_failed_moves_no_money() {
    let mut envelope: Value = serde_json::from_slice(&signed(&with(json!({ "code": "01", "amount": 0 })))).unwrap();
    envelope["code"] = json!("00");
    assert_eq!(read_body(envelope.to_string().as_bytes()).unwrap().report.movements, []);
}

#[test]
fn another_currency_is_told_and_none_is_vnd() {
    assert_eq!(movement(&read_body(&signed(&with(json!({ "currency": "USD" })))).unwrap()).2, "USD");
    for none in [json!(null), json!("")] {
        assert_eq!(movement(&read_body(&signed(&with(json!({ "currency": none })))).unwrap()).2, "VND");
    }
}

#[test]
fn what_makes_no_sense_is_refused_although_signed() {
    let wrong = [
        json!({ "orderCode": 0 }),
        json!({ "orderCode": "8190" }),
        json!({ "orderCode": 1.5 }),
        json!({ "amount": 0 }),
        json!({ "amount": -150_000 }),
        json!({ "amount": "150000" }),
        json!({ "amount": 150_000.5 }),
        json!({ "amount": null }),
        json!({ "reference": "" }),
        json!({ "reference": "R".repeat(129) }),
        json!({ "currency": "dong" }),
        json!({ "code": null }),
        json!({ "description": "K7&orderCode=1" }),
        json!({ "description": "K7&amount=1" }),
        json!({ "orderCode=1&x": "" }),
    ];
    for changes in wrong {
        let refused = read_body(&signed(&with(changes.clone())));
        assert!(matches!(refused, Err(Rejected::Malformed(_))), "{changes}: {refused:?}");
    }
}

#[test]
fn what_is_not_signed_is_refused() {
    let body = String::from_utf8(signed(&data())).unwrap();
    let envelope: Value = serde_json::from_str(&body).unwrap();
    for (name, value) in
        [("signature", json!(null)), ("signature", json!(1)), ("data", json!(null)), ("data", json!([]))]
    {
        let mut envelope = envelope.clone();
        envelope[name] = value;
        assert_eq!(read_body(envelope.to_string().as_bytes()), Err(Rejected::Signature), "{name}");
    }
    let twice = body.replacen("{", "{\"signature\":\"\",", 1);
    for unreadable in [&b""[..], b"[]", b"{", b"\xff", twice.as_bytes(), &[b' '; LONGEST + 1]] {
        assert!(matches!(read_body(unreadable), Err(Rejected::Malformed(_))));
    }
    let raw = Notification { method: &Method::GET, headers: &HeaderMap::new(), query: "", body: body.as_bytes() };
    assert_eq!(read(&key(), &raw), Err(Rejected::Method));
}

proptest! {
    /// Only `data` and `signature` are protected; the rest is not ours to believe, as the test above shows.
    #[test]
    fn any_flipped_byte_of_what_is_signed_is_refused(at in any::<proptest::sample::Index>(), flip in 1..=255_u8) {
        let whole = String::from_utf8(signed(&data())).unwrap();
        let envelope: Value = serde_json::from_str(&whole).unwrap();
        let (data, signature) = (envelope["data"].to_string(), envelope["signature"].to_string());
        let mut body = format!("{{\"data\":{data},\"signature\":{signature}}}").into_bytes();
        let at = at.index(body.len());
        body[at] ^= flip;
        prop_assume!(serde_json::from_slice::<Value>(&body).ok().as_ref() != Some(&json!({ "data": envelope["data"], "signature": envelope["signature"] })));
        let read = read_body(&body);
        prop_assert!(read.is_err(), "{read:?}");
    }

    #[test]
    fn any_bytes_are_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read_body(&body).is_err());
    }
}

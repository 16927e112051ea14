//! Which callbacks are believed, and what they say.

use domain::ids::PaymentId;
use http::HeaderMap;
use proptest::prelude::{any, prop_assert, proptest};
use serde_json::json;
use uuid::Uuid;

use super::super::settings::ZalopayKeys;
use super::super::vectors::{CALLBACK, KEY1_OF_2553, KEY2_OF_2553};
use super::*;

const REFERENCE: &str = "261011_00000000000000000000000000000007";

fn settings() -> ZalopaySettings {
    ZalopaySettings::new("https://api.test", ZalopayKeys::new(2553, KEY1_OF_2553, KEY2_OF_2553))
}

fn with(changes: Value) -> Value {
    let mut data = json!({
        "app_id": 2553, "app_trans_id": REFERENCE, "app_time": 1_791_653_400_000_i64, "app_user": "boxoffice", "amount": 150_000,
        "embed_data": "{}", "item": "[]", "zp_trans_id": 261_011_000_000_389_i64, "server_time": 1_791_653_430_000_i64,
        "channel": 38, "zp_user_id": "Nguyễn \"A\"", "user_fee_amount": 0, "discount_amount": 0,
    });
    for (name, value) in changes.as_object().unwrap() {
        data[name] = value.clone();
    }
    data
}

/// Without `type`, which nobody signs.
fn body(data: &str, mac: &str) -> String {
    json!({ "data": data, "mac": mac }).to_string()
}

fn signed(data: &str) -> String {
    body(data, &settings().keys.key2.sign(data))
}

fn read_body(body: &[u8]) -> Result<Notified, Rejected> {
    read(&settings(), &Notification { method: &Method::POST, headers: &HeaderMap::new(), query: "", body })
}

fn told(changes: Value) -> Result<Notified, Rejected> {
    read_body(signed(&with(changes).to_string()).as_bytes())
}

#[test]
fn money_is_told_under_zalopays_name_of_it() {
    let movement = Movement { reference: "261011000000389".to_owned(), amount: 150_000, currency: *DONG, fee: 0 };
    let report = Report {
        movements: vec![movement],
        standing: Standing::Paid,
        reference: Some(REFERENCE.to_owned()),
        url: None,
        amount: Some(150_000),
    };
    let about = About::Payment(PaymentId(Uuid::from_u128(7)));
    let expected = Ok(Notified { about, report, ask: false });
    assert_eq!(told(json!({})), expected);
    assert_eq!(told(json!({ "zp_trans_id": "261011000000389" })), expected, "as a text it is the same");
}

#[test]
fn the_documented_callback_is_genuine_but_not_ours() {
    let (data, mac) = CALLBACK;
    let body = json!({ "data": data, "mac": mac, "type": 1 }).to_string();
    let notified = read_body(body.as_bytes()).unwrap();
    assert_eq!(notified.about, About::Foreign("200904_2553_1598435687208".to_owned()));
    assert_eq!(
        (notified.report.movements[0].reference.as_str(), notified.report.amount),
        ("200904000000389", Some(10_000))
    );
    let other_app = ZalopaySettings::new("https://api.test", ZalopayKeys::new(2554, KEY1_OF_2553, KEY2_OF_2553));
    let raw = Notification { method: &Method::POST, headers: &HeaderMap::new(), query: "", body: body.as_bytes() };
    assert!(matches!(read(&other_app, &raw), Err(Rejected::Malformed(_))));
    let other_key = ZalopaySettings::new("https://api.test", ZalopayKeys::new(2553, KEY2_OF_2553, KEY1_OF_2553));
    assert_eq!(read(&other_key, &raw), Err(Rejected::Signature));
}

#[test]
fn another_amount_is_told_as_it_came() {
    let notified = told(json!({ "amount": 1 })).unwrap();
    assert_eq!((notified.report.amount, notified.report.movements[0].amount), (Some(1), 1));
}

#[test]
fn what_is_outside_data_decides_nothing() {
    let whole: Value = serde_json::from_str(&signed(&with(json!({})).to_string())).unwrap();
    for (name, value) in [("type", json!(2)), ("amount", json!(1)), ("return_code", json!(-1))] {
        let mut whole = whole.clone();
        whole[name] = value;
        assert_eq!(read_body(whole.to_string().as_bytes()), told(json!({})), "{name}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_although_signed() {
    for changes in [
        json!({ "app_id": 2554 }),
        json!({ "app_id": "2553" }),
        json!({ "app_id": null }),
        json!({ "app_trans_id": "" }),
        json!({ "app_trans_id": 7 }),
        json!({ "amount": 0 }),
        json!({ "amount": -150_000 }),
        json!({ "amount": "150000" }),
        json!({ "amount": 150_000.5 }),
        json!({ "zp_trans_id": 0 }),
        json!({ "zp_trans_id": "" }),
        json!({ "zp_trans_id": 1.5 }),
        json!({ "zp_trans_id": null }),
        json!({ "zp_trans_id": "a b" }),
        json!({ "zp_trans_id": "1".repeat(65) }),
    ] {
        let refused = told(changes.clone());
        assert!(matches!(refused, Err(Rejected::Malformed(_))), "{changes}: {refused:?}");
    }
    let data = with(json!({})).to_string();
    for unreadable in ["", "[]", "null", "{", &data.replacen('{', "{\"amount\":1,", 1)] {
        assert!(matches!(read_body(signed(unreadable).as_bytes()), Err(Rejected::Malformed(_))), "{unreadable}");
    }
}

#[test]
fn what_is_not_signed_is_refused() {
    let data = with(json!({})).to_string();
    let mac = settings().keys.key2.sign(&data);
    assert!(read_body(body(&data, &mac.to_uppercase()).as_bytes()).is_ok());
    for wrong in [
        body(&data, ""),
        body(&data, &settings().keys.key1.sign(&data)),
        body(&format!("{data} "), &mac),
        json!({ "data": with(json!({})), "mac": mac }).to_string(),
        json!({ "data": data, "mac": null }).to_string(),
        json!({ "data": data }).to_string(),
        json!({ "mac": mac }).to_string(),
        "{}".to_owned(),
    ] {
        assert_eq!(read_body(wrong.as_bytes()), Err(Rejected::Signature), "{wrong}");
    }
    let right = body(&data, &mac);
    let twice = right.replacen('{', "{\"data\":\"{}\",", 1);
    for unreadable in [&b""[..], b"[]", b"{", b"\xff", twice.as_bytes(), &[b' '; LONGEST + 1]] {
        assert!(matches!(read_body(unreadable), Err(Rejected::Malformed(_))));
    }
    let raw = Notification { method: &Method::GET, headers: &HeaderMap::new(), query: "", body: right.as_bytes() };
    assert_eq!(read(&settings(), &raw), Err(Rejected::Method));
}

#[test]
fn money_under_names_that_we_never_gave_is_told_as_such() {
    for name in ["42", "261311_00000000000000000000000000000007", "261011_7"] {
        let notified = told(json!({ "app_trans_id": name })).unwrap();
        assert_eq!((notified.about, notified.report.movements.len()), (About::Foreign(name.to_owned()), 1));
    }
}

/// Every byte, flipped in every way. Some flips only write the same in another way: then the same must be read.
#[test]
fn any_flipped_byte_is_refused_or_means_the_same() {
    let body = signed(&with(json!({})).to_string());
    let members = |body: &[u8]| serde_json::from_slice::<Map<String, Value>>(body).ok();
    let right = read_body(body.as_bytes()).unwrap();
    let genuine = members(body.as_bytes()).unwrap();
    let mut same = 0;
    for (at, flip) in (0..body.len()).flat_map(|at| (1..=255_u8).map(move |flip| (at, flip))) {
        let mut flipped = body.clone().into_bytes();
        flipped[at] ^= flip;
        let Ok(read) = read_body(&flipped) else { continue };
        let told = members(&flipped).unwrap();
        assert_eq!((&read, &told["data"]), (&right, &genuine["data"]), "{}", String::from_utf8_lossy(&flipped));
        same += 1;
    }
    let letters = genuine["mac"].as_str().unwrap().bytes().filter(u8::is_ascii_alphabetic).count();
    assert_eq!(same, letters, "only the case of the signature's letters does not matter");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..200), data in ".{0,60}") {
        prop_assert!(read_body(&body).is_err());
        prop_assert!(read_body(signed(&data).as_bytes()).is_err());
    }
}

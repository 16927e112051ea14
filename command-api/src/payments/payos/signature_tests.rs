//! The vectors that PayOS published, those its SDKs emitted, and what must not verify.

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use serde_json::json;

use super::*;

/// The key of the documentation's example.
const DOCUMENTED: &str = "1a54716c8f0efb2744fb28b6e38b25da7f67a925d98bc1c18bd8faaecadd7675";
const DECISIVE: [&str; 2] = ["amount", "orderCode"];

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

fn documented_webhook(empty: &Value) -> Map<String, Value> {
    object(json!({
        "orderCode": 123, "amount": 3000, "description": "VQRIO123", "accountNumber": "12345678",
        "reference": "TF230204212323", "transactionDateTime": "2023-02-04 18:25:00", "currency": "VND",
        "paymentLinkId": "124c33293c43417ab7879e14c8d9eb18", "code": "00", "desc": "Thành công",
        "counterAccountBankId": empty, "counterAccountBankName": empty, "counterAccountName": empty,
        "counterAccountNumber": empty, "virtualAccountName": empty, "virtualAccountNumber": empty,
    }))
}

#[test]
fn the_documented_webhook_verifies_with_empty_texts_and_with_nulls() {
    let text = "accountNumber=12345678&amount=3000&code=00&counterAccountBankId=&counterAccountBankName=&counterAccountName=\
        &counterAccountNumber=&currency=VND&desc=Thành công&description=VQRIO123&orderCode=123\
        &paymentLinkId=124c33293c43417ab7879e14c8d9eb18&reference=TF230204212323\
        &transactionDateTime=2023-02-04 18:25:00&virtualAccountName=&virtualAccountNumber=";
    let signature = "412e915d2871504ed31be63c8f62a149a4410d34c4c42affc9006ef9917eaa03";
    for empty in [json!(""), json!(null), json!("null"), json!("undefined")] {
        let data = documented_webhook(&empty);
        assert_eq!(data_text(&data), text);
        assert_eq!(ChecksumKey::new(DOCUMENTED).sign(&data_text(&data)), signature);
        assert!(ChecksumKey::new(DOCUMENTED).verify(&data_text(&data), signature));
        assert!(is_unambiguous(&data, &DECISIVE));
    }
}

#[test]
fn what_is_not_that_signature_is_refused() {
    let key = ChecksumKey::new(DOCUMENTED);
    let text = data_text(&documented_webhook(&json!("")));
    let right = key.sign(&text);
    let wrong = [
        // The one of the documentation's schema page, which belongs to another key.
        format!("8d8640d8{}", &right[8..]),
        right.to_uppercase(),
        right[..62].to_owned(),
        right[..63].to_owned(),
        format!("{right}00"),
        format!(" {right}"),
        String::new(),
        "é".repeat(32),
    ];
    for wrong in wrong {
        assert!(!key.verify(&text, &wrong), "{wrong}");
    }
    assert!(!ChecksumKey::new("another").verify(&text, &right));
    assert!(!key.verify(&text.replace("3000", "3001"), &right));
}

#[test]
fn a_public_create_request_has_its_signature() {
    let (cancel, back) =
        ("http://localhost:3000/billing?status=cancelled", "http://localhost:3000/billing?status=success");
    let text = create_text(50_000, cancel, "BEEBUDDY VIP 123456789", 123_456_789, back);
    let signature = "ba045d2380dfb3c7c43d63aaa28555fc6279d700786699baf7bb600735335b37";
    assert_eq!(ChecksumKey::new("test-checksum-key").sign(&text), signature);
}

#[test]
fn the_sdks_create_request_has_its_signature() {
    let text = create_text(2000, "https://shop.test/c", "Vé số 1", 123, "https://shop.test/r?x=1");
    let signature = "3967f02f497e4d28066554e10893f85e093beefb8bc4dc44cc8f61411d94942b";
    assert_eq!(ChecksumKey::new(DOCUMENTED).sign(&text), signature);
}

#[test]
fn a_list_is_signed_as_json_with_sorted_keys() {
    let data = object(json!({
        "id": "abc", "orderCode": 123, "amount": 10000, "amountPaid": 0, "amountRemaining": 10000, "status": "PENDING",
        "createdAt": "2024-01-15T10:30:00.000Z", "cancellationReason": null, "canceledAt": null,
        "transactions": [
            { "virtualAccountName": null, "reference": "R1", "amount": 5000, "accountNumber": "9", "description": "d" },
        ],
    }));
    let signature = "326751ed35205b7cde74ddb9a31f5ef30bd91f3c9916132eaf1c4d5d8851a970";
    assert_eq!(ChecksumKey::new(DOCUMENTED).sign(&data_text(&data)), signature, "{}", data_text(&data));
}

#[test]
fn a_memo_that_looks_like_a_field_makes_the_text_ambiguous() {
    let genuine = object(json!({ "description": "x&orderCode=7", "orderCode": 123 }));
    let forged = object(json!({ "description": "x", "orderCode": 7, "orderCode=123&z": "" }));
    assert!(data_text(&forged).starts_with(&data_text(&genuine)[..32]));
    assert!(!is_unambiguous(&genuine, &DECISIVE));
    assert!(!is_unambiguous(&forged, &DECISIVE));
    let harmless = object(json!({ "counterAccountName": "A & B = C", "orderCode": 1 }));
    assert!(is_unambiguous(&harmless, &DECISIVE));
}

#[test]
fn the_key_is_not_shown() {
    assert_eq!(format!("{:?}", ChecksumKey::new("hunter2")), "ChecksumKey(…)");
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_any_other_text_does_not(
        text in ".{0,80}", other in ".{0,80}", key in "[ -~]{1,64}", at in any::<proptest::sample::Index>(),
    ) {
        let key = ChecksumKey::new(&key);
        let signature = key.sign(&text);
        prop_assert!(key.verify(&text, &signature));
        prop_assert_eq!(key.verify(&other, &signature), other == text);
        let mut flipped = signature.clone().into_bytes();
        let at = at.index(flipped.len());
        flipped[at] ^= 1;
        prop_assert!(!key.verify(&text, std::str::from_utf8(&flipped).unwrap()));
    }

    /// Two objects with one text would let a signed message be read in another way.
    #[test]
    fn two_unambiguous_objects_with_one_text_say_the_same(
        a in fields().prop_map(object), b in fields().prop_map(object),
    ) {
        if data_text(&a) == data_text(&b) && is_unambiguous(&a, &DECISIVE) && is_unambiguous(&b, &DECISIVE) {
            for key in DECISIVE {
                prop_assert_eq!(a.get(key).map(plain), b.get(key).map(plain));
            }
        }
    }
}

/// Few letters, so that texts collide often.
fn fields() -> impl Strategy<Value = Value> {
    let text = "(x|&|=|amount=1|&orderCode=2|&amount=1){0,3}";
    (1..3_i64, 1..3_i64, text, text)
        .prop_map(|(amount, order, a, b)| json!({ "amount": amount, "orderCode": order, "a": a, "p": b }))
}

//! What is sent is what the vectors sign, and which answers are believed.

use super::super::settings::VnpayKeys;
use super::super::vectors::{QUERY, QUERY_ANSWER, REFUND, REFUND_ANSWER, TEST_SECRET};
use super::*;

fn secret() -> HashSecret {
    HashSecret::new(TEST_SECRET)
}

/// The vectors' values under the names that we send, in our order.
fn filled(fields: Vec<(&'static str, String)>, text: &str) -> Vec<(&'static str, String)> {
    let values: Vec<&str> = text.split('|').collect();
    assert_eq!(fields.len(), values.len(), "{text}");
    fields.into_iter().zip(values).map(|((name, _), value)| (name, value.to_owned())).collect()
}

fn settings() -> VnpaySettings {
    VnpaySettings::new("https://api.test", "https://pay.test", VnpayKeys::new("TEST_TMN_CODE", TEST_SECRET))
}

fn reference() -> TxnRef {
    TxnRef::read("20261011003000-00000000000000000000000000000007").unwrap()
}

/// 2026-10-10 17:30:00 UTC.
const NOW: Timestamp = Timestamp(1_791_653_400_000_000);

#[test]
fn a_question_is_signed_as_the_public_library_signs_it() {
    let fields = query_fields(&settings(), "r".to_owned(), &reference(), NOW);
    assert_eq!(fields[5].1, "20261011003000", "the date of the payment");
    assert_eq!(fields[6].1, "20261011003000", "and that of the question");
    assert_eq!(request(&secret(), filled(fields, QUERY.0))["vnp_SecureHash"], QUERY.1);
}

#[test]
fn a_refund_is_signed_as_the_public_library_signs_it() {
    let back = GiveBack { request: "r".to_owned(), kind: "02", amount: "100".to_owned(), transaction: "1" };
    let body = request(&secret(), filled(refund_fields(&settings(), back, &reference(), NOW), REFUND.0));
    assert_eq!(body["vnp_SecureHash"], REFUND.1);
    for (name, value) in [
        ("vnp_RequestId", "REFUND123456"),
        ("vnp_Command", "refund"),
        ("vnp_TransactionType", "02"),
        ("vnp_Amount", "1000000"),
        ("vnp_TransactionNo", "14422574"),
        ("vnp_CreateBy", "merchant_user"),
        ("vnp_OrderInfo", "Test refund order"),
    ] {
        assert_eq!(body[name], value, "{name}");
    }
}

fn told(signed: &[&str], text: &str, hash: &str) -> Map<String, Value> {
    let values = signed.iter().zip(text.split('|')).map(|(name, value)| ((*name).to_owned(), Value::from(value)));
    values.chain([("vnp_SecureHash".to_owned(), Value::from(hash))]).collect()
}

#[test]
fn the_answers_of_the_vectors_are_signed() {
    for (signed, (text, hash)) in [(&SIGNED[..], QUERY_ANSWER), (&SIGNED[..SIGNED_OF_REFUND], REFUND_ANSWER)] {
        let answer = told(signed, text, hash);
        assert!(is_signed(&secret(), &answer, signed));
        assert!(!is_signed(&HashSecret::new("another"), &answer, signed));
        for name in signed {
            let mut other = answer.clone();
            other[*name] = Value::from("9");
            assert!(!is_signed(&secret(), &other, signed), "{name}");
        }
    }
}

#[test]
fn numbers_and_absent_fields_are_signed_as_texts() {
    let mut answer = told(&SIGNED, QUERY_ANSWER.0, QUERY_ANSWER.1);
    answer[AMOUNT] = Value::from(1_000_000);
    answer["vnp_PromotionCode"] = Value::Null;
    answer.remove("vnp_PromotionAmount");
    assert!(is_signed(&secret(), &answer, &SIGNED));
}

#[test]
fn a_refunds_amount_may_be_signed_in_dong() {
    let signed = &SIGNED[..SIGNED_OF_REFUND];
    let in_dong = REFUND_ANSWER.0.replace("|1000000|", "|10000|");
    let mut answer = told(signed, REFUND_ANSWER.0, &secret().sign(&in_dong));
    assert!(is_signed(&secret(), &answer, signed));
    answer[AMOUNT] = Value::from("2000000");
    assert!(!is_signed(&secret(), &answer, signed));
    let of_query = told(&SIGNED, QUERY_ANSWER.0, &secret().sign(&QUERY_ANSWER.0.replace("|1000000|", "|10000|")));
    assert!(!is_signed(&secret(), &of_query, &SIGNED), "that of a question may not");
}

/// Every byte of every signed value and of the hash, flipped.
#[test]
fn any_flipped_byte_of_an_answer_is_refused() {
    let answer = told(&SIGNED, QUERY_ANSWER.0, QUERY_ANSWER.1);
    for (name, value) in &answer {
        let text = value.as_str().unwrap();
        for (at, flip) in (0..text.len()).flat_map(|at| (1..128_u8).map(move |flip| (at, flip))) {
            let mut bytes = text.to_owned().into_bytes();
            bytes[at] ^= flip;
            let flipped = String::from_utf8(bytes).unwrap();
            let same = name == "vnp_SecureHash" && flipped.eq_ignore_ascii_case(text);
            let mut other = answer.clone();
            other[name] = Value::from(flipped);
            assert_eq!(is_signed(&secret(), &other, &SIGNED), same, "{name} {other:?}");
        }
    }
}

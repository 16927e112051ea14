//! The vectors of PAYMENTS.md section 3, and nothing computed by this crate itself.

use provider_sandbox::payos::{qr, signing};
use provider_sandbox::signature;
use serde_json::{Map, Value, json};

const DOCUMENTATION_KEY: &str = "1a54716c8f0efb2744fb28b6e38b25da7f67a925d98bc1c18bd8faaecadd7675";
const WEBHOOK_TEXT: &str = "accountNumber=12345678&amount=3000&code=00&counterAccountBankId=&counterAccountBankName=&counterAccountName=&counterAccountNumber=&currency=VND&desc=Thành công&description=VQRIO123&orderCode=123&paymentLinkId=124c33293c43417ab7879e14c8d9eb18&reference=TF230204212323&transactionDateTime=2023-02-04 18:25:00&virtualAccountName=&virtualAccountNumber=";
const WEBHOOK_SIGNATURE: &str = "412e915d2871504ed31be63c8f62a149a4410d34c4c42affc9006ef9917eaa03";

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// In an order that is not the signed one.
fn webhook_data(empty: Value) -> Map<String, Value> {
    fields(json!({
        "orderCode": 123, "amount": 3000, "description": "VQRIO123", "accountNumber": "12345678",
        "reference": "TF230204212323", "transactionDateTime": "2023-02-04 18:25:00", "currency": "VND",
        "paymentLinkId": "124c33293c43417ab7879e14c8d9eb18", "code": "00", "desc": "Thành công",
        "counterAccountBankId": empty, "counterAccountBankName": empty, "counterAccountName": empty,
        "counterAccountNumber": empty, "virtualAccountName": empty, "virtualAccountNumber": empty,
    }))
}

#[test]
fn webhook_of_the_documentation() {
    for empty in [json!(""), Value::Null, json!("null"), json!("undefined")] {
        let text = signing::data_text(&webhook_data(empty));
        assert_eq!(text, WEBHOOK_TEXT);
        assert_eq!(signature::sign(DOCUMENTATION_KEY, &text), WEBHOOK_SIGNATURE);
        assert!(signature::verify(DOCUMENTATION_KEY, &text, WEBHOOK_SIGNATURE));
    }
}

#[test]
fn what_is_not_the_signature_is_refused() {
    let schema_page = format!("8d8640d8{}", &WEBHOOK_SIGNATURE[8..]);
    let upper = WEBHOOK_SIGNATURE.to_uppercase();
    for wrong in [schema_page.as_str(), "8d8640d8", upper.as_str(), &WEBHOOK_SIGNATURE[..62], "", "zz", "0"] {
        assert!(!signature::verify(DOCUMENTATION_KEY, WEBHOOK_TEXT, wrong), "{wrong}");
    }
    assert!(!signature::verify("another key", WEBHOOK_TEXT, WEBHOOK_SIGNATURE));
}

#[test]
fn create_of_a_public_test() {
    let text = signing::create_text(
        50_000,
        "http://localhost:3000/billing?status=cancelled",
        "BEEBUDDY VIP 123456789",
        123_456_789,
        "http://localhost:3000/billing?status=success",
    );
    let signature = signature::sign("test-checksum-key", &text);
    assert_eq!(signature, "ba045d2380dfb3c7c43d63aaa28555fc6279d700786699baf7bb600735335b37");
}

#[test]
fn create_of_the_node_sdk() {
    let text = signing::create_text(2_000, "https://shop.test/c", "Vé số 1", 123, "https://shop.test/r?x=1");
    let signature = signature::sign(DOCUMENTATION_KEY, &text);
    assert_eq!(signature, "3967f02f497e4d28066554e10893f85e093beefb8bc4dc44cc8f61411d94942b");
}

#[test]
fn nested_array_of_the_node_sdk() {
    let data = fields(json!({
        "id": "abc", "orderCode": 123, "amount": 10_000, "amountPaid": 0, "amountRemaining": 10_000,
        "status": "PENDING", "createdAt": "2024-01-15T10:30:00.000Z", "canceledAt": null, "cancellationReason": null,
        "transactions": [{
            "virtualAccountName": null, "reference": "R1", "description": "d", "amount": 5_000, "accountNumber": "9",
        }],
    }));
    let text = signing::data_text(&data);
    assert_eq!(
        text,
        r#"amount=10000&amountPaid=0&amountRemaining=10000&canceledAt=&cancellationReason=&createdAt=2024-01-15T10:30:00.000Z&id=abc&orderCode=123&status=PENDING&transactions=[{"accountNumber":"9","amount":5000,"description":"d","reference":"R1","virtualAccountName":null}]"#
    );
    let signature = signature::sign(DOCUMENTATION_KEY, &text);
    assert_eq!(signature, "326751ed35205b7cde74ddb9a31f5ef30bd91f3c9916132eaf1c4d5d8851a970");
}

#[test]
fn crc_check_value() {
    assert_eq!(qr::crc16(b"123456789"), 0x29B1);
}

#[test]
fn qr_text_is_emv() {
    let text = qr::text(200_000, "Vé số Đ");
    let (open, crc) = text.split_at(text.len() - 4);
    assert_eq!(format!("{:04X}", qr::crc16(open.as_bytes())), crc);
    let top = tags(&text);
    let names: Vec<_> = top.iter().map(|(tag, _)| tag.as_str()).collect();
    assert_eq!(names, ["00", "01", "38", "53", "54", "58", "62", "63"]);
    assert_eq!(top[4].1, "200000");
    assert_eq!(tags(&top[6].1), [("08".to_owned(), "Ve so D".to_owned())]);
    assert_eq!(tags(&top[2].1)[0].1, "A000000727");
}

fn tags(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while !text.is_empty() {
        let length: usize = text[2..4].parse().unwrap();
        found.push((text[..2].to_owned(), text[4..4 + length].to_owned()));
        text = &text[4 + length..];
    }
    found
}

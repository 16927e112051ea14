//! Published signatures, and what is not one.

use proptest::prelude::{any, prop_assert, prop_assume, proptest};

use super::*;

/// async-stripe, webhook test.
const INVOICE_ITEM: &str = r#"{"account":"acct_123","api_version":"2017-05-25","created":1533204620,"data":{"object":{"amount":1000,"currency":"usd","customer":"cus_123","date":1533204620,"description":"Test Invoice Item","discountable":false,"id":"ii_123","invoice":"in_123","livemode":false,"metadata":{},"object":"invoiceitem","period":{"end":1533204620,"start":1533204620},"proration":false,"quantity":3}},"id":"evt_123","livemode":false,"object":"event","pending_webhooks":1,"request":{"id":"req_123","idempotency_key":"idempotency-key-123"},"type":"invoiceitem.created"}"#;
const INVOICE_ITEM_SIGNATURE: &str = "5a81ebe328da1df19581cbc6c7377920947ffd30b56eebcc7ba9a6938a090965";
/// What stripe-node signs.
const TEST_WEBHOOK: &str = r#"{"id":"evt_test_webhook","object":"event"}"#;
const TEST_WEBHOOK_SIGNATURE: &str = "88a022085c6bdb887b02cb26ff76dd681234d9675c0f22844059f55552a8883a";
const TIME: &str = "1492774577";

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000)
}

fn secrets() -> WebhookSecrets {
    WebhookSecrets::new(&["whsec_test_secret"])
}

fn header() -> String {
    format!("t={TIME},v1={TEST_WEBHOOK_SIGNATURE}")
}

fn verifies(header: &str) -> bool {
    secrets().verify(header, TEST_WEBHOOK.as_bytes(), at(1492774577))
}

#[test]
fn the_published_signature_of_async_stripe_verifies() {
    let header = format!("t=1533204620,v1={INVOICE_ITEM_SIGNATURE}");
    assert!(WebhookSecrets::new(&["secret"]).verify(&header, INVOICE_ITEM.as_bytes(), at(1533204620)));
}

#[test]
fn what_stripe_node_signs_verifies() {
    assert!(verifies(&header()));
    assert_eq!(secrets().sign(TIME, TEST_WEBHOOK.as_bytes()), TEST_WEBHOOK_SIGNATURE);
}

#[test]
fn any_secret_may_have_signed_and_any_v1_counts() {
    let both = WebhookSecrets::new(&["whsec_new", "whsec_test_secret"]);
    let now = at(TIME.parse().unwrap());
    let wrong = "0".repeat(64);
    for header in [
        header(),
        format!("t={TIME},v1={wrong},v1={TEST_WEBHOOK_SIGNATURE}"),
        format!("t={TIME},v1=not hex,v0={wrong},v1={TEST_WEBHOOK_SIGNATURE}"),
        format!("v1={TEST_WEBHOOK_SIGNATURE}, t={TIME}"),
        format!("t={TIME},v1={}", TEST_WEBHOOK_SIGNATURE.to_uppercase()),
    ] {
        assert!(both.verify(&header, TEST_WEBHOOK.as_bytes(), now), "{header}");
    }
    assert!(!WebhookSecrets::new(&["whsec_new"]).verify(&header(), TEST_WEBHOOK.as_bytes(), now));
    assert!(!WebhookSecrets::new(&[""; 0]).verify(&header(), TEST_WEBHOOK.as_bytes(), now));
}

#[test]
fn other_headers_are_refused() {
    let tag = TEST_WEBHOOK_SIGNATURE;
    for header in [
        String::new(),
        format!("v1={tag}"),
        format!("t={TIME}"),
        format!("t={TIME},v0={tag}"),
        format!("t={TIME},v1={}", &tag[..62]),
        format!("t={TIME},v1={tag}00"),
        format!("t={TIME},t={TIME},v1={tag}"),
        format!("t=+{TIME},v1={tag}"),
        format!("t= {TIME},v1={tag}"),
        format!("t={TIME}v1={tag}"),
        format!("t={TIME}{},v1={tag}", ",v1=".repeat(8)),
    ] {
        assert!(!verifies(&header), "{header}");
    }
}

#[test]
fn the_time_is_signed_and_may_be_five_minutes_off_either_way() {
    let signed: i64 = TIME.parse().unwrap();
    for (off, right) in [(-301, false), (-300, true), (0, true), (300, true), (301, false)] {
        assert_eq!(secrets().verify(&header(), TEST_WEBHOOK.as_bytes(), at(signed + off)), right, "{off}");
    }
    let later = header().replace(TIME, &(signed + 1).to_string());
    assert!(!verifies(&later));
    for odd in ["+5", "", "-1", "99999999999999999999"] {
        let header = format!("t={odd},v1={}", secrets().sign(odd, b"{}"));
        assert!(!secrets().verify(&header, b"{}", at(5)), "{odd}");
    }
}

#[test]
fn secrets_are_not_shown() {
    assert_eq!(format!("{:?}", secrets()), "WebhookSecrets(…)");
}

#[test]
fn every_flipped_bit_of_a_body_is_refused() {
    let now = at(TIME.parse().unwrap());
    for at in 0..TEST_WEBHOOK.len() * 8 {
        let mut body = TEST_WEBHOOK.as_bytes().to_vec();
        body[at / 8] ^= 1 << (at % 8);
        assert!(!secrets().verify(&header(), &body, now), "bit {at}");
    }
}

proptest! {
    /// Upper-case digits mean the same; spaces around a pair do, too.
    #[test]
    fn any_flipped_byte_of_the_header_is_refused(at in any::<proptest::sample::Index>(), flip in 1..=255_u8) {
        let mut header = header().into_bytes();
        let at = at.index(header.len());
        header[at] ^= flip;
        prop_assume!(!String::from_utf8_lossy(&header).eq_ignore_ascii_case(&self::header()));
        if let Ok(header) = std::str::from_utf8(&header) {
            prop_assert!(!verifies(header), "{header}");
        }
    }
}

//! The published notification, and what is not signed.

use http::{HeaderName, HeaderValue};

use super::*;
use crate::payments::hex;
use crate::payments::paypal::trust::SignerKey;

/// A notification of PayPal's real sandbox: PayPal-Python-SDK, notifications_test.py.
pub const BODY: &str = r#"{"id":"WH-0G2756385H040842W-5Y612302CV158622M","create_time":"2015-05-18T15:45:13Z","resource_type":"sale","event_type":"PAYMENT.SALE.COMPLETED","summary":"Payment completed for $ 20.0 USD","resource":{"id":"4EU7004268015634R","create_time":"2015-05-18T15:44:02Z","update_time":"2015-05-18T15:44:21Z","amount":{"total":"20.00","currency":"USD"},"payment_mode":"INSTANT_TRANSFER","state":"completed","protection_eligibility":"ELIGIBLE","protection_eligibility_type":"ITEM_NOT_RECEIVED_ELIGIBLE,UNAUTHORIZED_PAYMENT_ELIGIBLE","parent_payment":"PAY-86C81811X5228590KKVNARQQ","transaction_fee":{"value":"0.88","currency":"USD"},"links":[{"href":"https://api.sandbox.paypal.com/v1/payments/sale/4EU7004268015634R","rel":"self","method":"GET"},{"href":"https://api.sandbox.paypal.com/v1/payments/sale/4EU7004268015634R/refund","rel":"refund","method":"POST"},{"href":"https://api.sandbox.paypal.com/v1/payments/payment/PAY-86C81811X5228590KKVNARQQ","rel":"parent_payment","method":"GET"}]},"links":[{"href":"https://api.sandbox.paypal.com/v1/notifications/webhooks-events/WH-0G2756385H040842W-5Y612302CV158622M","rel":"self","method":"GET"},{"href":"https://api.sandbox.paypal.com/v1/notifications/webhooks-events/WH-0G2756385H040842W-5Y612302CV158622M/resend","rel":"resend","method":"POST"}]}"#;
const BODY_SHA256: &str = "e03d21c766537533f5a87183bf5f671bd42c54649127efdde25ecbd42e0ff9f7";
const TEXT: &str = "dfb3be50-fd74-11e4-8bf3-77339302725b|2015-05-18T15:45:13Z|4JH86294D6297924G|2771810304";
const SIGNATURE: &str = "thy4/U002quzxFavHPwbfJGcc46E8rc5jzgyeafWm5mICTBdY/8rl7WJpn8JA0GKA+oDTPsSruqusw+XXg5RLAP7ip53Euh9Xu3UbUhQFX7UgwzE2FeYoY6lyRMiiiQLzy9BvHfIzNIVhPad4KnC339dr6y2l+mN8ALgI4GCdIh3/SoJO5wE64Bh/ueWtt8EVuvsvXfda2Le5a2TrOI9vLEzsm9GS79hAR/5oLexNz8UiZr045Mr5ObroH4w4oNfmkTaDk9Rj0G19uvISs5QzgmBpauKr7Nw++JI0pr/v5mFctQkoWJSGfBGzPRXawrvIIVHQ9Wer48GR2g9ZiApWg==";
/// Its certificate's modulus: PayPal-node-SDK, mocks/notification.js. The certificate itself expired in 2017.
const MODULUS: &str = "c85e0c098f513ebcf38b340edede716c46942aec6d4215ca0235e4601481917dde22b6dda30513df1d77f579e5ce0d0e95c1330feab558ac8dc7050bb949945928ede000b3e20564dccf9161568bd80f3fddfc3b5ab00e4bee5d7199133e1863c47bf0f71133decb29ba19302e2334758eed41b9242556722b7082c31eb159a34472a851f578d2f7a187e0cfe642bfe587eb9ae14bad15a3088b01bda5b0045c909d8ff30288a6cdd853102a546e5227d1f8f6e7810c8d35c04cc4ffee7d27cb3d1938666cc4ea3fac783277807063754cf8a619df706656f0c2b0980ed0a8a850dcc4c560bc3f37b8fac88a71704c8397c3add04aff3ff8036e6b005c3490eb";
const EXPONENT: &str = "010001";

fn headers() -> HeaderMap {
    let parts: Vec<&str> = TEXT.split('|').collect();
    let pairs = [
        ("paypal-transmission-id", parts[0]),
        ("paypal-transmission-time", parts[1]),
        ("paypal-transmission-sig", SIGNATURE),
        ("paypal-auth-algo", ALGORITHM),
        ("paypal-cert-url", "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"),
    ];
    pairs
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .into_iter()
        .collect()
}

/// `RSAPublicKey` of RFC 8017 around modulus and exponent.
fn key() -> SignerKey {
    let der = format!("3082010a0282010100{MODULUS}0203{EXPONENT}");
    SignerKey::of(&hex::from_lower(&der).unwrap())
}

fn verifies(headers: &HeaderMap, webhook_id: &str, body: &[u8]) -> bool {
    Transmission::read(headers).is_some_and(|it| key().verifies(it.text(webhook_id, body).as_bytes(), &it.signature))
}

const WEBHOOK: &str = "4JH86294D6297924G";

#[test]
fn the_published_notification_verifies() {
    let digest = ring::digest::digest(&ring::digest::SHA256, BODY.as_bytes());
    assert_eq!((BODY.len(), hex::lower(digest.as_ref())), (1288, BODY_SHA256.to_owned()));
    assert_eq!(crc32fast::hash(BODY.as_bytes()), 2771810304);
    assert_eq!(Transmission::read(&headers()).unwrap().text(WEBHOOK, BODY.as_bytes()), TEXT);
    assert!(verifies(&headers(), WEBHOOK, BODY.as_bytes()));
    assert!(!verifies(&headers(), "4JH86294D6297925G", BODY.as_bytes()), "it is for another webhook");
}

/// A checksum of 32 bits finds every change of one bit, not every change.
#[test]
fn every_flipped_bit_of_the_body_is_refused() {
    for at in 0..BODY.len() * 8 {
        let mut body = BODY.as_bytes().to_vec();
        body[at / 8] ^= 1 << (at % 8);
        assert!(!verifies(&headers(), WEBHOOK, &body), "bit {at}");
    }
}

#[test]
fn every_flipped_bit_of_a_signed_header_is_refused() {
    for name in ["paypal-transmission-id", "paypal-transmission-time", "paypal-transmission-sig", "paypal-auth-algo"] {
        let value = headers()[name].as_bytes().to_vec();
        for at in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            let Ok(flipped) = HeaderValue::from_bytes(&flipped) else { continue };
            let mut headers = headers();
            headers.insert(name, flipped);
            assert!(!verifies(&headers, WEBHOOK, BODY.as_bytes()), "{name}, bit {at}");
        }
    }
}

#[test]
fn each_header_has_to_be_there_once() {
    for name in headers().keys() {
        let mut without = headers();
        without.remove(name);
        assert!(Transmission::read(&without).is_none(), "{name}");
        let mut twice = headers();
        twice.append(name, headers()[name].clone());
        assert!(Transmission::read(&twice).is_none(), "{name}");
    }
}

#[test]
fn a_signature_lasts_a_week() {
    let sent = Timestamp("2015-05-18T15:45:13Z".parse::<jiff::Timestamp>().unwrap().as_microsecond());
    for (off_s, right) in [(-301, false), (-300, true), (0, true), (OLDEST_S, true), (OLDEST_S + 1, false)] {
        assert_eq!(is_recent("2015-05-18T15:45:13Z", sent.plus_s(off_s)), right, "{off_s}");
    }
    for odd in ["", "1431963913", "2015-05-18", "soon"] {
        assert!(!is_recent(odd, sent), "{odd}");
    }
}

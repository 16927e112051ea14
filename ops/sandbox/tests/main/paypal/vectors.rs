//! A real notification of PayPal's sandbox, signed by its certificate of that time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use provider_sandbox::paypal::signing::{Transmission, text};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

const BODY: &str = r#"{"id":"WH-0G2756385H040842W-5Y612302CV158622M","create_time":"2015-05-18T15:45:13Z","resource_type":"sale","event_type":"PAYMENT.SALE.COMPLETED","summary":"Payment completed for $ 20.0 USD","resource":{"id":"4EU7004268015634R","create_time":"2015-05-18T15:44:02Z","update_time":"2015-05-18T15:44:21Z","amount":{"total":"20.00","currency":"USD"},"payment_mode":"INSTANT_TRANSFER","state":"completed","protection_eligibility":"ELIGIBLE","protection_eligibility_type":"ITEM_NOT_RECEIVED_ELIGIBLE,UNAUTHORIZED_PAYMENT_ELIGIBLE","parent_payment":"PAY-86C81811X5228590KKVNARQQ","transaction_fee":{"value":"0.88","currency":"USD"},"links":[{"href":"https://api.sandbox.paypal.com/v1/payments/sale/4EU7004268015634R","rel":"self","method":"GET"},{"href":"https://api.sandbox.paypal.com/v1/payments/sale/4EU7004268015634R/refund","rel":"refund","method":"POST"},{"href":"https://api.sandbox.paypal.com/v1/payments/payment/PAY-86C81811X5228590KKVNARQQ","rel":"parent_payment","method":"GET"}]},"links":[{"href":"https://api.sandbox.paypal.com/v1/notifications/webhooks-events/WH-0G2756385H040842W-5Y612302CV158622M","rel":"self","method":"GET"},{"href":"https://api.sandbox.paypal.com/v1/notifications/webhooks-events/WH-0G2756385H040842W-5Y612302CV158622M/resend","rel":"resend","method":"POST"}]}"#;
const SIGNATURE: &str = "thy4/U002quzxFavHPwbfJGcc46E8rc5jzgyeafWm5mICTBdY/8rl7WJpn8JA0GKA+oDTPsSruqusw+XXg5RLAP7ip53Euh9Xu3UbUhQFX7UgwzE2FeYoY6lyRMiiiQLzy9BvHfIzNIVhPad4KnC339dr6y2l+mN8ALgI4GCdIh3/SoJO5wE64Bh/ueWtt8EVuvsvXfda2Le5a2TrOI9vLEzsm9GS79hAR/5oLexNz8UiZr045Mr5ObroH4w4oNfmkTaDk9Rj0G19uvISs5QzgmBpauKr7Nw++JI0pr/v5mFctQkoWJSGfBGzPRXawrvIIVHQ9Wer48GR2g9ZiApWg==";
const MODULUS: &str = "c85e0c098f513ebcf38b340edede716c46942aec6d4215ca0235e4601481917dde22b6dda30513df1d77f579e5ce0d0e95c1330feab558ac8dc7050bb949945928ede000b3e20564dccf9161568bd80f3fddfc3b5ab00e4bee5d7199133e1863c47bf0f71133decb29ba19302e2334758eed41b9242556722b7082c31eb159a34472a851f578d2f7a187e0cfe642bfe587eb9ae14bad15a3088b01bda5b0045c909d8ff30288a6cdd853102a546e5227d1f8f6e7810c8d35c04cc4ffee7d27cb3d1938666cc4ea3fac783277807063754cf8a619df706656f0c2b0980ed0a8a850dcc4c560bc3f37b8fac88a71704c8397c3add04aff3ff8036e6b005c3490eb";

#[test]
fn the_signature_of_a_real_notification() {
    let transmission = Transmission {
        id: "dfb3be50-fd74-11e4-8bf3-77339302725b",
        time: "2015-05-18T15:45:13Z",
        webhook_id: "4JH86294D6297924G",
    };
    let text = text(&transmission, BODY.as_bytes());
    assert_eq!(text, "dfb3be50-fd74-11e4-8bf3-77339302725b|2015-05-18T15:45:13Z|4JH86294D6297924G|2771810304");
    let n: Vec<u8> =
        (0..MODULUS.len()).step_by(2).map(|at| u8::from_str_radix(&MODULUS[at..at + 2], 16).unwrap()).collect();
    let key = RsaPublicKeyComponents { n, e: vec![1, 0, 1] };
    let signature = STANDARD.decode(SIGNATURE).unwrap();
    assert!(key.verify(&RSA_PKCS1_2048_8192_SHA256, text.as_bytes(), &signature).is_ok());
    assert!(key.verify(&RSA_PKCS1_2048_8192_SHA256, BODY.as_bytes(), &signature).is_err());
}

//! The `Stripe-Signature` header: HMAC-SHA256 over the time, a dot and the raw body.

use crate::delivery::Delivery;
use crate::script::Keys;
use crate::settings::StripeKeys;
use crate::signature;

/// One signature. The secret is used as it is, with its `whsec_`.
pub fn sign(secret: &str, seconds: i64, body: &str) -> String {
    signature::sign(secret, &format!("{seconds}.{body}"))
}

/// The header of a delivery that is sent at this time. While a secret is rolled there are two signatures, the newer
/// one first; test events also carry a `v0`, which nobody may take for a signature.
pub fn header(keys: &StripeKeys, delivery: &Delivery, seconds: i64) -> String {
    let (first, second) = (&keys.stripe_webhook_secret, &keys.stripe_second_secret);
    let secrets = match delivery.keys {
        Keys::First => vec![first],
        Keys::Both => vec![second, first],
        Keys::Second => vec![second],
    };
    let signature = |secret: &&String| {
        let secret = if delivery.forged { format!("not {secret}") } else { (*secret).clone() };
        format!(",v1={}", sign(&secret, seconds, &delivery.body))
    };
    let signatures: String = secrets.iter().map(signature).collect();
    format!("t={seconds}{signatures},v0={}", sign("v0", seconds, &delivery.body))
}

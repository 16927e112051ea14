//! Signatures of webhooks: RSA PKCS#1 v1.5 with SHA-256 over transmission id, time, webhook id and the body's CRC-32.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};

use crate::app::App;
use crate::delivery::Delivery;
use crate::ids;
use crate::script::Keys;

/// The only algorithm.
pub const ALGORITHM: &str = "SHA256withRSA";
/// The certificate of the CA, which a shop under test trusts.
pub const AUTHORITY: &str = include_str!("../../fixtures/paypal/ca.pem");

/// A leaf: its name in the certificate's URL, its certificate and its key.
struct Leaf {
    name: &'static str,
    certificate: &'static str,
    key: &'static [u8],
}

const LEAVES: [Leaf; 2] = [
    Leaf {
        name: "CERT-360caa42-5a0db0c1-sandbox1",
        certificate: include_str!("../../fixtures/paypal/leaf-1.pem"),
        key: include_bytes!("../../fixtures/paypal/leaf-1.pk8"),
    },
    Leaf {
        name: "CERT-360caa42-5a0db0c1-sandbox2",
        certificate: include_str!("../../fixtures/paypal/leaf-2.pem"),
        key: include_bytes!("../../fixtures/paypal/leaf-2.pk8"),
    },
];

/// What names a transmission and when it was sent.
pub struct Transmission<'a> {
    /// A UUID.
    pub id: &'a str,
    /// Its time as text.
    pub time: &'a str,
    /// PayPal's id of the shop's webhook.
    pub webhook_id: &'a str,
}

/// The text that is signed.
pub fn text(transmission: &Transmission<'_>, body: &[u8]) -> String {
    let Transmission { id, time, webhook_id } = transmission;
    format!("{id}|{time}|{webhook_id}|{}", crc32fast::hash(body))
}

/// The headers of a delivery that is sent at this time. There is only one signature, so that during a rotation the
/// newer key signs.
pub fn headers(app: &App, delivery: &Delivery, now: Timestamp) -> Vec<(&'static str, String)> {
    let leaf = match delivery.keys {
        Keys::First => &LEAVES[0],
        Keys::Both | Keys::Second => &LEAVES[1],
    };
    let (id, time) = (ids::uuid(), now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    let webhook_id = &app.settings.paypal.paypal_webhook_id;
    let transmission = Transmission { id: &id, time: &time, webhook_id };
    let mut text = text(&transmission, delivery.body.as_bytes());
    if delivery.forged {
        text.push('0');
    }
    let signature = STANDARD.encode(sign(leaf, &text));
    let url = format!("{}/v1/notifications/certs/{}", app.base_url, leaf.name);
    vec![
        ("paypal-transmission-id", id.clone()),
        ("paypal-transmission-time", time.clone()),
        ("paypal-transmission-sig", signature),
        ("paypal-cert-url", url),
        ("paypal-auth-algo", ALGORITHM.to_owned()),
    ]
}

/// The certificate of this name and the CA behind it.
pub fn certificates(name: &str) -> Option<String> {
    let leaf = LEAVES.iter().find(|leaf| leaf.name == name)?;
    Some(format!("{}{AUTHORITY}", leaf.certificate))
}

/// Whether the leaf of this name made a signature.
pub fn verify(name: &str, text: &str, signature: &str) -> bool {
    let (Some(leaf), Ok(signature)) = (LEAVES.iter().find(|leaf| leaf.name == name), STANDARD.decode(signature)) else {
        return false;
    };
    let pair = pair(leaf);
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    public.verify(text.as_bytes(), &signature).is_ok()
}

fn sign(leaf: &Leaf, text: &str) -> Vec<u8> {
    let pair = pair(leaf);
    let mut signature = vec![0; pair.public().modulus_len()];
    let signed = pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature);
    signed.expect("the buffer is as long as the modulus");
    signature
}

fn pair(leaf: &Leaf) -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(leaf.key).expect("the key beside the certificate is sound")
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use ring::signature::KeyPair;

    use super::{LEAVES, pair};

    #[test]
    fn every_certificate_is_of_the_key_beside_it() {
        for leaf in &LEAVES {
            let lines: String = leaf.certificate.lines().filter(|line| !line.starts_with("-----")).collect();
            let certificate = STANDARD.decode(lines).unwrap();
            let pair = pair(leaf);
            let key = pair.public_key().as_ref();
            assert!(certificate.windows(key.len()).any(|part| part == key), "{}", leaf.name);
        }
    }
}

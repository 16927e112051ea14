//! Which certificates are believed. Those of the fixtures are valid for a hundred years from November 2026.

use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::*;

const SANDBOX: &str = "messageverificationcerts.sandbox.paypal.com";
const LIVE: &str = "messageverificationcerts.paypal.com";
/// The year 2030.
const NOW: Timestamp = Timestamp(1_893_456_000_000_000);

fn fixture(name: &str) -> std::path::PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "src/payments/paypal/fixtures", name].iter().collect()
}

fn fixture_chain(name: &str) -> Chain {
    chain(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

fn trust(name: &'static str) -> Trust {
    Trust::new(name, Some(&fixture("ca.pem"))).unwrap()
}

fn signed(text: &[u8]) -> Vec<u8> {
    let key = PrivatePkcs8KeyDer::from_pem_file(fixture("signer.key")).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).unwrap();
    signature
}

#[test]
fn a_chain_to_a_trusted_root_gives_its_key() {
    let key = trust(SANDBOX).key(&fixture_chain("signer.pem"), NOW).unwrap();
    assert!(key.verifies(b"text", &signed(b"text")));
    assert!(!key.verifies(b"texts", &signed(b"text")));
    assert!(trust(LIVE).key(&fixture_chain("live-name.pem"), NOW).is_some());
}

#[test]
fn other_names_roots_and_times_are_refused() {
    assert_eq!(trust(SANDBOX).key(&fixture_chain("other-name.pem"), NOW), None);
    assert_eq!(trust(SANDBOX).key(&fixture_chain("live-name.pem"), NOW), None);
    assert_eq!(trust(LIVE).key(&fixture_chain("signer.pem"), NOW), None);
    assert_eq!(
        trust(SANDBOX).key(&fixture_chain("stranger.pem"), NOW),
        None,
        "a root of the same name is not the root"
    );
    let between = fixture_chain("signer.pem");
    assert_eq!(trust(SANDBOX).key(&between[..1], NOW), None, "the certificate in between is missing");
    assert_eq!(trust(SANDBOX).key(&[], NOW), None);
    for out in ["2026-01-01T00:00:00Z", "2200-01-01T00:00:00Z"] {
        let out = Timestamp(out.parse::<jiff::Timestamp>().unwrap().as_microsecond());
        assert_eq!(trust(SANDBOX).key(&between, out), None);
    }
    let usual = Trust::new(SANDBOX, None).unwrap();
    assert!(usual.roots.len() > 50);
    assert_eq!(usual.key(&between, NOW), None);
}

#[test]
fn every_flipped_byte_of_a_certificate_is_refused() {
    let whole = fixture_chain("live-name.pem");
    let trust = trust(LIVE);
    for at in 0..whole[0].len() {
        let mut flipped = whole[0].to_vec();
        flipped[at] ^= 1;
        assert_eq!(trust.key(&[flipped.into()], NOW), None, "byte {at}");
    }
}

#[test]
fn a_certificate_is_read_as_openssl_reads_it() {
    let subject = subject(&fixture_chain("other-name.pem")[0]).unwrap();
    assert_eq!((subject.common_name.as_str(), subject.key.len()), ("www.paypal.com", 270));
    let whole = fixture_chain("signer.pem").remove(0);
    for end in 0..whole.len() {
        let _ = super::subject(&whole[..end]);
    }
}

#[test]
fn roots_come_from_a_file_that_holds_some() {
    assert!(Trust::new(LIVE, Some(&fixture("nothing.pem"))).is_err());
    assert!(Trust::new(LIVE, Some(&fixture("signer.key"))).is_err());
}

#[test]
fn a_text_without_certificates_is_no_chain() {
    let one = std::fs::read_to_string(fixture("ca.pem")).unwrap();
    assert!(chain(one.as_bytes()).is_some() && chain(one.repeat(8).as_bytes()).is_some());
    for odd in ["", "<html>", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", &one.repeat(9)] {
        assert!(chain(odd.as_bytes()).is_none());
    }
}

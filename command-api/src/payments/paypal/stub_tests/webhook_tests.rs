//! Webhooks with their certificate fetched, kept, or not to be had.

use http::HeaderName;
use proptest::prelude::{any, prop_assert_eq, proptest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;

use http::HeaderMap;
use http::HeaderValue;

use super::*;
use crate::payments::gateway::About;

const TIME: &str = "2030-01-01T00:00:00Z";
/// A minute later.
const NOW: Timestamp = Timestamp(1_893_456_060_000_000);

fn certificate(name: &str) -> String {
    answer("200 OK", "", &std::fs::read_to_string(fixture(name)).unwrap())
}

fn event() -> Vec<u8> {
    json!({ "id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED", "resource": capture("COMPLETED") })
        .to_string()
        .into_bytes()
}

fn signed(text: &str) -> String {
    use base64::Engine;
    let key = PrivatePkcs8KeyDer::from_pem_file(fixture("signer.key")).unwrap();
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    base64::engine::general_purpose::STANDARD.encode(signature)
}

fn headers(stub: &Stub, body: &[u8]) -> HeaderMap {
    let text = format!("tid|{TIME}|WH-ID|{}", crc32fast::hash(body));
    let pairs = [
        ("paypal-transmission-id", "tid".to_owned()),
        ("paypal-transmission-time", TIME.to_owned()),
        ("paypal-transmission-sig", signed(&text)),
        ("paypal-auth-algo", "SHA256withRSA".to_owned()),
        ("paypal-cert-url", format!("{}/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77", stub.url)),
    ];
    pairs
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap()))
        .into_iter()
        .collect()
}

#[tokio::test]
async fn a_certificate_that_is_over_is_fetched_again() {
    let stub = Stub::new([certificate("signer.pem"), certificate("signer.pem"), certificate("signer.pem")]).await;
    let (paypal, url) = (paypal(&stub), format!("{}/v1/notifications/certs/CERT-1", stub.url));
    let later = Timestamp("2200-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_microsecond());
    assert!(paypal.certificates.key(&url, NOW).await.is_ok());
    assert_eq!(paypal.certificates.key(&url, later).await, Err(Rejected::Signature));
    assert!(paypal.certificates.key(&url, NOW).await.is_ok());
    assert_eq!(stub.calls().len(), 2);
}

async fn read(paypal: &Paypal, headers: &HeaderMap, body: &[u8]) -> Result<Notified, Rejected> {
    paypal.read(&Notification { method: &Method::POST, headers, query: "", body }, NOW).await
}

#[tokio::test]
async fn a_certificate_is_fetched_once() {
    let stub = Stub::new([certificate("signer.pem")]).await;
    let (paypal, body) = (paypal(&stub), event());
    for _ in 0..3 {
        let notified = read(&paypal, &headers(&stub, &body), &body).await.unwrap();
        assert_eq!((notified.about, notified.report.movements.len()), (About::Payment(PAYMENT), 1));
    }
    assert_eq!(stub.calls(), ["GET /v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"]);
    assert!(!stub.requests()[0].contains("authorization"), "nobody needs our keys to show a certificate");
}

#[tokio::test]
async fn every_flipped_byte_is_refused() {
    let stub = Stub::new([certificate("signer.pem")]).await;
    let (paypal, body) = (paypal(&stub), event());
    let right = headers(&stub, &body);
    read(&paypal, &right, &body).await.unwrap();
    for at in 0..body.len() {
        let mut flipped = body.clone();
        flipped[at] ^= 1;
        assert_eq!(read(&paypal, &right, &flipped).await, Err(Rejected::Signature), "byte {at}");
    }
    for name in right.keys() {
        for at in 0..right[name].len() {
            let mut value = right[name].as_bytes().to_vec();
            value[at] ^= 1;
            let Ok(value) = HeaderValue::from_bytes(&value) else { continue };
            let mut flipped = right.clone();
            flipped.insert(name, value);
            // Another certificate's name is asked for; there is none, says the stub, after 500.
            let read = read(&paypal, &flipped, &body).await;
            assert!(matches!(read, Err(Rejected::Signature | Rejected::Unverifiable)), "{name}, byte {at}: {read:?}");
        }
    }
}

#[tokio::test]
async fn nothing_is_fetched_from_elsewhere_or_for_nothing() {
    let stub = Stub::new([]).await;
    let (paypal, body) = (paypal(&stub), event());
    let right = headers(&stub, &body);
    for url in [
        "https://evil.test/v1/notifications/certs/CERT-1".to_owned(),
        format!("{}/v1/notifications/certs/../../x", stub.url),
        format!("{}/v1/notifications/certs/", stub.url),
        format!("{}/v1/notifications/certs/CERT-1?x", stub.url),
        format!("{}/elsewhere/CERT-1", stub.url),
        format!("{}.evil.test/v1/notifications/certs/CERT-1", stub.url),
        format!("{}@evil.test/v1/notifications/certs/CERT-1", stub.url),
        stub.url.replace("127.0.0.1", "localhost") + "/v1/notifications/certs/CERT-1",
    ] {
        let mut headers = right.clone();
        headers.insert("paypal-cert-url", HeaderValue::from_str(&url).unwrap());
        assert_eq!(read(&paypal, &headers, &body).await, Err(Rejected::Signature), "{url}");
    }
    for (name, value) in [
        ("paypal-auth-algo", "SHA1withRSA"),
        ("paypal-transmission-time", "2029-12-24T00:00:00Z"),
        ("paypal-transmission-time", "2030-01-01T00:07:00Z"),
        ("paypal-transmission-sig", "not base64!"),
    ] {
        let mut headers = right.clone();
        headers.insert(name, HeaderValue::from_static(value));
        assert_eq!(read(&paypal, &headers, &body).await, Err(Rejected::Signature), "{value}");
    }
    let raw = Notification { method: &Method::GET, headers: &right, query: "", body: &body };
    assert_eq!(paypal.read(&raw, NOW).await, Err(Rejected::Method));
    let long = vec![b' '; webhook::LONGEST + 1];
    assert!(matches!(read(&paypal, &right, &long).await, Err(Rejected::Malformed(_))));
    assert_eq!(stub.calls(), [""; 0]);
}

#[tokio::test]
async fn a_certificate_that_is_not_paypals_is_refused_and_not_kept() {
    let none = answer("404 None", "", "");
    let wrong = [certificate("stranger.pem"), certificate("other-name.pem"), certificate("live-name.pem"), none];
    let stub = Stub::new(wrong).await;
    let (paypal, body) = (paypal(&stub), event());
    for _ in 0..4 {
        assert_eq!(read(&paypal, &headers(&stub, &body), &body).await, Err(Rejected::Signature));
    }
    assert_eq!(stub.calls().len(), 4);
    stub.then([certificate("signer.pem")]);
    read(&paypal, &headers(&stub, &body), &body).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_cannot_be_had_makes_it_come_again() {
    let failing = [silence(), answer("500 Oh", "", ""), answer("200 OK", "", "<html>"), answer("429 Slow", "", "")];
    let stub = Stub::new(failing).await;
    let (paypal, body) = (paypal(&stub), event());
    for _ in 0..4 {
        assert_eq!(read(&paypal, &headers(&stub, &body), &body).await, Err(Rejected::Unverifiable));
    }
    stub.then([certificate("signer.pem")]);
    read(&paypal, &headers(&stub, &body), &body).await.unwrap();
}

#[tokio::test]
async fn it_has_to_be_for_our_webhook() {
    let stub = Stub::new([certificate("signer.pem")]).await;
    let other = Paypal::new(PaypalSettings { webhook_id: "OTHER".to_owned(), ..settings(&stub) }, quick()).unwrap();
    let body = event();
    assert_eq!(read(&other, &headers(&stub, &body), &body).await, Err(Rejected::Signature));
}

proptest! {
    #[test]
    fn any_header_is_read_without_panic(value in proptest::collection::vec(any::<u8>(), 0..60), at in 0..5_usize) {
        let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
        let stub = Stub::nowhere();
        let mut headers = headers(&stub, b"{}");
        let name = headers.keys().nth(at).unwrap().clone();
        headers.insert(name, value);
        let _ = Transmission::read(&headers);
        prop_assert_eq!(headers.len(), 5);
    }
}

//! Which certificates PayPal signs webhooks with.
//!
//! Invariant: a key is believed only while its certificate is valid, chains to a trusted root and bears PayPal's name.

use std::path::Path;
use std::time::Duration;

use domain::value::{Provider, Timestamp};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rustls::RootCertStore;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;

use super::certificate::{Subject, subject};
use crate::payments::caller::ClientError;

/// A chain longer than this is none.
const LONGEST_CHAIN: usize = 8;

/// Whom we believe.
#[derive(Debug)]
pub(super) struct Trust {
    roots: RootCertStore,
    name: &'static str,
}

/// The key of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignerKey(Vec<u8>);

/// A certificate and those between it and a root.
pub(super) type Chain = Vec<CertificateDer<'static>>;

impl Trust {
    /// Certificates of this name under the usual roots, or under those of a file alone.
    pub(super) fn new(name: &'static str, file: Option<&Path>) -> Result<Self, ClientError> {
        let unreadable = |error| ClientError::Unreadable(Provider::Paypal, error);
        let Some(file) = file else {
            return Ok(Self { roots: RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }, name });
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(error.into()))? {
            let certificate = certificate.map_err(|error| unreadable(error.into()))?;
            roots.add(certificate).map_err(|error| unreadable(error.into()))?;
        }
        if roots.is_empty() {
            return Err(unreadable("the file of root certificates holds none".into()));
        }
        Ok(Self { roots, name })
    }

    /// The key of a chain's first certificate, if all of it is right now.
    pub(super) fn key(&self, chain: &[CertificateDer<'static>], now: Timestamp) -> Option<SignerKey> {
        let (first, between) = chain.split_first()?;
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
        let now = UnixTime::since_unix_epoch(Duration::from_micros(u64::try_from(now.0).ok()?));
        let parsed = ParsedCertificate::try_from(first).ok()?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, between, now, algorithms).ok()?;
        let Subject { common_name, key } = subject(first)?;
        (common_name == self.name).then_some(SignerKey(key))
    }
}

impl SignerKey {
    #[cfg(test)]
    pub(super) fn of(key: &[u8]) -> Self {
        Self(key.to_vec())
    }

    /// Whether it signed this text: RSA with PKCS#1 v1.5 and SHA-256.
    pub(super) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0).verify(text, signature).is_ok()
    }
}

/// The certificates of a PEM text; none if there are none, or something else stands there.
pub(super) fn chain(pem: &[u8]) -> Option<Chain> {
    let chain: Chain = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    (1..=LONGEST_CHAIN).contains(&chain.len()).then_some(chain)
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;

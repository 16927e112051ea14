//! What we need of an X.509 certificate that is known to be one: whose it is, and its RSA key.

use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

/// The object identifier 2.5.4.3, common name.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Whose a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    pub common_name: String,
    /// `RSAPublicKey` of PKCS#1 in DER, if the key is one.
    pub key: Vec<u8>,
}

/// Reads a certificate in DER; none if it is not made as RFC 5280 says, or has not one common name.
pub(super) fn subject(certificate: &[u8]) -> Option<Subject> {
    let whole = members(AnyRef::from_der(certificate).ok()?)?;
    let mut fields = members(*whole.first()?)?;
    let version = Tag::ContextSpecific { constructed: true, number: TagNumber::N0 };
    if fields.first()?.tag() == version {
        fields.remove(0);
    }
    // Serial number, algorithm, issuer, validity, subject, key.
    let (subject, key) = (fields.get(4)?, fields.get(5)?);
    let [_, key] = members(*key)?.try_into().ok()?;
    // The first byte of a bit string counts the bits that are not used.
    let key = key.value().strip_prefix(&[0])?.to_vec();
    Some(Subject { common_name: common_name(*subject)?, key })
}

fn common_name(subject: AnyRef<'_>) -> Option<String> {
    let mut names = Vec::new();
    for set in members(subject)? {
        for attribute in members(set)? {
            let [kind, value] = members(attribute)?.try_into().ok()?;
            if kind.value() == COMMON_NAME {
                names.push(std::str::from_utf8(value.value()).ok()?.to_owned());
            }
        }
    }
    let [name] = names.try_into().ok()?;
    Some(name)
}

/// The members of a sequence or set.
fn members(of: AnyRef<'_>) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(of.value()).ok()?;
    let mut members = Vec::new();
    while !reader.is_finished() {
        members.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(members)
}

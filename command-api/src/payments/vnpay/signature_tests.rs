//! The vectors, and what must not verify.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::super::vectors::{
    CANCELLED, CREATE, PAID, QUERY, QUERY_ANSWER, REFUND, REFUND_ANSWER, SANDBOX_RETURN, SANDBOX_SECRET, TEST_SECRET,
};
use super::*;

#[test]
fn every_vector_has_its_signature() {
    for (secret, (text, signature)) in [
        (SANDBOX_SECRET, CREATE),
        (SANDBOX_SECRET, SANDBOX_RETURN),
        (TEST_SECRET, PAID),
        (TEST_SECRET, CANCELLED),
        (TEST_SECRET, QUERY),
        (TEST_SECRET, REFUND),
        (TEST_SECRET, QUERY_ANSWER),
        (TEST_SECRET, REFUND_ANSWER),
    ] {
        let secret = HashSecret::new(secret);
        assert_eq!(secret.sign(text), signature, "{text}");
        assert!(secret.verify(text, signature) && secret.verify(text, &signature.to_uppercase()), "{text}");
        assert!(!HashSecret::new("another").verify(text, signature), "{text}");
        assert!(!secret.verify(&text.replace("00", "01"), signature), "{text}");
    }
}

#[test]
fn the_texts_of_the_vectors_are_encoded_as_we_encode() {
    for (text, _) in [CREATE, SANDBOX_RETURN, PAID, CANCELLED] {
        let pairs: Vec<(&str, &str)> = text.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
        let decoded: Vec<(&str, String)> = pairs.iter().map(|(name, it)| (*name, decode(it).unwrap())).collect();
        let again = query_text(decoded.iter().rev().map(|(name, value)| (*name, value.as_str())));
        assert_eq!(again, text);
    }
}

#[test]
fn empty_fields_are_left_out_and_names_are_in_order() {
    assert_eq!(query_text([("vnp_B", "2 3"), ("vnp_C", ""), ("vnp_A", "1:é")]), "vnp_A=1%3A%C3%A9&vnp_B=2+3");
}

#[test]
fn what_was_not_encoded_cannot_be_decoded() {
    for bad in ["%", "%4", "%4g", "%ff", "a%"] {
        assert_eq!(decode(bad), None, "{bad}");
    }
    assert_eq!(decode("a+b%20c%c3%A9%2B").as_deref(), Some("a b cé+"));
}

#[test]
fn what_is_no_signature_is_refused() {
    let secret = HashSecret::new(TEST_SECRET);
    let right = secret.sign("text");
    for wrong in [&right[..126], &right[..127], &format!("{right}00"), &format!(" {right}"), "", &"é".repeat(64)] {
        assert!(!secret.verify("text", wrong), "{wrong}");
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(text in ".{0,40}") {
        let encoded = encode(&text);
        prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'&' && byte != b'='));
        prop_assert_eq!(decode(&encoded), Some(text));
    }

    #[test]
    fn a_flipped_bit_of_a_signature_is_refused(text in ".{0,40}", at in any::<proptest::sample::Index>()) {
        let secret = HashSecret::new(TEST_SECRET);
        let mut signature = secret.sign(&text).into_bytes();
        let at = at.index(signature.len());
        signature[at] ^= 1;
        prop_assert!(!secret.verify(&text, std::str::from_utf8(&signature).unwrap()));
    }
}

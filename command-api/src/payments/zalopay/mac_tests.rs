//! The vectors, and what must not verify.

use proptest::prelude::{any, prop_assert, proptest};

use super::super::vectors::{
    CALLBACK, CREATE, CREATE_OF_553, KEY1_OF_553, KEY1_OF_2553, KEY2_OF_2553, KEY2_OF_2554, QUERY, QUERY_REFUND,
    REDIRECTS, REFUND, REFUND_WITH_FEE,
};
use super::*;

#[test]
fn every_vector_has_its_signature() {
    let redirects = REDIRECTS.map(|redirect| {
        let key2 = if redirect.0.starts_with("2554|") { KEY2_OF_2554 } else { KEY2_OF_2553 };
        (key2, redirect)
    });
    let others = [
        (KEY1_OF_553, CREATE_OF_553),
        (KEY1_OF_2553, CREATE),
        (KEY1_OF_2553, REFUND),
        (KEY1_OF_2553, REFUND_WITH_FEE),
        (KEY1_OF_2553, QUERY_REFUND),
        (KEY2_OF_2553, CALLBACK),
    ];
    for (key, (text, signature)) in others.into_iter().chain(redirects) {
        let key = MacKey::new(key);
        assert_eq!(key.sign(text), signature, "{text}");
        assert_eq!(key.sign_fields(&text.split('|').collect::<Vec<_>>()), signature, "{text}");
        assert!(key.verify(text, signature) && key.verify(text, &signature.to_uppercase()), "{text}");
        assert!(!MacKey::new("another").verify(text, signature), "{text}");
    }
    assert_eq!(MacKey::new(KEY1_OF_2553).sign_with_itself(&["2553", QUERY.0]), QUERY.1);
}

#[test]
fn what_is_no_signature_is_refused() {
    let key = MacKey::new(KEY1_OF_2553);
    let right = key.sign("text");
    for wrong in [&right[..62], &right[..63], &format!("{right}00"), &format!(" {right}"), "", &"é".repeat(32)] {
        assert!(!key.verify("text", wrong), "{wrong}");
    }
    assert_eq!(format!("{key:?}"), "MacKey(…)");
}

proptest! {
    #[test]
    fn a_flipped_bit_of_a_signature_is_refused(text in ".{0,40}", at in any::<proptest::sample::Index>()) {
        let key = MacKey::new(KEY1_OF_2553);
        let mut signature = key.sign(&text).into_bytes();
        let at = at.index(signature.len());
        signature[at] ^= 1;
        prop_assert!(!key.verify(&text, std::str::from_utf8(&signature).unwrap()));
    }
}

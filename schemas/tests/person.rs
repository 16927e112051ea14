//! Personal data: sealed, opened, erased, and wrapped anew.

use std::collections::BTreeMap;

use domain::value::Sealed;
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert_eq, proptest};
use ring::rand::SystemRandom;
use schemas::sealed::{Buyer, DataKey, MasterKey, MasterKeys, OpenError, key_id, open, seal};
use schemas::{Codec, PersonKey, SchemaRecord};
use uuid::Uuid;

fn key() -> DataKey {
    DataKey::generate(Uuid::from_u128(9), &SystemRandom::new()).unwrap()
}

fn keys(key: &DataKey) -> BTreeMap<Uuid, DataKey> {
    BTreeMap::from([(key.id, key.clone())])
}

fn buyer() -> Buyer {
    Buyer { name: "Nguyễn An".to_owned(), email: "an@example.com".to_owned(), phone: None }
}

fn golden(name: &str) -> String {
    std::fs::read_to_string(format!("{}/golden/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn a_buyer_is_sealed_and_opened() {
    let key = key();
    let sealed = buyer().seal(&key, b"order 1", &SystemRandom::new()).unwrap();
    assert_eq!(key_id(&sealed), Ok(key.id));
    assert_eq!(Buyer::open(&keys(&key), &sealed, b"order 1"), Ok(buyer()));
    assert!(!sealed.0.windows(7).any(|window| window == b"example"));
    let again = buyer().seal(&key, b"order 1", &SystemRandom::new()).unwrap();
    assert_ne!(sealed, again, "every ciphertext has a nonce of its own");
}

#[test]
fn the_layout_is_fixed() {
    let sealed = seal(&key(), b"hello", b"", &SystemRandom::new()).unwrap();
    assert_eq!((sealed.0[0], &sealed.0[1..17]), (1, Uuid::from_u128(9).as_bytes().as_slice()));
    assert_eq!(sealed.0.len(), 1 + 16 + 12 + 5 + 16);
}

#[test]
fn what_was_sealed_once_opens_for_ever() {
    let sealed = Sealed(serde_json::from_str(&golden("sealed.v1.json")).unwrap());
    let key = DataKey::new(Uuid::from_u128(42), [0x2a; 32]);
    assert_eq!(Buyer::open(&keys(&key), &sealed, b"golden"), Ok(buyer()));
    let wrapped: PersonKey = serde_json::from_str(&golden("person-key.v1.json")).unwrap();
    let key = MasterKeys::new(MasterKey::new([0x17; 32]), []).unwrap(&wrapped).unwrap();
    assert_eq!(Buyer::open(&keys(&key), &sealed, b"golden"), Ok(buyer()));
}

#[test]
#[ignore = "writes the golden files that are missing"]
fn write_missing_sealed_files() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");
    let key = DataKey::new(Uuid::from_u128(42), [0x2a; 32]);
    let random = SystemRandom::new();
    let sealed = serde_json::to_vec(&buyer().seal(&key, b"golden", &random).unwrap()).unwrap();
    let wrapped = MasterKeys::new(MasterKey::new([0x17; 32]), []).wrap(&key, &random).unwrap();
    let wrapped = serde_json::to_vec(&wrapped).unwrap();
    for (name, bytes) in [("sealed.v1.json", sealed), ("person-key.v1.json", wrapped)] {
        crate::golden::write_missing(format!("{folder}/{name}").as_ref(), &bytes);
    }
}

#[test]
fn another_context_or_key_does_not_open_it() {
    let key = key();
    let sealed = buyer().seal(&key, b"order 1", &SystemRandom::new()).unwrap();
    assert_eq!(Buyer::open(&keys(&key), &sealed, b"order 2"), Err(OpenError::Tampered));
    let other = DataKey::new(key.id, [3; 32]);
    assert_eq!(Buyer::open(&keys(&other), &sealed, b"order 1"), Err(OpenError::Tampered));
}

#[test]
fn without_its_key_it_is_erased() {
    let sealed = buyer().seal(&key(), b"order 1", &SystemRandom::new()).unwrap();
    assert_eq!(Buyer::open(&BTreeMap::new(), &sealed, b"order 1"), Err(OpenError::Erased));
}

proptest! {
    #[test]
    fn a_tampered_byte_is_refused(text in vec(any::<u8>(), 0..100), at in any::<proptest::sample::Index>(), by in 1..=255_u8) {
        let key = key();
        let mut sealed = seal(&key, &text, b"order 1", &SystemRandom::new()).unwrap();
        prop_assert_eq!(open(&keys(&key), &sealed, b"order 1"), Ok(text));
        let at = at.index(sealed.0.len());
        sealed.0[at] ^= by;
        let refused = match at {
            0 => OpenError::Malformed,
            1..17 => OpenError::Erased,
            _ => OpenError::Tampered,
        };
        prop_assert_eq!(open(&keys(&key), &sealed, b"order 1"), Err(refused));
    }

    #[test]
    fn any_bytes_are_safe(bytes in vec(any::<u8>(), 0..80)) {
        let key = key();
        prop_assert_eq!(open(&keys(&key), &Sealed(bytes), b"").is_err(), true);
    }

    #[test]
    fn any_wrapped_bytes_are_safe(wrapped in vec(any::<u8>(), 0..80)) {
        let master = MasterKey::new([1; 32]);
        let record = PersonKey { key_id: Uuid::from_u128(9), master_key_id: master.id(), wrapped };
        prop_assert_eq!(MasterKeys::new(master, []).unwrap(&record).is_err(), true);
    }
}

#[test]
fn data_keys_outlive_a_change_of_the_master_key() {
    let random = SystemRandom::new();
    let (old, new) = (MasterKey::new([1; 32]), MasterKey::new([2; 32]));
    assert_ne!(old.id(), new.id());
    let key = key();
    let sealed = buyer().seal(&key, b"order 1", &random).unwrap();
    let record = MasterKeys::new(old.clone(), []).wrap(&key, &random).unwrap();

    let codec = Codec::in_memory();
    let record = codec.decode_person_key(&codec.encode_person_key(&record).unwrap()).unwrap();

    let both = MasterKeys::new(new.clone(), [old.clone()]);
    let rewrapped = both.rewrap(&record, &random).unwrap().unwrap();
    assert_eq!(both.rewrap(&rewrapped, &random), Ok(None));
    let unwrapped = MasterKeys::new(new.clone(), []).unwrap(&rewrapped).unwrap();
    assert_eq!(Buyer::open(&keys(&unwrapped), &sealed, b"order 1"), Ok(buyer()));

    let error = MasterKeys::new(new, []).unwrap(&record).unwrap_err();
    assert_eq!(error, OpenError::UnknownMasterKey(old.id()));
    let moved = PersonKey { key_id: Uuid::from_u128(10), ..rewrapped };
    assert_eq!(both.unwrap(&moved).unwrap_err(), OpenError::Tampered);
}

#[test]
fn nothing_secret_is_shown() {
    let key = DataKey::new(Uuid::nil(), [0xab; 32]);
    let master = MasterKey::new([0xab; 32]);
    let keys = MasterKeys::new(master.clone(), []);
    let shown = format!("{key:?} {master:?} {keys:?} {:?}", buyer());
    assert!(!shown.contains("171") && !shown.contains("example") && !shown.contains("An\""), "{shown}");
}

#[test]
fn a_schema_copy_is_read_as_it_was_written() {
    for record in Codec::in_memory().ids().records("ns") {
        assert_eq!(SchemaRecord::decode(&record.encode()).unwrap(), record);
        assert_eq!(record.key(), record.id.to_string());
    }
    assert!(SchemaRecord::decode(b"{").is_err());
}

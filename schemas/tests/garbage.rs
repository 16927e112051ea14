//! Bytes that are no records are errors, never a panic, and never a record.

use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;
use schemas::{Codec, DecodeError, EventType, RecordType};

use crate::samples::{Optional, framed, sample_bytes, schema_of};

const OTHER: u32 = 7_000;

/// Knows every type under a second id as well, by a schema that has to be resolved.
fn codec() -> Codec {
    let codec = Codec::in_memory();
    for (id, record) in (OTHER..).zip(RecordType::all()) {
        let mut schema: serde_json::Value = serde_json::from_str(record.text()).unwrap();
        let more = serde_json::json!({"name": "more", "type": ["null", "string"], "default": null});
        schema["fields"].as_array_mut().unwrap().push(more);
        codec.learn_text(id, &schema.to_string()).unwrap();
    }
    codec
}

fn records() -> impl Strategy<Value = RecordType> {
    select(RecordType::all().collect::<Vec<_>>())
}

fn attempt(codec: &Codec, bytes: &[u8]) -> usize {
    let results =
        [codec.decode(bytes).is_ok(), codec.decode_control(bytes).is_ok(), codec.decode_person_key(bytes).is_ok()];
    results.iter().filter(|ok| **ok).count()
}

proptest! {
    #[test]
    fn any_bytes_are_safe(id in 0..8_000_u32, datum in vec(any::<u8>(), 0..600)) {
        prop_assert!(attempt(&codec(), &framed(id, &datum)) <= 1);
    }

    #[test]
    fn any_bytes_under_a_known_id_are_safe(record in records(), second in any::<bool>(), datum in vec(any::<u8>(), 0..600)) {
        let codec = codec();
        let place = RecordType::all().position(|it| it == record).unwrap();
        let id = if second { OTHER + u32::try_from(place).unwrap() } else { codec.ids().of(record) };
        prop_assert!(attempt(&codec, &framed(id, &datum)) <= 1);
    }

    #[test]
    fn a_changed_byte_is_safe(record in records(), at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = sample_bytes(record, Optional::Set, 0);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        prop_assert!(attempt(&codec(), &bytes) <= 1);
    }

    #[test]
    fn a_cut_or_lengthened_record_is_an_error(record in records(), at in any::<proptest::sample::Index>()) {
        let codec = codec();
        let bytes = sample_bytes(record, Optional::Set, 0);
        prop_assert_eq!(attempt(&codec, &bytes), 1);
        prop_assert_eq!(attempt(&codec, &bytes[..at.index(bytes.len())]), 0);
        prop_assert_eq!(attempt(&codec, &[&bytes[..], &[0]].concat()), 0);
    }

    #[test]
    fn a_cut_or_lengthened_record_of_another_version_is_an_error(record in records(), at in any::<proptest::sample::Index>()) {
        let codec = codec();
        let place = RecordType::all().position(|it| it == record).unwrap();
        let id = OTHER + u32::try_from(place).unwrap();
        // The added field is written as null.
        let datum = [&crate::samples::datum(&schema_of(record), Optional::Set, 0)[..], &[0]].concat();
        prop_assert_eq!(attempt(&codec, &framed(id, &datum)), 1);
        prop_assert_eq!(attempt(&codec, &framed(id, &datum[..at.index(datum.len())])), 0);
        prop_assert_eq!(attempt(&codec, &framed(id, &[&datum[..], &[0]].concat())), 0);
    }
}

#[test]
fn a_huge_length_allocates_nothing_huge() {
    // A string that claims to be 64 MiB long, where the first id should be.
    let huge = [0x80, 0x80, 0x80, 0x40];
    let codec = codec();
    for event in EventType::ALL {
        let record = RecordType::Event(*event);
        let place = RecordType::all().position(|it| it == record).unwrap();
        // Ours borrows from the bytes there are; what has to be resolved is read by the Avro crate, which has a limit.
        let readers = [(codec.ids().of(record), "ends within"), (OTHER + u32::try_from(place).unwrap(), "allocat")];
        for (id, why) in readers {
            let error = codec.decode(&framed(id, &huge)).unwrap_err();
            assert!(matches!(error, DecodeError::Malformed { .. }));
            assert!(format!("{error:?}").contains(why), "{error:?}");
        }
    }
}

#[test]
fn what_has_no_header_is_not_framed() {
    let codec = codec();
    for bytes in [&[][..], &[0, 0, 0, 1], &[1, 0, 0, 0, 1, 0]] {
        assert!(matches!(codec.decode(bytes), Err(DecodeError::NotFramed)));
    }
}

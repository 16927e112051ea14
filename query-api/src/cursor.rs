//! Where a list goes on: opaque to clients, and good only for the list that it came from.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use service_kit::keys::Keys;
use service_kit::problem::{Kind, Problem};
use uuid::Uuid;

const VERSION: u8 = 1;
const PLACE: usize = 1 + 8 + 16 + 16;
const MAC: usize = 8;

/// The last item of a page, by what the list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Microseconds since 1970.
    pub us: i64,
    /// Tells apart what has the same time.
    pub id: Uuid,
    /// Tells apart what has the same id, too.
    pub within: Uuid,
}

/// The cursor of a place; `list` says of which list, filters included.
pub fn write(keys: &Keys, list: &str, place: Place) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend(place.us.to_be_bytes());
    bytes.extend(place.id.as_bytes());
    bytes.extend(place.within.as_bytes());
    bytes.extend(mac(keys, list, &bytes));
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The place of a cursor, if there is one.
///
/// # Errors
/// 400 `bad-parameter` if it was altered, or is of another list.
pub fn read(keys: &Keys, list: &str, cursor: Option<&str>) -> Result<Option<Place>, Problem> {
    let Some(text) = cursor else { return Ok(None) };
    let refused = || Problem::new(Kind::BadParameter).error("/cursor", "must be the next_cursor of this very list");
    parse(keys, list, text).map(Some).ok_or_else(refused)
}

fn parse(keys: &Keys, list: &str, text: &str) -> Option<Place> {
    if text.len() > 2 * (PLACE + MAC) {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let (place, seal) = bytes.split_at_checked(PLACE)?;
    // Nothing is protected by it: whoever guesses a seal gets a page of what is theirs to see.
    if seal != mac(keys, list, place) || place[0] != VERSION {
        return None;
    }
    let (us, ids) = place[1..].split_first_chunk()?;
    let (id, within) = ids.split_at_checked(16)?;
    Some(Place { us: i64::from_be_bytes(*us), id: Uuid::from_slice(id).ok()?, within: Uuid::from_slice(within).ok()? })
}

fn mac(keys: &Keys, list: &str, place: &[u8]) -> [u8; MAC] {
    // No canonical JSON begins like this, so it is the fingerprint of nothing else.
    let sealed = keys.fingerprint(&format!("cursor\n{list}\n{}", BASE64_URL_SAFE_NO_PAD.encode(place)));
    let (head, _) = sealed.0.split_first_chunk().expect("a fingerprint has 16 bytes");
    *head
}

#[cfg(test)]
mod tests {
    use service_kit::keys::Secret32;

    use super::*;

    const HERE: Place = Place { us: -5, id: Uuid::from_u128(7), within: Uuid::from_u128(8) };

    #[test]
    fn a_cursor_is_good_for_its_list_only() {
        let keys = Keys::new(&Secret32::new([1; 32]));
        let cursor = write(&keys, "orders", HERE);
        assert_eq!(read(&keys, "orders", Some(&cursor)), Ok(Some(HERE)));
        assert_eq!(read(&keys, "orders", None), Ok(None));
        assert!(read(&keys, "shows", Some(&cursor)).is_err());
        assert!(read(&Keys::new(&Secret32::new([2; 32])), "orders", Some(&cursor)).is_err());
    }

    #[test]
    fn any_altered_byte_is_found() {
        let keys = Keys::new(&Secret32::new([1; 32]));
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(write(&keys, "orders", HERE)).unwrap();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert!(read(&keys, "orders", Some(&BASE64_URL_SAFE_NO_PAD.encode(altered))).is_err(), "byte {at}");
        }
        for bad in ["", "x", "%", &"A".repeat(1000)] {
            assert!(read(&keys, "orders", Some(bad)).is_err(), "{bad}");
        }
    }
}

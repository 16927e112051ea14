//! Queue tickets: what a visitor of a waiting room proves a place with.
//!
//! A ticket is base64url of 77 bytes: layout 1, show (16), session (16), number (u32), seen (microseconds, i64), and the
//! HMAC-SHA256 of all that; integers are big-endian. Whether it was shown recently enough is judged where the terms of
//! the waiting room are known.

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::request::Parts;
use ring::hmac;
use uuid::Uuid;

use domain::ids::{SessionId, ShowId};
use domain::value::Timestamp;

use crate::keys::Secret32;
use crate::problem::{Kind, Problem};

/// The header that carries it.
pub const HEADER: &str = "queue-ticket";

const LAYOUT: u8 = 1;
const BODY: usize = 1 + 16 + 16 + 4 + 8;
const WHOLE: usize = BODY + 32;

/// A place in a waiting room, as its ticket says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Whose waiting room.
    pub show: ShowId,
    /// The place's name.
    pub session: SessionId,
    /// The ordinal of joining.
    pub number: u32,
    /// When the visitor was last there.
    pub seen: Timestamp,
}

/// The ticket is missing, altered, or of another place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the queue ticket is not one of ours, or of another place")]
pub struct Invalid;

impl From<Invalid> for Problem {
    fn from(_: Invalid) -> Self {
        Self::new(Kind::QueueTicketInvalid)
    }
}

/// Makes queue tickets by one key, and verifies those of two while rotating.
pub struct QueueTickets {
    current: hmac::Key,
    previous: Option<hmac::Key>,
}

impl QueueTickets {
    pub(crate) fn new(current: &Secret32, previous: Option<&Secret32>) -> Self {
        let key = |secret: &Secret32| hmac::Key::new(hmac::HMAC_SHA256, secret.derive("queue ticket").expose());
        Self { current: key(current), previous: previous.map(key) }
    }

    /// The ticket of a place; the same again for the same place seen at the same moment.
    pub fn sign(&self, place: &Place) -> String {
        let mut bytes = body(place).to_vec();
        bytes.extend_from_slice(hmac::sign(&self.current, &bytes).as_ref());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place that a ticket is of, whichever it is.
    ///
    /// # Errors
    /// It is not a ticket of ours, or altered.
    pub fn read(&self, ticket: &str) -> Result<Place, Invalid> {
        // Nothing longer is looked at: 77 bytes are 103 characters.
        if ticket.len() > 103 {
            return Err(Invalid);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(ticket).map_err(|_| Invalid)?;
        let bytes: [u8; WHOLE] = bytes.try_into().map_err(|_| Invalid)?;
        let (body, tag) = bytes.split_first_chunk::<BODY>().ok_or(Invalid)?;
        let mut keys = [Some(&self.current), self.previous.as_ref()].into_iter().flatten();
        match keys.any(|key| hmac::verify(key, body, tag).is_ok()) {
            true => place(body).ok_or(Invalid),
            false => Err(Invalid),
        }
    }

    /// The place of exactly this session of this show.
    ///
    /// # Errors
    /// There is no ticket, it is not one of ours, or it is of another place.
    pub fn of(&self, ticket: Option<&str>, show: ShowId, session: SessionId) -> Result<Place, Invalid> {
        let place = self.read(ticket.ok_or(Invalid)?)?;
        if (place.show, place.session) == (show, session) { Ok(place) } else { Err(Invalid) }
    }
}

fn body(place: &Place) -> [u8; BODY] {
    let mut body = [LAYOUT; BODY];
    body[1..17].copy_from_slice(place.show.0.as_bytes());
    body[17..33].copy_from_slice(place.session.0.as_bytes());
    body[33..37].copy_from_slice(&place.number.to_be_bytes());
    body[37..].copy_from_slice(&place.seen.0.to_be_bytes());
    body
}

fn place(body: &[u8; BODY]) -> Option<Place> {
    let (layout, rest) = body.split_first()?;
    let (show, rest) = rest.split_first_chunk()?;
    let (session, rest) = rest.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let seen = rest.first_chunk()?;
    (*layout == LAYOUT).then(|| Place {
        show: ShowId(Uuid::from_bytes(*show)),
        session: SessionId(Uuid::from_bytes(*session)),
        number: u32::from_be_bytes(*number),
        seen: Timestamp(i64::from_be_bytes(*seen)),
    })
}

/// The `Queue-Ticket` of a request as it came, if there is exactly one.
#[derive(Clone, PartialEq, Eq)]
pub struct QueueTicket(pub Option<String>);

impl QueueTicket {
    fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(HEADER).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self(value.to_str().ok().map(str::to_owned)),
            _ => Self(None),
        }
    }

    /// As text.
    pub fn as_deref(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl std::fmt::Debug for QueueTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QueueTicket(…)")
    }
}

impl<S: Sync> FromRequestParts<S> for QueueTicket {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place {
        show: ShowId(Uuid::from_u128(1)),
        session: SessionId(Uuid::from_u128(2)),
        number: 3,
        seen: Timestamp(1_800_000_000_000_000),
    };

    fn tickets(current: u8, previous: Option<u8>) -> QueueTickets {
        let secret = |byte| Secret32::new([byte; 32]);
        QueueTickets::new(&secret(current), previous.map(secret).as_ref())
    }

    #[test]
    fn a_ticket_says_what_it_was_made_for() {
        let ticket = tickets(7, None).sign(&PLACE);
        assert_eq!(tickets(7, None).read(&ticket), Ok(PLACE));
        // Pinned, as computed by another implementation: visitors hold tickets while a new version of us is rolled out.
        assert_eq!(
            ticket,
            "AQAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAACAAAAAwAGZRcomIAASJ-DauP0KjbcALGmMbMN6d_rd9-SnfywFtnFWAQ4d4M"
        );
    }

    #[test]
    fn any_altered_byte_is_refused() {
        let tickets = tickets(7, None);
        let ticket = tickets.sign(&PLACE);
        for at in 0..ticket.len() {
            for other in *b"ABQgw_-=. " {
                let mut altered = ticket.clone().into_bytes();
                if altered[at] != other {
                    altered[at] = other;
                    assert_eq!(tickets.read(&String::from_utf8(altered).unwrap()), Err(Invalid), "{at}");
                }
            }
            assert_eq!(tickets.read(&ticket[..at]), Err(Invalid), "{at}");
        }
        assert_eq!(tickets.read(&format!("{ticket}A")), Err(Invalid));
        assert_eq!(tickets.read(&format!("{ticket}=")), Err(Invalid));
    }

    #[test]
    fn no_two_fields_can_be_taken_for_each_other() {
        let (ids, numbers) = ([0, 1, 2, 1 << 64, u128::MAX], [0, 1, 256, u32::MAX]);
        let mut signed = std::collections::HashSet::new();
        for (show, session) in ids.iter().flat_map(|show| ids.iter().map(move |session| (*show, *session))) {
            for (number, seen) in numbers.iter().flat_map(|number| [-1, 0, 1, i64::MAX].map(|seen| (*number, seen))) {
                let (show, session) = (ShowId(Uuid::from_u128(show)), SessionId(Uuid::from_u128(session)));
                let one = Place { show, session, number, seen: Timestamp(seen) };
                assert!(signed.insert(body(&one)), "{one:?} is signed as another");
                assert_eq!(place(&body(&one)), Some(one));
            }
        }
    }

    #[test]
    fn another_layout_is_refused_though_we_signed_it() {
        let tickets = tickets(7, None);
        let mut bytes = body(&PLACE);
        bytes[0] = 2;
        let tag = hmac::sign(&tickets.current, &bytes);
        assert_eq!(tickets.read(&BASE64_URL_SAFE_NO_PAD.encode([&bytes, tag.as_ref()].concat())), Err(Invalid));
    }

    #[test]
    fn tickets_of_the_key_before_are_good_and_those_of_strangers_are_not() {
        let (old, new) = (tickets(7, None), tickets(8, Some(7)));
        assert_eq!(new.read(&old.sign(&PLACE)), Ok(PLACE));
        assert_eq!(old.read(&new.sign(&PLACE)), Err(Invalid));
        assert_eq!(tickets(8, None).read(&old.sign(&PLACE)), Err(Invalid));
    }

    #[test]
    fn a_ticket_is_of_one_place_only() {
        let tickets = tickets(7, None);
        let ticket = tickets.sign(&PLACE);
        let (show, session) = (ShowId(Uuid::from_u128(9)), SessionId(Uuid::from_u128(9)));
        assert_eq!(tickets.of(Some(&ticket), PLACE.show, PLACE.session), Ok(PLACE));
        assert_eq!(tickets.of(Some(&ticket), show, PLACE.session), Err(Invalid));
        assert_eq!(tickets.of(Some(&ticket), PLACE.show, session), Err(Invalid));
        assert_eq!(tickets.of(None, PLACE.show, PLACE.session), Err(Invalid));
    }

    #[test]
    fn there_is_one_ticket_or_none() {
        let headers = |values: &[&str]| {
            values.iter().map(|value| (HEADER.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())).collect()
        };
        assert_eq!(QueueTicket::of(&headers(&["a"])).as_deref(), Some("a"));
        assert_eq!(QueueTicket::of(&headers(&[])).as_deref(), None);
        assert_eq!(QueueTicket::of(&headers(&["a", "a"])).as_deref(), None);
        assert_eq!(format!("{:?}", QueueTicket(Some("secret".to_owned()))), "QueueTicket(…)");
    }
}

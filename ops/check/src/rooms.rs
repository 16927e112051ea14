//! A waiting room that kept its word, as a log for tests; each test forges it in its own way.

use domain::ids::{OrderId, ShowId};
use domain::queue::{
    CheckoutCompleted, CheckoutExpired, CheckoutFailed, CheckoutStarted, CheckoutTied, Event, Mode, PreQueueClosed,
    QueueDrawn, QueueExpired, QueueJoined, QueueLeft, QueueModeSet, QueueReady, Seed, Terms, WaitingRoomOpened,
    session,
};
use domain::value::Timestamp;
use uuid::Uuid;

use super::Draw;

/// Whose room it is.
pub const SHOW: ShowId = ShowId(Uuid::from_u128(0x51));
/// So many come before the opening.
pub const EARLY: u32 = 5;
const SEED: Seed = Seed([7; 32]);
/// How long a token is good.
pub const TTL_S: i64 = 20;

/// A moment, seconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000)
}

/// Three slots, two admitted every second, opening at second 10.
pub fn terms() -> Terms {
    Terms {
        opens_at: Some(at(10)),
        slots: 3,
        admission_batch: 2,
        enter_s: 5,
        token_ttl_s: TTL_S,
        away_grace_s: 60,
        ..Terms::default()
    }
}

/// The room opens on these terms.
pub fn opened() -> Event {
    let terms = terms();
    let (organizer, checkout_url) = ("account:o".to_owned(), None);
    WaitingRoomOpened { show: SHOW, organizer, terms, checkout_url, draw_hash: Some(SEED.hash()) }.into()
}

/// The organizer lets people through in this way.
pub fn flow(mode: Mode, inflow_per_min: Option<i32>) -> Event {
    QueueModeSet { show: SHOW, mode, inflow_per_min, challenge_bits: None }.into()
}

/// Somebody joins.
pub fn joined(number: u32, principal: &str) -> Event {
    let principal = principal.to_owned();
    QueueJoined { show: SHOW, session: session(SHOW, number), number: number.into(), principal }.into()
}

/// The place of a number.
pub fn place(number: u32) -> u32 {
    Draw::of(&SEED.to_string(), EARLY).expect("the seed is a seed").place(number)
}

/// The number at a place.
pub fn number(place_of: u32) -> u32 {
    (1..=EARLY).find(|number| place(*number) == place_of).unwrap_or(place_of)
}

/// The one at this place is admitted at this second.
pub fn ready(place: u32, seconds: i64) -> Event {
    let number = number(place);
    let (session, enter_by) = (session(SHOW, number), at(seconds + 5));
    QueueReady { show: SHOW, session, number: number.into(), place: place.into(), enter_by }.into()
}

/// The one at this place enters.
pub fn entered(place: u32, seconds: i64) -> Event {
    let number = number(place);
    let expires_at = at(seconds + TTL_S);
    CheckoutStarted { show: SHOW, session: session(SHOW, number), number: number.into(), expires_at }.into()
}

/// The order of the one at this place.
pub fn order(place: u32) -> OrderId {
    OrderId(Uuid::from_u128(u128::from(place)))
}

/// The one at this place has ordered.
pub fn tied(place: u32) -> Event {
    let number = number(place);
    let (session, number) = (session(SHOW, number), number.into());
    CheckoutTied { show: SHOW, session, number, order: order(place) }.into()
}

/// The order of the one at this place ended.
pub fn order_ended(place: u32, with_tickets: bool) -> Event {
    let number = number(place);
    let (show, session, number, order) = (SHOW, session(SHOW, number), number.into(), order(place));
    match with_tickets {
        true => CheckoutCompleted { show, session, number, order }.into(),
        false => CheckoutFailed { show, session, number, order }.into(),
    }
}

/// The one at this place leaves.
pub fn left(place: u32, entered: bool) -> Event {
    let number = number(place);
    QueueLeft { show: SHOW, session: session(SHOW, number), number: number.into(), entered }.into()
}

/// The one at this place never entered.
pub fn lapsed(place: u32) -> Event {
    let number = number(place);
    QueueExpired { show: SHOW, session: session(SHOW, number), number: number.into() }.into()
}

/// The one at this place never ordered.
pub fn expired(place: u32) -> Event {
    let number = number(place);
    CheckoutExpired { show: SHOW, session: session(SHOW, number), number: number.into() }.into()
}

/// The opening and the draw of those who came before.
pub fn drawn() -> [Event; 2] {
    let count = i64::from(EARLY);
    [PreQueueClosed { show: SHOW, count }.into(), QueueDrawn { show: SHOW, seed: SEED.to_string(), count }.into()]
}

/// Five come early and are drawn, two later. The first orders and gets tickets, the second orders and does not pay, the
/// third never enters, the fourth leaves while waiting, the fifth leaves with a token, the sixth never orders, the
/// seventh has just been admitted.
pub fn good() -> Vec<(Event, Timestamp)> {
    let mut events = vec![(opened(), at(0))];
    events.extend((1..=EARLY).map(|n| (joined(n, &format!("guest:{n}")), at(i64::from(n)))));
    events.extend(drawn().map(|event| (event, at(10))));
    let later = [
        (joined(6, "account:6"), 11),
        (ready(1, 11), 11),
        (ready(2, 11), 11),
        (joined(7, "guest:7"), 11),
        (entered(1, 12), 12),
        (ready(3, 12), 12),
        (tied(1), 13),
        (left(4, false), 13),
        (entered(2, 14), 14),
        (tied(2), 15),
        (order_ended(1, true), 16),
        (ready(5, 16), 16),
        (lapsed(3), 17),
        (ready(6, 17), 17),
        (entered(5, 18), 18),
        (left(5, true), 19),
        (entered(6, 19), 19),
        (order_ended(2, false), 40),
        (expired(6), 19 + TTL_S + 30),
        (ready(7, 70), 70),
    ];
    events.extend(later.map(|(event, seconds)| (event, at(seconds))));
    events
}

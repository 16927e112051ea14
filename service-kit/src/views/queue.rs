//! What both APIs answer about waiting rooms.

use domain::queue::{Ending, Mode, Standing, Terms, WaitingRoomOpened};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::moment;
use crate::queue_ticket::{Place, QueueTickets};

/// Near the front, and wherever the next step is the visitor's own.
const POLL_SOON_MS: i64 = 1_000;
/// Where nothing will change any more.
const POLL_SELDOM_MS: i64 = 15_000;

/// The queue in front of a show: its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitingRoom {
    /// Whether there is one.
    pub enabled: bool,
    /// Nobody is admitted before; those who join before are put in an order by lot. Absent: open once published.
    pub opens_at: Option<jiff::Timestamp>,
    /// How many may be admitted or in checkout at once.
    pub slots: i32,
    /// How many are admitted in one tick at most.
    pub admission_batch: i32,
    /// How many are admitted a minute at most when it opens; null for no limit.
    pub inflow_per_min: Option<i32>,
    /// The difficulty of the proof of work that joining takes when it opens, in bits; null for none.
    pub challenge_bits: Option<i32>,
    /// Between ticks.
    pub tick_ms: i64,
    /// An admitted visitor enters within so many seconds, or the place is lost.
    pub enter_s: i64,
    /// A checkout token is good for so many seconds.
    pub token_ttl_s: i64,
    /// A queue ticket that was not shown for so many seconds is stale.
    pub away_grace_s: i64,
    /// SHA-256 of the seed that the places of those who came early are drawn by, 64 hex digits; once published, if
    /// places are drawn at all. The seed itself is published by the draw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draw_hash: Option<String>,
}

impl WaitingRoom {
    /// These settings; `draw_hash` once it is published.
    pub fn of(terms: &Terms, draw_hash: Option<String>) -> Self {
        Self {
            enabled: true,
            opens_at: terms.opens_at.map(moment),
            slots: terms.slots,
            admission_batch: terms.admission_batch,
            inflow_per_min: terms.inflow_per_min,
            challenge_bits: terms.challenge_bits,
            tick_ms: terms.tick_ms,
            enter_s: terms.enter_s,
            token_ttl_s: terms.token_ttl_s,
            away_grace_s: terms.away_grace_s,
            draw_hash,
        }
    }
}

/// Where a place in a waiting room stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueStatus {
    /// The waiting room has not opened: places will be drawn.
    WaitingToOpen,
    /// Others are in front.
    Queued,
    /// May enter, until `enter_by`.
    Admitted,
    /// Has entered, and may place one order.
    InCheckout,
    /// Has placed an order, and it is completed.
    Completed,
    /// Did not enter, order or pay in time.
    Expired,
    /// Gave the place up.
    Left,
}

/// A place in a waiting room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueuePlace {
    /// The place's name.
    pub session: Uuid,
    /// What the place is proved with; every answer has a fresh one: send it next time.
    pub queue_ticket: String,
    /// Where it stands.
    pub status: QueueStatus,
    /// The ordinal of joining, from 1.
    pub number: u32,
    /// The order of service: `number`, or what was drawn for those who came before the opening. Null until then.
    pub place: Option<u32>,
    /// How many still wait in front; null when not waiting in a known order.
    pub ahead: Option<u32>,
    /// `ahead` + 1.
    pub position: Option<u32>,
    /// About how many seconds until admission; null when nobody can tell.
    pub estimated_wait_s: Option<i64>,
    /// Whether the organizer lets nobody through for now.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub paused: bool,
    /// When the waiting room opens, while it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<jiff::Timestamp>,
    /// While it has not opened: SHA-256 of the seed of the draw to come, 64 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draw_hash: Option<String>,
    /// Until when to enter, while admitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enter_by: Option<jiff::Timestamp>,
    /// Until when to order, while in checkout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkout_expires_at: Option<jiff::Timestamp>,
    /// Ask again after so many milliseconds.
    pub poll_after_ms: i64,
}

impl QueuePlace {
    /// A place of this waiting room as it stands at the moment that it is `seen`, with a fresh ticket; `order` is its
    /// order of service, once known. How long the wait will be is for those to add who watch the queue move.
    pub fn of(
        tickets: &QueueTickets,
        place: &Place,
        opened: &WaitingRoomOpened,
        order: Option<u32>,
        standing: Standing,
    ) -> Self {
        let terms = &opened.terms;
        let bare = Self {
            session: place.session.0,
            queue_ticket: tickets.sign(place),
            status: status(standing),
            number: place.number,
            place: order,
            ahead: None,
            position: None,
            estimated_wait_s: None,
            paused: false,
            opens_at: None,
            draw_hash: None,
            enter_by: None,
            checkout_expires_at: None,
            poll_after_ms: POLL_SOON_MS,
        };
        match standing {
            Standing::WaitingToOpen => Self {
                opens_at: terms.opens_at.map(moment),
                draw_hash: opened.draw_hash.clone(),
                poll_after_ms: terms.poll_before_opening_ms(place.seen),
                ..bare
            },
            Standing::Queued { ahead, .. } => Self {
                ahead: Some(ahead),
                position: Some(ahead.saturating_add(1)),
                poll_after_ms: terms.poll_after_ms(ahead),
                ..bare
            },
            Standing::Admitted { enter_by } => Self { enter_by: Some(moment(enter_by)), ..bare },
            Standing::InCheckout { expires_at } => Self { checkout_expires_at: Some(moment(expires_at)), ..bare },
            Standing::Ended(_) => Self { poll_after_ms: POLL_SELDOM_MS, ..bare },
        }
    }
}

fn status(standing: Standing) -> QueueStatus {
    match standing {
        Standing::WaitingToOpen => QueueStatus::WaitingToOpen,
        Standing::Queued { .. } => QueueStatus::Queued,
        Standing::Admitted { .. } => QueueStatus::Admitted,
        Standing::InCheckout { .. } => QueueStatus::InCheckout,
        Standing::Ended(Ending::Completed) => QueueStatus::Completed,
        Standing::Ended(Ending::Expired) => QueueStatus::Expired,
        Standing::Ended(Ending::Left) => QueueStatus::Left,
    }
}

/// How people are let through a waiting room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueueMode {
    /// In their turn, as slots and inflow allow.
    Queue,
    /// Nobody is admitted; everybody may join and keeps the place.
    Pause,
    /// Everybody at once: people are only counted.
    PassThrough,
    /// Nobody may join; who has a place is served in turn.
    Reject,
}

impl QueueMode {
    /// As a command has it.
    pub fn mode(self) -> Mode {
        match self {
            Self::Queue => Mode::Queue,
            Self::Pause => Mode::Pause,
            Self::PassThrough => Mode::PassThrough,
            Self::Reject => Mode::Reject,
        }
    }

    /// As visitors are told; a mode that a later version knows lets nobody through.
    pub fn of(mode: Mode) -> Self {
        match mode {
            Mode::Queue => Self::Queue,
            Mode::Pause | Mode::Unknown => Self::Pause,
            Mode::PassThrough => Self::PassThrough,
            Mode::Reject => Self::Reject,
        }
    }
}

/// How people are let through, now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueFlow {
    /// Which show's waiting room.
    pub show: Uuid,
    /// In which way.
    pub mode: QueueMode,
    /// How many are admitted a minute at most; null for no limit.
    pub inflow_per_min: Option<i32>,
    /// The difficulty of the proof of work that joining takes, in bits; null for none.
    pub challenge_bits: Option<i32>,
}

/// A visitor who has entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueEntered {
    /// For the header `Checkout-Token` of one order.
    pub checkout_token: String,
    /// Until when the order is to be placed.
    pub checkout_expires_at: jiff::Timestamp,
    /// Where to go on, if the organizer has set it.
    pub checkout_url: Option<String>,
}

#[cfg(test)]
mod tests {
    use domain::ids::{SessionId, ShowId};
    use domain::value::Timestamp;

    use super::*;
    use crate::keys::Secret32;

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn opened(opens_at: Option<Timestamp>) -> WaitingRoomOpened {
        let terms = Terms { opens_at, ..Terms::default() };
        let draw_hash = opens_at.map(|_| "ab".repeat(32));
        let show = ShowId(Uuid::from_u128(1));
        WaitingRoomOpened { show, organizer: "account:o".to_owned(), terms, checkout_url: None, draw_hash }
    }

    fn json(opened: &WaitingRoomOpened, order: Option<u32>, standing: Standing) -> serde_json::Value {
        let tickets = QueueTickets::new(&Secret32::new([7; 32]), None);
        let session = SessionId(Uuid::from_u128(2));
        let place = Place { show: opened.show, session, number: 3, seen: NOW };
        let view = QueuePlace::of(&tickets, &place, opened, order, standing);
        assert_eq!(tickets.of(Some(&view.queue_ticket), opened.show, session), Ok(place));
        let mut json = serde_json::to_value(view).unwrap();
        json["queue_ticket"] = "…".into();
        json
    }

    #[test]
    fn before_the_opening_nobody_has_a_place() {
        let opened = opened(Some(NOW.plus_s(20)));
        insta::assert_snapshot!(json(&opened, None, Standing::WaitingToOpen), @r#"{"ahead":null,"draw_hash":"abababababababababababababababababababababababababababababababab","estimated_wait_s":null,"number":3,"opens_at":"2027-01-15T08:00:20Z","place":null,"poll_after_ms":2000,"position":null,"queue_ticket":"…","session":"00000000-0000-0000-0000-000000000002","status":"waiting_to_open"}"#);
    }

    #[test]
    fn in_the_queue_a_position_is_told() {
        insta::assert_snapshot!(json(&opened(None), Some(3), Standing::Queued { place: 3, ahead: 2 }), @r#"{"ahead":2,"estimated_wait_s":null,"number":3,"place":3,"poll_after_ms":1000,"position":3,"queue_ticket":"…","session":"00000000-0000-0000-0000-000000000002","status":"queued"}"#);
    }

    #[test]
    fn whose_turn_it_is_learns_until_when() {
        let opened = opened(None);
        let admitted = json(&opened, Some(3), Standing::Admitted { enter_by: NOW.plus_s(60) });
        assert_eq!((&admitted["status"], &admitted["enter_by"]), (&"admitted".into(), &"2027-01-15T08:01:00Z".into()));
        let entered = json(&opened, Some(3), Standing::InCheckout { expires_at: NOW.plus_s(900) });
        assert_eq!(
            (&entered["status"], &entered["checkout_expires_at"]),
            (&"in_checkout".into(), &"2027-01-15T08:15:00Z".into())
        );
        for (ending, name) in [(Ending::Left, "left"), (Ending::Completed, "completed"), (Ending::Expired, "expired")] {
            let ended = json(&opened, Some(3), Standing::Ended(ending));
            assert_eq!((&ended["status"], &ended["poll_after_ms"]), (&name.into(), &15_000.into()));
            assert!(ended["ahead"].is_null() && ended["position"].is_null());
        }
    }
}

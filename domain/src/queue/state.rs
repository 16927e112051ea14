//! A waiting room as it is known: folded from its events.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::breakage::{Breakage, broken};
use crate::event_name::aggregate;
use crate::ids::{SessionId, ShowId};
use crate::principal::Principal;
use crate::queue::flow::Pace;
use crate::queue::places::{Phase, ordinal};
use crate::queue::{
    Command, Event, Mode, Places, Refusal, Slot, Standing, TOKEN_GRACE_S, Terms, WaitingRoomOpened, session,
};
use crate::root::{Context, Root};
use crate::value::{Actor, Timestamp};

/// The waiting room of one show; the default is that of a show which has none (yet).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct WaitingRoom {
    opened: Option<Arc<Opened>>,
    places: Places,
    /// The newest number of everybody who ever joined: all that is kept of who waits.
    holders: OrdMap<Principal, u32>,
    /// The live slots by their sessions.
    sessions: OrdMap<SessionId, u32>,
    /// The untied slots by the moment they end.
    ends: OrdSet<(Timestamp, u32)>,
    last_round: Option<Timestamp>,
    pace: Pace,
}

/// What one round admits at most: its events must fit one frame of the log.
pub(super) const MOST_A_ROUND: usize = 400;

/// What is settled when the room opens.
pub type Opened = WaitingRoomOpened;

/// When an untied slot ends by itself; a tied one ends with its order.
fn end_of(slot: Slot) -> Option<Timestamp> {
    match slot {
        Slot::Admitted { enter_by } => Some(enter_by),
        Slot::InCheckout { expires_at, order: None } => Some(expires_at.plus_s(TOKEN_GRACE_S)),
        Slot::InCheckout { order: Some(_), .. } => None,
    }
}

impl WaitingRoom {
    /// What was settled at the opening; none before.
    pub fn known(&self) -> Option<&Opened> {
        self.opened.as_deref()
    }

    /// Whether it is over.
    pub fn closed(&self) -> bool {
        self.places.phase() == Phase::Closed
    }

    /// When the draw is made; none if there is none.
    pub fn opens_at(&self) -> Option<Timestamp> {
        self.known()?.terms.opens_at
    }

    /// Hex SHA-256 of the seed, if there is a draw.
    pub fn draw_hash(&self) -> Option<&str> {
        self.known()?.draw_hash.as_deref()
    }

    /// The newest number of this account or guest, as `account:<sub>` or `guest:<uuid>`.
    pub fn number_of(&self, principal: &str) -> Option<u32> {
        self.holders.get(&Principal::from(principal)).copied()
    }

    /// The order of service of a number; none until it is known, and then for ever the same.
    pub fn place(&self, number: u32) -> Option<u32> {
        self.places.place(number)
    }

    /// Where a number stands.
    pub fn standing(&self, number: u32) -> Standing {
        self.places.standing(number)
    }

    /// How people are let through.
    pub fn mode(&self) -> Mode {
        self.places.flow().mode
    }

    /// People admitted a minute at most; none for no limit.
    pub fn inflow_per_min(&self) -> Option<i32> {
        self.places.flow().inflow_per_min
    }

    /// The bits of the proof of work that joining takes; none for no proof.
    pub fn challenge_bits(&self) -> Option<i32> {
        self.places.flow().challenge_bits
    }

    /// Everybody's standing.
    pub fn places(&self) -> &Places {
        &self.places
    }

    pub(super) fn number(&self, session: SessionId) -> Option<u32> {
        self.sessions.get(&session).copied()
    }

    pub(super) fn session(&self, number: u32) -> SessionId {
        session(self.show(), number)
    }

    pub(super) fn show(&self) -> ShowId {
        self.known().map_or_else(ShowId::default, |opened| opened.show)
    }

    /// Untied slots that have ended by this moment, the earliest first.
    pub(super) fn ended_by(&self, at: Timestamp) -> impl Iterator<Item = u32> {
        self.ends.iter().take_while(move |(end, _)| *end <= at).map(|(_, number)| *number)
    }

    /// How many may be admitted, apart from the time between two rounds and the inflow.
    pub(super) fn free(&self, terms: &Terms) -> usize {
        let batch = usize::try_from(terms.admission_batch).unwrap_or(0);
        match self.places.flow().mode {
            Mode::Pause | Mode::Unknown => 0,
            Mode::PassThrough => MOST_A_ROUND,
            Mode::Queue | Mode::Reject => {
                let slots = usize::try_from(terms.slots).unwrap_or(0);
                let slots = slots + usize::from(broken(Breakage::AdmitBeyondSlots));
                slots.saturating_sub(self.places.slots().len()).min(batch)
            }
        }
    }

    /// How many the inflow lets in now.
    pub(super) fn inflow(&self, terms: &Terms, at: Timestamp) -> usize {
        self.pace.room(self.places.flow(), terms, at)
    }

    /// When the next batch may be admitted.
    pub(super) fn next_admission(&self, terms: &Terms) -> Timestamp {
        let round = self.last_round.map_or(Timestamp(0), |last| terms.next_round(last));
        round.max(self.pace.next())
    }

    pub(super) fn fold(&mut self, event: Event) {
        let (touched, flow) = (touched(&event), self.places.flow());
        if let Some((number, _)) = touched {
            self.unlink(number);
        }
        self.places.fold(&event);
        if let Some((number, session)) = touched {
            self.link(number, session);
        }
        match event {
            Event::WaitingRoomOpened(event) => self.opened = Some(Arc::new(event)),
            Event::WaitingRoomClosed(_) => self.forget_everybody(),
            Event::QueueJoined(event) => {
                self.holders.insert(event.principal.into(), ordinal(event.number));
            }
            Event::QueueReady(event) => self.admitted(event.enter_by),
            Event::QueueExpired(_) => self.pace.give_back(self.places.flow()),
            // What was used of the old limit says nothing about the new one.
            Event::QueueModeSet(_) if !self.places.flow().lets_in_as(flow) => self.pace = Pace::default(),
            _ => {}
        }
    }

    /// Drops what the indexes know of a slot that is about to change.
    fn unlink(&mut self, number: u32) {
        if let Some(end) = self.places.slot(number).and_then(end_of) {
            self.ends.remove(&(end, number));
        }
    }

    fn link(&mut self, number: u32, session: SessionId) {
        let Some(slot) = self.places.slot(number) else {
            self.sessions.remove(&session);
            return;
        };
        self.sessions.insert(session, number);
        if let Some(end) = end_of(slot) {
            self.ends.insert((end, number));
        }
    }

    /// More admitted than allowed can only be a bug, so it stops the partition.
    fn admitted(&mut self, enter_by: Timestamp) {
        let opened = self.opened.clone().expect("WaitingRoomOpened comes first");
        let terms = &opened.terms;
        let at = enter_by.plus_s(-terms.enter_s);
        self.last_round = Some(at);
        self.pace.admit(self.places.flow(), terms, at);
        if self.places.flow().mode == Mode::PassThrough {
            return;
        }
        let (slots, most) = (self.places.slots().len(), usize::try_from(terms.slots).unwrap_or(0));
        assert!(slots <= most, "{slots} slots are live, and at most {most} may be");
    }

    fn forget_everybody(&mut self) {
        self.holders.clear();
        self.sessions.clear();
        self.ends.clear();
    }
}

/// The place whose slot an event changes.
fn touched(event: &Event) -> Option<(u32, SessionId)> {
    let (number, session) = match event {
        Event::QueueReady(event) => (event.number, event.session),
        Event::CheckoutStarted(event) => (event.number, event.session),
        Event::CheckoutTied(event) => (event.number, event.session),
        Event::QueueLeft(event) => (event.number, event.session),
        Event::QueueExpired(event) => (event.number, event.session),
        Event::CheckoutCompleted(event) => (event.number, event.session),
        Event::CheckoutFailed(event) => (event.number, event.session),
        Event::CheckoutExpired(event) => (event.number, event.session),
        Event::WaitingRoomOpened(_)
        | Event::WaitingRoomClosed(_)
        | Event::QueueModeSet(_)
        | Event::QueueJoined(_)
        | Event::PreQueueClosed(_)
        | Event::QueueDrawn(_) => return None,
    };
    Some((ordinal(number), session))
}

aggregate!(WaitingRoom, "waiting-room");

/// What an answer is about: who asks, and the number that was asked about.
#[derive(Debug, Clone, Default)]
pub struct About {
    holder: Option<Principal>,
    number: Option<u32>,
}

impl Root for WaitingRoom {
    type Ask = Command;
    type About = About;
    const CONTEXT: Context = Context::Queue;

    /// Whoever is waited for in vain: admitted and not entered, or entered and without an order.
    fn next_due(&self) -> Option<Timestamp> {
        self.ends.get_min().map(|(end, _)| *end)
    }

    fn due() -> Command {
        Command::Tick
    }

    /// The opening, and then a round of admissions whenever somebody waits and a slot is free.
    fn next_round(&self) -> Option<Timestamp> {
        let terms = &self.known()?.terms;
        match self.places.phase() {
            Phase::PreQueue => terms.opens_at,
            Phase::Open if self.places.waiting() > 0 && self.free(terms) > 0 => Some(self.next_admission(terms)),
            Phase::Unopened | Phase::Drawing { .. } | Phase::Open | Phase::Closed => None,
        }
    }

    fn round() -> Command {
        Command::Round
    }

    fn about(ask: &Command, by: &Actor) -> About {
        let number = match ask {
            Command::Enter { number, .. } | Command::Leave { number } => Some(*number),
            _ => None,
        };
        About { holder: Some(Principal::from(by.principal())), number }
    }

    fn relevant(&self, about: &About) -> Self {
        let holder = about.holder.as_ref();
        let held = holder.and_then(|holder| Some((holder.clone(), *self.holders.get(holder)?)));
        let number = about.number.or(held.as_ref().map(|(_, number)| *number));
        Self {
            opened: self.opened.clone(),
            places: self.places.only(number),
            holders: held.into_iter().collect(),
            ..Self::default()
        }
    }

    fn id(event: &Event) -> uuid::Uuid {
        event.aggregate()
    }
}

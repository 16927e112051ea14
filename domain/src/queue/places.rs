//! Who is where: what the aggregate and the board have in common, folded from the same events.

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::breakage::{Breakage, broken};
use crate::ids::OrderId;
use crate::queue::draw::Draw;
use crate::queue::flow::Flow;
use crate::queue::marks::Marks;
use crate::queue::{Event, Mode, QueueDrawn, QueueModeSet, QueueReady, Seed, Terms};
use crate::value::Timestamp;

/// How a place ended is remembered for so many places that were served later; then it counts as expired.
pub(super) const REMEMBERED: u32 = 20_000;

/// How a place ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// On the visitor's own wish.
    Left,
    /// The order got its tickets.
    Completed,
    /// Nobody entered or ordered in time, the order ended without tickets, or the room was closed.
    Expired,
}

/// Where a visitor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The draw has not been made; nobody has a place yet.
    WaitingToOpen,
    /// Waits, with so many still waiting in front.
    Queued { place: u32, ahead: u32 },
    /// May enter until then.
    Admitted { enter_by: Timestamp },
    /// Has entered, with a checkout token that ends then.
    InCheckout { expires_at: Timestamp },
    /// Has no place any more.
    Ended(Ending),
}

/// The right to order, held by one visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// Not entered yet.
    Admitted { enter_by: Timestamp },
    /// Entered; tied to an order once there is one.
    InCheckout { expires_at: Timestamp, order: Option<OrderId> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Phase {
    #[default]
    Unopened,
    /// Before `opens_at`.
    PreQueue,
    /// The seed is awaited; so many are put in an order by it.
    Drawing {
        count: u32,
    },
    Open,
    Closed,
}

/// Everybody's standing. Folding is total: it takes any events, in any order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Places {
    phase: Phase,
    joined: u32,
    /// Every place up to this one was admitted or had left before.
    served_up_to: u32,
    /// How many waiting visitors have left: those beyond `served_up_to`.
    gone: u32,
    draw: Option<Draw>,
    /// By place; by number until the draw is made.
    marks: Marks,
    /// The live ones, by number.
    slots: OrdMap<u32, Slot>,
    #[serde(default)]
    flow: Flow,
}

/// The number or place that an event names.
pub(super) fn ordinal(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

impl Places {
    /// How people are let through.
    pub(super) fn flow(&self) -> Flow {
        self.flow
    }

    /// How many have ever joined.
    pub fn joined(&self) -> u32 {
        self.joined
    }

    /// Every place up to this one was admitted or had left before.
    pub fn served_up_to(&self) -> u32 {
        self.served_up_to
    }

    /// How many wait.
    pub fn waiting(&self) -> u32 {
        match self.phase {
            Phase::Closed => 0,
            _ => self.joined.saturating_sub(self.served_up_to).saturating_sub(self.gone),
        }
    }

    /// The draw, once its seed is public.
    pub fn draw(&self) -> Option<&Draw> {
        self.draw.as_ref()
    }

    /// The live slots with their numbers.
    pub fn slots(&self) -> impl ExactSizeIterator<Item = (u32, Slot)> {
        self.slots.iter().map(|(number, slot)| (*number, *slot))
    }

    /// The live slot of a number.
    pub fn slot(&self, number: u32) -> Option<Slot> {
        self.slots.get(&number).copied()
    }

    /// The order of service of a number; none until it is known, and then for ever the same.
    pub fn place(&self, number: u32) -> Option<u32> {
        match (self.phase, &self.draw) {
            (Phase::Unopened | Phase::PreQueue | Phase::Drawing { .. }, _) => None,
            (_, Some(draw)) => Some(draw.place(number)),
            (_, None) => Some(number),
        }
    }

    /// Where a number stands. One that has not been seen yet counts as waiting: events may be on their way.
    pub fn standing(&self, number: u32) -> Standing {
        let place = self.place(number).unwrap_or(number);
        match (self.slot(number), self.marks.get(place)) {
            (Some(Slot::Admitted { enter_by }), _) => Standing::Admitted { enter_by },
            (Some(Slot::InCheckout { expires_at, .. }), _) => Standing::InCheckout { expires_at },
            (None, Some(ending)) => Standing::Ended(ending),
            (None, None) => match self.phase {
                Phase::Unopened | Phase::PreQueue | Phase::Drawing { .. } => Standing::WaitingToOpen,
                Phase::Open if place > self.served_up_to => Standing::Queued { place, ahead: self.ahead(place) },
                Phase::Open | Phase::Closed => Standing::Ended(Ending::Expired),
            },
        }
    }

    /// How many still wait in front of a place.
    fn ahead(&self, place: u32) -> u32 {
        let before = place.saturating_sub(1);
        before.saturating_sub(self.served_up_to) - self.marks.left_between(self.served_up_to + 1, before)
    }

    /// The numbers whose turn comes next with their places, at most so many.
    pub(super) fn next_up(&self, most: usize) -> impl Iterator<Item = (u32, u32)> {
        let places = self.served_up_to + 1..=self.joined;
        let waiting = places.filter(|place| self.marks.get(*place).is_none());
        waiting.take(most).map(|place| (self.draw.map_or(place, |draw| draw.number(place)), place))
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn fold(&mut self, event: &Event) {
        match event {
            Event::WaitingRoomOpened(_) if self.phase != Phase::Unopened => {}
            Event::WaitingRoomOpened(event) => {
                self.phase = if event.terms.opens_at.is_some() { Phase::PreQueue } else { Phase::Open };
                let Terms { inflow_per_min, challenge_bits, .. } = event.terms;
                self.flow = Flow { mode: Mode::default(), inflow_per_min, challenge_bits };
            }
            Event::WaitingRoomClosed(_) => {
                self.phase = Phase::Closed;
                self.slots.clear();
            }
            Event::QueueModeSet(event) => {
                let QueueModeSet { mode, inflow_per_min, challenge_bits, .. } = *event;
                self.flow = Flow { mode, inflow_per_min, challenge_bits };
            }
            Event::QueueJoined(event) => self.joined = self.joined.max(ordinal(event.number)),
            Event::PreQueueClosed(event) => self.phase = Phase::Drawing { count: ordinal(event.count) },
            Event::QueueDrawn(event) => self.drawn(event),
            Event::QueueReady(event) => self.admit(event),
            Event::CheckoutStarted(event) => {
                let slot = Slot::InCheckout { expires_at: event.expires_at, order: None };
                self.slots.insert(ordinal(event.number), slot);
            }
            Event::CheckoutTied(event) => {
                if let Some(Slot::InCheckout { order, .. }) = self.slots.get_mut(&ordinal(event.number)) {
                    *order = Some(event.order);
                }
            }
            Event::QueueLeft(event) => self.end(event.number, Ending::Left),
            Event::QueueExpired(event) => self.end(event.number, Ending::Expired),
            Event::CheckoutCompleted(event) => self.end(event.number, Ending::Completed),
            Event::CheckoutFailed(event) => self.end(event.number, Ending::Expired),
            Event::CheckoutExpired(event) => self.end(event.number, Ending::Expired),
        }
    }

    /// Until now those who left were known by their numbers; from now on by their places.
    fn drawn(&mut self, event: &QueueDrawn) {
        self.phase = Phase::Open;
        // Only what an owner has checked is an event, so a seed that cannot be read draws nothing.
        let Ok(seed) = event.seed.parse::<Seed>() else { return };
        let draw = Draw::new(seed, ordinal(event.count));
        let mut marks = Marks::default();
        self.marks.left().for_each(|number| marks.set(draw.place(number), Ending::Left));
        (self.draw, self.marks) = (Some(draw), marks);
    }

    fn admit(&mut self, event: &QueueReady) {
        let place = ordinal(event.place);
        // Whoever was passed over had left.
        let passed = place.saturating_sub(self.served_up_to).saturating_sub(1);
        self.gone = self.gone.saturating_sub(passed);
        self.served_up_to = self.served_up_to.max(place);
        self.slots.insert(ordinal(event.number), Slot::Admitted { enter_by: event.enter_by });
        self.marks.forget_below(self.served_up_to.saturating_sub(REMEMBERED));
    }

    fn end(&mut self, number: i64, ending: Ending) {
        let number = ordinal(number);
        if self.slots.remove(&number).is_none() {
            self.gone += 1;
        } else if broken(Breakage::SlotFreedTwice) {
            self.slots = self.slots.without_min().1;
        }
        self.marks.set(self.place(number).unwrap_or(number), ending);
    }

    /// A copy that answers the same about this number, and about nobody else.
    pub(super) fn only(&self, number: Option<u32>) -> Self {
        let mut marks = Marks::default();
        let mut served_up_to = self.served_up_to;
        if let Some(number) = number {
            let place = self.place(number).unwrap_or(number);
            match self.standing(number) {
                // Those in front who left count as if they had been served.
                Standing::Queued { ahead, .. } => served_up_to = place - 1 - ahead,
                Standing::Ended(ending) => marks.set(place, ending),
                Standing::WaitingToOpen | Standing::Admitted { .. } | Standing::InCheckout { .. } => {}
            }
        }
        let slot = number.and_then(|number| Some((number, self.slot(number)?)));
        Self { served_up_to, marks, slots: slot.into_iter().collect(), ..self.clone() }
    }
}

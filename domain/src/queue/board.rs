//! What visitors are told: a fold of a room's events with exactly what readers need.
//!
//! Invariant: after the same events it gives everybody the standing that the waiting room itself gives.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::queue::arrivals::Arrivals;
use crate::queue::places::{Phase, ordinal};
use crate::queue::{Draw, Event, Mode, Places, Slot, Standing, Terms, WaitingRoomOpened};
use crate::value::Timestamp;

/// The outflow is measured over so much time, seconds.
const WINDOW_S: i64 = 60;

/// Whether people are admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Not yet: the order of service is not drawn.
    PreQueue,
    /// They are.
    Open,
    /// Not any more.
    Closed,
}

/// The waiting room of one show, as its readers see it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Board {
    opened: Option<WaitingRoomOpened>,
    places: Places,
    first_admission: Option<Timestamp>,
    /// When how many were admitted, for as long as the outflow is measured.
    admissions: VecDeque<(Timestamp, u32)>,
    #[serde(default)]
    arrivals: Arrivals,
    /// How many were admitted and never entered.
    #[serde(default)]
    no_shows: u32,
}

impl Board {
    /// Takes the room's next event in, with the moment it was decided (`meta.occurred_at`).
    pub fn apply(&mut self, event: &Event, occurred_at: Timestamp) {
        self.places.fold(event);
        match event {
            Event::WaitingRoomOpened(event) => self.opened = Some(event.clone()),
            Event::QueueJoined(event) => self.arrivals.add(ordinal(event.number), occurred_at),
            Event::QueueReady(_) => self.admitted(occurred_at),
            Event::QueueExpired(_) => self.no_shows = self.no_shows.saturating_add(1),
            _ => {}
        }
    }

    fn admitted(&mut self, at: Timestamp) {
        self.first_admission.get_or_insert(at);
        match self.admissions.back_mut() {
            Some((same, count)) if *same == at => *count += 1,
            _ => self.admissions.push_back((at, 1)),
        }
        while self.admissions.front().is_some_and(|(earlier, _)| earlier.plus_s(WINDOW_S) <= at) {
            self.admissions.pop_front();
        }
    }

    /// What was settled at the opening; none before.
    pub fn opened(&self) -> Option<&WaitingRoomOpened> {
        self.opened.as_ref()
    }

    /// How it is run; none before the opening.
    pub fn terms(&self) -> Option<&Terms> {
        self.opened().map(|opened| &opened.terms)
    }

    /// Where an admitted visitor is sent.
    pub fn checkout_url(&self) -> Option<&str> {
        self.opened()?.checkout_url.as_deref()
    }

    /// When the draw is made, if there is one.
    pub fn opens_at(&self) -> Option<Timestamp> {
        self.terms()?.opens_at
    }

    /// Hex SHA-256 of the draw's seed, if there is a draw.
    pub fn draw_hash(&self) -> Option<&str> {
        self.opened()?.draw_hash.as_deref()
    }

    /// The draw, once its seed is public.
    pub fn draw(&self) -> Option<&Draw> {
        self.places.draw()
    }

    /// Whether people are admitted.
    pub fn stage(&self) -> Stage {
        match self.places.phase() {
            Phase::Unopened | Phase::PreQueue | Phase::Drawing { .. } => Stage::PreQueue,
            Phase::Open => Stage::Open,
            Phase::Closed => Stage::Closed,
        }
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

    /// How many have ever joined.
    pub fn joined(&self) -> u32 {
        self.places.joined()
    }

    /// How many wait.
    pub fn waiting(&self) -> u32 {
        self.places.waiting()
    }

    /// For how many seconds whoever is next has waited, to within a few; none if nobody waits, or nobody is known to be next.
    pub fn oldest_waiting_s(&self, now: Timestamp) -> Option<i64> {
        let (number, _) = self.places.next_up(1).next().filter(|_| self.stage() == Stage::Open)?;
        let since = self.arrivals.of(number)?;
        Some(now.0.saturating_sub(since.0).max(0) / 1_000_000)
    }

    /// How many were admitted and never entered.
    pub fn no_shows(&self) -> u32 {
        self.no_shows
    }

    /// Every place up to this one was admitted or had left before.
    pub fn served_up_to(&self) -> u32 {
        self.places.served_up_to()
    }

    /// The live slots with their numbers.
    pub fn slots(&self) -> impl ExactSizeIterator<Item = (u32, Slot)> {
        self.places.slots()
    }

    /// The order of service of a number; none until it is known, and then for ever the same.
    pub fn place(&self, number: u32) -> Option<u32> {
        self.places.place(number)
    }

    /// Where a number stands. One that the board has not seen yet counts as waiting.
    pub fn standing(&self, number: u32) -> Standing {
        self.places.standing(number)
    }

    /// How many are admitted in a minute, as it went in the last one (or since the first admission).
    pub fn outflow_per_min(&self, now: Timestamp) -> i64 {
        let recent = self.admissions.iter().filter(|(at, _)| at.plus_s(WINDOW_S) > now);
        let count: i64 = recent.map(|(_, count)| i64::from(*count)).sum();
        let since_us = self.first_admission.map_or(0, |first| now.0.saturating_sub(first.0));
        let window_us = since_us.clamp(1_000_000, WINDOW_S * 1_000_000);
        count.saturating_mul(60_000_000) / window_us
    }

    /// In how many seconds the turn of somebody comes who has so many ahead; none while nobody is admitted, or the organizer
    /// pauses.
    pub fn estimated_wait_s(&self, ahead: u32, now: Timestamp) -> Option<i64> {
        let outflow = self.outflow_per_min(now);
        let position = i64::from(ahead) + 1;
        let flows = self.stage() == Stage::Open && !matches!(self.mode(), Mode::Pause | Mode::Unknown);
        (flows && outflow > 0).then(|| (position * 60 + outflow - 1) / outflow)
    }

    /// When to ask again with so many ahead, milliseconds: a second near the front, up to 15 far behind.
    pub fn poll_after_ms(&self, ahead: u32) -> i64 {
        self.terms().map_or(1_000, |terms| terms.poll_after_ms(ahead))
    }
}

//! What the log says of one waiting room, recomputed without the domain's state or any read model.

use std::collections::{BTreeMap, BTreeSet};

use domain::event::Event;
use domain::ids::{SessionId, ShowId};
use domain::queue;

use crate::journal::News;

/// One waiting room, event by event. Adding events fails at the first that breaks a law.
#[derive(Debug, Default, Clone)]
pub struct Room {
    /// So many may be admitted or in checkout at once.
    pub slots: usize,
    /// The most that ever were.
    pub most: usize,
    /// Who joined, by number.
    pub joined: BTreeMap<i64, SessionId>,
    /// The numbers in the order they were admitted in, with their places.
    pub admitted: Vec<(i64, i64)>,
    /// How places ended, by number.
    pub ended: BTreeMap<i64, &'static str>,
    /// The draw's seed and how many were drawn.
    pub drawn: Option<(String, i64)>,
    /// Who came before the opening.
    pub early: Option<i64>,
    /// Hex SHA-256 of the seed, from before the first join.
    pub draw_hash: Option<String>,
    /// Who is admitted or in checkout.
    pub live: BTreeSet<i64>,
    holders: BTreeMap<String, i64>,
    passes: bool,
    closed: bool,
}

impl Room {
    /// Adds what is new of this show's room.
    ///
    /// # Panics
    /// If a law is broken: more slots in use than there are, somebody served before somebody in front, a number twice, two
    /// live places of one principal.
    pub fn add(&mut self, show: impl Into<ShowId>, news: &News) {
        let show = show.into();
        let of_queue = news.events.iter().filter(|event| event.aggregate() == show.0);
        for event in of_queue {
            if let Event::Queue(event) = event {
                self.count(event);
            }
        }
    }

    fn count(&mut self, event: &queue::Event) {
        use queue::Event as E;
        assert!(!self.closed, "something happens in a closed room: {event:?}");
        match event {
            E::WaitingRoomOpened(event) => {
                self.slots = usize::try_from(event.terms.slots).expect("there are some");
                self.draw_hash.clone_from(&event.draw_hash);
            }
            E::WaitingRoomClosed(_) => {
                self.closed = true;
                self.live.clear();
            }
            E::QueueModeSet(event) => self.passes = event.mode == queue::Mode::PassThrough,
            E::QueueJoined(event) => self.join(event),
            E::PreQueueClosed(event) => {
                assert_eq!(usize::try_from(event.count).ok(), Some(self.joined.len()), "all who joined are drawn");
                self.early = Some(event.count);
            }
            E::QueueDrawn(event) => {
                assert_eq!(Some(event.count), self.early, "those who came early are drawn");
                self.drawn = Some((event.seed.clone(), event.count));
            }
            E::QueueReady(event) => self.admit(event),
            E::CheckoutStarted(event) => {
                assert!(self.live.contains(&event.number), "{} enters without a slot", event.number);
            }
            E::CheckoutTied(event) => {
                assert!(self.live.contains(&event.number), "an order of {} is tied to no slot", event.number);
            }
            E::QueueLeft(event) => self.end(event.number, "left"),
            E::QueueExpired(event) => self.end(event.number, "lapsed"),
            E::CheckoutCompleted(event) => self.end(event.number, "completed"),
            E::CheckoutFailed(event) => self.end(event.number, "failed"),
            E::CheckoutExpired(event) => self.end(event.number, "expired"),
        }
    }

    fn join(&mut self, event: &queue::QueueJoined) {
        let expected = i64::try_from(self.joined.len()).expect("few") + 1;
        assert_eq!(event.number, expected, "numbers are the ordinals of joining");
        self.joined.insert(event.number, event.session);
        let before = self.holders.insert(event.principal.clone(), event.number);
        let over = before.is_none_or(|number| self.ended.contains_key(&number));
        assert!(over, "{} has two places: {before:?} and {}", event.principal, event.number);
    }

    fn admit(&mut self, event: &queue::QueueReady) {
        assert!(self.joined.get(&event.number) == Some(&event.session), "{} has never joined", event.number);
        assert!(self.early.is_none() || self.drawn.is_some(), "{} is admitted before the draw", event.number);
        let last = self.admitted.last().map_or(0, |(place, _)| *place);
        assert!(event.place > last, "place {} is served after place {last}", event.place);
        assert!(!self.ended.contains_key(&event.number), "{} had no place any more", event.number);
        self.admitted.push((event.place, event.number));
        self.live.insert(event.number);
        self.most = self.most.max(self.live.len());
        assert!(self.passes || self.live.len() <= self.slots, "{} slots are in use of {}", self.live.len(), self.slots);
    }

    fn end(&mut self, number: i64, how: &'static str) {
        assert!(self.joined.contains_key(&number), "{number} has never joined");
        self.live.remove(&number);
        let before = self.ended.insert(number, how);
        assert_eq!(before, None, "the place of {number} ended twice, {how} the second time");
    }

    /// How many places ended so.
    pub fn count_of(&self, how: &str) -> usize {
        self.ended.values().filter(|ending| **ending == how).count()
    }

    /// Checks that nobody was passed over: whoever joined was admitted or had left before, up to the last one admitted.
    ///
    /// # Panics
    /// If somebody was.
    pub fn check_nobody_lost(&self) {
        let admitted: BTreeSet<i64> = self.admitted.iter().map(|(_, number)| *number).collect();
        assert_eq!(admitted.len(), self.admitted.len(), "somebody was admitted twice");
        let lost: Vec<&i64> =
            self.joined.keys().filter(|it| !admitted.contains(it) && !self.ended.contains_key(it)).collect();
        assert!(lost.is_empty(), "never admitted: {lost:?}");
    }
}

//! One waiting room, recomputed from `queue-events` by sums of its own: no rule of the aggregate is used.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::ids::{OrderId, SessionId, derived};
use domain::queue::{
    Event, Mode, PreQueueClosed, QueueDrawn, QueueJoined, QueueReady, TOKEN_GRACE_S, WaitingRoomOpened,
};
use domain::value::Timestamp;

use super::draw::{Draw, hash_of};
use super::flow::Flow;
use super::visitor::{At, Visitor};
use crate::report::Faults;

/// One show's waiting room.
#[derive(Debug, Clone, Default)]
pub struct Room {
    /// What was settled at the opening.
    pub opened: Option<WaitingRoomOpened>,
    /// Everybody who joined; the first has number 1.
    pub visitors: Vec<Visitor>,
    /// The numbers in the order of their admission.
    pub admissions: Vec<u32>,
    /// The draw, by the seed that was revealed.
    pub draw: Option<Draw>,
    /// How many came before the opening, once that was noted.
    pub pre_queue: Option<u32>,
    /// Live slots.
    pub live: u32,
    /// The most live slots at any moment.
    pub peak: u32,
    /// Who got a checkout token.
    pub entered: u32,
    /// Who left, and how many of them while they waited.
    pub left: (u32, u32),
    /// How often somebody was admitted while another one waited in front.
    pub inversions: u32,
    /// Where the order of service is broken.
    pub service: Faults,
    /// Where the draw is not what was promised.
    pub drawing: Faults,
    /// Where more slots were in use than the setting allows.
    pub slots: Faults,
    /// Where somebody had two places, or numbers are not 1, 2, 3, ….
    pub places: Faults,
    /// How fast people were let through.
    pub flow: Flow,
    /// Where a place took a way that there is not.
    pub ways: Faults,
    /// Who waits: by place, or by number until the draw.
    waiting: BTreeSet<u32>,
    holders: HashMap<String, u32>,
    sessions: BTreeMap<SessionId, u32>,
    round: (Timestamp, u32),
    closed: bool,
}

impl Room {
    /// Takes the next event of the room in.
    pub fn fold(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::WaitingRoomOpened(it) => self.open(it),
            Event::WaitingRoomClosed(_) => self.close(),
            Event::QueueModeSet(it) => self.flow.change(it),
            Event::QueueJoined(it) => self.join(it, at),
            Event::PreQueueClosed(it) => self.close_pre_queue(it),
            Event::QueueDrawn(it) => self.drawn(it),
            Event::QueueReady(it) => self.admit(it, at),
            Event::CheckoutStarted(it) => {
                let right = |known| matches!(known, At::Admitted(_));
                self.turn((it.number, it.session), At::InCheckout(it.expires_at), "enters", right);
                self.entered += 1;
                self.token(it.number, it.expires_at, at);
            }
            Event::CheckoutTied(it) => {
                let right = |known| matches!(known, At::InCheckout(_));
                self.turn((it.number, it.session), At::Tied(it.order), "orders", right);
            }
            Event::QueueLeft(it) => self.leave((it.number, it.session), it.entered),
            Event::QueueExpired(it) => {
                let right = |known| matches!(known, At::Admitted(by) if at >= by);
                self.turn((it.number, it.session), At::Lapsed, "lapses", right);
                self.flow.lapse();
            }
            Event::CheckoutExpired(it) => {
                let right = |known| matches!(known, At::InCheckout(end) if at >= end.plus_s(TOKEN_GRACE_S));
                self.turn((it.number, it.session), At::Expired, "expires", right);
            }
            Event::CheckoutCompleted(it) => self.end_order((it.number, it.session), At::Completed(it.order), it.order),
            Event::CheckoutFailed(it) => self.end_order((it.number, it.session), At::Failed(it.order), it.order),
        }
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// The visitor of a session, with its number.
    pub fn of(&self, session: SessionId) -> Option<(u32, &Visitor)> {
        let number = *self.sessions.get(&session)?;
        Some((number, self.visitors.get(index(number)?)?))
    }

    /// How many stand where `which` says.
    pub fn count(&self, which: impl Fn(At) -> bool) -> usize {
        self.visitors.iter().filter(|visitor| which(visitor.at)).count()
    }

    /// The place of a number by the draw; `None` until there is one.
    pub fn place(&self, number: u32) -> Option<u32> {
        match (&self.draw, self.promised_draw()) {
            (Some(draw), _) => Some(draw.place(number)),
            (None, false) => Some(number),
            (None, true) => None,
        }
    }

    fn promised_draw(&self) -> bool {
        self.opened.as_ref().is_some_and(|opened| opened.terms.opens_at.is_some())
    }

    fn open(&mut self, opened: &WaitingRoomOpened) {
        if self.opened.is_some() || !self.visitors.is_empty() {
            self.drawing.add("the room was opened after somebody joined, or twice");
        }
        self.opened = Some(opened.clone());
        self.flow.open(&opened.terms);
        if self.promised_draw() && opened.draw_hash.is_none() {
            self.drawing.add("there is a pre-queue, and no hash was published before the first join");
        }
    }

    /// Whoever waits or has a slot has nothing any more.
    fn close(&mut self) {
        self.closed = true;
        self.live = 0;
        self.waiting.clear();
        self.visitors.iter_mut().filter(|visitor| !visitor.at.over()).for_each(|visitor| visitor.at = At::Closed);
    }

    fn join(&mut self, it: &QueueJoined, at: Timestamp) {
        let number = u32::try_from(self.visitors.len()).unwrap_or(u32::MAX) + 1;
        if i64::from(number) != it.number {
            self.places.add(format!("number {} follows {}", it.number, number - 1));
        }
        if it.session != SessionId(derived(it.show.0, "session", u64::from(number))) {
            self.places.add(format!("number {number} has another session than its own"));
        }
        if self.closed || self.opened.is_none() {
            self.places.add(format!("number {number} joined while the room was not open"));
        }
        self.flow.join(number);
        let before = self.holders.insert(it.principal.clone(), number).and_then(index);
        if let Some(before) = before.filter(|before| !self.visitors[*before].at.over()) {
            self.places.add(format!("number {number} is held by whom number {} belongs to as well", before + 1));
        }
        self.sessions.insert(it.session, number);
        self.waiting.insert(self.place(number).unwrap_or(number));
        let (session, at_place) = (it.session, At::Waiting);
        let visitor =
            Visitor { session, joined_at: at, admitted_at: None, place: None, token_ends: None, at: at_place };
        self.visitors.push(visitor);
    }

    fn close_pre_queue(&mut self, it: &PreQueueClosed) {
        if i64::try_from(self.visitors.len()) != Ok(it.count) || self.pre_queue.is_some() || !self.promised_draw() {
            let joined = self.visitors.len();
            self.drawing.add(format!("the pre-queue was closed with {} of {joined} who had come", it.count));
        }
        self.pre_queue = u32::try_from(it.count).ok();
    }

    fn drawn(&mut self, it: &QueueDrawn) {
        let promised = self.opened.as_ref().and_then(|opened| opened.draw_hash.clone());
        if hash_of(&it.seed).is_none_or(|hash| Some(hash) != promised) {
            self.drawing.add(format!("the seed {} is not that of the hash {promised:?}", it.seed));
        }
        if self.draw.is_some() || self.pre_queue.map(i64::from) != Some(it.count) {
            self.drawing.add(format!("{} were drawn of {:?} who had come", it.count, self.pre_queue));
        }
        self.draw = u32::try_from(it.count).ok().and_then(|count| Draw::of(&it.seed, count));
        let numbers = std::mem::take(&mut self.waiting);
        self.waiting = numbers.into_iter().map(|number| self.place(number).unwrap_or(number)).collect();
    }

    fn admit(&mut self, it: &QueueReady, at: Timestamp) {
        let Some(number) = u32::try_from(it.number).ok().filter(|number| self.visitor(*number).is_some()) else {
            return self.ways.add(format!("number {} was admitted and never joined", it.number));
        };
        let place = u32::try_from(it.place).unwrap_or(0);
        match self.place(number) {
            None => self.drawing.add(format!("number {number} was admitted before the draw")),
            Some(right) if right != place => {
                self.service.add(format!("number {number} was served as place {place} instead of {right}"));
            }
            Some(_) => {}
        }
        let front = self.waiting.range(..place).count();
        if front > 0 {
            self.inversions += 1;
            self.service.add(format!("place {place} was admitted while {front} waited in front of it"));
        }
        self.turn((it.number, it.session), At::Admitted(it.enter_by), "is admitted", |known| known == At::Waiting);
        self.waiting.remove(&place);
        self.admissions.push(number);
        if let Some(visitor) = self.visitor_mut(number) {
            (visitor.place, visitor.admitted_at) = (Some(place), Some(at));
        }
        self.flow.admit(number, at);
        self.in_round(at);
    }

    /// Everybody admitted at one moment belongs to one round.
    fn in_round(&mut self, at: Timestamp) {
        self.round = if self.round.0 == at { (at, self.round.1 + 1) } else { (at, 1) };
        if self.flow.mode == Mode::PassThrough {
            return;
        }
        let batch = self.opened.as_ref().map_or(0, |opened| opened.terms.admission_batch);
        if i64::from(self.round.1) > i64::from(batch) {
            self.slots.add(format!("{} were admitted in one round, a batch has {batch}", self.round.1));
        }
    }

    fn token(&mut self, number: i64, ends: Timestamp, at: Timestamp) {
        let ttl_s = self.opened.as_ref().map_or(0, |opened| opened.terms.token_ttl_s);
        if ends != at.plus_s(ttl_s) {
            self.ways.add(format!("the token of number {number} is not good for {ttl_s} s"));
        }
        if let Some(visitor) = u32::try_from(number).ok().and_then(|number| self.visitor_mut(number)) {
            visitor.token_ends = Some(ends);
        }
    }

    fn leave(&mut self, (number, session): (i64, SessionId), entered: bool) {
        let known = u32::try_from(number).ok().and_then(|number| self.visitor(number)).map(|visitor| visitor.at);
        if known.is_some_and(|known| matches!(known, At::InCheckout(_)) != entered) {
            self.ways.add(format!("number {number} left, and its token (if any) was forgotten"));
        }
        self.left.0 += 1;
        self.left.1 += u32::from(known == Some(At::Waiting));
        let right = |known| matches!(known, At::Waiting | At::Admitted(_) | At::InCheckout(_));
        self.turn((number, session), At::Left, "leaves", right);
    }

    fn end_order(&mut self, who: (i64, SessionId), end: At, order: OrderId) {
        let right = |known| match known {
            At::Tied(tied) => tied == order,
            At::InCheckout(_) => true,
            _ => false,
        };
        self.turn(who, end, "has its order ended", right);
    }

    /// Moves a visitor, if `right` says that this may follow on where it was; a slot is taken or freed by it.
    fn turn(&mut self, (number, session): (i64, SessionId), to: At, what: &str, right: impl Fn(At) -> bool) {
        let visitor = u32::try_from(number).ok().and_then(index).and_then(|at| self.visitors.get_mut(at));
        let Some(visitor) = visitor else { return self.ways.add(format!("number {number} {what} and never joined")) };
        let from = std::mem::replace(&mut visitor.at, to);
        if visitor.session != session {
            self.ways.add(format!("number {number} {what} under another session than its own"));
        }
        if self.closed || !right(from) {
            self.ways.add(format!("number {number} {what}, but was {}", from.word()));
        }
        if from == At::Waiting && to != At::Waiting {
            let place = u32::try_from(number).ok().and_then(|number| self.place(number).or(Some(number)));
            place.map(|place| self.waiting.remove(&place));
        }
        self.measure(from.live(), to.live());
    }

    fn measure(&mut self, before: bool, after: bool) {
        self.live = (self.live + u32::from(after)).saturating_sub(u32::from(before));
        self.peak = self.peak.max(self.live);
        let most = self.opened.as_ref().map_or(0, |opened| opened.terms.slots);
        if after && !before && i64::from(self.live) > i64::from(most) && self.flow.mode != Mode::PassThrough {
            self.slots.add(format!("{} slots were in use, the setting is {most}", self.live));
        }
    }

    fn visitor(&self, number: u32) -> Option<&Visitor> {
        self.visitors.get(index(number)?)
    }

    fn visitor_mut(&mut self, number: u32) -> Option<&mut Visitor> {
        self.visitors.get_mut(index(number)?)
    }
}

fn index(number: u32) -> Option<usize> {
    usize::try_from(number.checked_sub(1)?).ok()
}

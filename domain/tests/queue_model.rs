//! A waiting room the slow way: everybody is written down, and every question goes over all of them.

use domain::ids::{OrderId, ShowId};
use domain::queue::{Draw, Ending, Event, Mode, QueueJoined, QueueReady, Standing, Terms, session};
use domain::value::Timestamp;

#[derive(Debug, Clone, PartialEq)]
pub enum Whereabouts {
    Waiting,
    Admitted(Timestamp),
    InCheckout(Timestamp, Option<OrderId>),
    Ended(Ending),
}

#[derive(Debug, Clone)]
pub struct Person {
    pub principal: String,
    pub place: Option<u32>,
    pub whereabouts: Whereabouts,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Stage {
    #[default]
    Unopened,
    Before,
    Open,
    Closed,
}

/// Everybody who ever joined, by number. Its fold asserts the laws of a waiting room at every event.
#[derive(Debug, Default)]
pub struct Model {
    pub stage: Stage,
    pub people: Vec<Person>,
    pub slots: usize,
    pub last_ready: Option<QueueReady>,
    pub mode: Mode,
    pub inflow_per_min: Option<i32>,
    challenge_bits: Option<i32>,
    /// Those who were admitted since that was set, without those of them who never entered; and when the first one was.
    let_in: (i64, Option<Timestamp>),
    terms: Option<Terms>,
    show: ShowId,
}

impl Model {
    /// An empty room in front of this show.
    pub fn of(show: ShowId) -> Self {
        Self { show, ..Self::default() }
    }

    pub fn person(&self, number: u32) -> Option<&Person> {
        self.people.get((number as usize).checked_sub(1)?)
    }

    pub fn live(&self) -> impl Iterator<Item = &Person> {
        let live =
            |person: &&Person| matches!(person.whereabouts, Whereabouts::Admitted(_) | Whereabouts::InCheckout(..));
        self.people.iter().filter(live)
    }

    pub fn waiting(&self) -> impl Iterator<Item = &Person> {
        self.people.iter().filter(|person| person.whereabouts == Whereabouts::Waiting)
    }

    /// When the first untied slot ends.
    pub fn next_end(&self) -> Option<Timestamp> {
        let end = |person: &Person| match person.whereabouts {
            Whereabouts::Admitted(enter_by) => Some(enter_by),
            Whereabouts::InCheckout(expires_at, None) => Some(expires_at.plus_s(30)),
            _ => None,
        };
        self.people.iter().filter_map(end).min()
    }

    pub fn standing(&self, number: u32) -> Standing {
        let Some(person) = self.person(number) else { return self.unseen(number) };
        match (&person.whereabouts, person.place) {
            (Whereabouts::Waiting, Some(place)) if self.stage == Stage::Open => {
                Standing::Queued { place, ahead: self.waiting_before(place) }
            }
            (Whereabouts::Waiting, _) => Standing::WaitingToOpen,
            (Whereabouts::Admitted(enter_by), _) => Standing::Admitted { enter_by: *enter_by },
            (Whereabouts::InCheckout(expires_at, _), _) => Standing::InCheckout { expires_at: *expires_at },
            (Whereabouts::Ended(ending), _) => Standing::Ended(*ending),
        }
    }

    /// A number whose joining has not been heard of: last of all.
    fn unseen(&self, number: u32) -> Standing {
        match self.stage {
            Stage::Unopened | Stage::Before => Standing::WaitingToOpen,
            Stage::Open => {
                let between = number as usize - self.people.len() - 1;
                Standing::Queued { place: number, ahead: (self.waiting().count() + between) as u32 }
            }
            Stage::Closed => Standing::Ended(Ending::Expired),
        }
    }

    fn waiting_before(&self, place: u32) -> u32 {
        self.waiting().filter(|person| person.place.unwrap() < place).count() as u32
    }

    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::WaitingRoomOpened(event) => {
                self.stage = if event.terms.opens_at.is_some() { Stage::Before } else { Stage::Open };
                self.slots = event.terms.slots as usize;
                (self.inflow_per_min, self.terms) = (event.terms.inflow_per_min, Some(event.terms));
            }
            Event::WaitingRoomClosed(_) => self.close(),
            Event::QueueModeSet(event) => {
                let same_flow = (self.mode, self.inflow_per_min) == (event.mode, event.inflow_per_min);
                assert!(!same_flow || self.challenge_bits != event.challenge_bits, "nothing changed");
                (self.mode, self.inflow_per_min) = (event.mode, event.inflow_per_min);
                self.challenge_bits = event.challenge_bits;
                // A proof of work lets nobody in sooner or later.
                self.let_in = if same_flow { self.let_in } else { (0, None) };
            }
            Event::QueueJoined(event) => self.join(event),
            Event::PreQueueClosed(event) => assert_eq!(event.count as usize, self.people.len()),
            Event::QueueDrawn(event) => self.draw(Draw::new(event.seed.parse().unwrap(), event.count as u32)),
            Event::QueueReady(event) => self.ready(event),
            Event::CheckoutStarted(event) => {
                let before = self.put(event.number, Whereabouts::InCheckout(event.expires_at, None));
                assert!(matches!(before, Whereabouts::Admitted(_)), "{before:?} entered");
            }
            Event::CheckoutTied(event) => {
                let place = &mut self.people[event.number as usize - 1].whereabouts;
                let Whereabouts::InCheckout(_, order @ None) = place else { panic!("{place:?} was tied") };
                *order = Some(event.order);
            }
            Event::QueueLeft(event) => {
                let before = self.put(event.number, Whereabouts::Ended(Ending::Left));
                assert_eq!(matches!(before, Whereabouts::InCheckout(_, None)), event.entered);
                assert!(!matches!(before, Whereabouts::Ended(_) | Whereabouts::InCheckout(_, Some(_))), "{before:?}");
            }
            Event::QueueExpired(event) => {
                let before = self.put(event.number, Whereabouts::Ended(Ending::Expired));
                assert!(matches!(before, Whereabouts::Admitted(_)), "{before:?} expired");
                self.let_in.0 -= 1;
            }
            Event::CheckoutExpired(event) => {
                let before = self.put(event.number, Whereabouts::Ended(Ending::Expired));
                assert!(matches!(before, Whereabouts::InCheckout(_, None)), "{before:?} expired");
            }
            Event::CheckoutCompleted(event) => self.checkout_ends(event.number, event.order, Ending::Completed),
            Event::CheckoutFailed(event) => self.checkout_ends(event.number, event.order, Ending::Expired),
        }
    }

    /// One place for everybody: whoever joins has none that is alive.
    fn join(&mut self, event: &QueueJoined) {
        assert_eq!(event.number as usize, self.people.len() + 1, "numbers are 1, 2, 3");
        assert_ne!(self.mode, Mode::Reject, "nobody may join");
        assert_eq!(event.session, session(self.show, event.number as u32));
        let before = self.people.iter().filter(|person| person.principal == event.principal);
        assert!(before.clone().all(|person| matches!(person.whereabouts, Whereabouts::Ended(_))), "{event:?}");
        let place = (self.stage == Stage::Open).then_some(event.number as u32);
        let (principal, whereabouts) = (event.principal.clone(), Whereabouts::Waiting);
        self.people.push(Person { principal, place, whereabouts });
    }

    fn draw(&mut self, draw: Draw) {
        self.stage = Stage::Open;
        for (number, person) in (1..).zip(&mut self.people) {
            person.place = Some(if number <= draw.count() { draw.place(number) } else { number });
        }
    }

    /// Nobody who still waits is passed over, and places are served in their order.
    fn ready(&mut self, event: &QueueReady) {
        let person = self.person(event.number as u32).unwrap();
        assert_eq!(person.place, Some(event.place as u32));
        assert_eq!(self.waiting_before(event.place as u32), 0, "somebody was passed over: {event:?}");
        assert!(self.last_ready.as_ref().is_none_or(|last| last.place < event.place), "{event:?}");
        let before = self.put(event.number, Whereabouts::Admitted(event.enter_by));
        assert_eq!(before, Whereabouts::Waiting);
        self.last_ready = Some(event.clone());
        assert_ne!(self.mode, Mode::Pause, "nobody is admitted");
        if self.mode != Mode::PassThrough {
            assert!(self.live().count() <= self.slots, "more live slots than there are");
            self.flows(event.enter_by);
        }
    }

    /// What the time makes, what one round keeps, and one more.
    fn flows(&mut self, enter_by: Timestamp) {
        let terms = self.terms.unwrap();
        let at = enter_by.plus_s(-terms.enter_s);
        let since_us = at.0 - self.let_in.1.get_or_insert(at).0 + terms.tick_ms * 1_000;
        self.let_in.0 += 1;
        if let Some(limit) = self.inflow_per_min {
            let most = since_us * i64::from(limit) / 60_000_000 + 1;
            assert!(self.let_in.0 <= most, "{} were let in, the inflow lets {most}", self.let_in.0);
        }
    }

    fn checkout_ends(&mut self, number: i64, order: OrderId, ending: Ending) {
        let before = self.put(number, Whereabouts::Ended(ending));
        let Whereabouts::InCheckout(_, tied) = before else { panic!("{before:?} ended") };
        assert!(tied.is_none_or(|tied| tied == order), "the slot belongs to {tied:?}, and {order} ended");
    }

    fn put(&mut self, number: i64, whereabouts: Whereabouts) -> Whereabouts {
        std::mem::replace(&mut self.people[number as usize - 1].whereabouts, whereabouts)
    }

    fn close(&mut self) {
        self.stage = Stage::Closed;
        for person in &mut self.people {
            if !matches!(person.whereabouts, Whereabouts::Ended(_)) {
                person.whereabouts = Whereabouts::Ended(Ending::Expired);
            }
        }
    }
}

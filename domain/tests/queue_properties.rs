//! The laws of a waiting room: whatever happens in it, it, its board and a model that writes everybody down agree at
//! every event; and whatever happened, everybody's turn comes.

use std::cell::RefCell;
use std::collections::BTreeMap;

use domain::ids::OrderId;
use domain::queue::{
    Board, CheckoutEnd, CloseReason, Command, Event, Mode, Refusal, Seed, Setting, Slot, Stage as BoardStage, Standing,
    Terms, WaitingRoom, session,
};
use domain::root::Root;
use domain::value::{Actor, Timestamp};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_oneof};
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use uuid::Uuid;

use crate::common::{SEED, SHOW, at, decide, issued, organizer, room, state};
use crate::queue_model::{Model, Stage, Whereabouts};

/// Whom something is about: a number, or whoever holds one of the live slots.
#[derive(Debug, Clone, Copy)]
enum Who {
    Number(u32),
    Slot(usize),
}

/// Something that somebody does. Visitors and numbers are few, so that things meet.
#[derive(Debug, Clone)]
enum Act {
    Join { visitor: u8, proof_bits: i32 },
    Enter { who: Who, away_s: i64 },
    Leave { who: Who },
    Tie { who: Who, order: u8 },
    End { who: Who, order: u8, end: CheckoutEnd },
    Draw { seed: Seed },
    Pass { ms: i64 },
    Flow { mode: Option<Mode>, inflow_per_min: Setting, challenge_bits: Setting },
    Round,
    Tick,
    Crash,
    Close,
}

fn act() -> impl Strategy<Value = Act> {
    let number = prop_oneof![6 => 1..12_u32, 1 => 0..40_u32].prop_map(Who::Number);
    let who = || prop_oneof![1 => number.clone(), 2 => (0..8_usize).prop_map(Who::Slot)];
    let end = || prop_oneof![Just(CheckoutEnd::Completed), Just(CheckoutEnd::Failed)];
    prop_oneof![
        12 => (0..14_u8, prop_oneof![Just(0), Just(9), Just(24)])
            .prop_map(|(visitor, proof_bits)| Act::Join { visitor, proof_bits }),
        10 => (who(), prop_oneof![4 => Just(0_i64), 1 => 0..30_i64])
            .prop_map(|(who, away_s)| Act::Enter { who, away_s }),
        4 => who().prop_map(|who| Act::Leave { who }),
        5 => (who(), 0..3_u8).prop_map(|(who, order)| Act::Tie { who, order }),
        5 => (who(), 0..3_u8, end()).prop_map(|(who, order, end)| Act::End { who, order, end }),
        3 => prop_oneof![5 => Just(SEED), 1 => any::<[u8; 32]>().prop_map(Seed)].prop_map(|seed| Act::Draw { seed }),
        8 => prop_oneof![5 => 0..2_000_i64, 1 => 0..80_000_i64].prop_map(|ms| Act::Pass { ms }),
        4 => flow(),
        14 => Just(Act::Round),
        4 => Just(Act::Tick),
        1 => Just(Act::Crash),
        // A room that is over has little more to tell.
        1 => prop_oneof![9 => Just(Act::Round), 1 => Just(Act::Close)],
    ]
}

/// Mostly back to the usual, so that what has to go on goes on.
fn flow() -> impl Strategy<Value = Act> {
    let mode = prop_oneof![
        2 => Just(None),
        4 => Just(Some(Mode::Queue)),
        1 => prop_oneof![Just(Mode::Pause), Just(Mode::PassThrough), Just(Mode::Reject)].prop_map(Some),
    ];
    let setting = |to: std::ops::Range<i32>| prop_oneof![2 => Just(Setting::Keep), 2 => Just(Setting::Off), 1 => to.prop_map(Setting::To)];
    (mode, setting(-1..400), setting(6..26)).prop_map(|(mode, inflow_per_min, challenge_bits)| Act::Flow {
        mode,
        inflow_per_min,
        challenge_bits,
    })
}

fn terms() -> impl Strategy<Value = Terms> {
    let opens_at = prop_oneof![Just(None), (1..20_i64).prop_map(|seconds| Some(at(seconds)))];
    let inflow = prop_oneof![2 => Just(None), 1 => (1..300_i32).prop_map(Some)];
    (opens_at, 1..5_i32, 1..4_i32, inflow).prop_map(|(opens_at, slots, admission_batch, inflow_per_min)| Terms {
        opens_at,
        slots,
        admission_batch,
        inflow_per_min,
        tick_ms: 700,
        enter_s: 10,
        token_ttl_s: 20,
        away_grace_s: 15,
        ..Terms::default()
    })
}

fn visitor(n: u8) -> Actor {
    match n % 2 {
        0 => Actor::Guest { principal: format!("guest:{}", Uuid::from_u128(n.into())) },
        _ => Actor::Account { principal: format!("account:visitor {n}"), roles: [].into() },
    }
}

fn order(n: u8) -> OrderId {
    OrderId(Uuid::from_u128(n.into()))
}

/// A room with all who look at it.
struct Scene {
    room: WaitingRoom,
    board: Board,
    model: Model,
    log: Vec<Event>,
    places: BTreeMap<u32, u32>,
    terms: Terms,
    now: Timestamp,
}

impl Scene {
    fn open(terms: Terms) -> Self {
        let (room_now, board, model) = (WaitingRoom::default(), Board::default(), Model::of(SHOW));
        let (log, places) = (Vec::new(), BTreeMap::new());
        let mut scene = Self { room: room_now, board, model, log, places, terms, now: at(0) };
        scene.twice(Command::Open(room(SHOW, terms)));
        scene
    }

    /// Decides a command; everybody looks on at every event.
    fn send(&mut self, command: Command, by: Actor) -> Result<usize, Refusal> {
        let events = decide(&mut self.room, issued(command, by, self.now))?;
        let count = events.len();
        for event in events {
            self.model.apply(&event);
            self.board.apply(&event, self.now);
            self.log.push(event);
            self.look();
        }
        self.look_at_the_room();
        Ok(count)
    }

    /// What sagas and timers send may come twice: the second time nothing happens.
    fn twice(&mut self, command: Command) {
        let first = self.send(command.clone(), Actor::System);
        let second = self.send(command, Actor::System);
        assert!(second == Ok(0) || second.is_err() && first == second, "{first:?}, then {second:?}");
    }

    fn number(&self, who: Who) -> u32 {
        match who {
            Who::Number(number) => number,
            Who::Slot(n) => {
                let live = self.board.slots().len().max(1);
                self.board.slots().nth(n % live).map_or(1, |(number, _)| number)
            }
        }
    }

    fn perform(&mut self, act: Act, seen: &mut Seen) {
        match act {
            Act::Join { visitor: n, proof_bits } => self.join(&visitor(n), proof_bits, seen),
            Act::Enter { who, away_s } => {
                let number = self.number(who);
                let command = Command::Enter { number, seen: self.now.plus_s(-away_s) };
                let admitted = matches!(self.model.standing(number.max(1)), Standing::Admitted { .. });
                match self.send(command, visitor(0)) {
                    Err(Refusal::PlaceLost) if admitted => seen.note("was away"),
                    Err(Refusal::NotAdmitted) => seen.note("not admitted"),
                    _ => {}
                }
            }
            Act::Leave { who } => {
                let number = self.number(who);
                if self.send(Command::Leave { number }, visitor(0)) == Err(Refusal::InOrder) {
                    seen.note("in an order");
                }
            }
            Act::Tie { who, order: n } => {
                let number = self.number(who);
                self.twice(Command::Tie { session: session(SHOW, number), order: order(n) })
            }
            Act::End { who, order: n, end } => {
                let number = self.number(who);
                self.twice(Command::EndCheckout { session: session(SHOW, number), order: order(n), end });
            }
            Act::Draw { seed } => self.twice(Command::Draw { seed: seed.to_string() }),
            Act::Pass { ms } => self.now.0 += ms * 1_000,
            Act::Flow { mode, inflow_per_min, challenge_bits } => {
                self.flow(Command::SetFlow { mode, inflow_per_min, challenge_bits });
            }
            Act::Round => self.round(),
            Act::Tick => self.twice(Command::Tick),
            Act::Crash => self.crash(),
            Act::Close => self.twice(Command::Close { show: SHOW, reason: CloseReason::ShowCancelled }),
        }
    }

    /// A new place takes the proof of work that is asked for; who has one needs none.
    fn join(&mut self, by: &Actor, proof_bits: i32, seen: &mut Seen) {
        let (wanted, before) = (self.room.challenge_bits(), self.room.places().joined());
        let answer = self.send(Command::Join { proof_bits }, by.clone());
        let proven = wanted.is_none_or(|bits| proof_bits >= bits);
        assert!(proven || self.room.places().joined() == before, "a place without a proof");
        match answer {
            Err(Refusal::TakesNobody) => seen.note("nobody may join"),
            Err(Refusal::ProofNeeded { bits }) => {
                assert!(!proven && wanted == Some(bits));
                seen.note("no proof of work");
            }
            _ => {}
        }
    }

    /// The organizer's alone; what does not change is no event.
    fn flow(&mut self, command: Command) {
        let settings = |room: &WaitingRoom| (room.mode(), room.inflow_per_min(), room.challenge_bits());
        let before = settings(&self.room);
        let by_others = self.send(command.clone(), visitor(1));
        assert!(matches!(by_others, Err(Refusal::NotFound | Refusal::Closed)), "{by_others:?}");
        let changed = self.send(command, organizer());
        let after = settings(&self.room);
        match changed {
            Ok(events) => assert_eq!(events == 1, before != after),
            Err(refusal) => {
                assert_eq!(before, after);
                let closed = self.model.stage == Stage::Closed;
                assert!(if closed { refusal == Refusal::Closed } else { matches!(refusal, Refusal::BadTerms { .. }) });
            }
        }
        assert_eq!((self.board.mode(), self.board.inflow_per_min(), self.board.challenge_bits()), after);
    }

    /// At most a batch, never more than slots are free, and not before the time between two rounds is over.
    fn round(&mut self) {
        let last = self.model.last_ready.as_ref().map(|ready| ready.enter_by.plus_s(-self.terms.enter_s));
        let open = self.model.stage == Stage::Open;
        let (waiting, live) = (self.model.waiting().count(), self.model.live().count());
        let count = self.send(Command::Round, Actor::System).unwrap();
        if !open {
            return;
        }
        let early = last.is_some_and(|last| self.now.0 < last.0 + self.terms.tick_ms * 1_000);
        let free = (self.terms.slots as usize).saturating_sub(live);
        let most = match self.model.mode {
            _ if early => 0,
            Mode::Pause | Mode::Unknown => 0,
            Mode::PassThrough => waiting,
            Mode::Queue | Mode::Reject => (self.terms.admission_batch as usize).min(waiting).min(free),
        };
        // What the inflow leaves of that is the model's to judge.
        let limited = self.model.inflow_per_min.is_some() && self.model.mode != Mode::PassThrough;
        assert!(count == most || limited && count < most, "{count} of {most}");
    }

    /// Nothing but the log is left, or a snapshot: both are all there was.
    fn crash(&mut self) {
        let folded: WaitingRoom = state(&self.log);
        let snapshot: WaitingRoom = postcard::from_bytes(&postcard::to_stdvec(&self.room).unwrap()).unwrap();
        assert!(folded == self.room && snapshot == self.room);
        let board: Board = serde_json::from_str(&serde_json::to_string(&self.board).unwrap()).unwrap();
        assert_eq!(board, self.board);
        (self.room, self.board) = (folded, board);
    }

    /// The board and the model agree about everybody, even those who are not here yet; places never change.
    fn look(&mut self) {
        let count = self.model.people.len() as u32;
        for number in 1..=count + 2 {
            assert_eq!(self.board.standing(number), self.model.standing(number), "number {number}");
            let place = self.board.place(number);
            if let Some(place) = place.filter(|_| number <= count) {
                assert_eq!(*self.places.entry(number).or_insert(place), place, "a place changed");
            }
        }
        let waiting = self.model.waiting().count();
        assert_eq!((self.board.joined(), self.board.waiting() as usize), (count, waiting));
        assert_eq!(self.board.slots().len(), self.model.live().count());
        for (number, slot) in self.board.slots() {
            let expected = match slot {
                Slot::Admitted { enter_by } => Whereabouts::Admitted(enter_by),
                Slot::InCheckout { expires_at, order } => Whereabouts::InCheckout(expires_at, order),
            };
            assert_eq!(self.model.person(number).unwrap().whereabouts, expected);
        }
        let stage = match self.model.stage {
            Stage::Unopened | Stage::Before => BoardStage::PreQueue,
            Stage::Open => BoardStage::Open,
            Stage::Closed => BoardStage::Closed,
        };
        assert_eq!(self.board.stage(), stage);
    }

    /// So does the room, which decides whole commands; and it knows when it has to be woken.
    fn look_at_the_room(&self) {
        let count = self.model.people.len() as u32;
        for number in 1..=count + 2 {
            let standing = self.model.standing(number);
            assert_eq!(self.room.standing(number), standing, "number {number}");
            assert_eq!(self.room.place(number), self.board.place(number));
            let about = self.room.relevant(&WaitingRoom::about(&Command::Leave { number }, &Actor::System));
            assert_eq!((about.standing(number), about.place(number)), (standing, self.room.place(number)));
        }
        assert_eq!(self.room.next_due(), self.model.next_end());
        let free = self.model.live().count() < self.model.slots;
        let somebody = self.model.waiting().next().is_some();
        if self.model.stage == Stage::Open {
            let goes_on = match self.model.mode {
                Mode::Pause | Mode::Unknown => false,
                Mode::PassThrough => somebody,
                Mode::Queue | Mode::Reject => free && somebody,
            };
            assert_eq!(self.room.next_round().is_some(), goes_on);
        }
    }

    /// Orders end, the seed comes, and nobody does anything else: timers alone bring everybody's turn.
    fn settle(&mut self) {
        self.crash();
        let _ = self.send(
            Command::SetFlow { mode: Some(Mode::Queue), inflow_per_min: Setting::Keep, challenge_bits: Setting::Keep },
            organizer(),
        );
        for step in 0.. {
            assert!(step < 2_000, "this never ends: {:?}", self.room);
            let tied = self.board.slots().find_map(|(number, slot)| match slot {
                Slot::InCheckout { order: Some(order), .. } => Some((number, order)),
                _ => None,
            });
            if let Some((number, order)) = tied {
                let (session, end) = (session(SHOW, number), CheckoutEnd::Completed);
                self.twice(Command::EndCheckout { session, order, end });
                continue;
            }
            let due = self.room.next_due().map(|due| (due, WaitingRoom::due()));
            let round = self.room.next_round().map(|round| (round, WaitingRoom::round()));
            let Some((when, command)) = [due, round].into_iter().flatten().min_by_key(|(when, _)| *when) else {
                if self.model.stage != Stage::Before {
                    return;
                }
                self.twice(Command::Draw { seed: SEED.to_string() });
                continue;
            };
            self.now = self.now.max(when);
            let events = self.send(command, Actor::System);
            assert!(events.is_ok_and(|events| events > 0), "a timer that changes nothing fires for ever");
        }
    }

    fn note_endings(&self, seen: &mut Seen) {
        for event in &self.log {
            seen.note(event.name());
            if matches!(event, Event::QueueLeft(event) if event.entered) {
                seen.note("left the checkout");
            }
        }
        if self.places.iter().any(|(number, place)| number != place) {
            seen.note("drawn");
        }
        if self.log.len() > 1 + self.places.len() && self.model.stage == Stage::Open {
            seen.note("settled");
        }
    }
}

/// How often each thing was seen over all cases: a law about something that never happens says nothing.
#[derive(Debug, Default)]
struct Seen(BTreeMap<String, usize>);

impl Seen {
    fn note(&mut self, what: &str) {
        *self.0.entry(what.to_owned()).or_default() += 1;
    }
}

const THINGS: [&str; 21] = [
    "WaitingRoomOpened",
    "WaitingRoomClosed",
    "QueueJoined",
    "PreQueueClosed",
    "QueueDrawn",
    "QueueReady",
    "CheckoutStarted",
    "CheckoutTied",
    "QueueLeft",
    "QueueExpired",
    "CheckoutCompleted",
    "CheckoutFailed",
    "CheckoutExpired",
    "QueueModeSet",
    "nobody may join",
    "was away",
    "not admitted",
    "in an order",
    "left the checkout",
    "drawn",
    "settled",
];

#[test]
fn nobody_is_passed_over_and_nobody_is_forgotten() {
    let seen = RefCell::new(Seen::default());
    let failure_persistence = Some(Box::new(FileFailurePersistence::Off) as _);
    let config = ProptestConfig { cases: 300, failure_persistence, ..Default::default() };
    let all = (terms(), prop::collection::vec(act(), 5..150));
    let result = TestRunner::new(config).run(&all, |(terms, acts)| {
        let mut scene = Scene::open(terms);
        acts.into_iter().for_each(|act| scene.perform(act, &mut seen.borrow_mut()));
        scene.settle();
        let ended =
            (1..=scene.room.places().joined()).all(|number| matches!(scene.room.standing(number), Standing::Ended(_)));
        assert!(ended && scene.room.places().waiting() == 0, "somebody's turn never came");
        scene.note_endings(&mut seen.borrow_mut());
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    let seen = seen.into_inner().0;
    assert!(THINGS.iter().all(|thing| seen.contains_key(*thing)), "not all of {THINGS:?} were seen, but {seen:?}");
}

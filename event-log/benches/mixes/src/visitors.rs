//! Waiting rooms: of eight events four are joins, and the other four take one visitor through to tickets.

use std::collections::VecDeque;

use domain::event::Event;
use domain::ids::{OrderId, ShowId};
use domain::queue::{
    CheckoutCompleted, CheckoutStarted, CheckoutTied, QueueJoined, QueueReady, Terms, WaitingRoomOpened, session,
};
use domain::value::Timestamp;

use crate::{Dice, Fate, Mix};

/// So many are in their checkout at once.
const INSIDE: usize = 80;

#[derive(Clone)]
struct Room {
    show: ShowId,
    joined: u32,
    served: u32,
    inside: VecDeque<(u32, OrderId, u8)>,
}

/// The commands of some waiting rooms.
#[derive(Clone)]
pub struct Visitors {
    dice: Dice,
    rooms: Vec<Room>,
    unopened: VecDeque<usize>,
    fate: Fate,
}

impl Visitors {
    /// Those of so many made shows.
    pub fn new(seed: u64, shows: usize, fate: Fate) -> Self {
        let mut dice = Dice::new(seed);
        let room = |_| Room { show: ShowId(dice.id()), joined: 0, served: 0, inside: VecDeque::new() };
        let rooms: Vec<Room> = (0..shows).map(room).collect();
        let unopened = (0..rooms.len()).collect();
        Self { dice, rooms, unopened, fate }
    }

    fn opened(&mut self, room: usize) -> Event {
        let terms = Terms::default();
        let opened = WaitingRoomOpened {
            show: self.rooms[room].show,
            organizer: format!("account:{}", self.dice.id()),
            terms,
            checkout_url: None,
            draw_hash: None,
        };
        Event::Queue(opened.into())
    }
}

impl Room {
    fn join(&mut self, dice: &mut Dice) -> Event {
        self.joined += 1;
        let (show, principal) = (self.show, format!("guest:{}", dice.id()));
        let joined = QueueJoined { show, session: session(show, self.joined), number: self.joined.into(), principal };
        Event::Queue(joined.into())
    }

    fn admit(&mut self, dice: &mut Dice, at: Timestamp) -> Event {
        self.served += 1;
        self.inside.push_back((self.served, OrderId(dice.id()), 0));
        let (show, number, enter_by) = (self.show, i64::from(self.served), at.plus_s(60));
        let session = session(show, self.served);
        Event::Queue(QueueReady { show, session, number, place: number, enter_by }.into())
    }

    fn go_on(&mut self, inside: (u32, OrderId, u8), at: Timestamp) -> Event {
        let (own, order, step) = inside;
        let (show, session, number) = (self.show, session(self.show, own), i64::from(own));
        if step < 2 {
            self.inside.push_back((own, order, step + 1));
        }
        match step {
            0 => Event::Queue(CheckoutStarted { show, session, number, expires_at: at.plus_s(900) }.into()),
            1 => Event::Queue(CheckoutTied { show, session, number, order }.into()),
            _ => Event::Queue(CheckoutCompleted { show, session, number, order }.into()),
        }
    }
}

impl Mix for Visitors {
    fn next(&mut self, at: Timestamp) -> Vec<Event> {
        if let Some(room) = self.unopened.pop_front() {
            return vec![self.opened(room)];
        }
        let which = usize::try_from(self.dice.below(self.rooms.len() as u64)).expect("there are few rooms");
        let begun: u64 = self.rooms.iter().map(|room| u64::from(room.joined)).sum();
        let room = &mut self.rooms[which];
        let rolled = match self.fate {
            _ if !self.fate.begins(begun) => return vec![],
            Fate::Mixed => self.dice.below(8),
            Fate::Open(_) | Fate::Done(_) => 0,
        };
        let event = match rolled {
            0..4 => room.join(&mut self.dice),
            _ if room.inside.len() < INSIDE && room.served < room.joined => room.admit(&mut self.dice, at),
            _ => match room.inside.pop_front() {
                Some(inside) => room.go_on(inside, at),
                None => room.join(&mut self.dice),
            },
        };
        vec![event]
    }
}

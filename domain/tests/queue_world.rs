//! Waiting rooms in the random world: visitors come, enter, order with their tokens and leave; orders end as they do.

use std::collections::{BTreeMap, BTreeSet};

use domain::event::{Command, Event};
use domain::ids::{SessionId, ShowId};
use domain::inventory::{self, Admission, Refusal};
use domain::queue::{self, CloseReason, Standing, Terms, session};
use domain::root::Root;
use domain::value::Actor;
use proptest::prelude::{Strategy, prop_oneof};
use uuid::Uuid;

use crate::common::{at, room, room_terms};
use crate::queue_model::Model;
use crate::world::World;

/// What a visitor does.
#[derive(Debug, Clone)]
pub enum Visit {
    /// Joins, or enters if admitted.
    Come {
        show: ShowId,
        visitor: u8,
    },
    Leave {
        show: ShowId,
        visitor: u8,
    },
    /// Time goes by in small steps.
    Wait {
        seconds: i64,
    },
}

pub fn visit(show: impl Strategy<Value = ShowId> + Clone + 'static) -> impl Strategy<Value = Visit> {
    prop_oneof![
        8 => (show.clone(), 0..6_u8).prop_map(|(show, visitor)| Visit::Come { show, visitor }),
        1 => (show, 0..6_u8).prop_map(|(show, visitor)| Visit::Leave { show, visitor }),
        3 => (1..40_i64).prop_map(|seconds| Visit::Wait { seconds }),
    ]
}

/// One show in two has a waiting room, and one room in two opens later; says whether this one has.
pub fn open(world: &mut World, show: ShowId) -> bool {
    let opens_at = (world.roll(2) == 0).then(|| at(100));
    if world.roll(2) == 0 {
        return false;
    }
    let terms = Terms { enter_s: 50, token_ttl_s: 200, ..room_terms(opens_at) };
    world.command(Command::Queue(show, queue::Command::Open(room(show, terms))), Actor::System).unwrap();
    true
}

/// Only a show that has a room closes it.
pub fn close(world: &mut World, show: ShowId) {
    if world.rooms.contains_key(&show.0) {
        let close = queue::Command::Close { show, reason: CloseReason::ShowCancelled };
        world.command(Command::Queue(show, close), Actor::System).unwrap();
    }
}

fn guest(visitor: u8) -> Actor {
    Actor::Guest { principal: format!("guest:{}", Uuid::from_u128(visitor.into())) }
}

fn number(world: &World, show: ShowId, visitor: u8) -> Option<(u32, Standing)> {
    let room = world.rooms.get(&show.0)?;
    let number = room.number_of(&guest(visitor).principal())?;
    Some((number, room.standing(number)))
}

pub fn perform(world: &mut World, visit: Visit) {
    match visit {
        Visit::Come { show, visitor } => come(world, show, visitor),
        Visit::Leave { show, visitor } => {
            let Some((number, _)) = number(world, show, visitor) else { return };
            let _ = world.command(Command::Queue(show, queue::Command::Leave { number }), guest(visitor));
        }
        Visit::Wait { seconds } => world.pass(seconds),
    }
}

fn come(world: &mut World, show: ShowId, visitor: u8) {
    if !world.rooms.contains_key(&show.0) {
        return;
    }
    match number(world, show, visitor) {
        Some((number, Standing::Admitted { .. })) => enter(world, show, visitor, number),
        _ => {
            let _ = world.command(Command::Queue(show, queue::Command::Join { proof_bits: 0 }), guest(visitor));
        }
    }
    // An owner does not keep those who wait waiting.
    let now = world.time();
    if world.rooms[&show.0].next_round().is_some_and(|round| round <= now) {
        world.command(Command::Queue(show, queue::Command::Round), Actor::System).unwrap();
    }
}

fn enter(world: &mut World, show: ShowId, visitor: u8, number: u32) {
    let seen = world.time();
    world.command(Command::Queue(show, queue::Command::Enter { number, seen }), guest(visitor)).unwrap();
    let Standing::InCheckout { expires_at } = world.rooms[&show.0].standing(number) else {
        panic!("whoever entered is in checkout")
    };
    world.tokens.push((show, Admission { session: session(show, number), expires_at }));
}

/// One of the tokens of this show, from the newest.
pub fn token(world: &World, show: ShowId, which: usize) -> Option<Admission> {
    let own = world.tokens.iter().rev().filter(|(of, _)| *of == show);
    own.map(|(_, admission)| *admission).nth(which)
}

/// Once everything has settled: everybody's turn has come, every slot is free, and each token bought at most once,
/// while it was good.
pub fn check(world: &World, seen: &mut BTreeMap<&'static str, usize>) {
    for (show, room) in &world.rooms {
        check_room(world, ShowId(*show), room, seen);
    }
    check_orders(world);
    for refusal in &world.refused {
        let name = match refusal {
            Refusal::CheckoutTokenMissing => "token missing",
            Refusal::CheckoutTokenUsed => "token used",
            Refusal::CheckoutTokenExpired { .. } => "token expired",
            _ => continue,
        };
        *seen.entry(name).or_default() += 1;
    }
}

fn check_room(world: &World, show: ShowId, room: &queue::WaitingRoom, seen: &mut BTreeMap<&'static str, usize>) {
    let mut model = Model::of(show);
    for event in &world.log {
        let Event::Queue(event) = event else { continue };
        if event.aggregate() != show.0 {
            continue;
        }
        model.apply(event);
        let name = match event {
            queue::Event::CheckoutCompleted(_) => "checkout completed",
            queue::Event::CheckoutFailed(_) => "checkout failed",
            queue::Event::CheckoutExpired(_) => "checkout expired",
            queue::Event::QueueExpired(_) => "nobody entered",
            queue::Event::QueueLeft(event) if event.entered => "left with a token",
            queue::Event::QueueDrawn(event) if event.count > 0 => "drawn",
            _ => continue,
        };
        *seen.entry(name).or_default() += 1;
        if let queue::Event::QueueLeft(event) = event {
            let stock = &world.inventories[&show.0];
            assert!(
                !event.entered || stock.used(event.session) || stock.closed().is_some(),
                "a token outlived its place"
            );
        }
    }
    assert_eq!((model.live().count(), model.waiting().count()), (0, 0), "a slot or a visitor is left over: {room:?}");
    assert_eq!((room.places().slots().len(), room.places().waiting()), (0, 0));
}

fn check_orders(world: &World) {
    let mut started: BTreeMap<SessionId, i64> = BTreeMap::new();
    let mut gone: BTreeSet<SessionId> = BTreeSet::new();
    let mut bought = BTreeMap::new();
    for event in &world.log {
        match event {
            Event::Queue(queue::Event::CheckoutStarted(event)) => {
                started.insert(event.session, event.expires_at.0);
            }
            Event::Inventory(inventory::Event::SessionBarred(event)) => {
                gone.insert(event.session);
            }
            Event::Inventory(inventory::Event::TicketsReserved(event)) => {
                let opened = world.inventories[&event.show.0].opened().unwrap();
                let Some(checkout) = &event.checkout else { continue };
                assert_eq!(checkout.session.is_some(), opened.waiting_room);
                let Some(session) = checkout.session else { continue };
                let placed_at = event.pay_by.plus_s(-opened.pay_within_s);
                assert!(started[&session] >= placed_at.0, "ordered with a token that had ended");
                assert!(!gone.contains(&session), "ordered after leaving");
                assert_eq!(bought.insert(session, event.order), None, "a session has one order, ever");
            }
            Event::Queue(queue::Event::CheckoutTied(event)) => assert_eq!(bought[&event.session], event.order),
            Event::Queue(queue::Event::CheckoutCompleted(event)) => assert_eq!(bought[&event.session], event.order),
            Event::Queue(queue::Event::CheckoutFailed(event)) => assert_eq!(bought[&event.session], event.order),
            _ => {}
        }
    }
}

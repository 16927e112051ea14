//! What has to hold of every waiting room.

use domain::ids::ShowId;

use super::{At, Room};
use crate::facts::Facts;
use crate::report::{Faults, Law};

/// The laws of waiting rooms that hold at every moment; none if there is no room and no sale that needs one.
pub fn always(facts: &Facts) -> Vec<Law> {
    if nothing_to_say(facts) {
        return Vec::new();
    }
    let orders = ordered_when_admitted(facts);
    vec![
        drawn_fairly(facts),
        served_in_order(facts),
        slots_kept(facts),
        flow_kept(facts),
        one_place_each(facts),
        one_way_out(facts),
        orders,
    ]
}

/// Those that hold once everything has come to rest.
pub fn at_rest(facts: &Facts) -> Vec<Law> {
    if nothing_to_say(facts) { Vec::new() } else { vec![slots_end_with_orders(facts)] }
}

fn nothing_to_say(facts: &Facts) -> bool {
    facts.queues.rooms.is_empty() && facts.queues.guarded.is_empty()
}

/// The faults of one kind of all rooms, each with its show if there are several.
fn all(facts: &Facts, of: impl Fn(&Room) -> &Faults) -> Faults {
    let several = facts.queues.rooms.len() > 1;
    let mut faults = Faults::default();
    for (show, room) in &facts.queues.rooms {
        let found = of(room);
        let first =
            found.first.iter().map(|fault| if several { format!("show {show}: {fault}") } else { fault.clone() });
        faults = faults.and(&Faults { count: found.count, first: first.collect() });
    }
    faults
}

fn sum(facts: &Facts, of: impl Fn(&Room) -> usize) -> usize {
    facts.queues.rooms.values().map(of).sum()
}

fn drawn_fairly(facts: &Facts) -> Law {
    let drawn = sum(facts, |room| room.draw.map_or(0, |draw| usize::try_from(draw.count()).unwrap_or(usize::MAX)));
    let draws = facts.queues.rooms.values().filter(|room| room.draw.is_some()).count();
    let numbers = format!("{draws} draws over {drawn} places, recomputed from the seeds");
    Law::new("the draw is the one that was promised", numbers, all(facts, |room| &room.drawing))
}

fn served_in_order(facts: &Facts) -> Law {
    let inversions: u32 = facts.queues.rooms.values().map(|room| room.inversions).sum();
    let numbers = format!("{} admissions, order inversions {inversions}", sum(facts, |room| room.admissions.len()));
    Law::new("nobody is admitted before who waits in front", numbers, all(facts, |room| &room.service))
}

fn slots_kept(facts: &Facts) -> Law {
    let most = |room: &Room| room.opened.as_ref().map_or(0, |opened| opened.terms.slots);
    let mut peaks: Vec<String> =
        facts.queues.rooms.values().take(7).map(|room| format!("{} of {}", room.peak, most(room))).collect();
    if facts.queues.rooms.len() > peaks.len() {
        peaks.push("…".to_owned());
    }
    let numbers = format!("most in use at once {} at {} moments", peaks.join(", "), facts.queues.events);
    Law::new("never more slots than the setting", numbers, all(facts, |room| &room.slots))
}

fn flow_kept(facts: &Facts) -> Law {
    let changes: u32 = facts.queues.rooms.values().map(|room| room.flow.changes).sum();
    let numbers = format!("changed {changes} times by organizers");
    Law::new("people are let through as the organizer set it", numbers, all(facts, |room| &room.flow.faults))
}

fn one_place_each(facts: &Facts) -> Law {
    let (joined, waiting) =
        (sum(facts, |room| room.visitors.len()), sum(facts, |room| room.count(|at| at == At::Waiting)));
    let numbers = format!("{joined} joined, {waiting} wait");
    Law::new("one live place for each visitor", numbers, all(facts, |room| &room.places))
}

fn one_way_out(facts: &Facts) -> Law {
    let of = |which: fn(At) -> bool| sum(facts, |room| room.count(which));
    let numbers = format!(
        "{} completed, {} orders ended, {} never ordered, {} never entered, {} left; {} live",
        of(|at| matches!(at, At::Completed(_))),
        of(|at| matches!(at, At::Failed(_))),
        of(|at| at == At::Expired),
        of(|at| at == At::Lapsed),
        of(|at| at == At::Left),
        of(At::live),
    );
    Law::new("a slot is freed once, and not before its time", numbers, all(facts, |room| &room.ways))
}

/// Every order of a show with a waiting room was placed by an admitted session within its token's life.
fn ordered_when_admitted(facts: &Facts) -> Law {
    let mut faults = facts.queues.sessions.clone();
    for ((show, order), placed) in &facts.queues.placed {
        match (facts.queues.guarded.contains(show), placed.session) {
            (false, None) => {}
            (false, Some(_)) => faults.add(format!("order {order} has a session, and its show no waiting room")),
            (true, None) => faults.add(format!("order {order} was placed past the waiting room")),
            (true, Some(session)) => {
                let room = facts.queues.rooms.get(show);
                match room.and_then(|room| room.of(session)).and_then(|(_, visitor)| visitor.token_ends) {
                    None => faults.add(format!("order {order} was placed by a session that never entered")),
                    Some(ends) if placed.at > ends => {
                        faults.add(format!("order {order} was placed after its token had ended"));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    let numbers = format!(
        "{} orders by {} who entered",
        facts.queues.through_rooms(),
        sum(facts, |room| { usize::try_from(room.entered).unwrap_or(usize::MAX) })
    );
    Law::new("orders come from admitted visitors, one each", numbers, faults)
}

/// A slot is tied to the order of its own session, and free once that has ended.
fn slots_end_with_orders(facts: &Facts) -> Law {
    let (mut tied, mut faults) = (0, Faults::default());
    for (show, room) in &facts.queues.rooms {
        for visitor in &room.visitors {
            let (order, live) = match visitor.at {
                At::Tied(order) => (order, true),
                At::Completed(order) | At::Failed(order) => (order, false),
                _ => continue,
            };
            tied += 1;
            let session = facts.queues.placed.get(&(*show, order)).map(|placed| placed.session);
            if session != Some(Some(visitor.session)) {
                faults.add(format!("a slot was tied to order {order}, which is none of its session"));
            }
            match phase(facts, *show, order) {
                "completed" | "cancelled" | "failed" if live => {
                    faults.add(format!("order {order} has ended, and its slot is in use"));
                }
                "open" if matches!(visitor.at, At::Completed(_)) => {
                    faults.add(format!("order {order} is open, and its slot was freed by it"));
                }
                _ => {}
            }
        }
    }
    Law::new("a slot ends with its order", format!("{tied} slots with an order"), faults)
}

fn phase(facts: &Facts, show: ShowId, order: domain::ids::OrderId) -> &'static str {
    facts.sales.orders.get(&(order, show)).map_or("unknown", |order| order.phase)
}

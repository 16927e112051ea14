//! log ⊆ acknowledged + in doubt: nothing lies in the log that nobody asked for, or that was refused to whoever did.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use domain::ids::{OrderId, SessionId, ShowId, TicketClassId};

use super::{Call, Op, Outcome};
use crate::chronicle::{OrderLife, PlaceLife, ShowLife};
use crate::facts::Facts;
use crate::report::{Faults, Law};

/// Nothing is in the log but what was acknowledged, or is in doubt.
pub const UNASKED: &str = "nothing is in the log that was not asked for";

/// Who asked for something: a client's request, by its key or, without one, by its path.
type Who<'a> = (&'a str, &'a str);

/// What was asked for and may have happened: acknowledged or in doubt.
#[derive(Default)]
struct Wanted<'a> {
    orders: HashSet<(OrderId, ShowId)>,
    cancels: HashSet<OrderId>,
    /// Attempts to pay by order; those whose answer named them are known.
    payments: BTreeMap<OrderId, BTreeSet<Who<'a>>>,
    joined: HashSet<SessionId>,
    /// Joins without an answer.
    joining: BTreeMap<ShowId, BTreeSet<Who<'a>>>,
    answered: HashSet<Who<'a>>,
    entered: HashSet<SessionId>,
    left: HashSet<SessionId>,
    values: BTreeMap<(Op, ShowId, TicketClassId, i64), BTreeSet<Who<'a>>>,
    shows: HashSet<(Op, ShowId)>,
    classes: HashSet<(ShowId, TicketClassId)>,
    /// Shows that this history is about.
    known: HashSet<ShowId>,
}

pub(super) fn law(facts: &Facts, calls: &[Call]) -> Law {
    let mut wanted = Wanted::default();
    calls.iter().filter(|call| call.op != Op::Read).for_each(|call| wanted.note(call));
    let known = |show: &ShowId| wanted.known.contains(show);
    let mut faults = Faults::default();
    let mut seen = 0_u64;
    for ((order, show), life) in facts.chronicle.orders.iter().filter(|((_, show), _)| known(show)) {
        seen += 1;
        wanted.order(*order, *show, life, &mut faults);
    }
    let mut unnamed: BTreeMap<ShowId, u64> = BTreeMap::new();
    for (session, place) in facts.chronicle.places.iter().filter(|(_, place)| known(&place.show)) {
        seen += 1;
        if place.joined.is_some() && !wanted.joined.contains(session) {
            *unnamed.entry(place.show).or_default() += 1;
        }
        wanted.place(*session, place, &mut faults);
    }
    for (show, count) in unnamed {
        let asked = wanted.joining.get(&show).map_or(0, |who| who.difference_count(&wanted.answered));
        if count > asked {
            faults.add(format!("{count} joined show {show} without an answer, and only {asked} are in doubt"));
        }
    }
    for (show, life) in facts.chronicle.shows.iter().filter(|(show, _)| known(show)) {
        seen += 1;
        wanted.show(*show, life, &mut faults);
    }
    let others = facts.chronicle.shows.keys().filter(|show| !known(show)).count();
    let numbers = format!("{seen} things of {} shows; {others} shows are none of this history", wanted.known.len());
    Law::new(UNASKED, numbers, faults)
}

trait DifferenceCount {
    fn difference_count(&self, others: &HashSet<Who<'_>>) -> u64;
}

impl DifferenceCount for BTreeSet<Who<'_>> {
    fn difference_count(&self, others: &HashSet<Who<'_>>) -> u64 {
        self.iter().filter(|who| !others.contains(*who)).count() as u64
    }
}

impl<'a> Wanted<'a> {
    fn note(&mut self, call: &'a Call) {
        self.known.extend(call.asked.show);
        let who: Who<'a> = (&call.client, call.key.as_deref().unwrap_or(&call.path));
        let acknowledged = match call.outcome() {
            Outcome::Acknowledged => true,
            Outcome::InDoubt => false,
            Outcome::Refused | Outcome::TurnedAway => return,
        };
        let asked = &call.asked;
        match call.op {
            Op::Order => self.orders.extend(asked.order.zip(asked.show)),
            Op::Cancel => self.cancels.extend(asked.order),
            Op::Pay => {
                asked.order.map(|order| self.payments.entry(order).or_default().insert(who));
            }
            Op::Join if acknowledged => {
                self.answered.insert(who);
                self.joined.extend(call.said.session);
            }
            Op::Join => {
                asked.show.map(|show| self.joining.entry(show).or_default().insert(who));
            }
            Op::Enter => self.entered.extend(asked.session),
            Op::Leave => self.left.extend(asked.session),
            Op::Capacity | Op::Price => {
                if let (Some(show), Some(class), Some(value)) = (asked.show, asked.class, asked.value) {
                    self.values.entry((call.op, show, class, value)).or_default().insert(who);
                }
            }
            Op::DefineClass => self.classes.extend(asked.show.zip(asked.class)),
            Op::CreateShow | Op::Configure | Op::Approve | Op::Publish | Op::CancelShow => {
                self.shows.extend(asked.show.map(|show| (call.op, show)));
            }
            Op::Notify | Op::Write | Op::Read => {}
        }
    }

    fn order(&self, order: OrderId, show: ShowId, life: &OrderLife, faults: &mut Faults) {
        if life.reserved.is_some() && !self.orders.contains(&(order, show)) {
            faults.add(format!("order {order} of show {show} is in the log, and was refused or never asked for"));
        }
        if life.ended.iter().any(|(_, by_buyer)| *by_buyer) && !self.cancels.contains(&order) {
            faults.add(format!("order {order} was cancelled by its buyer, who was refused or never asked"));
        }
        // The first attempt comes with the order.
        let added = life.payments.len().saturating_sub(1);
        let asked = self.payments.get(&order).map_or(0, BTreeSet::len);
        if added > asked {
            faults.add(format!("order {order} got {added} more attempts to pay, and {asked} were asked for"));
        }
    }

    fn place(&self, session: SessionId, place: &PlaceLife, faults: &mut Faults) {
        if place.entered.is_some() && !self.entered.contains(&session) {
            faults.add(format!("session {session} entered, and was refused or never asked"));
        }
        if place.left.is_some() && !self.left.contains(&session) {
            faults.add(format!("session {session} left, and was refused or never asked"));
        }
    }

    fn show(&self, show: ShowId, life: &ShowLife, faults: &mut Faults) {
        // Shows that were made before the history began are only sold in it.
        if self.shows.contains(&(Op::CreateShow, show)) {
            let ops = |status: &str| match status {
                "configured" => Op::Configure,
                "approved" => Op::Approve,
                "published" => Op::Publish,
                "cancelled" => Op::CancelShow,
                _ => Op::CreateShow,
            };
            for (_, status) in life.statuses.iter().filter(|(_, status)| !self.shows.contains(&(ops(status), show))) {
                faults.add(format!("show {show} became {status}, and that was refused or never asked for"));
            }
            for class in life.defined.keys().filter(|class| !self.classes.contains(&(show, **class))) {
                faults.add(format!("class {class} of show {show} was refused or never asked for"));
            }
        }
        for (class, of) in &life.classes {
            self.changes(Op::Price, (show, *class), of.prices.iter().map(|(_, value)| *value), faults);
            self.changes(Op::Capacity, (show, *class), of.capacities.iter().map(|(_, value)| *value), faults);
        }
    }

    fn changes(
        &self,
        op: Op,
        (show, class): (ShowId, TicketClassId),
        values: impl Iterator<Item = i64>,
        faults: &mut Faults,
    ) {
        let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
        values.for_each(|value| *counts.entry(value).or_default() += 1);
        for (value, count) in counts {
            let asked = self.values.get(&(op, show, class, value)).map_or(0, BTreeSet::len);
            if count > asked {
                faults
                    .add(format!("{op:?} {value} of class {class} was set {count} times, and asked for {asked} times"));
            }
        }
    }
}

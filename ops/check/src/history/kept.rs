//! acknowledged ⊆ log: what a client was promised is there, where the answer says, and was there before the answer.

use std::collections::BTreeMap;

use domain::ids::{OrderId, TicketId};
use event_log::log::Partition;
use service_kit::consistency::{NotAToken, Token};

use super::laws::{Ended, counted, fault};
use super::margins::{Margins, Window};
use super::{Call, Op, Outcome};
use crate::chronicle::{Moment, OrderLife, PlaceLife, ShowLife};
use crate::facts::Facts;
use crate::report::{Faults, Law};

/// Everything that was acknowledged lies in the log, as it was answered and before it was answered.
pub const KEPT: &str = "everything acknowledged is in the log";

pub(super) fn law(facts: &Facts, calls: &[Call], margins: Margins) -> Law {
    let issued: std::collections::HashSet<(OrderId, TicketId)> = facts
        .sales
        .batches
        .iter()
        .flat_map(|((order, _), batch)| batch.tickets.iter().map(|(ticket, _)| (*order, *ticket)))
        .collect();
    let (mut faults, mut by_op) = (Faults::default(), BTreeMap::new());
    for call in calls.iter().filter(|call| call.outcome() == Outcome::Acknowledged) {
        if call.op != Op::Read {
            *by_op.entry(word(call.op)).or_default() += 1;
        }
        match found(facts, call) {
            Found::There(moment) => placed(facts, call, moment, margins, &mut faults),
            Found::Missing(what) => fault(&mut faults, call, format!("{what} is not in the log")),
            Found::Nothing => {}
        }
        if let Some(order) = call.asked.order.or(call.said.order) {
            for ticket in call.said.tickets.iter().filter(|ticket| !issued.contains(&(order, **ticket))) {
                fault(&mut faults, call, format!("ticket {ticket} was handed out and is not in the log"));
            }
        }
    }
    let Ended { acknowledged, in_doubt, .. } = Ended::of(calls);
    Law::new(KEPT, format!("{acknowledged} acknowledged ({}), {in_doubt} in doubt", counted(&by_op)), faults)
}

/// What an acknowledged call left in the log.
enum Found {
    /// This, at the latest; a repeat may have left it long ago.
    There(Moment),
    /// It should be there.
    Missing(&'static str),
    /// Nothing needs to be.
    Nothing,
}

impl Found {
    fn of(moment: Option<Moment>, what: &'static str) -> Self {
        moment.map_or(Self::Missing(what), Self::There)
    }
}

fn found(facts: &Facts, call: &Call) -> Found {
    let show = || call.asked.show.and_then(|show| facts.chronicle.shows.get(&show));
    let became = |status: &str, what| Found::of(show().and_then(|show| last(show, status)), what);
    match call.op {
        Op::Order => order(facts, call),
        Op::Join => join(facts, call),
        Op::Enter => Found::of(place(facts, call).and_then(|place| place.entered), "the checkout"),
        Op::Leave => left(facts, call),
        Op::Cancel => {
            let ended = |life: &OrderLife| life.ended.last().map(|(moment, _)| *moment);
            Found::of(lives(facts, call).filter_map(ended).max(), "the order's end")
        }
        Op::Pay => pay(facts, call),
        Op::Capacity | Op::Price => changed(facts, call),
        Op::CreateShow => became("draft", "the show"),
        Op::Configure => became("configured", "the configuration"),
        Op::Approve => became("approved", "the approval"),
        Op::Publish => became("published", "the publication"),
        Op::CancelShow => became("cancelled", "the cancellation"),
        Op::DefineClass => {
            let class = call.asked.class.and_then(|class| show()?.defined.get(&class).copied());
            Found::of(class, "the class")
        }
        Op::Notify | Op::Write | Op::Read => Found::Nothing,
    }
}

fn last(show: &ShowLife, status: &str) -> Option<Moment> {
    show.statuses.iter().rev().find(|(_, known)| *known == status).map(|(moment, _)| *moment)
}

/// The order of a call, in whichever show.
fn lives<'a>(facts: &'a Facts, call: &Call) -> impl Iterator<Item = &'a OrderLife> + use<'a> {
    let order = call.asked.order.unwrap_or_default();
    facts
        .chronicle
        .orders
        .range((order, domain::ids::ShowId::default())..)
        .take_while(move |(key, _)| key.0 == order)
        .map(|(_, life)| life)
}

fn place<'a>(facts: &'a Facts, call: &Call) -> Option<&'a PlaceLife> {
    facts.chronicle.places.get(&call.asked.session?)
}

fn order(facts: &Facts, call: &Call) -> Found {
    let key = call.asked.order.zip(call.asked.show);
    let Some(life) = key.and_then(|key| facts.chronicle.orders.get(&key)) else { return Found::Missing("the order") };
    if life.lines != call.asked.lines {
        return Found::Missing("an order of these lines");
    }
    if call.asked.session.is_some() && life.session != call.asked.session {
        return Found::Missing("an order of this session");
    }
    Found::of(life.reserved, "the reservation")
}

fn join(facts: &Facts, call: &Call) -> Found {
    let Some((session, place)) =
        call.said.session.and_then(|session| Some((session, facts.chronicle.places.get(&session)?)))
    else {
        return Found::Missing("the place");
    };
    if call.said.number.map(i64::from) != Some(place.number) || call.asked.show != Some(place.show) {
        return Found::Missing("a place of this number");
    }
    let known = facts.queues.rooms.get(&place.show).and_then(|room| {
        let (number, _) = room.of(session)?;
        room.place(number)
    });
    if call.said.place.zip(known).is_some_and(|(said, known)| said != known) {
        return Found::Missing("this place in the order of service");
    }
    Found::of(place.joined, "the place")
}

/// A closed room has nobody in it any more.
fn left(facts: &Facts, call: &Call) -> Found {
    let Some(place) = place(facts, call) else { return Found::Missing("the place") };
    let closed = facts.chronicle.shows.get(&place.show).and_then(|show| show.room_closed);
    Found::of(place.ended.into_iter().chain(closed).min(), "the end of the place")
}

fn pay(facts: &Facts, call: &Call) -> Found {
    let mut moments = Vec::new();
    for payment in &call.said.payments {
        match lives(facts, call).find_map(|life| life.payments.get(payment)) {
            Some(moment) => moments.push(*moment),
            None => return Found::Missing("the attempt to pay"),
        }
    }
    Found::of(moments.into_iter().max(), "an attempt to pay")
}

fn changed(facts: &Facts, call: &Call) -> Found {
    let (asked, what) = (call.asked.value, if call.op == Op::Price { "the price" } else { "the capacity" });
    let show = call.asked.show.and_then(|show| facts.chronicle.shows.get(&show));
    let Some(class) = call.asked.class.and_then(|class| show?.classes.get(&class)) else { return Found::Missing(what) };
    let of = |level: &crate::chronicle::Level| if call.op == Op::Price { level.price } else { level.capacity };
    // What was so already needs no event; and others may have bought before and after.
    let token = token(call).and_then(Result::ok);
    let before = |moment: &Moment| {
        let Partition { context, number } = moment.place;
        let told = token.as_ref().and_then(|token| token.get(context, number));
        call.answered_at.is_none_or(|answered| moment.at <= answered)
            && told.is_none_or(|position| moment.offset <= position.offset)
    };
    let levels = class.levels.iter().rev().filter(|(_, level)| Some(of(level)) == asked);
    let levels: Vec<Moment> = levels.map(|(moment, _)| *moment).collect();
    Found::of(levels.iter().find(|moment| before(moment)).or(levels.last()).copied(), what)
}

/// It must have been there before the answer, and not behind where the answer's token points.
fn placed(facts: &Facts, call: &Call, moment: Moment, margins: Margins, faults: &mut Faults) {
    let to = Window::of(call, margins).to;
    // What several calls ask for may have happened again since.
    let once = !matches!(call.op, Op::Configure | Op::Cancel | Op::Leave);
    if once && moment.at > to {
        fault(faults, call, format!("it was acknowledged before it lay in the log, at {}", moment.offset));
    }
    let Some(token) = token(call) else { return };
    let Ok(token) = token else { return fault(faults, call, "its Consistency-Token cannot be read") };
    let Some(position) = token.get(moment.place.context, moment.place.number) else { return };
    // A cancelled order's answer is about the order, its reservation lies in another topic.
    if once && moment.offset > position.offset {
        fault(faults, call, format!("its token ends at {}, the event lies at {}", position.offset, moment.offset));
    }
    let identity = facts.log.identities.get(&moment.place);
    if identity.is_some_and(|identity| *identity != position.log) {
        let topic = moment.place.context.topic();
        fault(faults, call, format!("its token is about another log than {topic}"));
    }
}

fn token(call: &Call) -> Option<Result<Token, NotAToken>> {
    call.token.as_ref().map(|token| token.parse())
}

fn word(op: Op) -> &'static str {
    match op {
        Op::CreateShow | Op::DefineClass | Op::Configure | Op::Approve | Op::Publish | Op::CancelShow => "about shows",
        Op::Capacity | Op::Price => "capacities and prices",
        Op::Join => "joins",
        Op::Enter => "entries",
        Op::Leave => "leaves",
        Op::Order => "orders",
        Op::Pay => "payments",
        Op::Cancel => "cancels",
        Op::Notify | Op::Write | Op::Read => "others",
    }
}

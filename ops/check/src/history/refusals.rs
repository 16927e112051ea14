//! Every refusal was true at some moment between the call and its answer.

use std::collections::{BTreeMap, HashMap};

use super::laws::{counted, fault};
use super::margins::{Margins, Window};
use super::{Call, Op, Outcome};
use crate::chronicle::{ClassLife, Moment, OrderLife, PlaceLife, ShowLife};
use crate::facts::Facts;
use crate::report::{Faults, Law};

/// Every refusal was true at some moment of its call.
pub const REFUSALS: &str = "every refusal was true at some moment of its call";

/// An order takes at most so many attempts to pay.
const MOST_PAYMENTS: usize = 5;

pub(super) fn law(facts: &Facts, calls: &[Call], margins: Margins) -> Law {
    let history = History::of(calls);
    let (mut judged, mut others) = (BTreeMap::new(), 0_u64);
    let mut faults = Faults::default();
    for call in calls.iter().filter(|call| call.op != Op::Read && call.outcome() == Outcome::Refused) {
        let of = Refused { facts, history: &history, call, window: Window::of(call, margins) };
        let (problem, says) = (call.problem().unwrap_or_default(), of.says());
        match says {
            Some(_) => *judged.entry(problem).or_default() += 1,
            None => others += 1,
        }
        if says == Some(false) {
            fault(&mut faults, call, "that was not so at any moment of the call");
        }
    }
    Law::new(REFUSALS, format!("{}; {others} that the log cannot tell", counted(&judged)), faults)
}

/// A client, a path and a key.
type Sent<'a> = (&'a str, &'a str, &'a str);

/// What other calls of the history tell about one.
struct History<'a> {
    /// Bodies, with when they were first sent.
    bodies: HashMap<Sent<'a>, Vec<(&'a str, i64)>>,
    /// Who may have placed an order.
    buyers: HashMap<domain::ids::OrderId, Vec<&'a str>>,
}

impl<'a> History<'a> {
    fn of(calls: &'a [Call]) -> Self {
        let mut history = Self { bodies: HashMap::new(), buyers: HashMap::new() };
        for call in calls {
            if let Some(key) = &call.key {
                let bodies = history.bodies.entry((&call.client, &call.path, key)).or_default();
                bodies.push((&call.body_hash, call.called_us));
            }
            if let (Op::Order, Some(order)) = (call.op, call.asked.order) {
                history.buyers.entry(order).or_default().push(&call.client);
            }
        }
        history
    }
}

struct Refused<'a> {
    facts: &'a Facts,
    history: &'a History<'a>,
    call: &'a Call,
    window: Window,
}

impl Refused<'_> {
    /// Whether the refusal was true; none if neither the log nor the history can tell.
    fn says(&self) -> Option<bool> {
        match self.call.problem()? {
            "sold-out" => self.sold_out(),
            "price-changed" => self.price_changed(),
            "limit-exceeded" => self.limit_exceeded(),
            "not-on-sale" => self.not_on_sale(),
            "show-not-found" => self.show_not_found(),
            "ticket-class-not-found" => self.class_not_found(),
            "checkout-token-missing" => Some(self.show()?.guarded && self.call.asked.session.is_none()),
            "checkout-token-used" => self.token_used(),
            "checkout-token-invalid" => self.token_invalid(),
            "not-admitted" => Some(self.window.had_not(self.place()?.ready)),
            "queue-place-lost" => self.place_lost(),
            "capacity-below-committed" => self.below_committed(),
            "already-exists" => self.already_exists(),
            "already-paid" => Some(self.order()?.paid.iter().any(|moment| self.window.had(Some(*moment)))),
            "order-over" => self.order_over(),
            "too-many-payments" => self.too_many_payments(),
            "not-found" => self.not_found(),
            "wrong-status" => self.wrong_status(),
            "idempotency-key-reused" => self.key_reused(),
            "idempotency-key-missing" => Some(self.call.key.is_none()),
            _ => None,
        }
    }

    fn show(&self) -> Option<&ShowLife> {
        self.facts.chronicle.shows.get(&self.call.asked.show?)
    }

    fn place(&self) -> Option<&PlaceLife> {
        self.facts.chronicle.places.get(&self.call.asked.session?)
    }

    /// The order of a call about an order that is there, in whichever show.
    fn order(&self) -> Option<&OrderLife> {
        let order = self.call.asked.order?;
        let mut all = self.facts.chronicle.orders.range((order, domain::ids::ShowId::default())..);
        all.next().filter(|(key, _)| key.0 == order).map(|(_, life)| life)
    }

    /// The asked quantity of each class.
    fn quantities(&self) -> BTreeMap<domain::ids::TicketClassId, i64> {
        let mut quantities = BTreeMap::new();
        for line in &self.call.asked.lines {
            *quantities.entry(line.ticket_class).or_default() += i64::from(line.quantity);
        }
        quantities
    }

    /// At some moment less was free of a class than was asked for, and so much as was told.
    fn sold_out(&self) -> Option<bool> {
        let show = self.show()?;
        let said = &self.call.said.available;
        let free = |class: &ClassLife, holds: &dyn Fn(i64) -> bool| {
            self.window.states(&class.levels).any(|level| holds(level.capacity - level.committed))
        };
        let short = self.quantities().iter().any(|(id, asked)| {
            let said = said.get(id);
            let class = show.classes.get(id);
            class.is_some_and(|class| free(class, &|left| left < *asked && said.is_none_or(|said| *said == left)))
        });
        let told =
            said.iter().all(|(id, said)| show.classes.get(id).is_some_and(|class| free(class, &|left| left == *said)));
        Some(short && told)
    }

    fn price_changed(&self) -> Option<bool> {
        let (line, price) = self.call.said.price?;
        let asked = self.call.asked.lines.get(line)?;
        let class = self.show()?.classes.get(&asked.ticket_class)?;
        let was = self.window.states(&class.levels).any(|level| level.price == price);
        Some(was && asked.unit_price != price)
    }

    fn limit_exceeded(&self) -> Option<bool> {
        let show = self.show()?;
        let over = |(id, asked): (&domain::ids::TicketClassId, &i64)| {
            show.classes.get(id).is_some_and(|class| *asked > class.max_per_order)
        };
        Some(self.quantities().iter().any(over))
    }

    /// Sales, or the waiting room, were not open at some moment, or a class was outside its time of sale.
    fn not_on_sale(&self) -> Option<bool> {
        let Some(show) = self.show() else { return Some(true) };
        if matches!(self.call.op, Op::Join | Op::Enter | Op::Leave) {
            return Some(self.window.had_not(show.room_opened) || self.window.had(show.room_closed));
        }
        let outside = |class: &ClassLife| {
            let (starts, ends) = class.window;
            starts.is_some_and(|starts| self.window.early < starts) || ends.is_some_and(|ends| self.window.late >= ends)
        };
        let mut asked = self.call.asked.lines.iter().filter_map(|line| show.classes.get(&line.ticket_class));
        Some(self.window.had_not(show.opened) || self.window.had(show.closed) || asked.any(outside))
    }

    /// Only for buyers and visitors: a stranger is told the same of a show that is there.
    fn show_not_found(&self) -> Option<bool> {
        if !matches!(self.call.op, Op::Order | Op::Join) {
            return None;
        }
        let needs = |show: &ShowLife| if self.call.op == Op::Join { show.room_opened } else { show.opened };
        Some(self.show().is_none_or(|show| self.window.had_not(needs(show))))
    }

    fn class_not_found(&self) -> Option<bool> {
        let show = self.show()?;
        let classes: Vec<_> = match self.call.op {
            Op::Order => self.call.asked.lines.iter().map(|line| line.ticket_class).collect(),
            Op::Capacity | Op::Price => self.call.asked.class.into_iter().collect(),
            _ => return None,
        };
        Some(classes.iter().any(|class| !show.classes.contains_key(class)) || self.window.had_not(show.opened))
    }

    /// Its session has another order, or gave its place up.
    fn token_used(&self) -> Option<bool> {
        let place = self.place()?;
        let other = |(moment, order): &(Moment, domain::ids::OrderId)| {
            Some(*order) != self.call.asked.order && self.window.had(Some(*moment))
        };
        Some(place.orders.iter().any(other) || self.window.had(place.barred))
    }

    /// It had ended, or there never was one; one that was altered is not recorded as this session's.
    fn token_invalid(&self) -> Option<bool> {
        let place = self.place()?;
        let elsewhere = self.call.asked.show != Some(place.show);
        Some(elsewhere || !self.window.had(place.entered) || place.token_ends <= self.window.late)
    }

    fn place_lost(&self) -> Option<bool> {
        let place = self.place()?;
        let show = self.facts.chronicle.shows.get(&place.show)?;
        let joined = place.joined?.at.max(show.opens_at.unwrap_or_default());
        let away = joined.plus_s(show.away_grace_s) <= self.window.late;
        let late = place.ready.is_some() && place.enter_by <= self.window.late;
        Some(self.window.had(place.ended) || self.window.had(show.room_closed) || away || late)
    }

    fn below_committed(&self) -> Option<bool> {
        let asked = self.call.asked.value?;
        let class = self.show()?.classes.get(&self.call.asked.class?)?;
        Some(self.window.states(&class.levels).any(|level| level.committed > asked))
    }

    fn already_exists(&self) -> Option<bool> {
        let created = match self.call.op {
            Op::Order => {
                let key = self.call.asked.order.zip(self.call.asked.show)?;
                self.facts.chronicle.orders.get(&key).and_then(|life| life.reserved)
            }
            Op::CreateShow => self.show().and_then(|show| show.statuses.first()).map(|(moment, _)| *moment),
            Op::DefineClass => self.show()?.defined.get(&self.call.asked.class?).copied(),
            _ => return None,
        };
        Some(self.window.had(created))
    }

    fn order_over(&self) -> Option<bool> {
        let life = self.order()?;
        let ended = life.ended.iter().any(|(moment, _)| self.window.had(Some(*moment)));
        Some(ended || self.window.had(life.overdue) || life.pay_by <= self.window.late)
    }

    fn too_many_payments(&self) -> Option<bool> {
        let there = self.order()?.payments.values().filter(|moment| self.window.had(Some(**moment)));
        Some(there.count() >= MOST_PAYMENTS)
    }

    /// Only for whoever placed the order: a stranger is told the same of one that is there.
    fn not_found(&self) -> Option<bool> {
        if !matches!(self.call.op, Op::Pay | Op::Cancel) {
            return None;
        }
        let order = self.call.asked.order?;
        let own = self.history.buyers.get(&order).is_some_and(|buyers| buyers.contains(&self.call.client.as_str()));
        match self.order() {
            Some(life) if own => Some(self.window.had_not(life.created)),
            Some(_) => None,
            None => Some(true),
        }
    }

    /// The show was in a status, at some moment, in which that cannot be done.
    fn wrong_status(&self) -> Option<bool> {
        let allowed: &[&str] = match self.call.op {
            Op::Configure | Op::DefineClass => &["draft", "configured"],
            Op::Approve => &["configured"],
            Op::Publish => &["approved"],
            Op::CancelShow => &["draft", "configured", "approved", "published"],
            // Whoever has placed an order cancels that.
            Op::Leave => return Some(self.window.had(self.place()?.tied)),
            _ => return None,
        };
        let show = self.show()?;
        Some(self.window.states(&show.statuses).any(|status| !allowed.contains(status)))
    }

    fn key_reused(&self) -> Option<bool> {
        let key = self.call.key.as_deref()?;
        let (client, path) = (self.call.client.as_str(), self.call.path.as_str());
        let ended = self.call.answered_us.unwrap_or(i64::MAX);
        let others = self.history.bodies.get(&(client, path, key))?;
        Some(others.iter().any(|(body, called)| *body != self.call.body_hash && *called <= ended))
    }
}

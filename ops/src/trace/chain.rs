//! The order in which one event led to the other.
//!
//! Invariant: nothing stands before what led to it, whatever the clocks of the machines said; else it goes by time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::event::Event;
use domain::ids::derived;
use domain::payment;
use domain::saga::react;
use uuid::Uuid;

use super::{Step, Told, details};

/// What to take next: the earliest, the least deep, and then by place.
type Rank = (i64, usize, &'static str, u32, i64, usize);

/// All of them in that order.
pub(super) fn ordered(told: Vec<Told>) -> Vec<Step> {
    let causes = causes(&told);
    let depths: Vec<usize> = (0..told.len()).map(|n| depth(&causes, n)).collect();
    let mut children: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (n, cause) in causes.iter().enumerate() {
        children.entry(cause.unwrap_or(usize::MAX)).or_default().push(n);
    }
    let rank = |n: usize| -> Rank {
        let Told { meta, found, .. } = &told[n];
        (meta.occurred_at.0, depths[n], found.at.context.topic(), found.at.number, found.record.offset, n)
    };
    let mut ready: BTreeSet<Rank> = children.remove(&usize::MAX).unwrap_or_default().into_iter().map(rank).collect();
    let first_us = told.iter().map(|told| told.meta.occurred_at.0).min().unwrap_or(0);
    let mut steps = Vec::with_capacity(told.len());
    while let Some((.., n)) = ready.pop_first() {
        ready.extend(children.remove(&n).unwrap_or_default().into_iter().map(rank));
        steps.push(step(&told[n], causes[n].map(|cause| &told[cause]), depths[n], first_us));
    }
    let mut before_us = 0;
    for step in &mut steps {
        step.since_previous_us = step.since_first_us - before_us;
        before_us = step.since_first_us;
    }
    steps
}

/// Which event led to each, if it is among them.
fn causes(told: &[Told]) -> Vec<Option<usize>> {
    let mut known: HashMap<Uuid, usize> = HashMap::new();
    // What does not count led to nothing.
    for (n, told) in told.iter().enumerate().filter(|(_, told)| told.found.void.is_none()) {
        known.insert(told.meta.event_id, n);
        // The answer of a provider names the call, and the call follows from the event that asked for it.
        for outgoing in react(&told.event, &told.meta) {
            known.extend([(outgoing.id.0, n), (derived(outgoing.id.0, "created", 0), n)]);
        }
    }
    let cause = |(n, told): (usize, &Told)| known.get(&told.meta.causation_id).copied().filter(|cause| *cause != n);
    told.iter().enumerate().map(cause).collect()
}

fn depth(causes: &[Option<usize>], of: usize) -> usize {
    // Ids of causes are made before what they cause, so that there is no circle; a forged one must not hang us.
    std::iter::successors(causes[of], |cause| causes[*cause]).take(causes.len()).count()
}

fn step(told: &Told, cause: Option<&Told>, depth: usize, first_us: i64) -> Step {
    let Told { meta, event, found } = told;
    let at_us = meta.occurred_at.0;
    Step {
        at: jiff::Timestamp::from_microsecond(at_us).map_or_else(|_| at_us.to_string(), |at| at.to_string()),
        since_first_us: at_us - first_us,
        since_previous_us: 0,
        since_cause_us: cause.map(|cause| at_us - cause.meta.occurred_at.0),
        depth,
        event: event.name(),
        details: details::of(event),
        topic: found.at.context.topic(),
        partition: found.at.number,
        offset: found.record.offset,
        cause: cause.map_or_else(|| from_outside(told), |cause| cause.event.name()),
        by: kind(&meta.actor),
        void: found.void.clone(),
        event_id: meta.event_id,
        causation_id: meta.causation_id,
        correlation_id: meta.correlation_id,
    }
}

/// Where something came from that no event led to.
fn from_outside(told: &Told) -> &'static str {
    use payment::Event as E;
    match (&told.event, kind(&told.meta.actor)) {
        (Event::Payment(E::PaymentRequested(_) | E::PaymentClosureRequested(_) | E::RefundRequested(_)), "system") => {
            "timer"
        }
        (Event::Payment(_), "system") => "provider",
        (_, "system") => "timer",
        _ => "request",
    }
}

/// The kind of an actor. Which one is nobody's business here: an account's name may be a mail address.
fn kind(actor: &str) -> &'static str {
    match actor.split_once(':') {
        Some(("account", _)) => "account",
        Some(("guest", _)) => "guest",
        Some(("order", _)) => "order",
        _ => "system",
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use domain::ids::{OrderId, PaymentId, ShowId};
    use domain::order::{OrderCompleted, OrderPaid, OrderStuck};
    use domain::root::{Context, Meta};
    use domain::value::{Currency, Timestamp};
    use event_log::log::{Partition, Record};

    use super::*;
    use crate::trace::read::Found;

    fn told(event: impl Into<domain::order::Event>, id: u128, cause: u128, at_us: i64) -> Told {
        let meta = Meta {
            event_id: Uuid::from_u128(id),
            occurred_at: Timestamp(at_us),
            version: 1,
            correlation_id: Uuid::from_u128(99),
            causation_id: Uuid::from_u128(cause),
            actor: "account:an@example.org".to_owned(),
        };
        let record = Record {
            offset: i64::try_from(id).unwrap(),
            timestamp: Timestamp(at_us),
            key: Bytes::new(),
            header: Bytes::new(),
            value: Bytes::new(),
            trace: None,
        };
        let at = Partition { context: Context::Order, number: 0 };
        Told { meta, event: Event::Order(event.into()), found: Found { at, record, void: None } }
    }

    const ORDER: OrderId = OrderId(Uuid::from_u128(1));
    const SHOW: ShowId = ShowId(Uuid::from_u128(2));

    fn paid() -> OrderPaid {
        let payment = Some(PaymentId(Uuid::from_u128(3)));
        OrderPaid {
            order: ORDER,
            show: SHOW,
            payment,
            lines: vec![],
            currency: "VND".parse::<Currency>().unwrap(),
            total: 5,
        }
    }

    fn completed() -> OrderCompleted {
        OrderCompleted { order: ORDER, show: SHOW, ticket_count: 1, session: None }
    }

    #[test]
    fn what_led_to_something_comes_first_whatever_the_clocks_say() {
        let stuck = OrderStuck { order: ORDER, show: SHOW, step: domain::order::Step::Saga, reason: "x".to_owned() };
        let steps = ordered(vec![told(completed(), 12, 11, 90), told(stuck, 13, 77, 95), told(paid(), 11, 50, 100)]);
        let names: Vec<(&str, usize, &str)> = steps.iter().map(|it| (it.event, it.depth, it.cause)).collect();
        assert_eq!(
            names,
            [("OrderStuck", 0, "request"), ("OrderPaid", 0, "request"), ("OrderCompleted", 1, "OrderPaid")]
        );
        assert_eq!(steps[2].since_cause_us, Some(-10));
    }

    #[test]
    fn a_call_to_another_aggregate_is_known_by_the_event_that_asked_for_it() {
        let first = told(paid(), 11, 50, 100);
        let call = react(&first.event, &first.meta)[0].id.0;
        let answer = told(completed(), 12, call.as_u128(), 120);
        assert_eq!(ordered(vec![answer, first]).iter().map(|it| it.depth).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn nobody_is_named() {
        let text = serde_json::to_string(&ordered(vec![told(paid(), 11, 50, 100)])).unwrap();
        assert!(text.contains("account") && !text.contains("example.org"), "{text}");
    }
}

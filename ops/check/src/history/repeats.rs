//! A repeat gets the same answer, and another body under the same key is noticed.

use std::collections::{BTreeMap, BTreeSet};

use super::laws::fault;
use super::{Call, Op, Outcome};
use crate::report::{Faults, Law};

/// All calls of one client with one key, or, without one, to one thing, get one answer.
pub const REPEATS: &str = "a repeat gets the same answer";

pub(super) fn law(calls: &[Call]) -> Law {
    let mut groups: BTreeMap<(&str, Op, &str, Option<&str>), Vec<&Call>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.op != Op::Read && call.op != Op::Notify) {
        let named = matches!(call.op, Op::Order | Op::CreateShow | Op::DefineClass);
        // A POST without a key is another one each time.
        if call.key.is_some() || named {
            let key = (call.client.as_str(), call.op, call.path.as_str(), call.key.as_deref());
            groups.entry(key).or_default().push(call);
        }
    }
    let (mut repeated, mut repeats, mut faults) = (0_u64, 0_u64, Faults::default());
    for group in groups.values().filter(|group| group.len() > 1) {
        repeated += 1;
        repeats += group.len() as u64 - 1;
        alike(group, &mut faults);
    }
    Law::new(REPEATS, format!("{repeats} repeats of {repeated} requests"), faults)
}

fn alike(group: &[&Call], faults: &mut Faults) {
    let answered: Vec<&&Call> = group.iter().filter(|call| call.outcome() == Outcome::Acknowledged).collect();
    let bodies: BTreeSet<&str> = answered.iter().map(|call| call.body_hash.as_str()).collect();
    if let (Some(first), true) = (answered.first(), bodies.len() > 1) {
        fault(faults, first, format!("{} different bodies were acknowledged under one key", bodies.len()));
    }
    let Some((first, others)) = answered.split_first() else { return };
    for other in others.iter().filter(|other| other.body_hash == first.body_hash) {
        if first.key.is_some() && other.status != first.status {
            let (one, two) = (first.status.unwrap_or(0), other.status.unwrap_or(0));
            fault(faults, other, format!("it was answered with {one} before, and with {two} now"));
        }
        if ids(first) != ids(other) {
            fault(faults, other, "its answer names other things than the one before");
        }
    }
}

/// What never changes in an answer; how the thing stands may.
fn ids(call: &Call) -> impl PartialEq + use<> {
    let said = &call.said;
    (said.order, said.session, said.number)
}

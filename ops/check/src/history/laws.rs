//! What clients asked and were told, held against the log.

use std::collections::BTreeMap;

use super::margins::Margins;
use super::{Call, Op, Outcome, kept, refusals, repeats, unasked};
use crate::facts::Facts;
use crate::report::{Faults, Law};

/// How the calls ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Writes that were refused.
    pub refused: u64,
    /// Writes of which nobody was told what became of them.
    pub in_doubt: u64,
    /// Writes that were turned away before they were looked at.
    pub turned_away: u64,
    /// Calls that only read.
    pub reads: u64,
}

impl Ended {
    /// Counts calls.
    pub fn of(calls: &[Call]) -> Self {
        let mut ended = Self::default();
        for call in calls {
            *match (call.op, call.outcome()) {
                (Op::Read, _) => &mut ended.reads,
                (_, Outcome::Acknowledged) => &mut ended.acknowledged,
                (_, Outcome::Refused) => &mut ended.refused,
                (_, Outcome::InDoubt) => &mut ended.in_doubt,
                (_, Outcome::TurnedAway) => &mut ended.turned_away,
            } += 1;
        }
        ended
    }
}

/// Every law that a history can be held against. The facts have to be read after its last call.
pub fn laws(facts: &Facts, calls: &[Call], margins: Margins) -> Vec<Law> {
    vec![
        kept::law(facts, calls, margins),
        unasked::law(facts, calls),
        repeats::law(calls),
        refusals::law(facts, calls, margins),
    ]
}

/// Counts by name, as text: `12 sold-out, 3 not-admitted`.
pub(super) fn counted(counts: &BTreeMap<&str, u64>) -> String {
    let parts: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

/// A fault names who, what and when.
pub(super) fn fault(faults: &mut Faults, call: &Call, what: impl std::fmt::Display) {
    let status = call.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let problem = call.problem().unwrap_or_default();
    faults.add(format!(
        "{:?} {} by {} at {} µs ({status} {problem}): {what}",
        call.op, call.path, call.client, call.called_us
    ));
}

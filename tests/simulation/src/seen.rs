//! How often what happened: faults, answers, sites of breakages.

use std::collections::BTreeMap;

use domain::breakage::Breakage;
use serde::Serialize;

/// Counts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Faults that were injected and took effect.
    pub faults: BTreeMap<&'static str, u64>,
    /// What happened because of them, and otherwise.
    pub happened: BTreeMap<&'static str, u64>,
    /// Sites of breakages that were reached.
    pub sites: BTreeMap<&'static str, u64>,
    /// Histories.
    pub histories: u64,
    /// Commands of clients, repeats too.
    pub commands: u64,
    /// The fewest commands of clients in a history.
    pub fewest_commands: u64,
    /// Events that count.
    pub events: u64,
    /// Records in the logs.
    pub records: u64,
    /// Sums up the bytes of one history's logs, if asked for.
    pub digest: u64,
}

impl Seen {
    /// A fault took effect.
    pub fn fault(&mut self, name: &'static str) {
        *self.faults.entry(name).or_default() += 1;
    }

    /// Something happened.
    pub fn happened(&mut self, name: &'static str) {
        *self.happened.entry(name).or_default() += 1;
    }

    /// Something happened so often.
    pub fn happened_times(&mut self, name: &'static str, times: u64) {
        *self.happened.entry(name).or_default() += times;
    }

    /// Sites were reached.
    pub fn visited(&mut self, visits: impl IntoIterator<Item = (Breakage, u64)>) {
        for (which, times) in visits {
            *self.sites.entry(which.name()).or_default() += times;
        }
    }

    /// Adds the counts of other histories.
    pub fn add(&mut self, others: &Self) {
        for (mine, theirs) in [
            (&mut self.faults, &others.faults),
            (&mut self.happened, &others.happened),
            (&mut self.sites, &others.sites),
        ] {
            theirs.iter().for_each(|(name, times)| *mine.entry(name).or_default() += times);
        }
        self.fewest_commands = match (self.histories, others.histories) {
            (0, _) => others.fewest_commands,
            (_, 0) => self.fewest_commands,
            _ => self.fewest_commands.min(others.fewest_commands),
        };
        self.histories += others.histories;
        self.commands += others.commands;
        self.events += others.events;
        self.records += others.records;
    }

    /// The counts of one kind, a line each.
    pub fn lines(counts: &BTreeMap<&'static str, u64>) -> String {
        counts.iter().map(|(name, times)| format!("  {times:>12}  {name}\n")).collect()
    }
}

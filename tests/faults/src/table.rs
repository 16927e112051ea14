//! What came of the runs: a table for people, JSON for machines.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::fault::Fault;

/// What came of one run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Run {
    /// Writes that clients were promised.
    pub acknowledged: u64,
    /// Writes that clients were left in doubt about, and repeated.
    pub in_doubt: u64,
    /// Of those, connections that broke.
    pub broken_connections: u64,
    /// Requests that were turned away with `Retry-After`, and repeated.
    pub turned_away: u64,
    /// Owners that were superseded by a claim of a later term, since the fault.
    pub fenced: u64,
    /// Records in the log that do not count.
    pub void: u64,
    /// What was promised and is not there.
    pub lost: u64,
    /// From the fault until every partition had acknowledged something again, for every time it struck.
    pub took_ms: Vec<u64>,
    /// Buyers that came to an end, by what they did.
    pub done: BTreeMap<String, u64>,
    /// What else was seen.
    pub notes: Vec<String>,
    /// What went wrong.
    pub wrong: Vec<String>,
}

/// All runs of one fault.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The fault.
    pub fault: &'static str,
    /// What it does.
    pub what: &'static str,
    /// What it proves.
    pub proves: &'static str,
    /// Its runs.
    pub runs: Vec<Run>,
}

impl Run {
    /// A run that came to nothing.
    pub(crate) fn failed(why: String) -> Self {
        Self { wrong: vec![why], ..Self::default() }
    }

    /// Whether everything was as it should be.
    pub fn passed(&self) -> bool {
        self.wrong.is_empty()
    }

    /// It in a line, and what went wrong below.
    pub fn line(&self) -> String {
        let Self { acknowledged, in_doubt, turned_away, fenced, void, lost, .. } = self;
        let mark = if self.passed() { "passed" } else { "FAILED" };
        let mut text = format!(
            "{mark}: {acknowledged} acknowledged, {in_doubt} in doubt, {turned_away} turned away, {fenced} fenced, \
             {void} void, {lost} lost, service after {:?} ms",
            self.took_ms
        );
        for (act, count) in &self.done {
            write!(text, "; {count} {act}").expect("writing to a string never fails");
        }
        for line in &self.notes {
            write!(text, "\n  {line}").expect("writing to a string never fails");
        }
        for line in &self.wrong {
            write!(text, "\n  WRONG: {line}").expect("writing to a string never fails");
        }
        text
    }
}

impl Row {
    /// A fault without runs.
    pub fn of(fault: &Fault) -> Self {
        Self { fault: fault.name, what: fault.what, proves: fault.proves, runs: Vec::new() }
    }

    /// Whether every run passed.
    pub fn passed(&self) -> bool {
        self.runs.iter().all(Run::passed)
    }

    fn sum(&self, of: impl Fn(&Run) -> u64) -> u64 {
        self.runs.iter().map(of).sum()
    }

    /// The median and the longest time without service, in milliseconds.
    fn took(&self) -> Option<(u64, u64)> {
        let mut all: Vec<u64> = self.runs.iter().flat_map(|run| run.took_ms.clone()).collect();
        all.sort_unstable();
        Some((*all.get(all.len() / 2)?, *all.last()?))
    }
}

/// The table as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let head = ["fault", "runs", "acknowledged", "in doubt", "turned away", "fenced", "void", "lost", "service after"];
    let mut text = format!("| {} |\n|{}|\n", head.join(" | "), head.map(|_| "---").join("|"));
    for row in rows {
        let took = match row.took() {
            Some((median, longest)) if median != longest => format!("{median} ms, at most {longest} ms"),
            Some((median, _)) => format!("{median} ms"),
            None => "-".to_owned(),
        };
        let failed = row.runs.iter().filter(|run| !run.passed()).count();
        let runs = match failed {
            0 => row.runs.len().to_string(),
            failed => format!("{} ({failed} FAILED)", row.runs.len()),
        };
        let numbers = [
            row.sum(|run| run.acknowledged),
            row.sum(|run| run.in_doubt),
            row.sum(|run| run.turned_away),
            row.sum(|run| run.fenced),
            row.sum(|run| run.void),
            row.sum(|run| run.lost),
        ];
        let numbers = numbers.map(|number| number.to_string()).join(" | ");
        writeln!(text, "| {} | {runs} | {numbers} | {took} |", row.fault).expect("writing to a string never fails");
    }
    text
}

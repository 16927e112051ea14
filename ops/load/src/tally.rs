//! What a worker counts: second by second, and step by step.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::client::ClientError;
use crate::histogram::Latencies;
use crate::wire::Answer;

/// What became of one arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// What it came for.
    Done,
    /// The shop said, in order, that there is nothing left.
    SoldOut,
    /// It did what it meant to do, and that was not to buy.
    WalkedAway,
    /// Refused because too much is asked at once (429, 503); tells whether it said when to come again.
    Refused {
        /// The status and the problem's name.
        what: String,
        /// It had a `Retry-After`.
        says_when: bool,
    },
    /// Anything else.
    Failed(String),
}

impl Outcome {
    /// Of a request that should have been answered with this status.
    pub fn of(answer: &Result<Answer, ClientError>, wanted: &[u16]) -> Self {
        match answer {
            Err(error) => Self::Failed(error.kind().to_owned()),
            Ok(answer) if wanted.contains(&answer.status) => Self::Done,
            Ok(answer) => match (answer.status, problem(answer)) {
                (409, name) if name == "sold-out" => Self::SoldOut,
                (status @ (429 | 503), name) => {
                    Self::Refused { what: format!("{status} {name}"), says_when: answer.retry_after.is_some() }
                }
                (status, name) => Self::Failed(format!("{status} {name}")),
            },
        }
    }
}

/// The name of a problem's type, without reading the whole body.
fn problem(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let name = text.split_once("/problems/").map_or("", |(_, rest)| rest);
    name.split('"').next().unwrap_or_default().chars().take(40).collect()
}

/// One second of a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Window {
    /// Arrivals scheduled in it.
    pub offered: u64,
    /// Arrivals that had what they came for in this second, whenever they were scheduled.
    pub acknowledged: u64,
    /// Arrivals scheduled in it that were told in order that nothing is left.
    pub sold_out: u64,
    /// Arrivals scheduled in it that walked away on purpose.
    pub walked_away: u64,
    /// Refusals for overload of arrivals scheduled in it.
    pub refused: u64,
    /// Failures of arrivals scheduled in it, refusals for overload among them, by kind.
    pub errors: BTreeMap<String, u64>,
    /// From the scheduled moment until done, of what was scheduled in it.
    pub latency: Latencies,
    /// From the scheduled moment until refused or told that nothing is left.
    pub refusals: Latencies,
}

impl Window {
    /// Adds another one's.
    pub fn merge(&mut self, other: &Self) {
        self.offered += other.offered;
        self.acknowledged += other.acknowledged;
        self.sold_out += other.sold_out;
        self.walked_away += other.walked_away;
        self.refused += other.refused;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        self.latency.merge(&other.latency);
        self.refusals.merge(&other.refusals);
    }

    /// Everything that failed.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// Everything that one process counted, or all together.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Seconds since the start, warm-up first.
    pub windows: Vec<Window>,
    /// Latencies of single steps, after the warm-up.
    pub steps: BTreeMap<String, Latencies>,
    /// How late arrivals were sent, after the warm-up.
    pub scheduling_lag: Latencies,
    /// How long a read waited until it saw a write that had been acknowledged just before.
    pub read_lag: Latencies,
    /// HTTP requests sent.
    pub requests: u64,
    /// Refusals for overload that did not say when to come again.
    pub without_retry_after: u64,
    /// Connections that had been closed while nobody used them.
    pub connections_made_again: u64,
    /// Processor time of the processes, seconds.
    pub processor_s: f64,
    /// When the last arrival had its answer, seconds since the start.
    pub last_answer_s: f64,
    /// Examples of what failed.
    pub examples: Vec<String>,
}

/// So many examples of failures are kept.
const EXAMPLES: usize = 8;

impl Tally {
    /// The window of a second.
    pub fn window(&mut self, second: usize) -> &mut Window {
        if self.windows.len() <= second {
            self.windows.resize_with(second + 1, Window::default);
        }
        &mut self.windows[second]
    }

    /// Counts how one arrival ended: when it was scheduled, how long that took, and in which second it ended.
    pub fn ended(&mut self, scheduled: usize, took: Duration, now: usize, outcome: Outcome) {
        match outcome {
            Outcome::Done => {
                self.window(now).acknowledged += 1;
                self.window(scheduled).latency.record(took);
            }
            Outcome::SoldOut => {
                self.window(scheduled).sold_out += 1;
                self.window(scheduled).refusals.record(took);
            }
            Outcome::WalkedAway => self.window(scheduled).walked_away += 1,
            Outcome::Refused { what, says_when } => {
                self.without_retry_after += u64::from(!says_when);
                let window = self.window(scheduled);
                window.refused += 1;
                *window.errors.entry(what).or_default() += 1;
                window.refusals.record(took);
            }
            Outcome::Failed(what) => *self.window(scheduled).errors.entry(what).or_default() += 1,
        }
    }

    /// Counts a step.
    pub fn step(&mut self, name: &str, took: Duration) {
        match self.steps.get_mut(name) {
            Some(step) => step.record(took),
            None => self.steps.entry(name.to_owned()).or_default().record(took),
        }
    }

    /// Keeps a failure to be shown, if there are few.
    pub fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text());
        }
    }

    /// Adds another process's.
    pub fn merge(&mut self, other: &Self) {
        for (second, window) in other.windows.iter().enumerate() {
            self.window(second).merge(window);
        }
        for (name, step) in &other.steps {
            self.steps.entry(name.clone()).or_default().merge(step);
        }
        self.scheduling_lag.merge(&other.scheduling_lag);
        self.read_lag.merge(&other.read_lag);
        self.requests += other.requests;
        self.without_retry_after += other.without_retry_after;
        self.connections_made_again += other.connections_made_again;
        self.processor_s += other.processor_s;
        self.last_answer_s = self.last_answer_s.max(other.last_answer_s);
        self.examples.extend(other.examples.iter().take(EXAMPLES.saturating_sub(self.examples.len())).cloned());
    }

    /// The sum of some seconds.
    pub fn between(&self, from: usize, to: usize) -> Window {
        let mut all = Window::default();
        self.windows.iter().take(to).skip(from).for_each(|window| all.merge(window));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, problem: &str, retry_after: Option<&str>) -> Result<Answer, ClientError> {
        let body = format!("{{\"type\": \"/problems/{problem}\", \"status\": {status}}}").into_bytes();
        Ok(Answer { status, body, retry_after: retry_after.map(str::to_owned), ..Answer::default() })
    }

    #[test]
    fn answers_are_told_apart() {
        let of = |status, problem, retry| Outcome::of(&answer(status, problem, retry), &[201]);
        assert_eq!(of(201, "", None), Outcome::Done);
        assert_eq!(of(409, "sold-out", None), Outcome::SoldOut);
        assert_eq!(of(409, "not-on-sale", None), Outcome::Failed("409 not-on-sale".to_owned()));
        let refused = |says_when| Outcome::Refused { what: "503 overloaded".to_owned(), says_when };
        assert_eq!(of(503, "overloaded", Some("1")), refused(true));
        assert_eq!(of(503, "overloaded", None), refused(false));
    }

    #[test]
    fn latency_belongs_to_the_second_that_was_scheduled_and_the_rate_to_that_of_the_answer() {
        let mut tally = Tally::default();
        tally.ended(1, Duration::from_millis(2500), 3, Outcome::Done);
        tally.ended(2, Duration::from_millis(10), 2, Outcome::Refused { what: "503 x".to_owned(), says_when: false });
        let mut merged = Tally::default();
        merged.merge(&tally);
        merged.merge(&tally);
        let seen: Vec<(u64, u64, u64)> =
            merged.windows.iter().map(|it| (it.acknowledged, it.latency.count(), it.failed())).collect();
        assert_eq!(seen, [(0, 0, 0), (0, 2, 0), (0, 0, 2), (2, 0, 0)]);
        assert_eq!(merged.without_retry_after, 2);
        assert_eq!(merged.between(0, 3).acknowledged, 0);
        assert_eq!(merged.between(1, 4).latency.count(), 2);
    }
}

//! What a crowd counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::person::Fault;
use crate::client::ClientError;
use crate::histogram::Latencies;
use crate::line::Progress;
use crate::tally::Outcome;
use crate::wire::Answer;

/// So many examples are kept.
const EXAMPLES: usize = 8;

/// What one process counts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tally {
    /// People whose time to join came, those who followed others too.
    pub came: u64,
    /// Of which so many have a place.
    pub placed: u64,
    /// From when they were to come until they were told their place.
    pub joining: Latencies,
    /// When the last of a stage of joining had a place, seconds since it began.
    pub last_placed_s: f64,
    /// Requests to join.
    pub join_requests: u64,
    /// Answers to them that were repeats of what was acknowledged before.
    pub replayed: u64,
    /// What was sent again, by why.
    pub repeats: BTreeMap<String, u64>,
    /// Refusals that did not say when to come again.
    pub without_retry_after: u64,
    /// Questions that were due.
    pub polls: u64,
    /// From when a question was due until the answer was there.
    pub polling: Latencies,
    /// How late questions were sent.
    pub scheduling_lag: Latencies,
    /// Questions that were not asked because the one before had no answer yet.
    pub overlapped: u64,
    /// Questions that went to another server, because one did not answer.
    pub moved: u64,
    /// Answers of another server that were older than what one had told.
    pub behind: u64,
    /// People who learnt that it is their turn.
    pub admitted: u64,
    /// Who entered.
    pub entered: u64,
    /// Who left after that.
    pub left: u64,
    /// Sockets that were open at some time.
    pub sockets: u64,
    /// Sockets that were opened again.
    pub reopened: u64,
    /// From when a socket was due until it was open.
    pub connecting: Latencies,
    /// From the admission until the person was told on the socket.
    pub telling: Latencies,
    /// Messages on sockets.
    pub messages: u64,
    /// Pings answered.
    pub pings: u64,
    /// Bytes received on sockets.
    pub bytes: u64,
    /// HTTP requests sent.
    pub requests: u64,
    /// Connections that had been closed while nobody used them.
    pub connections_made_again: u64,
    /// Processor time of the processes, seconds.
    pub processor_s: f64,
    /// What failed, by kind.
    pub errors: BTreeMap<String, u64>,
    /// Where somebody was told what cannot be, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Examples of either.
    pub examples: Vec<String>,
}

impl Tally {
    /// Counts what failed.
    pub fn error(&mut self, kind: impl Into<String>, example: impl FnOnce() -> String) {
        let kind = kind.into();
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!("{kind}: {}", example()));
        }
        *self.errors.entry(kind).or_default() += 1;
    }

    /// Counts an answer that is none of those wanted.
    pub fn failed(&mut self, what: &str, answer: &Result<Answer, ClientError>) {
        let how = match Outcome::of(answer, &[]) {
            Outcome::Failed(how) | Outcome::Refused { what: how, .. } => how,
            Outcome::SoldOut | Outcome::Done | Outcome::WalkedAway => "an odd answer".to_owned(),
        };
        self.error(format!("{what}: {how}"), || match answer {
            Ok(answer) => String::from_utf8_lossy(&answer.body).chars().take(300).collect(),
            Err(error) => error.to_string(),
        });
    }

    /// Counts what is sent again.
    pub fn repeat(&mut self, what: &str, answer: &Result<Answer, ClientError>) {
        if let Outcome::Refused { says_when: false, .. } = Outcome::of(answer, &[]) {
            self.without_retry_after += 1;
        }
        let how = match answer {
            Ok(answer) => answer.status.to_string(),
            Err(error) => error.kind().to_owned(),
        };
        *self.repeats.entry(format!("{what}: {how}")).or_default() += 1;
    }

    /// Counts what cannot be.
    pub fn fault(&mut self, fault: Fault) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(fault.what);
        }
        *self.faults.entry(fault.kind.to_owned()).or_default() += 1;
    }

    /// How far it is: whoever came, asked or was to be connected, and whoever got that.
    pub fn progress(&self) -> Progress {
        Progress {
            offered: self.came + self.polls + self.sockets,
            acknowledged: self.placed + self.polling.count() + self.connecting.count() + self.telling.count(),
            failed: self.errors.values().chain(self.faults.values()).sum(),
        }
    }

    /// Adds another process's.
    pub fn merge(&mut self, other: &Self) {
        let histograms = [
            (&mut self.joining, &other.joining),
            (&mut self.polling, &other.polling),
            (&mut self.scheduling_lag, &other.scheduling_lag),
            (&mut self.connecting, &other.connecting),
            (&mut self.telling, &other.telling),
        ];
        histograms.into_iter().for_each(|(ours, theirs)| ours.merge(theirs));
        let counts = [
            (&mut self.came, other.came),
            (&mut self.placed, other.placed),
            (&mut self.join_requests, other.join_requests),
            (&mut self.replayed, other.replayed),
            (&mut self.without_retry_after, other.without_retry_after),
            (&mut self.polls, other.polls),
            (&mut self.overlapped, other.overlapped),
            (&mut self.moved, other.moved),
            (&mut self.behind, other.behind),
            (&mut self.admitted, other.admitted),
            (&mut self.entered, other.entered),
            (&mut self.left, other.left),
            (&mut self.sockets, other.sockets),
            (&mut self.reopened, other.reopened),
            (&mut self.messages, other.messages),
            (&mut self.pings, other.pings),
            (&mut self.bytes, other.bytes),
            (&mut self.requests, other.requests),
            (&mut self.connections_made_again, other.connections_made_again),
        ];
        counts.into_iter().for_each(|(ours, theirs)| *ours += theirs);
        let kinds =
            [(&mut self.repeats, &other.repeats), (&mut self.errors, &other.errors), (&mut self.faults, &other.faults)];
        for (ours, theirs) in kinds {
            theirs.iter().for_each(|(kind, count)| *ours.entry(kind.clone()).or_default() += count);
        }
        self.last_placed_s = self.last_placed_s.max(other.last_placed_s);
        self.processor_s += other.processor_s;
        self.examples.extend(other.examples.iter().take(EXAMPLES.saturating_sub(self.examples.len())).cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> Result<Answer, ClientError> {
        Ok(Answer { status, retry_after: retry_after.map(str::to_owned), ..Answer::default() })
    }

    #[test]
    fn two_processes_count_as_one() {
        let mut tally = Tally { polls: 3, last_placed_s: 1.5, ..Tally::default() };
        tally.repeat("join", &answer(429, None));
        tally.repeat("join", &answer(503, Some("2")));
        tally.fault(Fault { kind: "place changed", what: "number 1 …".to_owned() });
        tally.failed("poll", &answer(403, None));
        let mut all = Tally::default();
        all.merge(&tally);
        all.merge(&tally);
        assert_eq!((all.polls, all.without_retry_after, all.progress().failed), (6, 2, 4));
        assert_eq!(all.repeats, [("join: 429".to_owned(), 2), ("join: 503".to_owned(), 2)].into());
        assert_eq!(all.errors.keys().collect::<Vec<_>>(), ["poll: 403 "]);
        assert_eq!(all.examples.len(), 4);
    }
}

//! What an instance says in its log about taking a partition over.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use domain::value::Timestamp;
use serde_json::Value;

/// The last take-over, milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Timeline {
    /// From a moment asked for to the owner's beginning, which follows the group's assignment.
    pub assigned_ms: u64,
    /// From there until there was a state to go on from.
    pub loaded_ms: u64,
    /// … the end of the log was reached.
    pub folded_ms: u64,
    /// … the claim was sent.
    pub claimed_ms: u64,
    /// … it served.
    pub serving_ms: u64,
    /// How many records were read.
    pub replayed: u64,
    /// Of which offset the snapshot was.
    pub snapshot: Option<u64>,
    /// Whether it went on with what it stood by with.
    pub stood_by: bool,
}

impl Timeline {
    /// Of the last line about this partition in a log file.
    ///
    /// # Errors
    /// There is none.
    pub fn last(log: &Path, partition: &str, since: Timestamp) -> anyhow::Result<Self> {
        let text = fs::read_to_string(log).with_context(|| format!("read {}", log.display()))?;
        let lines = text.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let served = |line: &Value| line["message"] == "serving the partition" && line["partition"] == partition;
        let line = lines.into_iter().find(served).context("it never served the partition")?;
        let at: jiff::Timestamp =
            line["timestamp"].as_str().unwrap_or_default().parse().context("a line without its time")?;
        let number = |name: &str| line[name].as_u64().unwrap_or(0);
        let serving_ms = number("recovery_ms");
        let passed_ms = u64::try_from((at.as_microsecond() - since.0) / 1000).unwrap_or(0);
        Ok(Self {
            assigned_ms: passed_ms.saturating_sub(serving_ms),
            loaded_ms: number("loaded_ms"),
            folded_ms: number("folded_ms"),
            claimed_ms: number("claimed_ms"),
            serving_ms,
            replayed: number("replayed"),
            snapshot: line["snapshot"].as_u64(),
            stood_by: line["stood_by"].as_bool().unwrap_or(false),
        })
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { assigned_ms, loaded_ms, folded_ms, claimed_ms, serving_ms, replayed, .. } = self;
        let from = match self.snapshot {
            _ if self.stood_by => "what it stood by with".to_owned(),
            Some(offset) => format!("the snapshot at {offset}"),
            None => "no snapshot".to_owned(),
        };
        write!(
            f,
            "assigned after {assigned_ms}; then, from {from}, loaded {loaded_ms}, folded {folded_ms} ({replayed} \
             records), claim sent {claimed_ms}, serving {serving_ms}"
        )
    }
}

//! What a worker process says on its standard output, a line each.

use std::io::Write as _;
use std::ops::AddAssign;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// How far a worker is, or all of them together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Arrivals.
    pub offered: u64,
    /// Of which this many had what they came for.
    pub acknowledged: u64,
    /// And so many failed.
    pub failed: u64,
}

impl AddAssign for Progress {
    fn add_assign(&mut self, other: Self) {
        self.offered += other.offered;
        self.acknowledged += other.acknowledged;
        self.failed += other.failed;
    }
}

/// A line; `C` is what workers of its kind count.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line<C> {
    /// How far it is, about once a second.
    Progress(Progress),
    /// It waits to be told when this stage of its plan begins.
    Ready(usize),
    /// Everything, at the end.
    Result(Box<C>),
}

/// Says it.
///
/// # Errors
/// Nobody listens.
pub fn say<C: Serialize>(line: &Line<C>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, line).context("write a line")?;
    out.write_all(b"\n").and_then(|()| out.flush()).context("write a line")
}

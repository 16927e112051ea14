//! The worker processes of a run: started with their plans, listened to until they end.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use crate::plan::Plan;
use crate::tally::Tally;
use crate::worker::Line;

/// How far all workers together are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Arrivals.
    pub offered: u64,
    /// Of which this many had what they came for.
    pub acknowledged: u64,
    /// And so many failed.
    pub failed: u64,
}

/// Workers at work.
#[derive(Debug)]
pub struct Fleet {
    workers: Vec<Child>,
    lines: mpsc::Receiver<(usize, Line)>,
    seen: Vec<Progress>,
}

impl Fleet {
    /// Starts a process for each plan: `program load-worker`.
    ///
    /// # Errors
    /// One cannot be started.
    pub async fn start(program: &Path, plans: &[Plan]) -> anyhow::Result<Self> {
        let (sender, lines) = mpsc::channel(64);
        let mut workers = Vec::new();
        for (number, plan) in plans.iter().enumerate() {
            let mut command = Command::new(program);
            command.arg("load-worker").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
            let mut child = command.spawn().with_context(|| format!("start {}", program.display()))?;
            let mut told = child.stdin.take().context("a worker has no input")?;
            told.write_all(&serde_json::to_vec(plan)?).await.context("tell a worker its plan")?;
            drop(told);
            let mut said = BufReader::new(child.stdout.take().context("a worker has no output")?).lines();
            let sender = sender.clone();
            tokio::spawn(async move {
                while let Ok(Some(line)) = said.next_line().await {
                    let Ok(line) = serde_json::from_str(&line) else { continue };
                    if sender.send((number, line)).await.is_err() {
                        return;
                    }
                }
            });
            workers.push(child);
        }
        let seen = vec![Progress::default(); plans.len()];
        Ok(Self { workers, lines, seen })
    }

    /// The processes' ids.
    pub fn pids(&self) -> Vec<u32> {
        self.workers.iter().filter_map(Child::id).collect()
    }

    /// Listens until all have ended; tells how far they are about once a second.
    ///
    /// # Errors
    /// One ended without a result.
    pub async fn finish(mut self, mut say: impl FnMut(Progress)) -> anyhow::Result<Tally> {
        let (mut all, mut results) = (Tally::default(), 0);
        while let Some((number, line)) = self.lines.recv().await {
            match line {
                Line::Progress { offered, acknowledged, failed, .. } => {
                    self.seen[number] = Progress { offered, acknowledged, failed };
                    if number == 0 {
                        say(self.seen.iter().fold(Progress::default(), |sum, it| Progress {
                            offered: sum.offered + it.offered,
                            acknowledged: sum.acknowledged + it.acknowledged,
                            failed: sum.failed + it.failed,
                        }));
                    }
                }
                Line::Result(tally) => {
                    all.merge(&tally);
                    results += 1;
                }
            }
        }
        for mut worker in self.workers {
            let status = worker.wait().await.context("wait for a worker")?;
            if !status.success() {
                bail!("a worker ended with {status}");
            }
        }
        ensure!(results == self.seen.len(), "{results} of {} workers told what they counted", self.seen.len());
        Ok(all)
    }
}

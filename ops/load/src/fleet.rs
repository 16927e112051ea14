//! The worker processes of a run: started with their plans, listened to until they end.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

use crate::crowd;
use crate::line::{Line, Progress};
use crate::tally::Tally;
use crate::worker::Work;

/// What workers of one kind count.
pub trait Count: Default + DeserializeOwned + Send + 'static {
    /// Adds another process's.
    fn merge(&mut self, other: &Self);
}

impl Count for Tally {
    fn merge(&mut self, other: &Self) {
        Self::merge(self, other);
    }
}

impl Count for crowd::Tally {
    fn merge(&mut self, other: &Self) {
        Self::merge(self, other);
    }
}

/// Workers at work.
#[derive(Debug)]
pub struct Fleet<C> {
    workers: Vec<Child>,
    tellers: Vec<ChildStdin>,
    /// Each worker's lines; nothing once it has no more to say.
    lines: mpsc::Receiver<(usize, Option<Line<C>>)>,
    seen: Vec<Progress>,
}

impl<C: Count> Fleet<C> {
    /// Starts a process for each piece of work: `program load-worker`.
    ///
    /// # Errors
    /// One cannot be started.
    pub async fn start(program: &Path, all: &[Work]) -> anyhow::Result<Self> {
        let (sender, lines) = mpsc::channel(64);
        let (mut workers, mut tellers) = (Vec::new(), Vec::new());
        for (number, work) in all.iter().enumerate() {
            let mut command = Command::new(program);
            command.arg("load-worker").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
            let mut child = command.spawn().with_context(|| format!("start {}", program.display()))?;
            let mut told = child.stdin.take().context("a worker has no input")?;
            let mut line = serde_json::to_vec(work)?;
            line.push(b'\n');
            told.write_all(&line).await.context("tell a worker its plan")?;
            tellers.push(told);
            tokio::spawn(listen(number, child.stdout.take().context("a worker has no output")?, sender.clone()));
            workers.push(child);
        }
        let seen = vec![Progress::default(); all.len()];
        Ok(Self { workers, tellers, lines, seen })
    }

    /// The processes' ids.
    pub fn pids(&self) -> Vec<u32> {
        self.workers.iter().filter_map(Child::id).collect()
    }

    /// Listens until all wait for this stage of their plans; tells how far they are about once a second.
    ///
    /// # Errors
    /// One ended before.
    pub async fn ready(&mut self, stage: usize, mut say: impl FnMut(Progress)) -> anyhow::Result<()> {
        let mut waiting = self.seen.len();
        while waiting > 0 {
            let (number, line) = self.lines.recv().await.context("no worker says anything any more")?;
            match line {
                Some(Line::Ready(reached)) if reached == stage => waiting -= 1,
                Some(Line::Progress(progress)) => self.note(number, progress, &mut say),
                Some(Line::Ready(other)) => bail!("a worker is at stage {other} instead of {stage}"),
                Some(Line::Result(_)) | None => bail!("a worker ended before stage {stage}"),
            }
        }
        Ok(())
    }

    /// Tells all when the stage that they wait for begins: the wall clock, microseconds UTC.
    ///
    /// # Errors
    /// One does not listen.
    pub async fn begin(&mut self, at_us: i64) -> anyhow::Result<()> {
        for teller in &mut self.tellers {
            teller.write_all(format!("{at_us}\n").as_bytes()).await.context("tell a worker to begin")?;
        }
        Ok(())
    }

    /// Listens until all have ended; tells how far they are about once a second.
    ///
    /// # Errors
    /// One ended without a result.
    pub async fn finish(mut self, mut say: impl FnMut(Progress)) -> anyhow::Result<C> {
        let (mut all, mut results) = (C::default(), 0);
        while let Some((number, line)) = self.lines.recv().await {
            match line {
                Some(Line::Progress(progress)) => self.note(number, progress, &mut say),
                Some(Line::Result(counted)) => {
                    all.merge(&counted);
                    results += 1;
                }
                Some(Line::Ready(stage)) => bail!("a worker waits for stage {stage}, which nobody begins"),
                None => {}
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

    fn note(&mut self, number: usize, progress: Progress, say: &mut impl FnMut(Progress)) {
        self.seen[number] = progress;
        if number == 0 {
            let mut all = Progress::default();
            self.seen.iter().for_each(|it| all += *it);
            say(all);
        }
    }
}

async fn listen<C: Count>(number: usize, said: ChildStdout, sender: mpsc::Sender<(usize, Option<Line<C>>)>) {
    let mut said = BufReader::new(said).lines();
    while let Ok(Some(line)) = said.next_line().await {
        let Ok(line) = serde_json::from_str(&line) else { continue };
        if sender.send((number, Some(line))).await.is_err() {
            return;
        }
    }
    // Nobody listens any more if this cannot be told.
    let _ = sender.send((number, None)).await;
}

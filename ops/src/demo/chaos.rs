//! `--kill command-api-1@12s`, `--term command-api-2@20s`: ends a process in the middle, and measures how long it is away
//! and how long the partitions do not answer.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use local_stack::Signal;
use service_kit::clock;
use tokio::time::{Instant, sleep, sleep_until};

use super::probe::{Probe, Silence};
use crate::dev::Running;
use crate::topology::{Instance, Process};

/// It has to answer again within so long.
const BACK: Duration = Duration::from_secs(60);
/// Whoever comes back gets partitions again: what that costs is measured, too.
const SETTLE: Duration = Duration::from_secs(4);
/// Between two questions.
const STEP: Duration = Duration::from_millis(20);

/// A process that is ended, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// Which one.
    pub instance: Instance,
    /// So long after the first buyer.
    pub after: Duration,
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected a process and when, such as command-api-1@10s".to_owned();
        let (name, after) = text.split_once('@').ok_or_else(wrong)?;
        let seconds = after.strip_suffix('s').unwrap_or(after).parse().map_err(|_| wrong())?;
        Ok(Self { instance: name.parse()?, after: Duration::from_secs(seconds) })
    }
}

/// How a process is ended; it is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As nothing else is ended: it learns nothing of it.
    Kill,
    /// It is asked to, and hands over what it has.
    Term,
}

impl How {
    fn signal(self) -> Signal {
        match self {
            Self::Kill => Signal::Kill,
            Self::Term => Signal::Terminate,
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "killed (SIGKILL)",
            Self::Term => "stopped (SIGTERM)",
        })
    }
}

/// What an ended process meant for the others.
#[derive(Debug, Clone)]
pub struct Struck {
    /// Which one, and when.
    pub when: When,
    /// How.
    pub how: How,
    /// How long until it was ready again.
    pub away: Duration,
    /// How long the partitions did not answer.
    pub silence: Silence,
}

impl Struck {
    /// Whether partitions had to be taken over.
    pub fn owned(&self) -> bool {
        self.when.instance.process == Process::CommandApi
    }
}

impl fmt::Display for Struck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (instance, how, away) = (self.when.instance, self.how, self.away.as_secs_f64());
        write!(
            f,
            "{instance} {how} at {} s: {}; ready again after {away:.1} s",
            self.when.after.as_secs(),
            self.silence
        )
    }
}

/// Refuses what cannot be ended.
///
/// # Errors
/// There is no such process.
pub fn check(running: &Running, all: &[When]) -> anyhow::Result<()> {
    for when in all {
        let known = running.plan().counts.all().any(|it| it == when.instance);
        ensure!(known, "{} does not run: there is {}", when.instance, names(running));
    }
    Ok(())
}

fn names(running: &Running) -> String {
    running.plan().counts.all().map(|it| it.to_string()).collect::<Vec<_>>().join(", ")
}

/// Ends the process at its time; says how long it, and the partitions, did not answer.
///
/// # Errors
/// It cannot be ended, or does not come back, or a partition does not answer again.
pub async fn strike(
    running: &Running,
    probe: &Probe,
    (when, how): (When, How),
    start: Instant,
    say: impl Fn(&str),
) -> anyhow::Result<Struck> {
    let instance = when.instance;
    sleep_until(start + when.after).await;
    let (since, starts) = (clock::monotonic(), running.restarts(instance));
    let probing = probe.start();
    running.kill(instance, how.signal()).await.with_context(|| format!("end {instance}"))?;
    say(&format!("{instance}: {how} {} s after the first buyer", when.after.as_secs()));
    let away = back(running, instance, (since, starts)).await?;
    sleep(SETTLE).await;
    let silence = probing.end().await?;
    let struck = Struck { when, how, away, silence };
    say(&struck.to_string());
    Ok(struck)
}

/// Waits until another run of it is ready.
async fn back(
    running: &Running,
    instance: Instance,
    (since, starts): (std::time::Instant, u32),
) -> anyhow::Result<Duration> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1)).build()?;
    let url = format!("{}{}", running.url(instance), instance.process.ready_path());
    while since.elapsed() < BACK {
        sleep(STEP).await;
        let again = running.restarts(instance) > starts;
        if again && http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(since.elapsed());
        }
    }
    bail!("{instance} does not answer again within {} s", BACK.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_names_a_process_and_a_time() {
        let when: When = "command-api-2@10s".parse().unwrap();
        let instance = Instance { process: Process::CommandApi, number: 2 };
        assert_eq!(when, When { instance, after: Duration::from_secs(10) });
        assert_eq!("query-api@3".parse::<When>().unwrap().instance, Process::QueryApi.into());
        for wrong in ["command-api", "kafka@1s", "command-api@soon", "command-api-0@1s", "@1s"] {
            assert!(wrong.parse::<When>().is_err(), "{wrong}");
        }
    }
}

//! `--kill command-api@10s`: ends a process by force in the middle, and measures how long nobody answers for it.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::ValueEnum as _;
use local_stack::Signal;
use service_kit::clock;
use tokio::time::{Instant, sleep, sleep_until};

use crate::dev::Running;
use crate::topology::Process;

/// It has to answer again within so long.
const BACK: Duration = Duration::from_secs(60);
/// Between two questions.
const STEP: Duration = Duration::from_millis(20);

/// A process that is killed, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    /// Which one.
    pub process: Process,
    /// So long after the first buyer.
    pub after: Duration,
}

impl FromStr for Kill {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected a process and when, such as command-api@10s".to_owned();
        let (name, after) = text.split_once('@').ok_or_else(wrong)?;
        let process = Process::from_str(name, true)
            .map_err(|_| format!("{name} is no process: {}", Process::ALL.map(Process::binary).join(", ")))?;
        let seconds = after.strip_suffix('s').unwrap_or(after).parse().map_err(|_| wrong())?;
        Ok(Self { process, after: Duration::from_secs(seconds) })
    }
}

/// Kills the process at its time; says how long it did not answer.
///
/// # Errors
/// It cannot be killed, or does not come back.
pub async fn strike(running: &Running, kill: Kill, start: Instant, say: impl Fn(&str)) -> anyhow::Result<Duration> {
    let (name, at) = (kill.process.binary(), kill.after.as_secs_f64());
    sleep_until(start + kill.after).await;
    let since = clock::monotonic();
    running.kill(kill.process, Signal::Kill).await.with_context(|| format!("kill {name}"))?;
    say(&format!("{name}: killed (SIGKILL) {at:.0} s after the first buyer"));
    let away = back(running, kill.process, since).await?;
    say(&format!("{name}: answers again after {:.2} s", away.as_secs_f64()));
    Ok(away)
}

async fn back(running: &Running, process: Process, since: std::time::Instant) -> anyhow::Result<Duration> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1)).build()?;
    let url = format!("{}{}", running.url(process), process.ready_path());
    while since.elapsed() < BACK {
        sleep(STEP).await;
        if http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(since.elapsed());
        }
    }
    bail!("{} does not answer again within {} s", process.binary(), BACK.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_names_a_process_and_a_time() {
        let kill: Kill = "command-api@10s".parse().unwrap();
        assert_eq!(kill, Kill { process: Process::CommandApi, after: Duration::from_secs(10) });
        assert_eq!("query-api@3".parse::<Kill>().unwrap().process, Process::QueryApi);
        for wrong in ["command-api", "kafka@1s", "command-api@soon", "@1s"] {
            assert!(wrong.parse::<Kill>().is_err(), "{wrong}");
        }
    }
}

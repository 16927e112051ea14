//! `boxctl projection rebuild` as a process of its own, killed on its way and begun again.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use service_kit::clock;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::dev::Running;
use crate::stack;

/// What came of it.
#[derive(Debug)]
pub(super) struct Rebuilding {
    /// Which read model.
    pub(super) name: &'static str,
    /// How often it was killed, and how many records were in it each time that it began.
    pub(super) began_at: Vec<u64>,
    /// From the first beginning to the last end.
    pub(super) took: Duration,
    /// Records that there were at its end.
    pub(super) records: u64,
    /// How long all processes together were filling.
    pub(super) filling: Duration,
    /// The fastest five seconds of filling that it told.
    pub(super) fastest: u64,
    /// Of the last process, which was not killed.
    pub(super) last: Value,
    /// What it compared.
    pub(super) verified: Value,
    /// The most memory of any of the processes.
    pub(super) memory_bytes: u64,
    /// What is not as it has to be.
    pub(super) faults: Vec<String>,
}

/// Rebuilds one read model; killed so often while it fills.
///
/// # Errors
/// It cannot be started, or says nothing that makes sense.
pub(super) async fn run(running: &Running, name: &'static str, kills: u32) -> anyhow::Result<Rebuilding> {
    let began = clock::monotonic();
    let mut all = Rebuilding {
        name,
        began_at: Vec::new(),
        took: Duration::ZERO,
        records: 0,
        filling: Duration::ZERO,
        fastest: 0,
        last: Value::Null,
        verified: Value::Null,
        memory_bytes: 0,
        faults: Vec::new(),
    };
    for kill in 0..=kills {
        let until = (kill < kills).then(|| f64::from(kill + 1) / f64::from(kills + 1));
        let ended = one(running, &mut all, until).await?;
        stack::say(&format!("{name}: {}", if ended { "the rebuilding ended" } else { "the rebuilding was killed" }));
        if ended {
            break;
        }
    }
    all.took = began.elapsed();
    all.judge(kills);
    Ok(all)
}

/// One process, until it ends or has filled this part. Tells whether it ended by itself.
async fn one(running: &Running, all: &mut Rebuilding, until: Option<f64>) -> anyhow::Result<bool> {
    let mut child = start(running, all.name)?;
    let out = child.stdout.take().context("it has no output")?;
    let mut lines = BufReader::new(out).lines();
    let mut filling = None;
    while let Some(line) = lines.next_line().await.context("read what it says")? {
        let told: Value = serde_json::from_str(&line).with_context(|| format!("it says {line:?}"))?;
        all.memory_bytes = all.memory_bytes.max(child.id().and_then(memory).unwrap_or(0));
        let number = |name: &str| told[name].as_u64().unwrap_or(0);
        match told["step"].as_str() {
            Some("begun") => {
                all.began_at.push(number("done"));
                filling = Some(clock::monotonic());
            }
            Some("fill") => {
                all.fastest = all.fastest.max(number("per_second"));
                all.records = number("total");
                #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
                let part = number("done") as f64 / number("total").max(1) as f64;
                if until.is_some_and(|until| part >= until) && part < 1.0 {
                    child.kill().await.context("kill it")?;
                    all.filling += filling.map_or(Duration::ZERO, |since| since.elapsed());
                    return Ok(false);
                }
            }
            Some("indexing" | "verify") => {
                all.filling += filling.take().map_or(Duration::ZERO, |since| since.elapsed());
            }
            Some("verified") => all.verified = told,
            Some("done") => all.last = told,
            Some("wrong") => all.faults.push(told["faults"].to_string()),
            _ => {}
        }
    }
    let ended = child.wait().await.context("wait for it")?;
    if !ended.success() {
        all.faults.push(format!("it ended with {ended}"));
    }
    Ok(true)
}

fn start(running: &Running, name: &str) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("find this program")?;
    let (endpoints, plan) = (running.endpoints(), running.plan());
    let mut command = Command::new(program);
    command
        .args(["projection", "rebuild", name, "--json"])
        .env("BOXOFFICE_KAFKA", &endpoints.kafka)
        .env("BOXOFFICE_REGISTRY", &endpoints.registry)
        .env("BOXOFFICE_POSTGRES", &endpoints.postgres)
        .env("BOXOFFICE_NAMESPACE", &plan.namespace)
        .env("BOXOFFICE_PARTITIONS", plan.partitions.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command.spawn().context("start boxctl projection rebuild")
}

/// The most that a process ever had in memory.
fn memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

impl Rebuilding {
    fn judge(&mut self, kills: u32) {
        let killed = u32::try_from(self.began_at.len()).unwrap_or(u32::MAX).saturating_sub(1);
        if killed < kills {
            self.faults.push(format!("it was killed {killed} times only; take more --events"));
        }
        if !self.began_at.is_sorted() {
            self.faults.push(format!("it did not go on where it was: {:?}", self.began_at));
        }
        if self.verified["holds"] != Value::Bool(true) {
            self.faults.push("no generation was found to be what the log says".to_owned());
        }
        if self.last["switched"] != Value::Bool(true) {
            self.faults.push("readers do not see it".to_owned());
        }
        self.memory_bytes = self.memory_bytes.max(self.last["peak_memory_bytes"].as_u64().unwrap_or(0));
    }
}

//! Server processes: started so that they outlive us, found by their command line, ended by their id.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::world::now;

/// How long the system may take to remove a killed process.
pub const DEATH: Duration = Duration::from_secs(10);

/// What a fault test does to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End it at once, without any chance to clean up.
    Kill,
    /// Ask it to end.
    Terminate,
    /// Ask it to end without waiting for its clients, which is what Postgres needs.
    Interrupt,
    /// Freeze it.
    Stop,
    /// Let a frozen one go on.
    Continue,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// What is asked about a running process.
struct Facts {
    pid: u32,
    parent: u32,
    arguments: Vec<String>,
}

/// Finds the process that has all of these arguments, and is not the child of another such process.
pub fn find(wanted: &[String]) -> Option<u32> {
    let matching: Vec<Facts> =
        pids().filter_map(facts).filter(|it| wanted.iter().all(|argument| it.arguments.contains(argument))).collect();
    matching.iter().find(|it| matching.iter().all(|other| other.pid != it.parent)).map(|it| it.pid)
}

/// The processes that a process started and that still run.
pub fn children(pid: u32) -> Vec<u32> {
    pids().filter_map(facts).filter(|it| it.parent == pid).map(|it| it.pid).collect()
}

/// The processes that work in this folder.
pub fn in_folder(folder: &Path) -> Vec<u32> {
    pids().filter(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|it| it == folder)).collect()
}

/// Resident memory of a process in bytes: all of it, or only what it shares with nobody.
pub fn memory_bytes(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Starts a server in a process group of its own, its output appended to a log file.
pub fn spawn(mut command: Command, log: &Path) -> Result<Child> {
    use std::os::unix::process::CommandExt;
    let output = fs::OpenOptions::new().create(true).append(true).open(log);
    let output = output.with_context(|| format!("open the log file {}", log.display()))?;
    let errors = output.try_clone().context("open the log file twice")?;
    let program = command.get_program().to_owned();
    command
        .stdin(std::process::Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .with_context(|| format!("start {}", program.display()))
}

/// Sends a signal to a process; one that no longer exists is left alone.
///
/// # Errors
/// When the signal is refused.
pub fn send(pid: u32, signal: Signal) -> Result<()> {
    // The standard library has no call for this, and the shell has it built in everywhere.
    let output = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", signal.name(), &pid.to_string()])
        .output()
        .context("run sh to send a signal")?;
    ensure!(
        output.status.success() || !runs(pid),
        "cannot send {} to process {pid}: {}",
        signal.name(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Waits until a process is gone; says whether it is.
pub fn wait_gone(pid: u32, limit: Duration) -> bool {
    let deadline = now() + limit;
    while runs(pid) {
        if now() > deadline {
            return false;
        }
        sleep(Duration::from_millis(20));
    }
    true
}

/// Whether a process runs. One that ended but was not yet collected by its parent does not, unless it has threads
/// left, which keep its ports and files open.
fn runs(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let has_ended = stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']));
    !has_ended || fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|threads| threads.count() > 1)
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn facts(pid: u32) -> Option<Facts> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|line| !line.is_empty())?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may itself hold any character.
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
    let arguments = line.split(|byte| *byte == 0).map(|it| String::from_utf8_lossy(it).into_owned()).collect();
    Some(Facts { pid, parent, arguments })
}

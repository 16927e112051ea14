//! Finds and ends what a supervisor that was killed left behind.
//!
//! Invariant: a process is ended only if its id, the time it was started and its program are those we wrote down, so
//! that an id that was given to somebody else in the meantime is left alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use local_stack::Signal;
use serde::{Deserialize, Serialize};

/// How long a left process may take to end in order, and again to die.
const FAREWELL: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(20);

/// A process as its pid file names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PidFile {
    pid: u32,
    /// Ticks after boot, from `/proc/<pid>/stat`.
    started: u64,
    program: PathBuf,
}

impl PidFile {
    /// What is to be written about a process that runs; `None` if it does not.
    pub fn of(pid: u32, program: &Path) -> Option<Self> {
        Some(Self { pid, started: started(pid)?, program: program.to_owned() })
    }

    /// Writes it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let new = file.with_extension("new");
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::rename(new, file)
    }

    /// Whether this very process still runs.
    pub fn runs(&self) -> bool {
        let program = self.program.as_os_str().as_encoded_bytes();
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        started(self.pid) == Some(self.started) && line.split(|byte| *byte == 0).any(|argument| argument == program)
    }
}

/// Ends every process that the pid files of a folder name and that still runs, and deletes the files. Blocks.
///
/// # Errors
/// The folder cannot be read, or a process survives.
pub fn end_all(folder: &Path, say: &dyn Fn(&str)) -> anyhow::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("list {}", folder.display())),
    };
    for entry in entries {
        let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "pid") {
            end_one(&path, say)?;
        }
    }
    Ok(())
}

fn end_one(path: &Path, say: &dyn Fn(&str)) -> anyhow::Result<()> {
    let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    // What cannot be read names nobody.
    if let Ok(left) = serde_json::from_slice::<PidFile>(&text)
        && left.runs()
    {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        say(&format!("{name}: ending process {}, left by a boxctl that was killed", left.pid));
        end(&left)?;
    }
    fs::remove_file(path).with_context(|| format!("delete {}", path.display()))
}

fn end(left: &PidFile) -> anyhow::Result<()> {
    local_stack::send(left.pid, Signal::Terminate)?;
    // A frozen one would hear of it only when it goes on.
    local_stack::send(left.pid, Signal::Continue)?;
    if !gone(left) {
        local_stack::send(left.pid, Signal::Kill)?;
        ensure!(gone(left), "process {} survives being killed", left.pid);
    }
    Ok(())
}

fn gone(left: &PidFile) -> bool {
    for _ in 0..FAREWELL.as_millis() / STEP.as_millis() {
        if !left.runs() {
            return true;
        }
        sleep(STEP);
    }
    false
}

fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may itself hold any character; the time is field 22 (proc(5)).
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

//! Starting one server: launched in the background, then waited for until it answers.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::config::StackConfig;
use crate::download::Tools;
use crate::ports::Ports;
use crate::process;
use crate::servers::{Progress, Server};
use crate::world::now;

/// Generous, because a start may share two cores with a compiler; a server that fails ends by itself far sooner.
const PATIENCE: Duration = Duration::from_secs(120);

/// A log beyond this size is set aside at the next start.
const LONGEST_LOG: u64 = 16 << 20;

/// How many lines of its log are quoted when a server does not start.
const QUOTED_LINES: usize = 25;

/// A server that was launched and may not answer yet.
pub struct Launch {
    server: Server,
    port: u16,
    child: Child,
    since: Instant,
    log: PathBuf,
    log_start: u64,
}

pub fn launch(server: Server, config: &StackConfig, ports: &Ports, tools: &Tools, say: Progress) -> Result<Launch> {
    let since = now();
    ports.check_free(server, &config.folder)?;
    let home = server.home(config);
    fs::create_dir_all(&home).with_context(|| format!("create {}", home.display()))?;
    let command = server
        .prepare(config, ports, tools, say)
        .with_context(|| format!("prepare {server}"))?;
    let log = server.log(config);
    let log_start = make_room(&log)?;
    let child = process::spawn(command, &log).with_context(|| format!("start {server}"))?;
    Ok(Launch {
        server,
        port: ports.of(server),
        child,
        since,
        log,
        log_start,
    })
}

impl Launch {
    /// Waits until the server answers.
    pub fn wait(mut self, say: Progress) -> Result<()> {
        let (server, port) = (self.server, self.port);
        let child = &mut self.child;
        if !answers_in_time(server, port, || matches!(child.try_wait(), Ok(None))) {
            let what = match self.child.try_wait() {
                Ok(Some(status)) => format!("ended at once ({status})"),
                _ => format!("does not answer on port {port} after {} s", PATIENCE.as_secs()),
            };
            bail!(
                "{server} {what}; the end of {}:\n{}",
                self.log.display(),
                log_end(&self.log, self.log_start)
            );
        }
        let seconds = self.since.elapsed().as_secs_f64();
        say(&format!(
            "{server} {}: started on 127.0.0.1:{port} ({seconds:.1} s)",
            server.version()
        ));
        // Somebody must take note of its end, or it would stay behind as a zombie as long as this process runs.
        thread::spawn(move || self.child.wait());
        Ok(())
    }
}

/// Waits until a server answers; gives up when time is over or the server no longer runs.
pub fn answers_in_time(server: Server, port: u16, mut runs: impl FnMut() -> bool) -> bool {
    let deadline = now() + PATIENCE;
    while now() < deadline {
        if server.probe(port).is_ok() {
            return true;
        }
        if !runs() {
            return false;
        }
        sleep(Duration::from_millis(50));
    }
    false
}

/// Sets a long log aside; tells where the output of the coming start will begin.
fn make_room(log: &Path) -> Result<u64> {
    let length = fs::metadata(log).map_or(0, |it| it.len());
    if length < LONGEST_LOG {
        return Ok(length);
    }
    fs::rename(log, log.with_extension("log.old")).with_context(|| format!("set {} aside", log.display()))?;
    Ok(0)
}

fn log_end(log: &Path, start: u64) -> String {
    let mut bytes = Vec::new();
    let read = fs::File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(start))?;
        file.read_to_end(&mut bytes)
    });
    if let Err(error) = read {
        return format!("(cannot be read: {error})");
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n")
}

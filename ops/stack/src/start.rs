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
const PATIENCE: Duration = Duration::from_secs(240);

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
    let command = server.prepare(config, ports, tools, say).with_context(|| format!("prepare {server}"))?;
    let log = server.log(config);
    let log_start = make_room(&log)?;
    let child = process::spawn(command, &log).with_context(|| format!("start {server}"))?;
    Ok(Launch { server, port: ports.of(server), child, since, log, log_start })
}

/// Waits until every one of them answers; the first that fails ends the waiting.
pub fn wait(mut launched: Vec<Launch>, say: Progress) -> Result<()> {
    while !launched.is_empty() {
        let mut waiting = Vec::new();
        for mut launch in launched {
            if launch.answers()? { launch.welcome(say) } else { waiting.push(launch) }
        }
        launched = waiting;
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

impl Launch {
    /// Whether it answers by now; an error when it never will.
    fn answers(&mut self) -> Result<bool> {
        let Self { server, port, log, .. } = self;
        // Asked in this order, because another server that answers on this port would not be ours.
        let ended = self.child.try_wait().with_context(|| format!("ask whether {server} still runs"))?;
        if ended.is_none() && server.probe(*port).is_ok() {
            return Ok(true);
        }
        let what = match ended {
            Some(status) => format!("ended at once ({status})"),
            None if self.since.elapsed() > PATIENCE => {
                format!("does not answer on port {port} after {} s", PATIENCE.as_secs())
            }
            None => return Ok(false),
        };
        bail!("{server} {what}; the end of {}:\n{}", log.display(), log_end(log, self.log_start))
    }

    fn welcome(mut self, say: Progress) {
        let (server, port, seconds) = (self.server, self.port, self.since.elapsed().as_secs_f64());
        say(&format!("{server} {}: started on 127.0.0.1:{port} ({seconds:.1} s)", server.version()));
        // Somebody must take note of its end, or it would stay behind as a zombie as long as this process runs.
        thread::spawn(move || self.child.wait());
    }
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

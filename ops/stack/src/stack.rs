//! The stack as a whole: brought up, taken down, looked at. Changes happen under a file lock, one process at a time.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::config::{Endpoints, StackConfig};
use crate::disk;
use crate::download::Tools;
use crate::ports::Ports;
use crate::process::{self, Signal};
use crate::servers::{Progress, Server, kafka};
use crate::start::{self as starting, Launch};
use crate::world::now;

/// How long a server may take to end in order before it is killed.
const FAREWELL: Duration = Duration::from_secs(20);

/// How long a server that runs without answering may take to answer.
const SECOND_CHANCE: Duration = Duration::from_secs(30);

/// One server as it is now.
#[derive(Clone, Debug, Serialize)]
pub struct ServerStatus {
    /// Which server.
    pub name: Server,
    /// Its process, if it runs.
    pub pid: Option<u32>,
    /// Its port, if the stack ever ran.
    pub port: Option<u16>,
    /// Whether it answered just now, in its own protocol.
    pub up: bool,
    /// The version that is started.
    pub version: &'static str,
    /// The file that its output is appended to.
    pub log: PathBuf,
    /// Resident memory of all its processes, if it runs.
    pub memory_bytes: Option<u64>,
}

/// Brings every server up that does not answer, and returns once all do. What already runs is left alone.
///
/// # Errors
/// When a program cannot be had, a kept port is taken, or a server does not start; the end of its log is quoted.
pub fn up(config: &StackConfig, progress: &mut dyn FnMut(&str)) -> Result<Endpoints> {
    let stack = Stack::lock(config, progress)?;
    let ports = stack.ports()?;
    stack.start(&stack.config.servers(), &ports, progress)?;
    Ok(ports.endpoints())
}

/// Where a stack's servers are reached, without asking whether they run; `None` if it never ran.
///
/// # Errors
/// When its ports cannot be read.
pub fn endpoints(config: &StackConfig) -> Result<Option<Endpoints>> {
    Ok(Ports::kept(&config.folder)?.map(|ports| ports.endpoints()))
}

/// Ends every server that runs; data and ports stay.
///
/// # Errors
/// When a server cannot be ended.
pub fn down(config: &StackConfig, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let stack = Stack::lock(config, progress)?;
    stack.stop(&Server::ANY, progress)
}

/// Ends every server and deletes its data, settings, logs and ports. Downloads stay.
///
/// # Errors
/// When a server cannot be ended or a folder cannot be deleted.
pub fn wipe(config: &StackConfig, progress: &mut dyn FnMut(&str)) -> Result<()> {
    let stack = Stack::lock(config, progress)?;
    stack.stop(&Server::ANY, progress)?;
    for server in Server::ANY {
        disk::unmount(&disk::folder(&server.home(&stack.config)))?;
        let folders = [Some(server.home(&stack.config)), server.data_elsewhere(&stack.config)];
        folders.iter().flatten().try_for_each(|folder| remove(folder))?;
    }
    remove(&stack.config.folder.join("ports.json"))?;
    remove(&kafka::cluster_id_file(&stack.config))?;
    progress("data, logs and ports are deleted");
    Ok(())
}

/// Looks at every server, without changing or waiting for anything.
///
/// # Errors
/// When the stack's folder or its ports cannot be read.
pub fn status(config: &StackConfig) -> Result<Vec<ServerStatus>> {
    let config = config.resolved();
    let ports = Ports::kept(&config.folder)?;
    let look = |name: Server| {
        let pid = name.pid(&config);
        let port = ports.as_ref().map(|ports| ports.of(name));
        let up = pid.is_some() && port.is_some_and(|port| name.probe(port).is_ok());
        let memory_bytes = pid.and_then(|pid| memory(name, pid));
        ServerStatus { name, pid, port, up, version: name.version(), log: name.log(&config), memory_bytes }
    };
    Ok(config.servers().into_iter().map(look).collect())
}

/// Ends one server in order if it runs, and starts it on the same port with the same data.
///
/// # Errors
/// As for [`down`] and [`up`].
pub fn restart(config: &StackConfig, server: Server) -> Result<()> {
    let silent: Progress = &mut |_| {};
    let stack = Stack::lock(config, silent)?;
    let ports = stack.ports()?;
    stack.stop(&[server], silent)?;
    stack.start(&[server], &ports, silent)
}

/// Starts one server if it does not answer, on the same port with the same data. One that is frozen goes on first.
///
/// # Errors
/// As for [`up`].
pub fn start(config: &StackConfig, server: Server) -> Result<()> {
    let silent: Progress = &mut |_| {};
    let stack = Stack::lock(config, silent)?;
    let ports = stack.ports()?;
    stack.start(&[server], &ports, silent)
}

/// Kills one server and deletes all its data, as a disk does that dies. Started again, it is empty.
///
/// # Errors
/// When it cannot be killed, or its data cannot be deleted.
pub fn lose(config: &StackConfig, server: Server) -> Result<()> {
    let stack = Stack::lock(config, &mut |_| {})?;
    if let Some(pid) = server.pid(&stack.config) {
        kill_all(server, pid)?;
    }
    remove(&server.data(&stack.config))
}

/// Sends a signal to a server: to all its processes, or to its first one alone if the signal asks it to end. After
/// [`Signal::Kill`] it returns once they are gone, otherwise at once.
///
/// # Errors
/// When the server does not run, or the signal is refused.
pub fn kill(config: &StackConfig, server: Server, signal: Signal) -> Result<()> {
    let pid = server.pid(&config.resolved()).with_context(|| format!("{server} does not run"))?;
    match signal {
        Signal::Terminate | Signal::Interrupt => process::send(pid, signal),
        Signal::Stop | Signal::Continue => {
            server.processes(pid).into_iter().try_for_each(|pid| process::send(pid, signal))
        }
        Signal::Kill => kill_all(server, pid),
    }
}

/// A stack that nobody else changes as long as this value lives.
struct Stack {
    config: StackConfig,
    _lock: File,
}

impl Stack {
    fn lock(config: &StackConfig, say: Progress) -> Result<Self> {
        fs::create_dir_all(&config.folder)
            .with_context(|| format!("create the stack's folder {}", config.folder.display()))?;
        let config = config.resolved();
        let path = config.folder.join("lock");
        let lock = File::create(&path).with_context(|| format!("open {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                say("waiting for another process that changes this stack");
                lock.lock().with_context(|| format!("lock {}", path.display()))?;
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("lock {}", path.display())),
        }
        Ok(Self { config, _lock: lock })
    }

    fn ports(&self) -> Result<Ports> {
        match Ports::kept(&self.config.folder)? {
            Some(ports) => Ok(ports),
            None => Ports::choose(&self.config.folder, self.config.brokers),
        }
    }

    /// Starts together what does not answer, then waits for each.
    fn start(&self, servers: &[Server], ports: &Ports, say: Progress) -> Result<()> {
        let mut dead = Vec::new();
        for &server in servers {
            if !self.answers_or_is_ended(server, ports, say)? {
                dead.push(server);
            }
        }
        if dead.is_empty() {
            return Ok(());
        }
        let tools = Tools::get(&self.config.cache, say)?;
        let launch = |server: Server| starting::launch(server, &self.config, ports, &tools, say);
        let launched: Vec<Launch> = dead.into_iter().map(launch).collect::<Result<_>>()?;
        starting::wait(launched, say)
    }

    /// Whether a server answers. One that runs without answering may be frozen or still starting: it gets its chance,
    /// and is ended if it does not take it.
    fn answers_or_is_ended(&self, server: Server, ports: &Ports, say: Progress) -> Result<bool> {
        let Some(pid) = server.pid(&self.config) else {
            return Ok(false);
        };
        let port = ports.of(server);
        if server.probe(port).is_ok() {
            say(&format!("{server} {}: runs on 127.0.0.1:{port}", server.version()));
            return Ok(true);
        }
        say(&format!("{server}: process {pid} runs but does not answer; giving it time"));
        server.processes(pid).into_iter().try_for_each(|pid| process::send(pid, Signal::Continue))?;
        let deadline = now() + SECOND_CHANCE;
        while now() < deadline && server.pid(&self.config).is_some() {
            if server.probe(port).is_ok() {
                return Ok(true);
            }
            sleep(Duration::from_millis(100));
        }
        self.stop(&[server], say)?;
        Ok(false)
    }

    /// Ends servers together: asked first, killed if that takes too long.
    fn stop(&self, servers: &[Server], say: Progress) -> Result<()> {
        let running: Vec<(Server, u32)> =
            servers.iter().filter_map(|&server| Some((server, server.pid(&self.config)?))).collect();
        let since = now();
        for &(server, pid) in &running {
            process::send(pid, server.stop_signal())?;
            // A frozen server would hear of it only when it goes on.
            server.processes(pid).into_iter().try_for_each(|pid| process::send(pid, Signal::Continue))?;
        }
        for (server, pid) in running {
            if process::wait_gone(pid, FAREWELL.saturating_sub(since.elapsed())) {
                say(&format!("{server}: stopped ({:.1} s)", since.elapsed().as_secs_f64()));
            } else {
                kill_all(server, pid)?;
                say(&format!("{server}: killed, because it did not stop within {} s", FAREWELL.as_secs()));
            }
        }
        Ok(())
    }
}

/// Kills the first process before its children, which it would otherwise replace.
fn kill_all(server: Server, pid: u32) -> Result<()> {
    let processes = server.processes(pid);
    processes.iter().try_for_each(|&pid| process::send(pid, Signal::Kill))?;
    for pid in processes {
        ensure!(process::wait_gone(pid, process::DEATH), "{server}: process {pid} survives being killed");
    }
    Ok(())
}

fn memory(server: Server, pid: u32) -> Option<u64> {
    let first = process::memory_bytes(pid, "VmRSS")?;
    let others = server.processes(pid).into_iter().skip(1);
    Some(first + others.filter_map(|pid| process::memory_bytes(pid, "RssAnon")).sum::<u64>())
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("delete {}", path.display()))
        }
        _ => Ok(()),
    }
}

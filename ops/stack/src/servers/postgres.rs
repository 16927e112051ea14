//! Postgres's settings. It refuses to run as root, so root runs it as `nobody`.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Progress, Server};
use crate::config::StackConfig;
use crate::download::Tools;
use crate::ports::Ports;
use crate::process::{self, DEATH, Signal};
use crate::shared_folder::{self, Owner};

/// The arguments that every Postgres of this stack's data has.
pub fn mark(config: &StackConfig) -> Vec<String> {
    vec!["-D".to_owned(), data(config).display().to_string()]
}

/// Where the data are: in the stack's folder, unless the account that Postgres runs as could not reach it there.
pub fn data(config: &StackConfig) -> PathBuf {
    shared_folder::reachable(&Server::Postgres.home(config)).join("data")
}

pub fn prepare(config: &StackConfig, ports: &Ports, tools: &Tools, say: Progress) -> Result<Command> {
    let owner = Owner::current()?;
    let home = shared_folder::reachable(&Server::Postgres.home(config));
    let programs = shared_folder::reachable(&tools.postgres);
    if home != Server::Postgres.home(config) {
        say(&format!("postgres: runs as nobody, who cannot reach this checkout; its data are in {}", home.display()));
    }
    shared_folder::copy_programs(&tools.postgres, &programs)?;
    owner.make_home(&home)?;
    let data = home.join("data");
    if data.exists() {
        clear(&data)?;
    } else {
        create(&programs, &data, &owner)?;
    }
    let mut command = run_as(&owner, programs.join("bin/postgres"));
    command.args(mark(config));
    for setting in settings(ports.postgres, config) {
        command.args(["-c", &setting]);
    }
    Ok(command)
}

/// Made under another name and renamed, so that a start that was killed leaves no half database.
fn create(programs: &Path, data: &Path, owner: &Owner) -> Result<()> {
    let new = data.with_extension("new");
    if new.exists() {
        fs::remove_dir_all(&new).with_context(|| format!("remove the half-made {}", new.display()))?;
    }
    let output = run_as(owner, programs.join("bin/initdb"))
        .arg("-D")
        .arg(&new)
        .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"])
        .args(["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"])
        .output()
        .context("run initdb")?;
    ensure!(
        output.status.success(),
        "initdb failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    fs::rename(&new, data).with_context(|| format!("rename {} to {}", new.display(), data.display()))
}

/// Ends what a killed Postgres left at work on its data, and its claim on them. Postgres trusts the claim as long as
/// any process has the number in it, be it a stranger or a dead one that nobody has collected yet.
fn clear(data: &Path) -> Result<()> {
    for pid in process::in_folder(data) {
        process::send(pid, Signal::Kill)?;
        ensure!(process::wait_gone(pid, DEATH), "process {pid} works on {} and survives being killed", data.display());
    }
    let claim = data.join("postmaster.pid");
    match fs::remove_file(&claim) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove the left-over {}", claim.display()))
        }
        _ => Ok(()),
    }
}

fn run_as(owner: &Owner, program: PathBuf) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    if let Owner::Nobody { user, group } = owner {
        command.uid(*user).gid(*group);
    }
    command
}

/// `synchronous_commit` stays on: with or without fsync, what was committed survives the death of the process. Only
/// an ephemeral stack goes without fsync, and so may lose its data when the machine dies.
fn settings(port: u16, config: &StackConfig) -> Vec<String> {
    let synced = if config.ephemeral && !config.sync { "off" } else { "on" };
    vec![
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        "max_connections=200".to_owned(),
        "shared_buffers=64MB".to_owned(),
        "max_wal_size=256MB".to_owned(),
        "min_wal_size=32MB".to_owned(),
        format!("fsync={synced}"),
        format!("full_page_writes={synced}"),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        "log_checkpoints=off".to_owned(),
    ]
}

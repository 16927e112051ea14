//! A small disk of one's own for a broker, which can be filled: a file system in memory with a limit.
//!
//! What is on it survives the death of every process, and ends with the machine.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::config::StackConfig;
use crate::servers::Server;
use crate::shared_folder;

const CHUNK: usize = 64 << 10;

/// Where the disk of a server is, if it has one.
pub fn folder(home: &Path) -> PathBuf {
    home.join("disk")
}

/// Makes the disk, unless it is there.
pub fn mount(folder: &Path, bytes: u64) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    if is_mounted(folder)? {
        return Ok(());
    }
    ensure!(
        shared_folder::we_are_root(),
        "a limited disk for Kafka is a file system of its own, and only root may mount one"
    );
    let size = format!("size={bytes},mode=755");
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", &size, "boxoffice-disk"]).arg(folder);
    run(mount).context("mount a limited disk for Kafka (this takes the right to mount, which containers seldom have)")
}

/// Throws the disk away with all that is on it, if there is one.
pub fn unmount(folder: &Path) -> Result<()> {
    if !is_mounted(folder)? {
        return Ok(());
    }
    let mut unmount = Command::new("umount");
    unmount.arg(folder);
    run(unmount)
}

/// What takes all the space of a disk as long as this value lives.
#[derive(Debug)]
pub struct Ballast {
    file: PathBuf,
    /// So many bytes were free.
    pub bytes: u64,
}

impl Drop for Ballast {
    fn drop(&mut self) {
        // Whoever wipes the stack throws it away, too.
        drop(fs::remove_file(&self.file));
    }
}

/// Fills the first broker's disk until not one byte is left.
///
/// # Errors
/// The stack was made without a disk of limited size, or it cannot be written to.
pub fn fill(config: &StackConfig) -> Result<Ballast> {
    let folder = folder(&Server::Kafka.home(&config.resolved()));
    ensure!(is_mounted(&folder)?, "{} is no disk of its own, and will not be filled", folder.display());
    let path = folder.join("ballast");
    let mut file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    let mut ballast = Ballast { file: path, bytes: 0 };
    let chunk = vec![0x5a_u8; CHUNK];
    loop {
        match file.write(&chunk) {
            Ok(written) => ballast.bytes += written as u64,
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(ballast),
            Err(error) => return Err(error).with_context(|| format!("fill {}", folder.display())),
        }
    }
}

fn is_mounted(folder: &Path) -> Result<bool> {
    let Ok(folder) = folder.canonicalize() else {
        return Ok(false);
    };
    let mounts = fs::read_to_string("/proc/self/mounts").context("read what is mounted")?;
    // Our folders have none of the characters that are written in another way there.
    Ok(mounts.lines().filter_map(|line| line.split(' ').nth(1)).any(|place| Path::new(place) == folder))
}

fn run(mut command: Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("run {program}"))?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

//! The files of a backup: appended to, and read to where the manifest says that they go.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};

use crate::block::Block;

/// A file that blocks are appended to.
#[derive(Debug)]
pub struct Appending {
    path: PathBuf,
    file: File,
    /// How long it is.
    pub bytes: u64,
}

impl Appending {
    /// Goes on behind so many bytes, which are known to be good; what lies behind them is cut off.
    ///
    /// # Errors
    /// The file is shorter than that, or cannot be written.
    pub fn open(path: PathBuf, bytes: u64) -> anyhow::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.create(true).write(true).truncate(false);
        let mut file = options.open(&path).with_context(|| format!("open {}", path.display()))?;
        let found = file.metadata().with_context(|| format!("look at {}", path.display()))?.len();
        ensure!(found >= bytes, "{} has {found} bytes; the manifest tells of {bytes}", path.display());
        file.set_len(bytes).with_context(|| format!("cut {}", path.display()))?;
        file.seek(SeekFrom::End(0)).with_context(|| format!("go to the end of {}", path.display()))?;
        Ok(Self { path, file, bytes })
    }

    /// Appends a block.
    ///
    /// # Errors
    /// The disk is full, or fails.
    pub fn append(&mut self, block: &Block) -> anyhow::Result<()> {
        let bytes = block.encode()?;
        self.file.write_all(&bytes).with_context(|| format!("write to {}", self.path.display()))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Returns once everything is on disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn sync(&self) -> anyhow::Result<()> {
        self.file.sync_data().with_context(|| format!("sync {}", self.path.display()))
    }
}

/// Hands over every block of the first so many bytes of a file.
///
/// # Errors
/// The file is shorter, a block is none, or whatever `take` says.
pub fn blocks(path: &Path, bytes: u64, mut take: impl FnMut(Block) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut file = BufReader::with_capacity(1 << 20, file).take(bytes);
    let mut at = 0;
    while at < bytes {
        let read = Block::read(&mut file).with_context(|| format!("read {} at byte {at}", path.display()))?;
        let (block, length) =
            read.with_context(|| format!("{} ends at byte {at}; the manifest tells of {bytes}", path.display()))?;
        at += length;
        take(block)?;
    }
    Ok(())
}

/// The SHA-256 of the first so many bytes of a file, in hexadecimal digits.
///
/// # Errors
/// It cannot be read, or is shorter.
pub fn digest(path: &Path, bytes: u64) -> anyhow::Result<String> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut file = BufReader::new(file).take(bytes);
    let (mut sum, mut read, mut part) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        match file.read(&mut part).with_context(|| format!("read {}", path.display()))? {
            0 => break,
            count => {
                sum.update(&part[..count]);
                read += count as u64;
            }
        }
    }
    ensure!(read == bytes, "{} has {read} bytes; the manifest tells of {bytes}", path.display());
    Ok(hex(&sum.finalize()))
}

/// The SHA-256 of bytes, in hexadecimal digits.
pub fn digest_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file whole, or not at all: whoever reads it finds the old one or the new one.
///
/// # Errors
/// The disk is full, or fails.
pub fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let write = || {
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("write {}", path.display()))?;
    sync_folder(path.parent().unwrap_or(path))
}

/// Has the names in a folder survive a crash.
///
/// # Errors
/// The disk fails.
pub fn sync_folder(folder: &Path) -> anyhow::Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| format!("sync {}", folder.display()))
}

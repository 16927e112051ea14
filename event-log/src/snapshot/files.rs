//! The files of a folder: how one comes to be whole, and which ones go.
//!
//! Invariant: a file that bears a snapshot's name is whole, whenever its writer dies and whoever else writes. It is
//! written under a name that nobody else uses, synced, and only then renamed; the names of two that differ differ.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::header::{Header, LENGTH};
use crate::log::Partition;

/// How many snapshots of a partition of one log stay.
const KEEP: usize = 2;
/// What a dead writer left behind goes after so long.
const LEFT_OVER: Duration = Duration::from_secs(3600);
/// Snapshots of another log go after so long.
const FOREIGN: Duration = Duration::from_secs(24 * 3600);
const ENDING: &str = ".snapshot";
const WRITING: &str = ".writing";

/// A file that bears a snapshot's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    pub(super) offset: i64,
    identity: Uuid,
    claim: Uuid,
    pub(super) path: PathBuf,
}

impl Named {
    fn of(folder: &Path, at: Partition, header: &Header) -> Self {
        let Header { offset, identity, claim, .. } = *header;
        let name = format!("{}{offset:020}-{}-{}{ENDING}", prefix(at), identity.simple(), claim.simple());
        Self { offset, identity, claim, path: folder.join(name) }
    }

    fn parse(path: PathBuf, at: Partition) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let mut parts = name.strip_prefix(&prefix(at))?.strip_suffix(ENDING)?.split('-');
        let offset = parts.next()?.parse().ok()?;
        let identity = Uuid::try_parse(parts.next()?).ok()?;
        let claim = Uuid::try_parse(parts.next()?).ok()?;
        parts.next().is_none().then_some(Self { offset, identity, claim, path })
    }
}

/// A whole file under a name that does not count yet.
pub(super) struct Staged {
    folder: PathBuf,
    at: Partition,
    named: Named,
    path: PathBuf,
    header: Header,
}

impl Staged {
    /// How many bytes it has.
    pub(super) fn bytes(&self) -> u64 {
        self.header.body_bytes + LENGTH as u64
    }

    /// Gives it the name that counts.
    ///
    /// # Errors
    /// The disk does not let us. Nothing is left behind, if it lets us do that.
    pub(super) fn publish(self) -> io::Result<Published> {
        let renamed = fs::rename(&self.path, &self.named.path);
        if renamed.is_err() {
            remove(&self.path);
        }
        renamed?;
        // Without this a power cut could take the name away, but never leave half a file under it.
        File::open(&self.folder)?.sync_all()?;
        Ok(Published { folder: self.folder, at: self.at, named: self.named })
    }
}

/// A snapshot that is there.
pub(super) struct Published {
    folder: PathBuf,
    at: Partition,
    named: Named,
}

/// Writes a whole file under a name of its own, and syncs it.
///
/// # Errors
/// The disk is full, or does not let us. Nothing is left behind, if it lets us do that.
pub(super) fn stage(
    folder: &Path,
    at: Partition,
    header: Header,
    unique: Uuid,
    body: impl FnOnce(&mut Body) -> io::Result<()>,
) -> io::Result<Staged> {
    fs::create_dir_all(folder)?;
    let named = Named::of(folder, at, &header);
    let path = folder.join(format!("{}{}{WRITING}", prefix(at), unique.simple()));
    let written = File::options().write(true).create_new(true).open(&path).and_then(|file| fill(file, header, body));
    match written {
        Ok(header) => Ok(Staged { folder: folder.to_owned(), at, named, path, header }),
        Err(error) => {
            remove(&path);
            Err(error)
        }
    }
}

fn fill(file: File, header: Header, body: impl FnOnce(&mut Body) -> io::Result<()>) -> io::Result<Header> {
    let mut to = Body { to: BufWriter::with_capacity(256 * 1024, file), crc: crc32fast::Hasher::new(), bytes: 0 };
    to.to.write_all(&[0; LENGTH])?;
    body(&mut to)?;
    let header = Header { body_bytes: to.bytes, body_crc: to.crc.finalize(), ..header };
    let mut file = to.to.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header.encode())?;
    file.sync_all()?;
    Ok(header)
}

/// Where a body is written to; counts and sums up.
pub(super) struct Body {
    to: BufWriter<File>,
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl Write for Body {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.crc.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The snapshots of a partition, newest first.
///
/// # Errors
/// The folder cannot be read. One that is not there has none.
pub(super) fn list(folder: &Path, at: Partition) -> io::Result<Vec<Named>> {
    let mut all: Vec<Named> = paths(folder)?.into_iter().filter_map(|path| Named::parse(path, at)).collect();
    all.sort();
    all.reverse();
    Ok(all)
}

/// Removes what is not needed beside the one just written. It may itself be older than others: those of the successor of
/// an owner that does not know yet that it has one stay.
pub(super) fn prune(published: &Published) {
    let Published { folder, at, named } = published;
    let newer_by = |path: &Path| modified(&named.path)?.duration_since(modified(path)?).ok();
    let older_than = |path: &Path, age: Duration| newer_by(path).is_some_and(|by| by > age);
    let of_log = match list(folder, *at) {
        Ok(all) => all,
        Err(error) => return tracing::warn!(partition = %at, %error, "cannot tidy up snapshots"),
    };
    let (own, foreign): (Vec<Named>, Vec<Named>) = of_log.into_iter().partition(|it| it.identity == named.identity);
    own.iter().skip(KEEP).filter(|it| *it != named).for_each(|it| remove(&it.path));
    foreign.iter().filter(|it| older_than(&it.path, FOREIGN)).for_each(|it| remove(&it.path));
    let is_left_over = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(&prefix(*at)) && name.ends_with(WRITING) && older_than(path, LEFT_OVER)
    };
    let left_over = paths(folder).unwrap_or_default().into_iter().filter(is_left_over);
    left_over.for_each(|path| remove(&path));
}

fn paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    listed.map(|entry| Ok(entry?.path())).collect()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// Somebody else may have removed it already.
fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(file = %path.display(), %error, "cannot remove a file");
        }
        _ => {}
    }
}

fn prefix(at: Partition) -> String {
    format!("{}-{}-", at.context.topic(), at.number)
}

/// Whether a folder can be written to.
///
/// # Errors
/// It cannot.
pub(super) fn probe(folder: &Path, unique: Uuid) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("probe-{}{WRITING}", unique.simple()));
    OpenOptions::new().write(true).create_new(true).open(&path)?;
    remove(&path);
    Ok(())
}

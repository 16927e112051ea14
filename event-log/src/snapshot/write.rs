//! From a state to a file.

use std::io;
use std::path::Path;

use domain::root::Root;
use domain::value::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::SnapshotTaken;
use super::files::{self, Body};
use super::header::Header;
use crate::crash::{self, Point};
use crate::log::Partition;
use crate::state::State;

/// Writes a snapshot, and removes what is not needed beside it.
///
/// # Errors
/// The disk is full, or does not let us.
pub(super) fn whole<A: Root>(
    folder: &Path,
    at: Partition,
    partitions: u32,
    state: &State<A>,
    now: Timestamp,
    unique: Uuid,
) -> io::Result<SnapshotTaken> {
    let began = Instant::now();
    let header = Header::of(at, partitions, &state.position, now)
        .ok_or_else(|| io::Error::other("a state without a log is not kept"))?;
    let staged = files::stage(folder, at, header, unique, |body| {
        store(state, body)?;
        crash::point(Point::InSnapshot, at);
        Ok(())
    })?;
    let bytes = staged.bytes();
    let published = staged.publish()?;
    files::prune(&published);
    let (offset, took_ms) = (header.offset, began.elapsed().as_millis());
    metrics::counter!("boxoffice_snapshots_written_total").increment(1);
    metrics::histogram!("boxoffice_snapshot_seconds").record(began.elapsed().as_secs_f64());
    tracing::info!(partition = %at, offset, bytes, took_ms = u64::try_from(took_ms).unwrap_or(u64::MAX), "wrote a snapshot");
    Ok(SnapshotTaken { offset, at: now, bytes })
}

/// The format's own error does not tell why the disk failed.
fn store<A: Root>(state: &State<A>, to: &mut Body) -> io::Result<()> {
    let mut watched = Watched { to, error: None };
    let stored = state.store(&mut watched);
    match (watched.error, stored) {
        (Some(error), _) => Err(error),
        (None, stored) => stored.map_err(io::Error::other),
    }
}

struct Watched<'a> {
    to: &'a mut Body,
    error: Option<io::Error>,
}

impl io::Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes).map_err(|error| {
            let kind = error.kind();
            self.error = Some(error);
            kind.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

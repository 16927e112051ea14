//! Carries an export out: reads, writes, keeps what is safe, and goes on where another one ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use event_log::log::Log;
use schemas::Codec;
use serde::Serialize;
use tokio::time::Instant;

use crate::lane::Lane;
use crate::manifest::Manifest;
use crate::range::Wanted;
use crate::reading::{Order, Reading, Taker, places};
use crate::row::Row;
use crate::sink::csv::Csv;
use crate::sink::jsonl::{JsonLines, manifest_of};
use crate::sink::lines::Lines;
use crate::sink::parquet::Parquet;
use crate::sink::{Piece, Sink};

/// What was taken is usually made safe after so many rows …
pub const KEEP_ROWS: u64 = 250_000;
/// … or so long.
const KEEP_EVERY: Duration = Duration::from_secs(30);
/// The manifest in a folder.
const MANIFEST: &str = "export.json";

/// As what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    Lines,
    /// A JSON object a line.
    Jsonl,
    /// A file for each type.
    Csv,
    /// A file for each type, with typed columns.
    Parquet,
}

impl Format {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    /// Files of types are written one partition after the other; what is read as it comes is in the order it happened.
    fn order(self) -> Order {
        match self {
            Self::Lines | Self::Jsonl => Order::Merged,
            Self::Csv | Self::Parquet => Order::OneByOne,
        }
    }
}

/// What is to be exported, and where to.
#[derive(Debug, Clone)]
pub struct Job {
    /// What.
    pub wanted: Wanted,
    /// As what.
    pub format: Format,
    /// Where to: a file for lines, a folder for the others; standard output if none.
    pub out: Option<PathBuf>,
    /// Go on with what is there.
    pub resume: bool,
    /// Go on with whatever comes, until it is stopped.
    pub follow: bool,
    /// Partitions of every topic.
    pub partitions: u32,
    /// What was taken is made safe after so many rows.
    pub keep_rows: u64,
    /// Prefix of the topics.
    pub namespace: String,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Rows that were written by this run.
    pub rows: u64,
    /// Records that were read.
    pub records: u64,
    /// Records that do not count.
    pub void: u64,
    /// The files that are there now.
    pub files: Vec<Piece>,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// Partitions that cannot be read on, where raw was asked for.
    pub broken: Vec<String>,
    /// How long it took, seconds.
    pub seconds: f64,
    /// The most memory that this process ever had, where the system says so.
    pub peak_rss_bytes: Option<u64>,
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Records read.
    pub read: u64,
    /// Of so many; none while following.
    pub of: Option<u64>,
    /// Rows written.
    pub rows: u64,
    /// Since the beginning.
    pub since: Duration,
}

/// Carries it out; `stop` ends it early, and safely.
///
/// # Errors
/// The log is broken or does not answer, or something cannot be written.
pub fn run(
    log: Arc<dyn Log>,
    codec: &Codec,
    job: &Job,
    stop: &dyn Fn(Arc<AtomicBool>),
    progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Summary> {
    let began = Instant::now();
    let (mut manifest, path) = manifest(job)?;
    let old = manifest.as_ref().filter(|_| job.resume).filter(|it| !it.is_new());
    let mut reading = match old {
        Some(old) => {
            let lanes = old.lanes(&*log, &job.wanted, &places(&job.wanted, job.partitions))?;
            Reading::of(Arc::clone(&log), codec.clone(), &job.wanted, lanes)
        }
        None => Reading::begin(Arc::clone(&log), codec.clone(), &job.wanted, job.partitions)?,
    };
    stop(reading.stop());
    let sink = sink(codec, job, manifest.as_ref())?;
    if let Some(manifest) = &mut manifest {
        manifest.done = false;
    }
    let total = reading.lanes.iter().map(|lane| u64::try_from(lane.end - lane.next()).unwrap_or(0)).sum();
    let mut keeper = Keeper {
        sink,
        manifest: manifest.zip(path),
        rows: 0,
        unsafe_rows: 0,
        keep_rows: job.keep_rows.max(1),
        kept: began,
        began,
        total: Some(total),
        progress,
    };
    keeper.keep(&reading.lanes)?;
    reading.run(job.format.order(), &mut keeper)?;
    if job.follow && !reading.is_stopped() {
        keeper.keep(&reading.lanes)?;
        keeper.total = None;
        reading.follow(&mut keeper)?;
    }
    let interrupted = reading.is_stopped() && !job.follow;
    let files = keeper.finish(&reading.lanes, interrupted)?;
    let lanes = &reading.lanes;
    Ok(Summary {
        rows: keeper.rows,
        records: lanes.iter().map(|lane| lane.read).sum(),
        void: lanes.iter().map(|lane| lane.void).sum(),
        files,
        interrupted,
        broken: lanes.iter().filter_map(|it| Some(format!("{}: {}", it.at, it.broken.as_ref()?))).collect(),
        seconds: began.elapsed().as_secs_f64(),
        peak_rss_bytes: peak_rss_bytes(),
    })
}

fn peak_rss_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The manifest, new or as it was left, and where it lies; none where nothing can be gone on with.
fn manifest(job: &Job) -> anyhow::Result<(Option<Manifest>, Option<PathBuf>)> {
    let Some(out) = &job.out else {
        ensure!(!job.resume, "what goes to standard output cannot be gone on with: name a place with --out");
        return Ok((None, None));
    };
    let path = match job.format {
        Format::Lines => bail!("lines for people go to standard output: --out needs --format"),
        Format::Jsonl => manifest_of(out),
        Format::Csv | Format::Parquet => folder(out)?,
    };
    let found = Manifest::read(&path)?;
    match (found, job.resume) {
        (Some(found), true) => {
            found.fits(job.format.word(), &job.namespace, &job.wanted)?;
            Ok((Some(found), Some(path)))
        }
        // Where nothing was ever safe an export that is to go on begins.
        (None, _) => {
            let taken = match job.format {
                Format::Jsonl => out.exists(),
                _ => fs::read_dir(out).with_context(|| format!("list {}", out.display()))?.next().is_some(),
            };
            ensure!(!taken, "{} is not empty and no export of ours: name another place", out.display());
            Ok((Some(Manifest::new(job.format.word(), &job.namespace, &job.wanted)), Some(path)))
        }
        (Some(_), false) => {
            bail!("{} holds an export already: --resume goes on with it; or name another place", out.display())
        }
    }
}

fn folder(out: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(out).with_context(|| format!("make {}", out.display()))?;
    Ok(out.join(MANIFEST))
}

fn sink(codec: &Codec, job: &Job, manifest: Option<&Manifest>) -> anyhow::Result<Box<dyn Sink>> {
    let (codec, raw) = (codec.clone(), job.wanted.raw);
    let (files, done) = manifest.map_or((&[][..], false), |it| (&it.files[..], it.done));
    Ok(match (job.format, &job.out) {
        (Format::Lines, _) => Box::new(Lines::new(codec, raw, std::io::stdout())),
        (Format::Jsonl, None) => Box::new(JsonLines::stream(codec, raw, std::io::stdout())),
        (Format::Jsonl, Some(file)) => Box::new(JsonLines::file(codec, raw, file, files)?),
        (Format::Csv, Some(folder)) => Box::new(Csv::new(codec, raw, folder, files)?),
        (Format::Parquet, Some(folder)) => Box::new(Parquet::new(codec, raw, folder, files.to_vec(), done)?),
        (Format::Csv | Format::Parquet, None) => {
            bail!("--format {} writes a file for each type: name a folder with --out", job.format.word())
        }
    })
}

/// Takes rows, and sees to it that they are safe.
struct Keeper<'a> {
    sink: Box<dyn Sink>,
    manifest: Option<(Manifest, PathBuf)>,
    rows: u64,
    unsafe_rows: u64,
    keep_rows: u64,
    kept: Instant,
    began: Instant,
    total: Option<u64>,
    progress: &'a mut dyn FnMut(Progress),
}

impl Keeper<'_> {
    fn keep(&mut self, lanes: &[Lane]) -> anyhow::Result<()> {
        let Some((manifest, path)) = &mut self.manifest else { return self.sink.show() };
        let files = self.sink.keep()?;
        manifest.write(path, lanes, files)?;
        self.unsafe_rows = 0;
        self.kept = Instant::now();
        Ok(())
    }

    fn finish(&mut self, lanes: &[Lane], interrupted: bool) -> anyhow::Result<Vec<Piece>> {
        let Some((manifest, path)) = &mut self.manifest else { return self.sink.keep() };
        let files = if interrupted { self.sink.keep()? } else { self.sink.finish()? };
        manifest.done = !interrupted;
        manifest.write(path, lanes, files.clone())?;
        if !interrupted {
            self.sink.tidy()?;
        }
        Ok(files)
    }
}

impl Taker for Keeper<'_> {
    fn take(&mut self, row: Row) -> anyhow::Result<()> {
        self.sink.take(&row)?;
        self.rows += 1;
        self.unsafe_rows += 1;
        Ok(())
    }

    fn tick(&mut self, lanes: &[Lane]) -> anyhow::Result<()> {
        let read = lanes.iter().map(|lane| lane.read).sum();
        (self.progress)(Progress { read, of: self.total, rows: self.rows, since: self.began.elapsed() });
        let old = self.unsafe_rows > 0 && self.kept.elapsed() >= KEEP_EVERY;
        if self.unsafe_rows >= self.keep_rows || old {
            return self.keep(lanes);
        }
        if self.total.is_none() { self.sink.show() } else { Ok(()) }
    }
}

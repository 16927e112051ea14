//! How far an export has come: a small file beside it, replaced as a whole.
//!
//! Invariant: what it lists is on disk before it says so, and its marks lie exactly behind what it lists.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use domain::root::Context;
use event_log::frame::{Frame, Kind};
use event_log::log::{Log, Partition};
use schemas::RecordType;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::lane::{Lane, Mark};
use crate::range::{Point, Wanted};
use crate::sink::Piece;
use crate::text::moment;

/// What this version writes and reads.
const FORMAT: u32 = 1;

/// How far an export has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    asked: Asked,
    /// Names the schemas that the columns come from.
    schemas: Uuid,
    /// Whether everything that was asked for is there.
    pub done: bool,
    lanes: Vec<Stored>,
    /// What is on disk.
    pub files: Vec<Piece>,
}

/// What was asked for; an export is gone on with only if it is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    format: String,
    namespace: String,
    topics: Vec<String>,
    from: String,
    to: String,
    as_of: Option<String>,
    key: Option<String>,
    types: Vec<String>,
    raw: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    topic: String,
    partition: u32,
    end: i64,
    #[serde(flatten)]
    mark: Mark,
}

impl Manifest {
    /// Of an export that begins.
    pub fn new(format: &str, namespace: &str, wanted: &Wanted) -> Self {
        let schemas = fingerprint();
        Self {
            format: FORMAT,
            asked: asked(format, namespace, wanted),
            schemas,
            done: false,
            lanes: vec![],
            files: vec![],
        }
    }

    /// Whether nothing was ever kept.
    pub fn is_new(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Reads it; none if there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        let read =
            serde_json::from_slice(&text).with_context(|| format!("{} is no manifest of ours", path.display()))?;
        Ok(Some(read))
    }

    /// That the same is asked for, with the same columns.
    ///
    /// # Errors
    /// What differs.
    pub fn fits(&self, format: &str, namespace: &str, wanted: &Wanted) -> anyhow::Result<()> {
        ensure!(self.format == FORMAT, "the export was begun by another version of boxctl: begin a new one");
        ensure!(
            self.schemas == fingerprint(),
            "the export was begun by a version of boxctl with other event schemas, whose columns differ: begin a new one"
        );
        let now = asked(format, namespace, wanted);
        if self.asked != now {
            let was = serde_json::to_string(&self.asked).context("show what was asked")?;
            bail!("the export was asked for as {was}: ask for the same to go on with it, or begin a new one");
        }
        Ok(())
    }

    /// The partitions as they are to be gone on with. One that is done goes on to where the log ends now.
    ///
    /// # Errors
    /// The log is another one, or has lost what was exported.
    pub fn lanes(&self, log: &dyn Log, wanted: &Wanted, places: &[Partition]) -> anyhow::Result<Vec<Lane>> {
        places.iter().map(|at| self.lane(log, wanted, *at)).collect()
    }

    fn lane(&self, log: &dyn Log, wanted: &Wanted, at: Partition) -> anyhow::Result<Lane> {
        let bounds = log.bounds(at).with_context(|| format!("ask where {at} ends"))?;
        let stored = self.lanes.iter().find(|it| it.topic == at.context.topic() && it.partition == at.number);
        let Stored { mark, end, .. } = stored.with_context(|| format!("the export does not know {at}"))?;
        ensure!(mark.position.next <= bounds.end, "{at} ends at offset {}: what was exported is gone", bounds.end);
        ensure!(
            is_same_log(log, at, mark.position.identity)?,
            "{at} is another log than the one that was exported: begin a new export"
        );
        // One that was followed has no end of its own.
        let end = if self.done { bounds.end } else { bounds.end.min(*end) };
        Ok(Lane::new(at, wanted.slice(at, event_log::log::Bounds { start: 0, end }), *mark, end))
    }

    /// Writes it, so that either the old or the new one is there, whatever happens.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, path: &Path, lanes: &[Lane], files: Vec<Piece>) -> anyhow::Result<()> {
        self.lanes = lanes.iter().map(stored).collect();
        self.files = files;
        let writing = || format!("write {}", path.display());
        let mut draft = path.as_os_str().to_owned();
        draft.push(".draft");
        let draft = Path::new(&draft);
        let mut file = File::create(draft).with_context(writing)?;
        let text = serde_json::to_vec_pretty(self).with_context(writing)?;
        file.write_all(&text).and_then(|()| file.sync_all()).with_context(writing)?;
        fs::rename(draft, path).with_context(writing)?;
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).with_context(writing)
    }
}

/// Whether a partition still begins with the claim that names its log; one that was empty may have any.
///
/// # Errors
/// The log does not answer.
pub fn is_same_log(log: &dyn Log, at: Partition, identity: Option<Uuid>) -> anyhow::Result<bool> {
    let Some(identity) = identity else { return Ok(true) };
    let first = log.record(at, 0).with_context(|| format!("read the first record of {at}"))?;
    let first = first.and_then(|first| Frame::decode(&first.header).ok());
    Ok(first.is_some_and(|frame| frame.kind == Kind::Claim && frame.claim == identity))
}

fn stored(lane: &Lane) -> Stored {
    Stored { topic: lane.at.context.topic().to_owned(), partition: lane.at.number, end: lane.end, mark: lane.mark() }
}

fn asked(format: &str, namespace: &str, wanted: &Wanted) -> Asked {
    Asked {
        format: format.to_owned(),
        namespace: namespace.to_owned(),
        topics: wanted.topics.iter().map(|it: &Context| it.topic().to_owned()).collect(),
        from: point(&wanted.from),
        to: point(&wanted.to),
        as_of: wanted.as_of.map(moment),
        key: wanted.key.clone(),
        types: wanted.types.iter().map(|it| it.full_name().to_owned()).collect(),
        raw: wanted.raw,
    }
}

fn point(point: &Point) -> String {
    match point {
        Point::Earliest => "earliest".to_owned(),
        Point::Latest => "latest".to_owned(),
        Point::Time(time) => moment(*time),
        Point::Offsets(offsets) => {
            offsets.iter().map(|(at, offset)| format!("{at}={offset}")).collect::<Vec<_>>().join(",")
        }
    }
}

fn fingerprint() -> Uuid {
    let texts: Vec<&str> = RecordType::all().map(RecordType::text).collect();
    Uuid::new_v5(&Uuid::NAMESPACE_OID, texts.join("\n").as_bytes())
}

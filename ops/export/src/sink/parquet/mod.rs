//! Parquet: one file for each type, typed columns, written as they come.
//!
//! A Parquet file can only be read once it is ended, and then nothing can be added. So what is kept becomes a part, in the
//! folder `parts`, and at the end each type's parts are joined, row group by row group.
//! Invariant: about so many bytes wait in memory as [`ALL_BYTES`] says, whatever there is to be written.

mod columns;
mod join;
mod plan;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use event_log::frame::Frame;
use schemas::Codec;

use self::columns::Column;
use self::table::Table;
use super::{Piece, Read, Sink, UNREADABLE, read, short, unreadable};
use crate::datum::Datum;
use crate::row::{Row, kind_word};
use crate::text::json_fields;
use crate::tree::{Field, Node};

/// A row group has at most so many rows …
const GROUP_ROWS: u64 = 100_000;
/// … and about so many bytes before they are encoded.
const GROUP_BYTES: usize = 16 << 20;
/// About so many bytes wait over all types.
const ALL_BYTES: usize = 64 << 20;
/// How often the bytes are counted.
const COUNT_EVERY: u64 = 512;
const PARTS: &str = "parts";
/// The ending of a file that all parts of its type were joined to.
const WHOLE: &str = "whole";

/// Writes a file for each type into a folder.
pub struct Parquet {
    codec: Codec,
    raw: bool,
    folder: PathBuf,
    tables: BTreeMap<&'static str, Table>,
    kept: Vec<Piece>,
    part: u64,
    taken: u64,
}

impl Parquet {
    /// Into a folder; parts that are not among `kept` are written again. `done` says that these are whole files.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn new(codec: Codec, raw: bool, folder: &Path, kept: Vec<Piece>, done: bool) -> anyhow::Result<Self> {
        if done {
            settle(folder)?;
        }
        let parts = folder.join(PARTS);
        fs::create_dir_all(&parts).with_context(|| format!("make {}", parts.display()))?;
        forget(folder, &kept)?;
        let number = |piece: &Piece| piece.file.rsplit('.').nth(1).and_then(|number| number.parse::<u64>().ok());
        let part = kept.iter().filter_map(number).max().unwrap_or(0) + 1;
        Ok(Self { codec, raw, folder: folder.to_owned(), tables: BTreeMap::new(), kept, part, taken: 0 })
    }

    fn path(&self, of: &str) -> PathBuf {
        self.folder.join(part_name(of, self.part))
    }

    fn add(&mut self, row: &Row, read: &Read<'_>) -> anyhow::Result<()> {
        let (name, raw) = (short(read.record), self.raw);
        if raw {
            // Columns cannot forget half a row; what is wrong shows here.
            check(read)?;
        }
        if !self.tables.contains_key(name) {
            let mut fields = place_fields(raw);
            fields.extend(read.tree.meta.iter().flatten().chain(&read.tree.own).cloned());
            self.tables.insert(name, Table::new(name, &fields, Some(read.record.text()))?);
        }
        let table = self.tables.get_mut(name).expect("it was put there");
        let mut datum = Datum::new(&read.datum);
        table.add(|columns| place(row, raw, columns), place_fields(raw).len(), &mut datum)?;
        self.full(name)
    }

    fn add_unreadable(&mut self, row: &Row, error: &anyhow::Error) -> anyhow::Result<()> {
        let mut fields = place_fields(true);
        fields.push(field("error", Node::Text));
        fields.push(field("value", Node::Bytes));
        if !self.tables.contains_key(UNREADABLE) {
            self.tables.insert(UNREADABLE, Table::new(UNREADABLE, &fields, None)?);
        }
        let table = self.tables.get_mut(UNREADABLE).expect("it was put there");
        let fill = |columns: &mut [Column]| {
            let (value, columns) = columns.split_last_mut().expect("it has columns");
            let (why, columns) = columns.split_last_mut().expect("it has columns");
            why.text(format!("{error:#}").as_bytes());
            value.text(&row.value);
            place(row, true, columns);
        };
        table.add(fill, fields.len(), &mut Datum::new(&[]))?;
        self.full(UNREADABLE)
    }

    /// Writes a table that has enough for a row group, and the largest ones if all together are too large.
    fn full(&mut self, name: &'static str) -> anyhow::Result<()> {
        self.taken += 1;
        if self.taken.is_multiple_of(COUNT_EVERY) {
            let mut sizes: Vec<(usize, &'static str)> =
                self.tables.iter().map(|(name, table)| (table.bytes(), *name)).collect();
            sizes.sort_unstable();
            let mut all: usize = sizes.iter().map(|(bytes, _)| bytes).sum();
            while let Some((bytes, name)) = sizes.pop().filter(|(bytes, _)| *bytes > GROUP_BYTES || all > ALL_BYTES) {
                self.write(name)?;
                all -= bytes;
            }
        }
        if self.tables[name].waiting >= GROUP_ROWS {
            self.write(name)?;
        }
        Ok(())
    }

    fn write(&mut self, name: &'static str) -> anyhow::Result<()> {
        let path = self.path(name);
        self.tables.get_mut(name).map_or(Ok(()), |table| table.write(&path))
    }

    /// The kept pieces of each type, in the order in which they were written.
    fn by_type(&self) -> BTreeMap<String, Vec<&Piece>> {
        let mut types: BTreeMap<String, Vec<&Piece>> = BTreeMap::new();
        self.kept.iter().for_each(|piece| types.entry(piece.of.clone()).or_default().push(piece));
        types
    }
}

impl Sink for Parquet {
    fn take(&mut self, row: &Row) -> anyhow::Result<()> {
        let codec = self.codec.clone();
        let error = match read(&codec, row) {
            Ok(read) => match self.add(row, &read) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            },
            Err(error) => error.into(),
        };
        if self.raw { self.add_unreadable(row, &error) } else { Err(unreadable(row, error).into()) }
    }

    fn keep(&mut self) -> anyhow::Result<Vec<Piece>> {
        let part = self.part;
        for (of, table) in &mut self.tables {
            let file = part_name(of, part);
            if let Some((rows, bytes)) = table.end(&self.folder.join(&file))? {
                self.kept.push(Piece { of: (*of).to_owned(), file, rows, bytes });
            }
        }
        self.part += 1;
        Ok(self.kept.clone())
    }

    fn finish(&mut self) -> anyhow::Result<Vec<Piece>> {
        self.keep()?;
        let mut whole = Vec::new();
        for (of, pieces) in self.by_type() {
            let file = format!("{of}.parquet");
            if let [only] = &pieces[..]
                && only.file == file
            {
                whole.push((*only).clone());
                continue;
            }
            let draft = self.folder.join(PARTS).join(format!("{of}.{WHOLE}"));
            let parts: Vec<PathBuf> = pieces.iter().map(|piece| self.folder.join(&piece.file)).collect();
            let bytes = join::join(&parts, &draft)?;
            let rows = pieces.iter().map(|piece| piece.rows).sum();
            whole.push(Piece { of, file, rows, bytes });
        }
        self.kept.clone_from(&whole);
        Ok(whole)
    }

    fn tidy(&mut self) -> anyhow::Result<()> {
        settle(&self.folder)
    }
}

/// Puts whole files where they belong, and deletes the parts. Does nothing where that was done.
fn settle(folder: &Path) -> anyhow::Result<()> {
    let parts = folder.join(PARTS);
    if !parts.exists() {
        return Ok(());
    }
    for draft in files(&parts)?.iter().filter(|file| file.extension().is_some_and(|it| it == WHOLE)) {
        let whole = folder.join(draft.file_name().unwrap_or_default()).with_extension("parquet");
        fs::rename(draft, &whole).with_context(|| format!("put {} in its place", whole.display()))?;
    }
    fs::remove_dir_all(&parts).with_context(|| format!("delete {}", parts.display()))
}

/// Deletes what was begun and is not kept.
fn forget(folder: &Path, kept: &[Piece]) -> anyhow::Result<()> {
    let kept: Vec<PathBuf> = kept.iter().map(|piece| folder.join(&piece.file)).collect();
    for file in files(&folder.join(PARTS))?.iter().filter(|file| !kept.contains(file)) {
        fs::remove_file(file).with_context(|| format!("delete {}", file.display()))?;
    }
    Ok(())
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listing = || format!("list {}", folder.display());
    let entries = fs::read_dir(folder).with_context(listing)?;
    entries.map(|entry| Ok(entry.with_context(listing)?.path())).collect()
}

fn part_name(of: &str, part: u64) -> String {
    format!("{PARTS}/{of}.{part:06}.parquet")
}

fn check(read: &Read<'_>) -> anyhow::Result<()> {
    let (mut datum, mut out) = (Datum::new(&read.datum), Vec::new());
    json_fields(read.tree.meta.as_deref().unwrap_or_default(), &mut datum, &mut out)?;
    json_fields(&read.tree.own, &mut datum, &mut out)?;
    Ok(datum.end()?)
}

fn field(name: &str, node: Node) -> Field {
    Field { name: name.to_owned(), doc: String::new(), personal: false, node }
}

/// The columns of every file that say where a row comes from.
fn place_fields(raw: bool) -> Vec<Field> {
    let maybe = |node| Node::Optional(Box::new(node), true);
    let mut fields = vec![
        field("topic", Node::Text),
        field("partition", Node::Int),
        field("offset", Node::Long),
        field("log_time", Node::Moment),
    ];
    if raw {
        fields.extend([
            field("key", Node::Text),
            field("verdict", Node::Text),
            field("verdict_why", maybe(Node::Text)),
            field("frame_kind", maybe(Node::Text)),
            field("frame_term", maybe(Node::Long)),
            field("frame_seq", maybe(Node::Long)),
            field("frame_evt_idx", maybe(Node::Int)),
            field("frame_evt_cnt", maybe(Node::Int)),
            field("frame_claim", maybe(Node::Uuid)),
            field("frame_cmd_id", maybe(Node::Uuid)),
        ]);
    }
    fields
}

fn place(row: &Row, raw: bool, columns: &mut [Column]) {
    columns[0].text(row.at.context.topic().as_bytes());
    columns[1].int(i32::try_from(row.at.number).expect("Kafka numbers partitions with 31 bits"));
    columns[2].long(row.offset);
    columns[3].long(row.log_time.0);
    if !raw {
        return;
    }
    columns[4].text(row.key_text().as_bytes());
    columns[5].text(row.standing.word().as_bytes());
    let why = row.standing.why();
    columns[6].maybe(why.map(|why| |column: &mut Column| column.text(why.as_bytes())));
    let frame: Option<Frame> = row.frame;
    columns[7].maybe(frame.map(|it| move |column: &mut Column| column.text(kind_word(it.kind).as_bytes())));
    columns[8].maybe(frame.map(|it| move |column: &mut Column| column.long(it.term.into())));
    // It counts records: it cannot come near the sign.
    columns[9].maybe(frame.map(|it| move |column: &mut Column| column.long(it.seq.cast_signed())));
    columns[10].maybe(frame.map(|it| move |column: &mut Column| column.int(it.evt_idx.into())));
    columns[11].maybe(frame.map(|it| move |column: &mut Column| column.int(it.evt_cnt.into())));
    columns[12].maybe(frame.map(|it| move |column: &mut Column| column.uuid(it.claim)));
    columns[13].maybe(frame.map(|it| move |column: &mut Column| column.uuid(it.cmd_id)));
}

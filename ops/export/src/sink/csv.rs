//! CSV: one file for each type, nested fields as columns of their own, lists as JSON.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use csv::Writer;
use event_log::frame::Frame;
use schemas::Codec;

use super::jsonl::open_at;
use super::{Piece, Read, Sink, UNREADABLE, read, short, unreadable};
use crate::datum::{BadDatum, Datum};
use crate::row::{Row, kind_word};
use crate::text::{base64, json, moment};
use crate::tree::{Field, Node};

const PLACE: [&str; 5] = ["topic", "partition", "offset", "log_time", "key"];
const FRAME: [&str; 9] = [
    "verdict",
    "verdict_why",
    "frame_kind",
    "frame_term",
    "frame_seq",
    "frame_evt_idx",
    "frame_evt_cnt",
    "frame_claim",
    "frame_cmd_id",
];

/// Writes a file for each type into a folder.
pub struct Csv {
    codec: Codec,
    raw: bool,
    folder: PathBuf,
    files: BTreeMap<String, Open>,
}

struct Open {
    writer: Writer<File>,
    rows: u64,
}

impl Csv {
    /// Into a folder; what its files hold beyond `kept` was not safe, and is written again.
    ///
    /// # Errors
    /// A file cannot be opened, or is shorter than it was.
    pub fn new(codec: Codec, raw: bool, folder: &Path, kept: &[Piece]) -> anyhow::Result<Self> {
        let open = |piece: &Piece| {
            let file = open_at(&folder.join(&piece.file), piece.bytes)?;
            Ok((piece.of.clone(), Open { writer: Writer::from_writer(file), rows: piece.rows }))
        };
        let files = kept.iter().map(open).collect::<anyhow::Result<_>>()?;
        Ok(Self { codec, raw, folder: folder.to_owned(), files })
    }

    fn write(&mut self, of: &str, header: impl FnOnce() -> Vec<String>, cells: &[String]) -> anyhow::Result<()> {
        if !self.files.contains_key(of) {
            let path = self.folder.join(file_name(of));
            let mut writer = Writer::from_writer(open_at(&path, 0)?);
            writer.write_record(header()).with_context(|| format!("write {}", path.display()))?;
            self.files.insert(of.to_owned(), Open { writer, rows: 0 });
        }
        let open = self.files.get_mut(of).expect("it was put there");
        open.rows += 1;
        open.writer.write_record(cells).with_context(|| format!("write {}", file_name(of)))
    }
}

fn file_name(of: &str) -> String {
    format!("{of}.csv")
}

impl Sink for Csv {
    fn take(&mut self, row: &Row) -> anyhow::Result<()> {
        let codec = self.codec.clone();
        let read = read(&codec, row).map_err(anyhow::Error::from);
        let read = read.and_then(|read| Ok((cells(&read, row, self.raw)?, read)));
        match read {
            Ok((cells, read)) => {
                let raw = self.raw;
                self.write(short(read.record), || header(&read, raw), &cells)
            }
            Err(error) if self.raw => {
                let mut cells = place(row);
                cells.extend(frame(row));
                cells.extend([format!("{error:#}"), base64(&row.value)]);
                let names = PLACE.iter().chain(&FRAME).chain(&["error", "value"]);
                self.write(UNREADABLE, || names.map(|name| (*name).to_owned()).collect(), &cells)
            }
            Err(error) => Err(unreadable(row, error).into()),
        }
    }

    fn keep(&mut self) -> anyhow::Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        for (of, open) in &mut self.files {
            open.writer.flush().with_context(|| format!("write {}", file_name(of)))?;
            let file = open.writer.get_ref();
            file.sync_data().with_context(|| format!("sync {} to disk", file_name(of)))?;
            let bytes = file.metadata().with_context(|| format!("look at {}", file_name(of)))?.len();
            pieces.push(Piece { of: of.clone(), file: file_name(of), rows: open.rows, bytes });
        }
        Ok(pieces)
    }
}

fn header(read: &Read<'_>, raw: bool) -> Vec<String> {
    let mut names: Vec<String> = PLACE.iter().map(|name| (*name).to_owned()).collect();
    if raw {
        names.extend(FRAME.iter().map(|name| (*name).to_owned()));
    }
    for field in read.tree.meta.iter().flatten().chain(&read.tree.own) {
        name(&field.name, &field.node, &mut names);
    }
    names
}

/// The columns of a field.
fn name(prefix: &str, node: &Node, names: &mut Vec<String>) {
    match flat(node) {
        Node::Record(fields) => fields.iter().for_each(|it| name(&format!("{prefix}.{}", it.name), &it.node, names)),
        _ => names.push(prefix.to_owned()),
    }
}

fn flat(node: &Node) -> &Node {
    match node {
        Node::Optional(inner, _) => flat(inner),
        node => node,
    }
}

fn cells(read: &Read<'_>, row: &Row, raw: bool) -> Result<Vec<String>, BadDatum> {
    let mut cells = place(row);
    if raw {
        cells.extend(frame(row));
    }
    let mut datum = Datum::new(&read.datum);
    fields(read.tree.meta.as_deref().unwrap_or_default(), &mut datum, &mut cells)?;
    fields(&read.tree.own, &mut datum, &mut cells)?;
    datum.end()?;
    Ok(cells)
}

fn fields(fields: &[Field], datum: &mut Datum<'_>, cells: &mut Vec<String>) -> Result<(), BadDatum> {
    fields.iter().try_for_each(|field| cell(&field.node, datum, cells))
}

fn cell(node: &Node, datum: &mut Datum<'_>, cells: &mut Vec<String>) -> Result<(), BadDatum> {
    match node {
        Node::Text | Node::Uuid => cells.push(datum.text()?.to_owned()),
        Node::Enum(symbols) => cells.push(datum.symbol(symbols)?.to_owned()),
        Node::Moment => cells.push(moment(domain::value::Timestamp(datum.long()?))),
        Node::Bytes => cells.push(base64(datum.bytes()?)),
        Node::Record(inner) => fields(inner, datum, cells)?,
        Node::Optional(inner, null_first) => match datum.is_null(*null_first)? {
            true => nothing(inner, cells),
            false => cell(inner, datum, cells)?,
        },
        Node::Boolean | Node::Int | Node::Long | Node::List(_) => {
            let mut out = Vec::new();
            json(node, datum, &mut out)?;
            cells.push(String::from_utf8_lossy(&out).into_owned());
        }
    }
    Ok(())
}

/// As many empty cells as the field has columns.
fn nothing(node: &Node, cells: &mut Vec<String>) {
    match flat(node) {
        Node::Record(fields) => fields.iter().for_each(|it| nothing(&it.node, cells)),
        _ => cells.push(String::new()),
    }
}

fn place(row: &Row) -> Vec<String> {
    let (topic, key) = (row.at.context.topic().to_owned(), row.key_text().into_owned());
    vec![topic, row.at.number.to_string(), row.offset.to_string(), moment(row.log_time), key]
}

fn frame(row: &Row) -> [String; FRAME.len()] {
    let verdict = row.standing.word().to_owned();
    let why = row.standing.why().unwrap_or_default().to_owned();
    let of = |field: fn(&Frame) -> String| row.frame.as_ref().map(field).unwrap_or_default();
    [
        verdict,
        why,
        of(|frame| kind_word(frame.kind).to_owned()),
        of(|frame| frame.term.to_string()),
        of(|frame| frame.seq.to_string()),
        of(|frame| frame.evt_idx.to_string()),
        of(|frame| frame.evt_cnt.to_string()),
        of(|frame| frame.claim.to_string()),
        of(|frame| frame.cmd_id.to_string()),
    ]
}

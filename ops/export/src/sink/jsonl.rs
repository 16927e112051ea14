//! One JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use schemas::Codec;

use super::{Piece, Sink, read, unreadable};
use crate::datum::{BadDatum, Datum};
use crate::row::{Row, kind_word};
use crate::text::{base64, json, json_fields, moment, quoted};

/// Writes lines to a file, or to whoever reads standard output.
pub struct JsonLines {
    codec: Codec,
    raw: bool,
    out: Out,
    rows: u64,
    line: Vec<u8>,
}

enum Out {
    Stream(Box<dyn Write + Send>),
    File { name: String, file: BufWriter<File> },
}

impl JsonLines {
    /// To a stream, which cannot be gone on with.
    pub fn stream(codec: Codec, raw: bool, to: impl Write + Send + 'static) -> Self {
        Self { codec, raw, out: Out::Stream(Box::new(BufWriter::new(to))), rows: 0, line: Vec::new() }
    }

    /// To a file; what it holds beyond `kept` was not safe, and is written again.
    ///
    /// # Errors
    /// It cannot be opened, or is shorter than it was.
    pub fn file(codec: Codec, raw: bool, path: &Path, kept: &[Piece]) -> anyhow::Result<Self> {
        let kept = kept.first();
        let file = open_at(path, kept.map_or(0, |kept| kept.bytes))?;
        let name = path.file_name().context("the file has no name")?.to_string_lossy().into_owned();
        let out = Out::File { name, file: BufWriter::new(file) };
        Ok(Self { codec, raw, out, rows: kept.map_or(0, |kept| kept.rows), line: Vec::new() })
    }
}

/// Opens a file behind what of it counts.
///
/// # Errors
/// It cannot be opened, or is shorter.
pub fn open_at(path: &Path, bytes: u64) -> anyhow::Result<File> {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).read(true).open(path);
    let mut file = opened.with_context(|| format!("open {}", path.display()))?;
    let found = file.metadata().with_context(|| format!("look at {}", path.display()))?.len();
    anyhow::ensure!(found >= bytes, "{} has {found} bytes instead of {bytes}: somebody changed it", path.display());
    file.set_len(bytes)
        .and_then(|()| file.seek(SeekFrom::End(0)))
        .with_context(|| format!("cut {}", path.display()))?;
    Ok(file)
}

impl Sink for JsonLines {
    fn take(&mut self, row: &Row) -> anyhow::Result<()> {
        self.line.clear();
        line(&self.codec, row, self.raw, &mut self.line)?;
        self.line.push(b'\n');
        let written = match &mut self.out {
            Out::Stream(out) => out.write_all(&self.line),
            Out::File { file, .. } => file.write_all(&self.line),
        };
        self.rows += 1;
        written.context("write a line")
    }

    fn keep(&mut self) -> anyhow::Result<Vec<Piece>> {
        match &mut self.out {
            Out::Stream(out) => {
                out.flush().context("write lines")?;
                Ok(Vec::new())
            }
            Out::File { name, file } => {
                file.flush().context("write lines")?;
                file.get_ref().sync_data().context("sync lines to disk")?;
                let bytes = file.get_ref().metadata().context("look at the file of lines")?.len();
                Ok(vec![Piece { of: "*".to_owned(), file: name.clone(), rows: self.rows, bytes }])
            }
        }
    }

    fn show(&mut self) -> anyhow::Result<()> {
        match &mut self.out {
            Out::Stream(out) => out.flush().context("write lines"),
            Out::File { .. } => Ok(()),
        }
    }
}

/// Appends a row as one JSON object. What cannot be read has an `error` and its `value`, where raw is asked for.
///
/// # Errors
/// It counts, and cannot be read.
pub fn line(codec: &Codec, row: &Row, raw: bool, out: &mut Vec<u8>) -> anyhow::Result<()> {
    let begin = out.len();
    let error = match read_line(codec, row, raw, out) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    if !raw {
        return Err(unreadable(row, error).into());
    }
    out.truncate(begin);
    out.extend_from_slice(b"{\"type\":null");
    place(row, out);
    frame(row, out);
    text_field("error", &format!("{error:#}"), out);
    text_field("value", &base64(&row.value), out);
    out.push(b'}');
    Ok(())
}

fn read_line(codec: &Codec, row: &Row, raw: bool, out: &mut Vec<u8>) -> anyhow::Result<()> {
    let read = read(codec, row)?;
    out.extend_from_slice(b"{\"type\":");
    quoted(super::short(read.record), out);
    place(row, out);
    if raw {
        frame(row, out);
    }
    let mut datum = Datum::new(&read.datum);
    data(&read, &mut datum, out)?;
    out.push(b'}');
    Ok(())
}

fn data(read: &super::Read<'_>, datum: &mut Datum<'_>, out: &mut Vec<u8>) -> Result<(), BadDatum> {
    for field in read.tree.meta.iter().flatten() {
        out.push(b',');
        quoted(&field.name, out);
        out.push(b':');
        json(&field.node, datum, out)?;
    }
    out.extend_from_slice(b",\"data\":");
    json_fields(&read.tree.own, datum, out)?;
    datum.end()
}

fn place(row: &Row, out: &mut Vec<u8>) {
    text_field("topic", row.at.context.topic(), out);
    number_field("partition", row.at.number, out);
    number_field("offset", row.offset, out);
    text_field("log_time", &moment(row.log_time), out);
    text_field("key", &row.key_text(), out);
}

fn frame(row: &Row, out: &mut Vec<u8>) {
    text_field("verdict", row.standing.word(), out);
    if let Some(why) = row.standing.why() {
        text_field("why", why, out);
    }
    let Some(frame) = row.frame else { return };
    text_field("kind", kind_word(frame.kind), out);
    number_field("term", frame.term, out);
    number_field("seq", frame.seq, out);
    number_field("evt_idx", frame.evt_idx, out);
    number_field("evt_cnt", frame.evt_cnt, out);
    text_field("claim", &frame.claim.to_string(), out);
    text_field("cmd_id", &frame.cmd_id.to_string(), out);
}

fn text_field(name: &str, value: &str, out: &mut Vec<u8>) {
    out.push(b',');
    quoted(name, out);
    out.push(b':');
    quoted(value, out);
}

fn number_field(name: &str, value: impl std::fmt::Display, out: &mut Vec<u8>) {
    out.push(b',');
    quoted(name, out);
    out.extend_from_slice(format!(":{value}").as_bytes());
}

/// Where the manifest of a single file lies.
pub fn manifest_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".export.json");
    PathBuf::from(name)
}

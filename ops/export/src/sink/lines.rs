//! Lines for people.

use std::io::{BufWriter, Write};

use anyhow::Context as _;
use schemas::Codec;

use super::{Piece, Read, Sink, read, short, unreadable};
use crate::datum::{BadDatum, Datum};
use crate::row::{Row, Standing, kind_word};
use crate::text::{json, moment};
use crate::tree::{Field, Node};

/// Writes lines for people.
pub struct Lines {
    codec: Codec,
    raw: bool,
    out: BufWriter<Box<dyn Write + Send>>,
}

impl Lines {
    /// To a stream.
    pub fn new(codec: Codec, raw: bool, to: impl Write + Send + 'static) -> Self {
        Self { codec, raw, out: BufWriter::new(Box::new(to)) }
    }
}

impl Sink for Lines {
    fn take(&mut self, row: &Row) -> anyhow::Result<()> {
        let text = line(&self.codec, row, self.raw)?;
        writeln!(self.out, "{text}").context("write a line")
    }

    fn keep(&mut self) -> anyhow::Result<Vec<Piece>> {
        self.out.flush().context("write lines")?;
        Ok(Vec::new())
    }

    fn show(&mut self) -> anyhow::Result<()> {
        self.out.flush().context("write lines")
    }
}

/// A row in one line: when, where, what, of which aggregate, and its fields.
///
/// # Errors
/// It counts, and cannot be read.
pub fn line(codec: &Codec, row: &Row, raw: bool) -> anyhow::Result<String> {
    let place = format!("{}/{}@{}", row.at.context.topic(), row.at.number, row.offset);
    let read = read(codec, row).map_err(anyhow::Error::from);
    let fields = read.and_then(|read| Ok((short(read.record), fields(&read, row)?)));
    let (name, fields) = match fields {
        Ok(both) => both,
        Err(error) if raw => ("?", format!("{error:#}")),
        Err(error) => return Err(unreadable(row, error).into()),
    };
    let key = row.key_text();
    let key = if key.len() == 36 { &key[..] } else { "-" };
    // The second of the log and what is behind it: micro-seconds are of the broker's batches.
    let time = moment(row.log_time);
    let time = time.get(..23).unwrap_or(&time);
    let verdict = if raw { format!("  {:<28}", verdict(row)) } else { String::new() };
    Ok(format!("{time}  {place:<24}  {key:<36}{verdict}  {name:<22}  {fields}"))
}

fn verdict(row: &Row) -> String {
    let frame = row.frame.map_or_else(String::new, |frame| {
        format!("{} {}:{} {}/{} ", kind_word(frame.kind), frame.term, frame.seq, frame.evt_idx + 1, frame.evt_cnt)
    });
    match &row.standing {
        Standing::Valid => frame + "valid",
        standing => format!("{frame}{} ({})", standing.word(), standing.why().unwrap_or("its command is not complete")),
    }
}

fn fields(read: &Read<'_>, row: &Row) -> Result<String, BadDatum> {
    let mut datum = Datum::new(&read.datum);
    let mut parts = Vec::new();
    for field in read.tree.meta.iter().flatten() {
        let value = value(field, &mut datum)?;
        match field.name.as_str() {
            "version" => parts.insert(0, format!("v{value}")),
            "actor" => parts.push(format!("by {value}")),
            _ => {}
        }
    }
    let key = row.key_text();
    for field in &read.tree.own {
        let value = value(field, &mut datum)?;
        if value != "null" && value != key {
            parts.push(format!("{}={value}", field.name));
        }
    }
    datum.end()?;
    Ok(parts.join(" "))
}

fn value(field: &Field, datum: &mut Datum<'_>) -> Result<String, BadDatum> {
    Ok(match &field.node {
        Node::Text | Node::Uuid => shown(datum.text()?),
        Node::Enum(symbols) => datum.symbol(symbols)?.to_owned(),
        node => {
            let mut out = Vec::new();
            json(node, datum, &mut out)?;
            String::from_utf8_lossy(&out).into_owned()
        }
    })
}

/// A text that cannot play with the terminal.
fn shown(text: &str) -> String {
    let plain = text.chars().all(|it| !it.is_control() && it != ' ' && it != '"');
    if plain && !text.is_empty() { text.to_owned() } else { format!("{text:?}") }
}

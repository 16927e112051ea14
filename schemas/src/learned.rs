//! A writer's schema that is not ours: an older or a newer version, read by Avro's schema resolution.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{LazyLock, Mutex, PoisonError};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema_compatibility::SchemaCompatibility;

use crate::catalog::RecordType;
use crate::kept::{forever, kept};
use crate::upcast::upcast;

/// What is known about an id that is not ours.
pub(crate) enum Learned {
    /// The bytes are as we would write them.
    Same(RecordType),
    /// The bytes have to be resolved. Boxed, because a reader is large.
    Other(RecordType, Box<GenericDatumReader<'static>>),
    /// A version of a type of ours that cannot be resolved to ours.
    Incompatible { name: String, detail: String },
    /// A type that this version of the code does not know.
    Unknown { name: String },
}

/// Each text is parsed, upcast and kept once for the whole process.
static PARSED: LazyLock<Mutex<HashMap<String, &'static Schema>>> = LazyLock::new(Mutex::default);

impl Learned {
    /// Understands a schema text; `Err` says why it is none.
    pub fn of(text: &str) -> Result<Self, String> {
        let writer = parse(text)?;
        let name = match writer.name() {
            Some(name) => name.to_string(),
            None => return Err("it has no name".to_owned()),
        };
        let Some(record) = RecordType::named(&name) else {
            return Ok(Self::Unknown { name });
        };
        let ours = kept(record);
        if writer.canonical_form() == ours.canonical {
            return Ok(Self::Same(record));
        }
        if let Err(error) = SchemaCompatibility::can_read(writer, ours.whole) {
            return Ok(Self::Incompatible { name, detail: error.to_string() });
        }
        let reader = GenericDatumReader::builder(writer).reader_schema(ours.whole).human_readable(true).build();
        match reader {
            Ok(reader) => Ok(Self::Other(record, Box::new(reader))),
            Err(error) => Ok(Self::Incompatible { name, detail: error.to_string() }),
        }
    }
}

/// Rewrites what another version wrote as we would have written it. So there is one way from bytes to Rust, and it does
/// not matter where the other version has its fields.
pub(crate) fn rewrite(
    reader: &GenericDatumReader<'static>,
    record: RecordType,
    datum: &[u8],
) -> Result<Vec<u8>, apache_avro::Error> {
    let mut strict = Strict { rest: datum, short: false };
    let value = reader.read_value(&mut strict)?;
    if strict.short || !strict.rest.is_empty() {
        return Err(apache_avro::error::Details::ReadBytes(std::io::ErrorKind::UnexpectedEof.into()).into());
    }
    let mut ours = Vec::with_capacity(datum.len() + 64);
    kept(record).whole_writer.write_value(&mut ours, value)?;
    Ok(ours)
}

/// Remembers that the end was reached too early: reading a value takes a missing string or union for null.
struct Strict<'a> {
    rest: &'a [u8],
    short: bool,
}

impl Read for Strict<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.rest.read(buffer)?;
        self.short |= read < buffer.len();
        Ok(read)
    }
}

fn parse(text: &str) -> Result<&'static Schema, String> {
    let mut parsed = PARSED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(schema) = parsed.get(text) {
        return Ok(schema);
    }
    let schema = forever(upcast(Schema::parse_str(text).map_err(|error| error.to_string())?));
    parsed.insert(text.to_owned(), schema);
    Ok(schema)
}

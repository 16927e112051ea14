//! The values of one column until they are written, and how a value is spread over columns.

use bytes::BytesMut;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedColumnWriter;
use uuid::Uuid;

use super::plan::{Kind, Leaf, Plan};
use crate::datum::{BadDatum, Datum};

/// A text that is to be a UUID and is none, or bytes that do not follow their schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The datum.
    #[error(transparent)]
    Datum(#[from] BadDatum),
    /// The id.
    #[error("a text that is to be a UUID is none")]
    NoUuid,
}

/// The values of a column that are not written yet.
#[derive(Debug)]
pub struct Column {
    cells: Cells,
    max_definition: i16,
    max_repetition: i16,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

#[derive(Debug)]
enum Cells {
    Boolean(Vec<bool>),
    Int(Vec<i32>),
    Long(Vec<i64>),
    Bytes(BytesMut, Vec<usize>),
    Uuid(BytesMut),
}

impl Column {
    /// Without values.
    pub fn new(leaf: &Leaf) -> Self {
        let cells = match leaf.kind {
            Kind::Boolean => Cells::Boolean(Vec::new()),
            Kind::Int => Cells::Int(Vec::new()),
            Kind::Long | Kind::Moment => Cells::Long(Vec::new()),
            Kind::Text | Kind::Bytes | Kind::Enum(_) => Cells::Bytes(BytesMut::new(), Vec::new()),
            Kind::Uuid => Cells::Uuid(BytesMut::new()),
        };
        Self {
            cells,
            max_definition: leaf.definition,
            max_repetition: leaf.repetition,
            definitions: Vec::new(),
            repetitions: Vec::new(),
        }
    }

    /// About how many bytes its values take.
    pub fn bytes(&self) -> usize {
        let cells = match &self.cells {
            Cells::Boolean(values) => values.len(),
            Cells::Int(values) => values.len() * 4,
            Cells::Long(values) => values.len() * 8,
            // A slice of the bytes is made for each when they are written.
            Cells::Bytes(bytes, ends) => bytes.len() + ends.len() * 40,
            Cells::Uuid(bytes) => bytes.len() * 3,
        };
        cells + self.definitions.len() * 4
    }

    fn level(&mut self, definition: i16, repetition: i16) {
        if self.max_definition > 0 {
            self.definitions.push(definition);
        }
        if self.max_repetition > 0 {
            self.repetitions.push(repetition);
        }
    }

    /// A number of 32 bits.
    pub fn int(&mut self, value: i32) {
        let Cells::Int(values) = &mut self.cells else { unreachable!("the plan made it a column of 32 bits") };
        values.push(value);
    }

    /// A number of 64 bits.
    pub fn long(&mut self, value: i64) {
        let Cells::Long(values) = &mut self.cells else { unreachable!("the plan made it a column of 64 bits") };
        values.push(value);
    }

    /// A text, or bytes.
    pub fn text(&mut self, value: &[u8]) {
        let Cells::Bytes(bytes, ends) = &mut self.cells else { unreachable!("the plan made it a column of bytes") };
        bytes.extend_from_slice(value);
        ends.push(bytes.len());
    }

    /// A UUID.
    pub fn uuid(&mut self, value: Uuid) {
        let Cells::Uuid(bytes) = &mut self.cells else { unreachable!("the plan made it a column of UUIDs") };
        bytes.extend_from_slice(value.as_bytes());
    }

    /// A value of the place columns, which may be nothing.
    pub fn maybe(&mut self, set: Option<impl FnOnce(&mut Self)>) {
        self.level(i16::from(set.is_some()), 0);
        if let Some(set) = set {
            set(self);
        }
    }

    fn boolean(&mut self, value: bool) {
        let Cells::Boolean(values) = &mut self.cells else { unreachable!("the plan made it a column of yes and no") };
        values.push(value);
    }

    /// Writes its values as the next column of a row group, and is empty again.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, to: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let definitions = (self.max_definition > 0).then_some(&self.definitions[..]);
        let repetitions = (self.max_repetition > 0).then_some(&self.repetitions[..]);
        match &mut self.cells {
            Cells::Boolean(values) => {
                to.typed::<BoolType>().write_batch(values, definitions, repetitions)?;
                values.clear();
            }
            Cells::Int(values) => {
                to.typed::<Int32Type>().write_batch(values, definitions, repetitions)?;
                values.clear();
            }
            Cells::Long(values) => {
                to.typed::<Int64Type>().write_batch(values, definitions, repetitions)?;
                values.clear();
            }
            Cells::Bytes(bytes, ends) => {
                let all = std::mem::take(bytes).freeze();
                let mut begin = 0;
                let one = |end: usize| ByteArray::from(all.slice(std::mem::replace(&mut begin, end)..end));
                let values: Vec<ByteArray> = std::mem::take(ends).into_iter().map(one).collect();
                to.typed::<ByteArrayType>().write_batch(&values, definitions, repetitions)?;
            }
            Cells::Uuid(bytes) => {
                let all = std::mem::take(bytes).freeze();
                let one = |at: usize| FixedLenByteArray::from(ByteArray::from(all.slice(at..at + 16)));
                let values: Vec<FixedLenByteArray> = (0..all.len()).step_by(16).map(one).collect();
                to.typed::<FixedLenByteArrayType>().write_batch(&values, definitions, repetitions)?;
            }
        }
        self.definitions.clear();
        self.repetitions.clear();
        Ok(())
    }
}

/// Spreads a value over its columns. `definition` and `repetition` are those of whatever it lies in.
///
/// # Errors
/// The datum does not follow its schema; the columns must not be written any more.
pub fn spread(
    plan: &Plan,
    datum: &mut Datum<'_>,
    columns: &mut [Column],
    definition: i16,
    repetition: i16,
) -> Result<(), Unfit> {
    match plan {
        Plan::Leaf(at, kind) => {
            let column = &mut columns[*at];
            column.level(definition, repetition);
            leaf(kind, datum, column)?;
        }
        Plan::Optional(inner, null_first, range) => match datum.is_null(*null_first)? {
            true => nothing(&mut columns[range.clone()], definition, repetition),
            false => spread(inner, datum, columns, definition + 1, repetition)?,
        },
        Plan::List(item, level, range) => {
            let mut next = repetition;
            datum.list(|datum| spread(item, datum, columns, definition + 1, std::mem::replace(&mut next, *level)))?;
            // Nothing changed it: there was no item.
            if next != *level {
                nothing(&mut columns[range.clone()], definition, repetition);
            }
        }
        Plan::Record(fields) => {
            for field in fields {
                spread(field, datum, columns, definition, repetition)?;
            }
        }
    }
    Ok(())
}

fn nothing(columns: &mut [Column], definition: i16, repetition: i16) {
    columns.iter_mut().for_each(|column| column.level(definition, repetition));
}

fn leaf(kind: &Kind, datum: &mut Datum<'_>, column: &mut Column) -> Result<(), Unfit> {
    match kind {
        Kind::Boolean => column.boolean(datum.boolean()?),
        Kind::Int => column.int(datum.int()?),
        Kind::Long | Kind::Moment => column.long(datum.long()?),
        Kind::Text => column.text(datum.text()?.as_bytes()),
        Kind::Bytes => column.text(datum.bytes()?),
        Kind::Uuid => column.uuid(Uuid::parse_str(datum.text()?).map_err(|_| Unfit::NoUuid)?),
        Kind::Enum(symbols) => column.text(datum.symbol(symbols)?.as_bytes()),
    }
    Ok(())
}

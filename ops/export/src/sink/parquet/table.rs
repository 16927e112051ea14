//! The file of one type: rows are gathered in columns and written as row groups.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, TypePtr};

use super::columns::{Column, Unfit, spread};
use super::plan::{Leaf, Plan, plan, schema};
use crate::datum::Datum;
use crate::tree::Field;

/// Where the schema of the log lies in the file.
const SCHEMA_KEY: &str = "boxoffice.avro_schema";
/// Columns that count up: their differences take a tenth of their bytes.
const COUNTING: [&str; 4] = ["offset", "log_time", "occurred_at", "version"];

/// One type.
pub struct Table {
    /// Its columns' types.
    pub schema: TypePtr,
    properties: WriterPropertiesPtr,
    plans: Vec<Plan>,
    columns: Vec<Column>,
    writer: Option<SerializedFileWriter<BufWriter<File>>>,
    /// Rows that are not written yet.
    pub waiting: u64,
    /// Rows of the file under way, those not written yet too.
    pub rows: u64,
}

impl Table {
    /// Of a type with these fields; `text` is its Avro schema.
    ///
    /// # Errors
    /// Parquet does not take the schema.
    pub fn new(name: &str, fields: &[Field], text: Option<&str>) -> anyhow::Result<Self> {
        let (plans, leaves) = plan(fields);
        let columns = leaves.iter().map(Column::new).collect();
        let schema = schema(name, fields).with_context(|| format!("make the Parquet schema of {name}"))?;
        let properties = properties(&leaves, text);
        Ok(Self { schema, properties, plans, columns, writer: None, waiting: 0, rows: 0 })
    }

    /// Takes a row in: `place` fills the columns that are not of the datum, whose fields are those from `first` on.
    ///
    /// # Errors
    /// The datum does not follow its schema; the table must not be used any more.
    pub fn add(&mut self, place: impl FnOnce(&mut [Column]), first: usize, datum: &mut Datum<'_>) -> Result<(), Unfit> {
        place(&mut self.columns[..first]);
        for plan in &self.plans[first..] {
            spread(plan, datum, &mut self.columns, 0, 0)?;
        }
        self.waiting += 1;
        self.rows += 1;
        Ok(datum.end()?)
    }

    /// About how many bytes wait to be written.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }

    /// Writes what waits as a row group of a file, which is made if there is none.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, path: &Path) -> anyhow::Result<()> {
        if self.waiting == 0 {
            return Ok(());
        }
        let writing = || format!("write {}", path.display());
        let writer = match &mut self.writer {
            Some(writer) => writer,
            empty => {
                let file = File::create(path).with_context(|| format!("make {}", path.display()))?;
                let (schema, properties) = (Arc::clone(&self.schema), Arc::clone(&self.properties));
                let writer = SerializedFileWriter::new(BufWriter::new(file), schema, properties);
                empty.insert(writer.with_context(writing)?)
            }
        };
        let mut group = writer.next_row_group().with_context(writing)?;
        for column in &mut self.columns {
            let mut to = group.next_column().with_context(writing)?.context("the schema has fewer columns")?;
            column.write(&mut to).with_context(writing)?;
            to.close().with_context(writing)?;
        }
        group.close().with_context(writing)?;
        self.waiting = 0;
        Ok(())
    }

    /// Ends the file under way, so that it can be read, and says how many rows and bytes it has; none if there is none.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn end(&mut self, path: &Path) -> anyhow::Result<Option<(u64, u64)>> {
        self.write(path)?;
        let Some(writer) = self.writer.take() else { return Ok(None) };
        let ending = || format!("end {}", path.display());

        let file = writer.into_inner().with_context(ending)?;
        let file = file.into_inner().map_err(|error| error.into_error()).with_context(ending)?;
        file.sync_data().with_context(|| format!("sync {} to disk", path.display()))?;
        let bytes = file.metadata().with_context(ending)?.len();
        Ok(Some((std::mem::take(&mut self.rows), bytes)))
    }
}

fn properties(leaves: &[Leaf], text: Option<&str>) -> WriterPropertiesPtr {
    let level = ZstdLevel::try_new(1).expect("it is the lowest level there is");
    let mut builder = WriterProperties::builder()
        .set_created_by("boxctl".to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for leaf in leaves.iter().filter(|leaf| COUNTING.contains(&leaf.path.as_str())) {
        let path = ColumnPath::from(leaf.path.as_str());
        builder = builder.set_column_dictionary_enabled(path.clone(), false);
        builder = builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    let text = text.map(|text| vec![KeyValue::new(SCHEMA_KEY.to_owned(), text.to_owned())]);
    Arc::new(builder.set_key_value_metadata(text).build())
}

//! Several Parquet files of one type made one: row groups are copied as they are.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

/// Joins files into a new one, and says how many bytes it has.
///
/// # Errors
/// They are not of one schema, or cannot be read or written.
pub fn join(parts: &[PathBuf], into: &Path) -> anyhow::Result<u64> {
    let parts = parts.iter().map(|part| open(part)).collect::<anyhow::Result<Vec<_>>>()?;
    let first = parts.first().context("there is nothing to join")?.1.file_metadata();
    let same = parts.iter().all(|(_, metadata)| metadata.file_metadata().schema() == first.schema());
    ensure!(same, "the parts of {} have different columns", into.display());
    let joining = || format!("write {}", into.display());
    let properties = WriterProperties::builder()
        .set_created_by("boxctl".to_owned())
        .set_key_value_metadata(first.key_value_metadata().cloned());
    let schema = first.schema_descr().root_schema_ptr();
    let file = BufWriter::new(File::create(into).with_context(joining)?);
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build())).with_context(joining)?;
    for (file, metadata) in &parts {
        copy(file, metadata, &mut writer).with_context(joining)?;
    }

    let file = writer.into_inner().with_context(joining)?.into_inner().map_err(|error| error.into_error());
    let file = file.with_context(joining)?;
    file.sync_data().with_context(joining)?;
    Ok(file.metadata().with_context(joining)?.len())
}

fn open(path: &PathBuf) -> anyhow::Result<(File, ParquetMetaData)> {
    let opening = || format!("read {}", path.display());
    let file = File::open(path).with_context(opening)?;
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).with_context(opening)?;
    Ok((file, metadata))
}

fn copy(
    file: &File,
    metadata: &ParquetMetaData,
    writer: &mut SerializedFileWriter<BufWriter<File>>,
) -> anyhow::Result<()> {
    for group in metadata.row_groups() {
        let rows_written = u64::try_from(group.num_rows()).context("a row group without rows")?;
        let mut to = writer.next_row_group()?;
        for column in group.columns() {
            let bytes_written = u64::try_from(column.compressed_size()).context("a column without bytes")?;
            let copied = ColumnCloseResult {
                bytes_written,
                rows_written,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: None,
                offset_index: None,
            };
            to.append_column(file, copied)?;
        }
        to.close()?;
    }
    Ok(())
}

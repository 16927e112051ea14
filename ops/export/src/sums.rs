//! Reads two columns of a Parquet file back, to compare what was exported with what others say.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

/// The sum of a column of 64-bit numbers for each text of another one.
///
/// # Errors
/// The file cannot be read, or does not have these columns.
pub fn parquet_sums(path: &Path, by: &str, of: &str) -> anyhow::Result<BTreeMap<String, i64>> {
    let reading = || format!("read {}", path.display());
    let reader = SerializedFileReader::new(File::open(path).with_context(reading)?).with_context(reading)?;
    let schema = reader.metadata().file_metadata().schema();
    let wanted = schema.get_fields().iter().filter(|it| [by, of].contains(&it.name())).map(Arc::clone).collect();
    let wanted = Type::group_type_builder(schema.name()).with_fields(wanted).build().with_context(reading)?;
    let mut sums = BTreeMap::new();
    for row in reader.get_row_iter(Some(wanted)).with_context(reading)? {
        let (mut key, mut value) = (None, None);
        for (name, field) in row.with_context(reading)?.get_column_iter() {
            match field {
                Field::Str(text) if name == by => key = Some(text.clone()),
                Field::Long(number) if name == of => value = Some(*number),
                _ => {}
            }
        }
        let (key, value) = key.zip(value).with_context(|| format!("{} has no {by} and {of}", path.display()))?;
        *sums.entry(key).or_default() += value;
    }
    Ok(sums)
}

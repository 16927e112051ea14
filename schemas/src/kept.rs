//! Our own schemas, parsed once per process, with what is kept to write and to read by them.

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::schema::RecordSchema;
use apache_avro::writer::datum::GenericDatumWriter;

use crate::catalog::RecordType;
use crate::shape::Shape;

/// No length in a datum may make a reader allocate more than this; a frame is far below it.
const MAX_ALLOCATION_BYTES: usize = 8 << 20;

/// What is kept for one record type.
pub(crate) struct Kept {
    /// The whole record.
    pub whole: &'static Schema,
    /// What decides about the bytes: two writers with the same canonical form write the same.
    pub canonical: String,
    /// Writes the whole record from a value of the Avro crate.
    pub whole_writer: GenericDatumWriter<'static>,
    /// Writes and reads the record, for an event without `meta`.
    pub shape: Shape,
}

static KEPT: LazyLock<Vec<Kept>> = LazyLock::new(|| RecordType::all().map(keep).collect());

static META: LazyLock<Shape> = LazyLock::new(|| shape(&parse(include_str!("../avro/Meta.avsc"))));

/// Sets the limit of allocations. Avro takes it once for the whole process, before anything is read.
pub(crate) fn limit_allocations() {
    apache_avro::util::max_allocation_bytes(MAX_ALLOCATION_BYTES);
}

/// What is kept for a record type.
pub(crate) fn kept(record: RecordType) -> &'static Kept {
    &KEPT[record.index()]
}

/// Writes and reads `boxoffice.Meta`, which is the same in every event.
pub(crate) fn meta_shape() -> &'static Shape {
    &META
}

/// Gives a schema the life of the process. Only for what is parsed at most once: our own schemas, and each text that
/// a registry ever answers.
pub(crate) fn forever(schema: Schema) -> &'static Schema {
    Box::leak(Box::new(schema))
}

fn keep(record: RecordType) -> Kept {
    let whole = forever(parse(record.text()));
    let shape = match record {
        RecordType::Event(_) => shape(&without_meta(whole)),
        _ => shape(whole),
    };
    Kept { whole, canonical: whole.canonical_form(), whole_writer: writer(whole), shape }
}

fn parse(text: &str) -> Schema {
    Schema::parse_str(text).expect("the schema files are tested")
}

/// An Avro record is written as its fields one after another; so `meta`, the first, can be written apart from the rest.
fn without_meta(whole: &Schema) -> Schema {
    let Schema::Record(record) = whole else { unreachable!("every schema file holds a record") };
    let (first, own) = record.fields.split_first().expect("every event has fields");
    assert_eq!(first.name, "meta", "every event starts with meta");
    let rest = RecordSchema::builder().name(record.name.clone()).fields(own.to_vec()).build();
    Schema::Record(rest)
}

fn writer(schema: &'static Schema) -> GenericDatumWriter<'static> {
    let writer = GenericDatumWriter::builder(schema).human_readable(true).build();
    writer.expect("our schemas are self-contained")
}

fn shape(schema: &Schema) -> Shape {
    Shape::of(schema).expect("our schemas use what can be read and written")
}

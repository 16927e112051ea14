//! Events made from the schemas: every field another value, every enum symbol, optional fields set or not.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{Name, RecordSchema, ResolvedSchema};
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use schemas::{Codec, RecordType};
use uuid::Uuid;

/// What optional fields hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Optional {
    Set,
    Unset,
}

/// The schema file of a type.
pub fn schema_of(record: RecordType) -> Schema {
    Schema::parse_str(record.text()).unwrap()
}

/// Encodes a sample of a type as some other Avro library would: from its schema alone.
pub fn sample_bytes(record: RecordType, optional: Optional, turn: usize) -> Vec<u8> {
    let id = Codec::in_memory().ids().of(record);
    framed(id, &datum(&schema_of(record), optional, turn))
}

/// How many turns show every symbol of every enum of a schema.
pub fn turns(schema: &Schema) -> usize {
    match schema {
        Schema::Enum(it) => it.symbols.len(),
        Schema::Record(it) => it.fields.iter().map(|field| turns(&field.schema)).max().unwrap_or(1).max(1),
        Schema::Array(it) => turns(&it.items),
        Schema::Union(it) => it.variants().iter().map(turns).max().unwrap_or(1),
        _ => 1,
    }
}

/// Whether a schema has an optional field anywhere.
pub fn has_optional(schema: &Schema) -> bool {
    match schema {
        Schema::Record(it) => it.fields.iter().any(|field| has_optional(&field.schema)),
        Schema::Array(it) => has_optional(&it.items),
        Schema::Union(_) => true,
        _ => false,
    }
}

/// A datum of any schema.
pub fn datum(schema: &Schema, optional: Optional, turn: usize) -> Vec<u8> {
    let resolved = ResolvedSchema::try_from(schema).unwrap();
    let names = resolved.get_names().iter().map(|(name, schema)| (name.clone(), *schema)).collect();
    let value = Sampler { names, optional, turn, next: 0 }.value(schema, "");
    GenericDatumWriter::builder(schema).build().unwrap().write_value_to_vec(value).unwrap()
}

/// Magic, schema id and datum.
pub fn framed(id: u32, datum: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], datum].concat()
}

struct Sampler<'s> {
    names: HashMap<Name, &'s Schema>,
    optional: Optional,
    turn: usize,
    next: u32,
}

impl<'s> Sampler<'s> {
    fn value(&mut self, schema: &'s Schema, field: &str) -> Value {
        self.next += 1;
        let n = self.next;
        match schema {
            Schema::Record(record) => self.record(record),
            Schema::Ref { name } => self.value(self.names[name], field),
            Schema::Array(array) => Value::Array((0..2).map(|_| self.value(&array.items, field)).collect()),
            Schema::Union(union) => match self.optional {
                Optional::Unset => Value::Union(0, Box::new(Value::Null)),
                Optional::Set => Value::Union(1, Box::new(self.value(&union.variants()[1], field))),
            },
            Schema::Enum(it) => {
                let index = self.turn % it.symbols.len();
                Value::Enum(u32::try_from(index).unwrap(), it.symbols[index].clone())
            }
            Schema::Uuid(_) => Value::Uuid(Uuid::from_u128(0x0188_0000_0000_7000_8000_0000_0000_0000 + u128::from(n))),
            Schema::String if field == "currency" => Value::String("VND".to_owned()),
            Schema::String => Value::String(format!("{field} {n} \u{1ec7}")),
            Schema::Bytes => Value::Bytes((0..16).map(|byte| byte + u8::try_from(n).unwrap()).collect()),
            Schema::Boolean => Value::Boolean(n.is_multiple_of(2)),
            Schema::Int => Value::Int(i32::try_from(n).unwrap() * 1_000),
            Schema::Long => Value::Long(i64::from(n) * 1_000_000_007),
            Schema::TimestampMicros => Value::TimestampMicros(1_795_255_200_000_000 + i64::from(n)),
            other => panic!("no sample for {other:?}"),
        }
    }

    fn record(&mut self, record: &'s RecordSchema) -> Value {
        let fields = record.fields.iter();
        Value::Record(fields.map(|field| (field.name.clone(), self.value(&field.schema, &field.name))).collect())
    }
}

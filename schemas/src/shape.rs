//! A schema, taken apart once, so that reading and writing by it look nothing up.

use std::sync::atomic::{AtomicUsize, Ordering};

use apache_avro::Schema;
use apache_avro::schema::{RecordField, UuidSchema};

/// Deeper ones are not ours.
const DEPTH: usize = 16;

/// A schema, taken apart.
#[derive(Debug)]
pub(crate) enum Shape {
    Null,
    Boolean,
    Int,
    Long,
    Text,
    Bytes,
    Enum(Vec<String>),
    /// Null or something else; whether null comes first.
    Optional(Box<Shape>, bool),
    List(Box<Shape>),
    Record(Fields),
}

/// The fields of a record, in the order they are written in.
#[derive(Debug)]
pub(crate) struct Fields {
    pub fields: Vec<Field>,
    /// Where the field names of a type lie that were found to be exactly these: comparing addresses is enough next time.
    same: AtomicUsize,
}

/// One field of a record.
#[derive(Debug)]
pub(crate) struct Field {
    pub name: String,
    pub shape: Shape,
    /// Where a type's name of it lies that was found to be the same.
    same: AtomicUsize,
}

impl Shape {
    /// Takes a schema apart; none if it has something that ours have not.
    pub(crate) fn of(schema: &Schema) -> Option<Self> {
        let mut named = Vec::new();
        Self::below(schema, &mut named, 0)
    }

    fn below<'s>(schema: &'s Schema, named: &mut Vec<&'s Schema>, depth: usize) -> Option<Self> {
        if depth > DEPTH {
            return None;
        }
        if schema.name().is_some() && !matches!(schema, Schema::Ref { .. }) {
            named.push(schema);
        }
        Some(match schema {
            Schema::Null => Self::Null,
            Schema::Boolean => Self::Boolean,
            Schema::Int => Self::Int,
            Schema::Long | Schema::TimestampMicros => Self::Long,
            Schema::String | Schema::Uuid(UuidSchema::String) => Self::Text,
            Schema::Bytes => Self::Bytes,
            Schema::Enum(it) => Self::Enum(it.symbols.clone()),
            Schema::Array(it) => Self::List(Box::new(Self::below(&it.items, named, depth + 1)?)),
            Schema::Union(it) => match it.variants() {
                [Schema::Null, other] => Self::Optional(Box::new(Self::below(other, named, depth + 1)?), true),
                [other, Schema::Null] => Self::Optional(Box::new(Self::below(other, named, depth + 1)?), false),
                _ => return None,
            },
            Schema::Record(it) => {
                let field = |field: &'s RecordField, named: &mut Vec<&'s Schema>| {
                    let shape = Self::below(&field.schema, named, depth + 1)?;
                    Some(Field { name: field.name.clone(), shape, same: AtomicUsize::new(0) })
                };
                let fields = it.fields.iter().map(|it| field(it, named)).collect::<Option<Vec<_>>>()?;
                Self::Record(Fields { fields, same: AtomicUsize::new(0) })
            }
            Schema::Ref { name } => {
                let found = named.iter().find(|known| known.name() == Some(name)).copied()?;
                Self::below(found, &mut named.clone(), depth + 1)?
            }
            _ => return None,
        })
    }
}

impl Fields {
    /// Whether a type has exactly these fields in this order: then they need no names.
    pub fn are(&self, names: &'static [&'static str]) -> bool {
        let address = names.as_ptr().addr();
        if self.same.load(Ordering::Relaxed) == address {
            return true;
        }
        let same =
            names.len() == self.fields.len() && names.iter().zip(&self.fields).all(|(name, it)| *name == it.name);
        if same && !names.is_empty() {
            self.same.store(address, Ordering::Relaxed);
        }
        same
    }
}

impl Field {
    /// Whether a type calls it so too; compared once, by their addresses from then on. A second address, as other units
    /// of code may have, is compared each time: if both were kept in turn, processors would fight for the place.
    pub fn is(&self, name: &'static str) -> bool {
        let address = name.as_ptr().addr();
        if name.len() != self.name.len() {
            return false;
        }
        let known = self.same.load(Ordering::Relaxed);
        known == address || (self.name == name && self.keep(known, address))
    }

    #[cold]
    fn keep(&self, known: usize, address: usize) -> bool {
        if known == 0 {
            self.same.store(address, Ordering::Relaxed);
        }
        true
    }
}

//! From our schemas to Parquet's: which columns there are, and how deep each lies.

use std::ops::Range;
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::{Type, TypePtr};

use crate::tree::{Field, Node};

/// How a value is spread over columns.
#[derive(Debug)]
pub enum Plan {
    /// One column.
    Leaf(usize, Kind),
    /// Nothing, or something one level deeper.
    Optional(Box<Plan>, bool, Range<usize>),
    /// Any number, repeated at this level.
    List(Box<Plan>, i16, Range<usize>),
    /// One after the other.
    Record(Vec<Plan>),
}

/// What a column holds.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Yes or no.
    Boolean,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// Microseconds, UTC.
    Moment,
    /// UTF-8.
    Text,
    /// 16 bytes.
    Uuid,
    /// Bytes.
    Bytes,
    /// Words.
    Enum(Vec<String>),
}

/// A column to be: what it holds, and how deep it lies.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// What it holds.
    pub kind: Kind,
    /// Its name and those above it, with dots.
    pub path: String,
    /// So many levels above it may be nothing.
    pub definition: i16,
    /// So many levels above it may be repeated.
    pub repetition: i16,
}

/// Lays fields out; the leaves are in the order of Parquet's columns.
pub fn plan(fields: &[Field]) -> (Vec<Plan>, Vec<Leaf>) {
    let mut leaves = Vec::new();
    let plans = fields.iter().map(|field| below(&field.name, &field.node, 0, 0, &mut leaves)).collect();
    (plans, leaves)
}

fn below(path: &str, node: &Node, definition: i16, repetition: i16, leaves: &mut Vec<Leaf>) -> Plan {
    let first = leaves.len();
    let kind = match node {
        Node::Boolean => Kind::Boolean,
        Node::Int => Kind::Int,
        Node::Long => Kind::Long,
        Node::Moment => Kind::Moment,
        Node::Text => Kind::Text,
        Node::Uuid => Kind::Uuid,
        Node::Bytes => Kind::Bytes,
        Node::Enum(symbols) => Kind::Enum(symbols.clone()),
        Node::Optional(inner, null_first) => {
            let inner = below(path, inner, definition + 1, repetition, leaves);
            return Plan::Optional(Box::new(inner), *null_first, first..leaves.len());
        }
        Node::List(item) => {
            let path = format!("{path}.list.element");
            let item = below(&path, item, definition + 1, repetition + 1, leaves);
            return Plan::List(Box::new(item), repetition + 1, first..leaves.len());
        }
        Node::Record(fields) => {
            let mut field =
                |it: &Field| below(&format!("{path}.{}", it.name), &it.node, definition, repetition, leaves);
            return Plan::Record(fields.iter().map(&mut field).collect());
        }
    };
    leaves.push(Leaf { kind: kind.clone(), path: path.to_owned(), definition, repetition });
    Plan::Leaf(first, kind)
}

/// The Parquet schema of a record.
///
/// # Errors
/// Parquet takes none of our schemas.
pub fn schema(name: &str, fields: &[Field]) -> Result<TypePtr, ParquetError> {
    let fields = fields.iter().map(|field| type_of(&field.name, &field.node, Repetition::REQUIRED));
    let fields = fields.collect::<Result<Vec<TypePtr>, _>>()?;
    Type::group_type_builder(name).with_fields(fields).build().map(Arc::new)
}

fn type_of(name: &str, node: &Node, repetition: Repetition) -> Result<TypePtr, ParquetError> {
    let leaf = |physical, logical: Option<LogicalType>, length| {
        let builder = Type::primitive_type_builder(name, physical).with_repetition(repetition);
        builder.with_logical_type(logical).with_length(length).build().map(Arc::new)
    };
    match node {
        Node::Boolean => leaf(Physical::BOOLEAN, None, -1),
        Node::Int => leaf(Physical::INT32, None, -1),
        Node::Long => leaf(Physical::INT64, None, -1),
        Node::Moment => leaf(Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS)), -1),
        Node::Text | Node::Enum(_) => leaf(Physical::BYTE_ARRAY, Some(LogicalType::String), -1),
        Node::Uuid => leaf(Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Uuid), 16),
        Node::Bytes => leaf(Physical::BYTE_ARRAY, None, -1),
        Node::Optional(inner, _) => type_of(name, inner, Repetition::OPTIONAL),
        Node::List(item) => {
            let element = type_of("element", item, Repetition::REQUIRED)?;
            let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
            let list = list.with_fields(vec![element]).build().map(Arc::new)?;
            let builder = Type::group_type_builder(name).with_repetition(repetition);
            builder.with_logical_type(Some(LogicalType::List)).with_fields(vec![list]).build().map(Arc::new)
        }
        Node::Record(fields) => {
            let fields = fields.iter().map(|field| type_of(&field.name, &field.node, Repetition::REQUIRED));
            let fields = fields.collect::<Result<Vec<TypePtr>, _>>()?;
            let builder = Type::group_type_builder(name).with_repetition(repetition);
            builder.with_fields(fields).build().map(Arc::new)
        }
    }
}

//! Writes our own types as Avro data, by a schema that was taken apart beforehand.
//!
//! The Avro crate looks every field's name up and asks the schema's kind anew; a purchase writes a dozen events.
//! Invariant: what is written is byte for byte what the Avro crate writes, and what it would refuse is refused
//! (`tests/writing.rs` and the tests below). Fields come in the schema's order or not at all.

use std::fmt;

use serde::ser::{self, Impossible, Serialize, SerializeSeq, SerializeStruct, Serializer};

use crate::shape::{Field, Shape};

/// A value does not fit its schema. Says where and what kind, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unfit(Box<str>);

impl ser::Error for Unfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string().into())
    }
}

impl Unfit {
    #[cold]
    fn new(what: &str) -> Self {
        Self(what.into())
    }

    #[cold]
    fn within(&self, field: &str) -> Self {
        Self(format!("{field}: {self}").into())
    }
}

impl Shape {
    /// Writes one value behind what there is; if it does not fit, nothing of it stays.
    pub(crate) fn write<T: Serialize>(&self, value: &T, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let before = out.len();
        let written = value.serialize(Datum { shape: self, out });
        if written.is_err() {
            out.truncate(before);
        }
        written
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Int => "an int",
            Self::Long => "a long",
            Self::Text => "a text",
            Self::Bytes => "bytes",
            Self::Enum(_) => "a symbol",
            Self::Optional(..) => "an option",
            Self::List(_) => "a list",
            Self::Record(_) => "a record",
        }
    }
}

/// The place where a value is about to be written.
struct Datum<'a> {
    shape: &'a Shape,
    out: &'a mut Vec<u8>,
}

impl Datum<'_> {
    #[cold]
    fn refuse<T>(self, what: &str) -> Result<T, Unfit> {
        Err(Unfit(format!("{what} is not {}", self.shape.name()).into()))
    }

    fn int(self, value: i32) -> Result<(), Unfit> {
        match self.shape {
            Shape::Int => number(self.out, value.into()),
            _ => return self.refuse("an integer of at most 32 bits"),
        }
        Ok(())
    }

    fn long(self, value: i64) -> Result<(), Unfit> {
        match self.shape {
            Shape::Long => number(self.out, value),
            _ => return self.refuse("an integer of 64 bits"),
        }
        Ok(())
    }
}

/// Zigzag, then seven bits a byte.
fn number(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.push(rest.to_le_bytes()[0]);
}

fn length(out: &mut Vec<u8>, length: usize) {
    number(out, i64::try_from(length).expect("what lies in memory is shorter"));
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    length(out, bytes.len());
    out.extend_from_slice(bytes);
}

impl<'a> Serializer for Datum<'a> {
    type Ok = ();
    type Error = Unfit;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Impossible<(), Unfit>;
    type SerializeTupleStruct = Impossible<(), Unfit>;
    type SerializeTupleVariant = Impossible<(), Unfit>;
    type SerializeMap = Impossible<(), Unfit>;
    type SerializeStruct = InOrder<'a>;
    type SerializeStructVariant = Impossible<(), Unfit>;

    fn serialize_bool(self, value: bool) -> Result<(), Unfit> {
        match self.shape {
            Shape::Boolean => self.out.push(value.into()),
            _ => return self.refuse("a boolean"),
        }
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Unfit> {
        self.int(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Unfit> {
        self.int(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Unfit> {
        self.int(value)
    }

    fn serialize_i64(self, value: i64) -> Result<(), Unfit> {
        self.long(value)
    }

    fn serialize_u8(self, value: u8) -> Result<(), Unfit> {
        self.int(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Unfit> {
        self.int(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Unfit> {
        self.long(value.into())
    }

    fn serialize_u64(self, _: u64) -> Result<(), Unfit> {
        self.refuse("an integer without sign")
    }

    fn serialize_f32(self, _: f32) -> Result<(), Unfit> {
        self.refuse("a fraction")
    }

    fn serialize_f64(self, _: f64) -> Result<(), Unfit> {
        self.refuse("a fraction")
    }

    fn serialize_char(self, _: char) -> Result<(), Unfit> {
        self.refuse("a character")
    }

    fn serialize_str(self, value: &str) -> Result<(), Unfit> {
        match self.shape {
            Shape::Text => bytes(self.out, value.as_bytes()),
            _ => return self.refuse("a text"),
        }
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unfit> {
        match self.shape {
            Shape::Bytes => bytes(self.out, value),
            _ => return self.refuse("a row of bytes"),
        }
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Unfit> {
        match self.shape {
            Shape::Optional(_, null_first) => number(self.out, i64::from(!null_first)),
            _ => return self.refuse("none"),
        }
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unfit> {
        match self.shape {
            Shape::Optional(shape, null_first) => {
                number(self.out, i64::from(*null_first));
                value.serialize(Datum { shape, out: self.out })
            }
            _ => self.refuse("an option"),
        }
    }

    fn serialize_unit(self) -> Result<(), Unfit> {
        match self.shape {
            Shape::Null => Ok(()),
            _ => self.refuse("a unit"),
        }
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unfit> {
        self.refuse("a unit struct")
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, symbol: &'static str) -> Result<(), Unfit> {
        let Shape::Enum(symbols) = self.shape else { return self.refuse("a symbol") };
        let index = usize::try_from(index).ok().filter(|index| symbols.get(*index).is_some_and(|it| it == symbol));
        // A Rust type may have its symbols in another order.
        match index.or_else(|| symbols.iter().position(|it| it == symbol)) {
            Some(index) => length(self.out, index),
            None => return Err(Unfit(format!("there is no symbol {symbol}").into())),
        }
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<(), Unfit> {
        self.refuse("a struct around a value")
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Unfit> {
        self.refuse("a variant with a value")
    }

    fn serialize_seq(self, length_known: Option<usize>) -> Result<Items<'a>, Unfit> {
        let Shape::List(item) = self.shape else { return self.refuse("a list") };
        let Some(left) = length_known else { return self.refuse("a list of unknown length") };
        // All in one block; the empty block that ends a list is all there is of an empty one.
        if left > 0 {
            length(self.out, left);
        }
        Ok(Items { item, out: self.out, left })
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Unfit> {
        self.refuse("a tuple")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Unfit> {
        self.refuse("a tuple")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unfit> {
        self.refuse("a variant with values")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Unfit> {
        self.refuse("a map")
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<InOrder<'a>, Unfit> {
        match self.shape {
            Shape::Record(record) => Ok(InOrder { fields: record.fields.iter(), out: self.out }),
            _ => self.refuse("a struct"),
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Unfit> {
        self.refuse("a variant with values")
    }
}

/// The items of a list whose number is written.
struct Items<'a> {
    item: &'a Shape,
    out: &'a mut Vec<u8>,
    left: usize,
}

impl SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        self.left = self.left.checked_sub(1).ok_or_else(|| Unfit::new("a list has more items than it said"))?;
        value.serialize(Datum { shape: self.item, out: self.out })
    }

    fn end(self) -> Result<(), Unfit> {
        if self.left > 0 {
            return Err(Unfit::new("a list has fewer items than it said"));
        }
        self.out.push(0);
        Ok(())
    }
}

/// The fields of a record that are still to be written.
struct InOrder<'a> {
    fields: std::slice::Iter<'a, Field>,
    out: &'a mut Vec<u8>,
}

impl SerializeStruct for InOrder<'_> {
    type Ok = ();
    type Error = Unfit;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Unfit> {
        match self.fields.next() {
            Some(field) if field.is(name) => {
                let written = value.serialize(Datum { shape: &field.shape, out: self.out });
                written.map_err(|error| error.within(name))
            }
            _ => Err(Unfit::new("it is not the record's next field").within(name)),
        }
    }

    fn end(self) -> Result<(), Unfit> {
        match self.fields.as_slice() {
            [] => Ok(()),
            [field, ..] => Err(Unfit::new("it is missing").within(&field.name)),
        }
    }
}

#[cfg(test)]
mod tests;

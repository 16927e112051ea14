//! Reads Avro data straight into our own types, by a schema that was taken apart beforehand.
//!
//! The Avro crate looks names up and copies texts for every field; a partition that is taken over reads a million events.
//! This reads what our own schemas use and nothing else. Invariant: what another library writes is read as it was meant
//! (`tests/contract.rs`); whatever the bytes are, it neither panics nor takes memory that they do not account for
//! (`tests/garbage.rs`).

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::shape::{Field, Shape};

/// The bytes do not follow their schema, or the schema not the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadDatum(String);

impl de::Error for BadDatum {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

fn bad<T>(what: &str) -> Result<T, BadDatum> {
    Err(BadDatum(what.to_owned()))
}

impl Shape {
    /// Reads one value from the beginning of the bytes, and leaves those behind it.
    pub(crate) fn read<'de, T: de::Deserialize<'de>>(&'de self, bytes: &mut &'de [u8]) -> Result<T, BadDatum> {
        T::deserialize(Datum { shape: self, bytes })
    }
}

/// A value about to be read.
struct Datum<'a, 'de> {
    shape: &'de Shape,
    bytes: &'a mut &'de [u8],
}

impl<'de> Datum<'_, 'de> {
    fn long(&mut self) -> Result<i64, BadDatum> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte, rest @ ..] = *self.bytes else { return bad("it ends within a number") };
            *self.bytes = rest;
            if shift == 63 && *byte > 1 {
                return bad("a number has more than 64 bits");
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let (half, sign) = (value >> 1, value & 1);
                return Ok((half ^ sign.wrapping_neg()).cast_signed());
            }
        }
        bad("a number has more than 64 bits")
    }

    fn int(&mut self) -> Result<i32, BadDatum> {
        i32::try_from(self.long()?).or_else(|_| bad("a number has more than 32 bits"))
    }

    fn bytes(&mut self) -> Result<&'de [u8], BadDatum> {
        let length = self.long()?;
        let split = usize::try_from(length).ok().and_then(|length| self.bytes.split_at_checked(length));
        let Some((taken, rest)) = split else { return bad("it ends within a text") };
        *self.bytes = rest;
        Ok(taken)
    }

    fn text(&mut self) -> Result<&'de str, BadDatum> {
        std::str::from_utf8(self.bytes()?).or_else(|_| bad("a text is not UTF-8"))
    }

    fn symbol(&mut self, symbols: &'de [String]) -> Result<&'de str, BadDatum> {
        let index = usize::try_from(self.int()?).ok();
        index.and_then(|index| symbols.get(index)).map_or_else(|| bad("there is no such symbol"), |it| Ok(it.as_str()))
    }

    fn is_null(&mut self, null_first: bool) -> Result<bool, BadDatum> {
        match self.long()? {
            0 => Ok(null_first),
            1 => Ok(!null_first),
            _ => bad("there is no such alternative"),
        }
    }
}

impl<'de> Deserializer<'de> for Datum<'_, 'de> {
    type Error = BadDatum;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, BadDatum> {
        match self.shape {
            Shape::Null => visitor.visit_unit(),
            Shape::Boolean => match *self.bytes {
                [byte @ (0 | 1), rest @ ..] => {
                    *self.bytes = rest;
                    visitor.visit_bool(*byte == 1)
                }
                _ => bad("there is no yes or no"),
            },
            Shape::Int => visitor.visit_i32(self.int()?),
            Shape::Long => visitor.visit_i64(self.long()?),
            Shape::Text => visitor.visit_borrowed_str(self.text()?),
            Shape::Bytes => visitor.visit_borrowed_bytes(self.bytes()?),
            Shape::Enum(symbols) => visitor.visit_borrowed_str(self.symbol(symbols)?),
            Shape::Optional(..) => self.deserialize_option(visitor),
            Shape::List(item) => visitor.visit_seq(Items { item, bytes: self.bytes, left: 0, over: false }),
            Shape::Record(fields) => {
                visitor.visit_map(Named { fields: fields.fields.iter(), next: None, bytes: self.bytes })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, BadDatum> {
        match self.shape {
            Shape::Optional(other, null_first) => match self.is_null(*null_first)? {
                true => visitor.visit_none(),
                false => visitor.visit_some(Datum { shape: other, bytes: self.bytes }),
            },
            Shape::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, BadDatum> {
        match self.shape {
            Shape::Record(fields) if fields.are(names) => {
                visitor.visit_seq(InOrder { fields: fields.fields.iter(), bytes: self.bytes })
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, BadDatum> {
        match self.shape {
            Shape::Enum(symbols) => {
                let symbol: StrDeserializer<'_, BadDatum> = self.symbol(symbols)?.into_deserializer();
                visitor.visit_enum(symbol)
            }
            _ => bad("an enumeration was expected"),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, BadDatum> {
        visitor.visit_newtype_struct(self)
    }

    fn is_human_readable(&self) -> bool {
        true
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// The items of a list: blocks of so many, until one is empty.
struct Items<'a, 'de> {
    item: &'de Shape,
    bytes: &'a mut &'de [u8],
    left: i64,
    over: bool,
}

impl Items<'_, '_> {
    fn block(&mut self) -> Result<(), BadDatum> {
        let mut count = Datum { shape: self.item, bytes: self.bytes }.long()?;
        if count < 0 {
            // Then the block's length in bytes comes next, for whoever wants to leave it out.
            count = count.checked_neg().ok_or_else(|| BadDatum("a list is too long".to_owned()))?;
            Datum { shape: self.item, bytes: self.bytes }.long()?;
        }
        // Every item of ours takes a byte at least.
        if usize::try_from(count).map_or(true, |count| count > self.bytes.len()) {
            return bad("a list is longer than its bytes");
        }
        self.over = count == 0;
        self.left = count;
        Ok(())
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = BadDatum;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, BadDatum> {
        if self.left == 0 && !self.over {
            self.block()?;
        }
        if self.over {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(Datum { shape: self.item, bytes: self.bytes }).map(Some)
    }
}

/// The fields of a record for a type that has the same.
struct InOrder<'a, 'de> {
    fields: std::slice::Iter<'de, Field>,
    bytes: &'a mut &'de [u8],
}

impl<'de> SeqAccess<'de> for InOrder<'_, 'de> {
    type Error = BadDatum;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, BadDatum> {
        let Some(field) = self.fields.next() else { return Ok(None) };
        seed.deserialize(Datum { shape: &field.shape, bytes: self.bytes }).map(Some)
    }
}

/// The fields of a record by their names.
struct Named<'a, 'de> {
    fields: std::slice::Iter<'de, Field>,
    next: Option<&'de Shape>,
    bytes: &'a mut &'de [u8],
}

impl<'de> MapAccess<'de> for Named<'_, 'de> {
    type Error = BadDatum;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, BadDatum> {
        let Some(field) = self.fields.next() else { return Ok(None) };
        self.next = Some(&field.shape);
        seed.deserialize(BorrowedStrDeserializer::new(&field.name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, BadDatum> {
        let shape = self.next.take().expect("a value is asked for after its name");
        seed.deserialize(Datum { shape, bytes: self.bytes })
    }
}

//! The shape of Rust types, as serde sees it, in the same words as the shape of a schema.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use apache_avro::Schema;
use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// One line for every field: its path and its type.
pub type Shape = Vec<String>;

/// The shape of a schema; `meta` is left out.
pub fn of_schema(schema: &Schema) -> Shape {
    let mut shape = Shape::new();
    describe(schema, "", &mut shape);
    shape
}

fn describe(schema: &Schema, path: &str, shape: &mut Shape) {
    match schema {
        Schema::Record(record) => {
            shape.push(format!("{path}: {}", record.name.name()));
            for field in record.fields.iter().filter(|field| field.name != "meta") {
                describe(&field.schema, &format!("{path}.{}", field.name), shape);
            }
        }
        Schema::Array(array) => describe(&array.items, &format!("{path}[]"), shape),
        Schema::Union(union) => {
            assert_eq!((union.variants().len(), &union.variants()[0]), (2, &Schema::Null), "{path}");
            describe(&union.variants()[1], &format!("{path}?"), shape);
        }
        Schema::Enum(it) => {
            assert_eq!(it.default.as_deref(), Some("unknown"), "{path}");
            shape.push(format!("{path}: {} {}", it.name.name(), it.symbols.join(" ")));
        }
        Schema::Uuid(_) => shape.push(format!("{path}: uuid")),
        Schema::String => shape.push(format!("{path}: string")),
        Schema::Bytes => shape.push(format!("{path}: bytes")),
        Schema::Boolean => shape.push(format!("{path}: boolean")),
        Schema::Int => shape.push(format!("{path}: int")),
        Schema::Long | Schema::TimestampMicros => shape.push(format!("{path}: long")),
        other => panic!("{path} has the type {other:?}"),
    }
}

/// The shape of a Rust type below these enum variants.
pub fn of_type<'a, T: Deserialize<'a>>(variants: &[&'static str]) -> Shape {
    let log = Rc::new(RefCell::new(Shape::new()));
    T::deserialize(Tracer { variants, path: String::new(), log: Rc::clone(&log) }).map(|_| ()).unwrap();
    log.take()
}

#[derive(Debug)]
pub struct Untraceable(String);

impl fmt::Display for Untraceable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Untraceable {}

impl de::Error for Untraceable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Gives every type something that it takes, and writes down what it asked for.
#[derive(Clone)]
struct Tracer<'t> {
    variants: &'t [&'static str],
    path: String,
    log: Rc<RefCell<Shape>>,
}

impl Tracer<'_> {
    fn note(&self, what: &str) {
        self.log.borrow_mut().push(format!("{}: {what}", self.path));
    }

    fn below(&self, step: &str) -> Self {
        Self { variants: &[], path: format!("{}{step}", self.path), log: Rc::clone(&self.log) }
    }
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Untraceable;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Untraceable> {
        Err(Untraceable(format!("{} is of a type that no schema has", self.path)))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Untraceable> {
        self.note("boolean");
        visitor.visit_bool(true)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Untraceable> {
        self.note("int");
        visitor.visit_i32(1)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Untraceable> {
        self.note("long");
        visitor.visit_i64(1)
    }

    // Of our types only ids ask for a borrowed string, and currencies and texts for an owned one.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Untraceable> {
        self.note("uuid");
        visitor.visit_str("01880000-0000-7000-8000-000000000001")
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Untraceable> {
        self.note("string");
        visitor.visit_str("VND")
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Untraceable> {
        self.note("bytes");
        visitor.visit_byte_buf(vec![7; 16])
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Untraceable> {
        visitor.visit_some(self.below("?"))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &str, visitor: V) -> Result<V::Value, Untraceable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Untraceable> {
        visitor.visit_seq(Once(Some(self.below("[]"))))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Untraceable> {
        self.note(name);
        visitor.visit_map(Fields { tracer: self, fields })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        symbols: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Untraceable> {
        let Some((variant, variants)) = self.variants.split_first() else {
            self.note(&format!("{name} {}", symbols.join(" ")));
            return visitor.visit_enum(StrDeserializer::new(symbols[0]));
        };
        visitor.visit_enum(Variant { variant, tracer: Self { variants, ..self.clone() } })
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 f64 char bytes unit unit_struct tuple tuple_struct map identifier
        ignored_any
    }
}

struct Once<'t>(Option<Tracer<'t>>);

impl<'de> SeqAccess<'de> for Once<'_> {
    type Error = Untraceable;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Untraceable> {
        self.0.take().map(|tracer| seed.deserialize(tracer)).transpose()
    }
}

struct Fields<'t> {
    tracer: Tracer<'t>,
    fields: &'static [&'static str],
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Untraceable;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Untraceable> {
        let name = self.fields.first();
        name.map(|name| seed.deserialize(BorrowedStrDeserializer::<Untraceable>::new(name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Untraceable> {
        let (name, rest) = self.fields.split_first().unwrap();
        self.fields = rest;
        seed.deserialize(self.tracer.below(&format!(".{name}")))
    }
}

struct Variant<'t> {
    variant: &'static str,
    tracer: Tracer<'t>,
}

impl<'de, 't> EnumAccess<'de> for Variant<'t> {
    type Error = Untraceable;
    type Variant = Tracer<'t>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Tracer<'t>), Untraceable> {
        let variant = seed.deserialize(BorrowedStrDeserializer::<Untraceable>::new(self.variant))?;
        Ok((variant, self.tracer))
    }
}

impl<'de> VariantAccess<'de> for Tracer<'_> {
    type Error = Untraceable;

    fn unit_variant(self) -> Result<(), Untraceable> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Untraceable> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Untraceable> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Untraceable> {
        self.deserialize_any(visitor)
    }
}

//! What does not fit is refused, and nothing is written that the Avro crate would refuse or write otherwise.

use apache_avro::Schema;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use serde::ser::{Serialize, SerializeSeq, Serializer};

use crate::shape::Shape;

/// A value of any kind, whether or not some schema has it.
#[derive(Debug, Clone)]
enum Any {
    Bool(bool),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    F64(f64),
    Char(char),
    Text(String),
    Bytes(Vec<u8>),
    Unit,
    Nothing,
    Some(Box<Any>),
    Symbol(u32, &'static str),
    /// Its items, and how many it says it has.
    List(Vec<Any>, Option<usize>),
    Pair(i64, String),
    Around(i64),
    Point(Point),
    Skipping(Skipping),
}

#[derive(Debug, Clone, serde::Serialize)]
struct Around(i64);

#[derive(Debug, Clone, serde::Serialize)]
struct Point {
    x: i64,
    label: Option<String>,
}

#[derive(Debug, Clone, serde::Serialize)]
struct Skipping {
    x: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

#[derive(serde::Serialize)]
struct Backwards {
    label: Option<String>,
    x: i64,
}

#[derive(serde::Serialize)]
struct More {
    x: i64,
    label: Option<String>,
    z: i64,
}

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(it) => to.serialize_bool(*it),
            Self::I8(it) => to.serialize_i8(*it),
            Self::I16(it) => to.serialize_i16(*it),
            Self::I32(it) => to.serialize_i32(*it),
            Self::I64(it) => to.serialize_i64(*it),
            Self::U8(it) => to.serialize_u8(*it),
            Self::U16(it) => to.serialize_u16(*it),
            Self::U32(it) => to.serialize_u32(*it),
            Self::U64(it) => to.serialize_u64(*it),
            Self::F64(it) => to.serialize_f64(*it),
            Self::Char(it) => to.serialize_char(*it),
            Self::Text(it) => to.serialize_str(it),
            Self::Bytes(it) => to.serialize_bytes(it),
            Self::Unit => to.serialize_unit(),
            Self::Nothing => to.serialize_none(),
            Self::Some(it) => to.serialize_some(it),
            Self::Symbol(index, symbol) => to.serialize_unit_variant("Colour", *index, symbol),
            Self::List(items, said) => {
                let mut list = to.serialize_seq(*said)?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::Pair(x, label) => (x, label).serialize(to),
            Self::Around(it) => Around(*it).serialize(to),
            Self::Point(it) => it.serialize(to),
            Self::Skipping(it) => it.serialize(to),
        }
    }
}

const SCHEMAS: [&str; 14] = [
    r#""null""#,
    r#""boolean""#,
    r#""int""#,
    r#""long""#,
    r#"{"type": "long", "logicalType": "timestamp-micros"}"#,
    r#""string""#,
    r#"{"type": "string", "logicalType": "uuid"}"#,
    r#""bytes""#,
    r#"{"type": "enum", "name": "Colour", "symbols": ["red", "green", "blue"]}"#,
    r#"["null", "long"]"#,
    r#"["long", "null"]"#,
    r#"{"type": "array", "items": "int"}"#,
    r#"{"type": "array", "items": ["string", "null"]}"#,
    POINT,
];

const POINT: &str = r#"{"type": "record", "name": "Point", "fields": [
    {"name": "x", "type": "long"}, {"name": "label", "type": ["null", "string"], "default": null}]}"#;

fn values() -> impl Strategy<Value = Any> {
    let symbols = (0..4_u32, proptest::sample::select(vec!["red", "green", "blue", "unknown"]));
    let label = proptest::option::of(".{0,80}");
    let simple = prop_oneof![
        any::<bool>().prop_map(Any::Bool),
        any::<i8>().prop_map(Any::I8),
        any::<i16>().prop_map(Any::I16),
        any::<i32>().prop_map(Any::I32),
        (any::<i64>(), 0..64_u32).prop_map(|(it, by)| Any::I64(it >> by)),
        any::<u8>().prop_map(Any::U8),
        any::<u16>().prop_map(Any::U16),
        any::<u32>().prop_map(Any::U32),
        any::<u64>().prop_map(Any::U64),
        any::<f64>().prop_map(Any::F64),
        any::<char>().prop_map(Any::Char),
        ".{0,80}".prop_map(Any::Text),
        vec(any::<u8>(), 0..200).prop_map(Any::Bytes),
        Just(Any::Unit),
        Just(Any::Nothing),
        symbols.prop_map(|(index, symbol)| Any::Symbol(index, symbol)),
        (any::<i64>(), ".{0,9}").prop_map(|(x, label)| Any::Pair(x, label)),
        any::<i64>().prop_map(Any::Around),
        (any::<i64>(), label.clone()).prop_map(|(x, label)| Any::Point(Point { x, label })),
        (any::<i64>(), label).prop_map(|(x, label)| Any::Skipping(Skipping { x, label })),
    ];
    simple.prop_recursive(2, 100, 70, |inner| {
        let alike = (inner.clone(), 0..70_usize).prop_map(|(item, count)| vec![item; count]);
        let items = prop_oneof![vec(inner.clone(), 0..3), alike];
        prop_oneof![
            inner.prop_map(|it| Any::Some(Box::new(it))),
            items.clone().prop_map(|items| Any::List(items.clone(), Some(items.len()))),
            (items, proptest::option::of(0..3_usize)).prop_map(|(items, said)| Any::List(items, said)),
        ]
    })
}

fn by_avro(schema: &Schema, value: &impl Serialize) -> Option<Vec<u8>> {
    let writer = GenericDatumWriter::builder(schema).human_readable(true).build().unwrap();
    writer.write_ser_to_vec(value).ok()
}

fn write(text: &str, value: &impl Serialize) -> Result<Vec<u8>, String> {
    let mut out = b"before".to_vec();
    let shape = Shape::of(&Schema::parse_str(text).unwrap()).unwrap();
    match shape.write(value, &mut out) {
        Ok(()) => Ok(out.split_off(6)),
        Err(error) => {
            assert_eq!(out, b"before", "nothing of it stays");
            Err(error.to_string())
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_what_avro_writes(value in values()) {
        for text in SCHEMAS {
            if let Ok(written) = write(text, &value) {
                prop_assert_eq!(Some(written), by_avro(&Schema::parse_str(text).unwrap(), &value), "{}", text);
            }
        }
    }
}

#[test]
fn every_kind_is_written_as_avro_writes_it() {
    let fitting = [
        vec![Any::Unit],
        vec![Any::Bool(true), Any::Bool(false)],
        vec![
            Any::I32(i32::MIN),
            Any::I32(-1),
            Any::I32(64),
            Any::I8(-3),
            Any::I16(300),
            Any::U8(200),
            Any::U16(65_535),
        ],
        vec![Any::I64(i64::MIN), Any::I64(i64::MAX), Any::I64(0), Any::I64(-64), Any::I64(-65), Any::U32(u32::MAX)],
        vec![Any::I64(1_795_255_200_000_000)],
        vec![Any::Text(String::new()), Any::Text("ệ".repeat(40))],
        vec![Any::Text("01880000-0000-7000-8000-000000000001".to_owned())],
        vec![Any::Bytes(Vec::new()), Any::Bytes(vec![7; 9_000])],
        // The last has its symbols in another order than the schema.
        vec![Any::Symbol(0, "red"), Any::Symbol(2, "blue"), Any::Symbol(0, "green"), Any::Symbol(9, "green")],
        vec![Any::Nothing, Any::Some(Box::new(Any::I64(5)))],
        vec![Any::Nothing, Any::Some(Box::new(Any::I64(5)))],
        vec![Any::List(Vec::new(), Some(0)), Any::List(vec![Any::I32(1); 100], Some(100))],
        vec![Any::List(vec![Any::Nothing, Any::Some(Box::new(Any::Text("a".to_owned())))], Some(2))],
        vec![
            Any::Point(Point { x: 1, label: None }),
            Any::Point(Point { x: -1, label: Some("there".to_owned()) }),
            Any::Skipping(Skipping { x: 1, label: Some("there".to_owned()) }),
        ],
    ];
    for (text, values) in SCHEMAS.iter().zip(fitting) {
        for value in values {
            let written = write(text, &value).unwrap_or_else(|error| panic!("{text} {value:?}: {error}"));
            assert_eq!(Some(written), by_avro(&Schema::parse_str(text).unwrap(), &value), "{text} {value:?}");
        }
    }
}

#[test]
fn fields_that_are_not_the_schemas_in_its_order_are_refused() {
    let refused = |error: &str, value: Result<Vec<u8>, String>| assert_eq!(value, Err(error.to_owned()));
    let label = None;
    refused("label: it is not the record's next field", write(POINT, &Backwards { label: None, x: 1 }));
    refused("z: it is not the record's next field", write(POINT, &More { x: 1, label, z: 1 }));
    refused("label: it is missing", write(POINT, &Skipping { x: 1, label: None }));
}

#[test]
fn an_error_says_where_and_what_but_not_the_value() {
    let nested = r#"{"type": "record", "name": "Outer", "fields": [{"name": "x", "type": "long"},
        {"name": "label", "type": ["null", "bytes"]}]}"#;
    let error = write(nested, &Point { x: 1, label: Some("secret".to_owned()) });
    assert_eq!(error, Err("label: a text is not bytes".to_owned()));
    let error = write(SCHEMAS[8], &Any::Symbol(1, "unknown"));
    assert_eq!(error, Err("there is no symbol unknown".to_owned()));
}

#[test]
fn a_list_that_does_not_keep_its_word_is_refused() {
    let items = vec![Any::I32(1), Any::I32(2)];
    for said in [None, Some(0), Some(1), Some(3)] {
        assert!(write(SCHEMAS[11], &Any::List(items.clone(), said)).is_err(), "{said:?}");
    }
    assert!(write(SCHEMAS[11], &Any::List(items, Some(2))).is_ok());
}

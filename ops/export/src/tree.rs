//! The schemas of all records, taken apart: names, types and what they say of themselves.

use std::collections::HashMap;
use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::schema::{RecordField, UuidSchema};
use schemas::RecordType;
use serde_json::Value;

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Yes or no.
    Boolean,
    /// 32 bits.
    Int,
    /// 64 bits; money is in minor units of its currency.
    Long,
    /// Microseconds since 1970, UTC.
    Moment,
    /// A text.
    Text,
    /// A UUID, 36 characters.
    Uuid,
    /// Bytes; personal data are ciphertext.
    Bytes,
    /// One of these words.
    Enum(Vec<String>),
    /// That, or nothing; whether null comes first in Avro.
    Optional(Box<Node>, bool),
    /// Any number of them.
    List(Box<Node>),
    /// Fields of its own.
    Record(Vec<Field>),
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What the schema says about it.
    pub doc: String,
    /// Whether it holds personal data, as ciphertext.
    pub personal: bool,
    /// What it holds.
    pub node: Node,
}

/// A record type, taken apart.
#[derive(Debug)]
pub struct Tree {
    /// The fields of `meta`, for events.
    pub meta: Option<Vec<Field>>,
    /// The record's own fields.
    pub own: Vec<Field>,
}

/// The tree of every record type; our own schemas, so that they are parsed once.
pub fn tree(record: RecordType) -> &'static Tree {
    static TREES: LazyLock<HashMap<RecordType, Tree>> =
        LazyLock::new(|| RecordType::all().map(|record| (record, Tree::of(record))).collect());
    &TREES[&record]
}

impl Tree {
    fn of(record: RecordType) -> Self {
        let schema = Schema::parse_str(record.text()).expect("the schema files are tested");
        let Some(Node::Record(mut own)) = node(&schema, &mut HashMap::new()) else {
            unreachable!("every schema file holds a record of types that are known here, as a test says")
        };
        let meta = matches!(record, RecordType::Event(_)).then(|| match own.remove(0).node {
            Node::Record(fields) => fields,
            _ => unreachable!("every event begins with its meta"),
        });
        Self { meta, own }
    }
}

/// Takes a schema apart; none if it has a type that ours have not.
pub fn node<'s>(schema: &'s Schema, named: &mut HashMap<String, &'s Schema>) -> Option<Node> {
    if let (Some(name), false) = (schema.name(), matches!(schema, Schema::Ref { .. })) {
        named.insert(name.to_string(), schema);
    }
    Some(match schema {
        Schema::Boolean => Node::Boolean,
        Schema::Int => Node::Int,
        Schema::Long => Node::Long,
        Schema::TimestampMicros => Node::Moment,
        Schema::String => Node::Text,
        Schema::Uuid(UuidSchema::String) => Node::Uuid,
        Schema::Bytes => Node::Bytes,
        Schema::Enum(it) => Node::Enum(it.symbols.clone()),
        Schema::Array(it) => Node::List(Box::new(node(&it.items, named)?)),
        Schema::Union(it) => match it.variants() {
            [Schema::Null, other] => Node::Optional(Box::new(node(other, named)?), true),
            [other, Schema::Null] => Node::Optional(Box::new(node(other, named)?), false),
            _ => return None,
        },
        Schema::Record(it) => {
            let fields = it.fields.iter().map(|it| field(it, named)).collect::<Option<Vec<_>>>()?;
            Node::Record(fields)
        }
        Schema::Ref { name } => {
            let found = *named.get(&name.to_string())?;
            node(found, named)?
        }
        _ => return None,
    })
}

fn field<'s>(it: &'s RecordField, named: &mut HashMap<String, &'s Schema>) -> Option<Field> {
    let personal = it.custom_attributes.get("pii") == Some(&Value::Bool(true));
    let node = node(&it.schema, named)?;
    Some(Field { name: it.name.clone(), doc: it.doc.clone().unwrap_or_default(), personal, node })
}

impl Node {
    /// What it holds, in a word or two, as `boxctl schema` shows it.
    pub fn word(&self) -> String {
        match self {
            Self::Boolean => "boolean".to_owned(),
            Self::Int => "int".to_owned(),
            Self::Long => "long".to_owned(),
            Self::Moment => "timestamp".to_owned(),
            Self::Text => "string".to_owned(),
            Self::Uuid => "uuid".to_owned(),
            Self::Bytes => "bytes".to_owned(),
            Self::Enum(symbols) => symbols.join("|"),
            Self::Optional(inner, _) => format!("{}?", inner.word()),
            Self::List(item) => format!("list of {}", item.word()),
            Self::Record(_) => "record".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_type_is_taken_apart() {
        for record in RecordType::all() {
            let tree = tree(record);
            assert_eq!(tree.meta.is_some(), matches!(record, RecordType::Event(_)), "{record:?}");
        }
    }

    #[test]
    fn personal_data_are_known() {
        let reserved = RecordType::named("boxoffice.inventory.TicketsReserved").unwrap();
        let checkout = tree(reserved).own.iter().find(|field| field.name == "checkout").unwrap();
        let Node::Optional(inner, true) = &checkout.node else { panic!("{checkout:?}") };
        let Node::Record(fields) = &**inner else { panic!("{inner:?}") };
        let personal: Vec<&str> = fields.iter().filter(|it| it.personal).map(|it| it.name.as_str()).collect();
        assert_eq!(personal, ["buyer"]);
    }
}

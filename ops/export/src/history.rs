//! What an event looks like, and what became of it from version to version.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{RecordType, SchemaRecord};
use serde::Serialize;

use crate::tree::{Field, Node, tree};

/// One version of a type's schema.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Version {
    /// The id under which records of it begin.
    pub id: u32,
    /// The registry's subject.
    pub subject: String,
    /// The registry's number of it; none if it does not have it.
    pub version: Option<u32>,
    /// Whether the log's own copy, `event-schemas`, has it.
    pub in_log: bool,
    /// Whether this boxctl writes it.
    pub ours: bool,
    /// What differs from the version before.
    pub changes: Vec<String>,
    /// The schema's text.
    pub schema: String,
}

/// A field as a table shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name, with those of what it lies in.
    pub name: String,
    /// What it holds; a question mark where it may be nothing.
    #[serde(rename = "type")]
    pub holds: String,
    /// Whether it is ciphertext.
    pub personal: bool,
    /// What the schema says.
    pub doc: String,
}

/// The fields of a type: first those of every event, then its own.
pub fn columns(record: RecordType) -> Vec<Column> {
    let tree = tree(record);
    let mut columns = Vec::new();
    let meta = tree.meta.iter().flatten();
    meta.for_each(|field| column("meta.", field, &mut columns));
    tree.own.iter().for_each(|field| column("", field, &mut columns));
    columns
}

fn column(prefix: &str, field: &Field, columns: &mut Vec<Column>) {
    let name = format!("{prefix}{}", field.name);
    columns.push(Column {
        name: name.clone(),
        holds: field.node.word(),
        personal: field.personal,
        doc: field.doc.clone(),
    });
    if let Some((fields, below)) = inner(&field.node) {
        fields.iter().for_each(|field| column(&format!("{name}{below}."), field, columns));
    }
}

fn inner(node: &Node) -> Option<(&[Field], &'static str)> {
    match node {
        Node::Record(fields) => Some((fields, "")),
        Node::Optional(node, _) => inner(node),
        Node::List(item) => inner(item).map(|(fields, _)| (fields, "[]")),
        _ => None,
    }
}

/// The type that a person names: `OrderPaid`, or its full name.
pub fn find(name: &str) -> Option<RecordType> {
    RecordType::named(name).or_else(|| RecordType::all().find(|it| crate::sink::short(*it) == name))
}

/// Names that begin or end alike, for whoever mistyped.
pub fn near(name: &str) -> Vec<&'static str> {
    let asked = name.to_lowercase();
    let is_near = |it: &&str| {
        let it = it.to_lowercase();
        let same = |(a, b): &(char, char)| a == b;
        let begin = it.chars().zip(asked.chars()).take_while(same).count();
        let end = it.chars().rev().zip(asked.chars().rev()).take_while(same).count();
        it.contains(&asked) || asked.contains(&it) || begin + end + 2 >= it.chars().count().max(asked.chars().count())
    };
    RecordType::all().map(crate::sink::short).filter(is_near).collect()
}

/// The history of a type: what the registry and the log's own copy have of it, oldest first.
pub fn versions(
    record: RecordType,
    ours: u32,
    subject: &str,
    registered: &[schemas::RegisteredVersion],
    copied: &[SchemaRecord],
) -> Vec<Version> {
    let mut all: BTreeMap<u32, Version> = BTreeMap::new();
    let blank = |id: u32, subject: &str, schema: &str| Version {
        id,
        subject: subject.to_owned(),
        version: None,
        in_log: false,
        ours: id == ours,
        changes: Vec::new(),
        schema: schema.to_owned(),
    };
    for it in registered {
        all.entry(it.id).or_insert_with(|| blank(it.id, subject, &it.schema)).version = Some(it.version);
    }
    for it in copied.iter().filter(|it| it.subject == subject) {
        let version = all.entry(it.id).or_insert_with(|| blank(it.id, subject, &it.schema));
        version.in_log = true;
        // The registry lays texts out anew; the copy has them as they were written.
        version.schema.clone_from(&it.schema);
    }
    all.entry(ours).or_insert_with(|| blank(ours, subject, record.text()));
    let mut versions: Vec<Version> = all.into_values().collect();
    versions.sort_by_key(|it| (it.version.unwrap_or(u32::MAX), it.id));
    for at in 1..versions.len() {
        versions[at].changes = changes(&versions[at - 1].schema, &versions[at].schema);
    }
    versions
}

/// What differs between two schemas, a line each.
pub fn changes(before: &str, after: &str) -> Vec<String> {
    let (Some(old), Some(new)) = (flat(before), flat(after)) else {
        return vec!["one of the two cannot be read by this version".to_owned()];
    };
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut changes = Vec::new();
    for name in names {
        match (old.get(name), new.get(name)) {
            (None, Some(holds)) => changes.push(format!("+ {name}: {holds}")),
            (Some(holds), None) => changes.push(format!("- {name}: {holds}")),
            (Some(was), Some(is)) if was != is => changes.push(format!("~ {name}: {was} → {is}")),
            _ => {}
        }
    }
    if changes.is_empty() {
        changes.push("only words: documentation, order or layout".to_owned());
    }
    changes
}

/// Every field by its path, with what it holds; none if it is no record of types that are known here.
fn flat(text: &str) -> Option<BTreeMap<String, String>> {
    let schema = apache_avro::Schema::parse_str(text).ok()?;
    let Node::Record(fields) = crate::tree::node(&schema, &mut std::collections::HashMap::new())? else { return None };
    let mut columns = Vec::new();
    fields.iter().for_each(|field| column("", field, &mut columns));
    let holds = |it: Column| (it.name, if it.personal { format!("{} (personal)", it.holds) } else { it.holds });
    Some(columns.into_iter().map(holds).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &str) -> String {
        format!(r#"{{"type": "record", "name": "A", "fields": [{fields}]}}"#)
    }

    #[test]
    fn changes_are_named() {
        let old = schema(
            r#"{"name": "a", "type": "int"}, {"name": "b", "type": {"type": "enum", "name": "E", "symbols": ["x"]}}"#,
        );
        let new = schema(
            r#"{"name": "b", "type": {"type": "enum", "name": "E", "symbols": ["x", "y"]}},
               {"name": "c", "type": ["null", "string"], "default": null}"#,
        );
        assert_eq!(changes(&old, &new), ["- a: int", "~ b: x → x|y", "+ c: string?"]);
        assert_eq!(changes(&old, &old), ["only words: documentation, order or layout"]);
    }

    #[test]
    fn fields_within_fields_have_paths() {
        let paid = find("OrderPaid").unwrap();
        let names: Vec<String> = columns(paid).into_iter().map(|it| it.name).collect();
        assert!(names.contains(&"meta.event_id".to_owned()), "{names:?}");
        assert!(names.contains(&"lines[].unit_price".to_owned()), "{names:?}");
        assert_eq!(find("boxoffice.order.OrderPaid"), Some(paid));
        assert!(near("paid").contains(&"OrderPaid"));
        assert_eq!(near("OrderPiad"), ["OrderPaid"]);
        assert!(near("nonsense").is_empty());
    }
}

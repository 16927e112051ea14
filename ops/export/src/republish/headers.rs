//! The headers and the value of a copy: CloudEvents 1.0, Kafka protocol binding, binary content mode.
//!
//! `content-type` is the media type of the value; every attribute is a header of its own, `ce_` before its name, UTF-8.

use domain::root::Meta;
use rdkafka::message::{Header, OwnedHeaders};
use schemas::{Codec, schema_id};

use super::Value;
use crate::datum::Datum;
use crate::row::Row;
use crate::sink::{read, unreadable};
use crate::text::{json_fields, moment};

/// Where a copy comes from: with these a restart finds what was copied.
pub(super) const SOURCE: &str = "ce_source";
pub(super) const PARTITION: &str = "ce_logpartition";
pub(super) const OFFSET: &str = "ce_logoffset";

/// What a copy carries beside its key.
pub(super) struct Copy {
    pub(super) headers: OwnedHeaders,
    pub(super) value: Vec<u8>,
}

/// Makes copies.
pub(super) struct Headers {
    codec: Codec,
    value: Value,
    namespace: String,
    schemas: String,
}

/// What the events of a topic have as their source: a URI reference.
pub(super) fn source(namespace: &str, topic: &str) -> String {
    match namespace {
        "" => format!("/boxoffice/{topic}"),
        namespace => format!("/boxoffice/{namespace}/{topic}"),
    }
}

impl Headers {
    pub(super) fn new(codec: Codec, value: Value, namespace: String, schemas: String) -> Self {
        Self { codec, value, namespace, schemas }
    }

    /// The copy of an event.
    pub(super) fn of(&self, row: &Row) -> anyhow::Result<Copy> {
        let (meta, _) = self.codec.decode(&row.value).map_err(|error| unreadable(row, error))?;
        let read = read(&self.codec, row).map_err(|error| unreadable(row, error))?;
        let mut pairs = self.attributes(row, &meta, read.record.full_name());
        // The extension for distributed tracing.
        pairs.extend(row.trace.as_ref().map(|trace| ("ce_traceparent", trace.to_string())));
        let value = match self.value {
            Value::Avro => {
                let id = schema_id(&row.value).unwrap_or_default();
                pairs.push(("ce_dataschema", format!("{}{id}", self.schemas)));
                pairs.push(("content-type", "application/avro".to_owned()));
                row.value.to_vec()
            }
            Value::Json => {
                pairs.push(("content-type", "application/json".to_owned()));
                json(&read).map_err(|error| unreadable(row, error))?
            }
        };
        let empty = OwnedHeaders::new_with_capacity(pairs.len());
        let add =
            |headers: OwnedHeaders, (key, value): &(&str, String)| headers.insert(Header { key, value: Some(value) });
        Ok(Copy { headers: pairs.iter().fold(empty, add), value })
    }

    fn attributes(&self, row: &Row, meta: &Meta, full_name: &str) -> Vec<(&'static str, String)> {
        vec![
            ("ce_specversion", "1.0".to_owned()),
            ("ce_id", meta.event_id.to_string()),
            ("ce_type", full_name.to_owned()),
            (SOURCE, source(&self.namespace, row.at.context.topic())),
            ("ce_subject", row.key_text().into_owned()),
            ("ce_time", moment(meta.occurred_at)),
            ("ce_aggregateversion", meta.version.to_string()),
            ("ce_correlationid", meta.correlation_id.to_string()),
            ("ce_causationid", meta.causation_id.to_string()),
            (PARTITION, row.at.number.to_string()),
            (OFFSET, row.offset.to_string()),
            ("ce_logtime", moment(row.log_time)),
        ]
    }
}

/// The event's own fields and, as in Avro, its `meta` before them.
fn json(read: &crate::sink::Read<'_>) -> Result<Vec<u8>, crate::datum::BadDatum> {
    let mut datum = Datum::new(&read.datum);
    let mut out = b"{\"meta\":".to_vec();
    json_fields(read.tree.meta.as_deref().unwrap_or_default(), &mut datum, &mut out)?;
    let own = out.len();
    json_fields(&read.tree.own, &mut datum, &mut out)?;
    datum.end()?;
    // What begins as an object of its own goes on with the one around it.
    out[own] = b',';
    Ok(out)
}

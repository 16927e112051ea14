//! The Avro contract of every event: schema files, codec, registry client, sealed personal data.

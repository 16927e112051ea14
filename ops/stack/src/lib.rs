//! The local stack without containers: Kafka, schema registry and Postgres on loopback.

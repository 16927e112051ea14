//! The log protocol: record, validity, claims, the owner of a partition, append and tail.

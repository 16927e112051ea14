//! Faults of servers: brokers, Postgres, the schema registry.

mod brokers;
mod cluster;
mod disk;
mod own;
mod postgres;
mod records;
mod registry;

use crate::fault::Fault;

/// Every one.
pub static ALL: &[Fault] = &[
    brokers::BROKER_KILLED,
    brokers::BROKER_FROZEN,
    brokers::LEADER_KILLED,
    brokers::MIN_ISR_LOST,
    disk::DISK_FULL,
    records::RECORD_TOO_LARGE,
    records::PRODUCER_FATAL,
    postgres::POSTGRES_KILLED,
    postgres::POSTGRES_WIPED,
    registry::REGISTRY_DOWN,
    registry::REGISTRY_OTHER_IDS,
];

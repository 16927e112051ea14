//! What the benchmarks have in common.
#![allow(dead_code, reason = "every benchmark uses a part of it")]

use std::time::Duration;

use domain::value::Timestamp;
use event_log::log::{NewRecord, Partition};
use event_log::owner::{Now, Settings};
use event_log::validity::Position;
use mixes::{Mix, Writer};
use rustix::time::{ClockId, clock_gettime};
use schemas::Codec;

/// How many partitions every topic has.
pub const PARTITIONS: u32 = 64;

/// How many events, and which part alone.
pub fn arguments(events: u64) -> (u64, Option<String>) {
    // Cargo adds `--bench` of its own.
    let given: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    let number = given.iter().find_map(|it| it.parse().ok());
    (number.unwrap_or(events), given.into_iter().find(|it| it.parse::<u64>().is_err()))
}

/// So many events with everything that lies between them.
pub fn made(codec: &Codec, mix: impl Mix, events: u64) -> Vec<NewRecord> {
    let mut writer = Writer::new(codec.clone(), mix, &Position::default(), Default::default(), mixes::START);
    let mut records = Vec::new();
    while writer.events < events {
        records.extend(writer.next());
    }
    records.extend(writer.rest());
    records
}

/// What an owner of this partition is told.
pub fn settings(partition: Partition) -> Settings {
    Settings {
        partition,
        partitions: PARTITIONS,
        instance: "bench".to_owned(),
        url: "http://127.0.0.1:9".to_owned(),
        ack_deadline: Duration::from_secs(5),
        barrier_after: Duration::from_millis(20),
        takeover_grace: Duration::from_secs(60),
        in_flight: 500,
        mailbox: 1_000,
        settle_every: Duration::from_secs(1),
        clock_tolerance: Duration::from_secs(2),
    }
}

/// Both clocks, standing still.
pub fn now() -> Now {
    Now { wall: Timestamp(0), mono: Duration::ZERO }
}

/// Processor time of this thread so far.
pub fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(now).expect("it is not negative")
}

/// Memory of this process, MB.
pub fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has this line");
    line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).expect("kilobytes") / 1024
}

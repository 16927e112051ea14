//! How fast one core folds the log of one partition, where the time goes, and what a snapshot of the result costs.
//!
//! `cargo bench -p event-log --bench fold -- [EVENTS] [inventory|orders|queue]`, by default a million events of each. Times
//! are those of the processor, not of the clock on the wall: other programs may run beside it.

mod support;

use std::hint::black_box;
use std::time::Duration;

use domain::inventory::Inventory;
use domain::order::Order;
use domain::queue::WaitingRoom;
use domain::root::Root;
use event_log::frame::{Frame, Kind};
use event_log::log::{NewRecord, Partition, Record};
use event_log::owner::{Owner, decoded};
use event_log::state::State;
use event_log::validity::{Reader, Verdict};
use mixes::{Fate, Mix, Orders, Sales, Visitors};
use schemas::Codec;
use support::{cpu, made, now, resident_mb, settings};

/// Records made ready at once; making them is not measured.
const CHUNK: usize = 512;
/// How often everything is repeated.
const ROUNDS: usize = 3;

fn main() {
    let (events, only) = support::arguments(1_000_000);
    println!("folding {events} events of one partition, median of {ROUNDS} rounds, processor time of one thread\n");
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    if wanted("inventory") {
        measure::<Inventory>("inventory", events, Sales::of_new(1, 8, Fate::Mixed));
    }
    if wanted("orders") {
        measure::<Order>("orders", events, Orders::new(2, 8, Fate::Mixed));
    }
    if wanted("queue") {
        measure::<WaitingRoom>("queue", events, Visitors::new(3, 8, Fate::Mixed));
    }
}

fn measure<A: Root>(name: &str, events: u64, mix: impl Mix) {
    let codec = Codec::in_memory();
    let records = made(&codec, mix, events);
    let bytes: usize = records.iter().map(NewRecord::size).sum();
    println!("{name}: {} records, {} bytes each", records.len(), bytes / records.len());

    let judged = median(|| {
        let mut reader = Reader::at(State::<A>::default().position);
        in_chunks(&records, |record| {
            black_box(reader.judge(record).expect("made logs are whole"));
        })
    });
    let read = median(|| {
        in_chunks(&records, |record| {
            if Frame::decode(&record.header).is_ok_and(|frame| frame.kind == Kind::Event) {
                black_box(codec.decode(&record.value).expect("made events are whole"));
            }
        })
    });
    let reacted = median(|| reactions::<A>(&codec, &records));
    let mut last = None;
    let folded = median(|| {
        let (owner, took) = fold::<A>(&codec, &records);
        last = Some(owner.state().clone());
        took
    });
    let rate = |took: Duration| events as f64 / took.as_secs_f64();
    println!(
        "  whole fold       {:>7.0} ns an event, {:>9.0} events/s on one core",
        each(folded, events),
        rate(folded)
    );
    println!("    validity       {:>7.0} ns", each(judged, events));
    println!("    decoding       {:>7.0} ns", each(read, events));
    println!("    reactions      {:>7.0} ns", each(reacted, events));
    let rest = folded.saturating_sub(judged + read + reacted);
    println!("    state          {:>7.0} ns (the rest)", each(rest, events));
    let state = last.expect("there was a round");
    println!("  {} aggregates, {} MB resident with the log in memory", state.aggregates().count(), resident_mb());
    snapshot(&state);
    println!();
}

/// As the owner of the partition does it.
fn fold<A: Root>(codec: &Codec, records: &[NewRecord]) -> (Owner<A, ()>, Duration) {
    let partition = Partition { context: A::CONTEXT, number: 0 };
    let new_claim = Box::new(uuid::Uuid::nil);
    let (mut owner, _) = Owner::<A, ()>::new(settings(partition), codec.clone(), State::default(), new_claim);
    let took = in_chunks(records, |record| {
        owner.read(record, now());
    });
    let folded = usize::try_from(owner.state().position.next).expect("it is not negative");
    assert_eq!(folded, records.len(), "everything was folded");
    (owner, took)
}

/// What the events cause, from decoded commands.
fn reactions<A: Root>(codec: &Codec, records: &[NewRecord]) -> Duration {
    let mut reader = Reader::at(State::<A>::default().position);
    let mut took = Duration::ZERO;
    for (n, chunk) in records.chunks(CHUNK).enumerate() {
        let mut commands = Vec::with_capacity(chunk.len());
        for record in ready(n, chunk) {
            if let Verdict::Command(valid) = reader.judge(record).expect("made logs are whole") {
                commands.extend(decoded::<A>(codec, valid).expect("made events are whole").events);
            }
        }
        let commands: Vec<_> = commands.into_iter().map(|(meta, event)| (meta, event.into())).collect();
        let began = cpu();
        for (meta, event) in &commands {
            black_box(domain::saga::react(event, meta));
        }
        took += cpu() - began;
    }
    took
}

fn in_chunks(records: &[NewRecord], mut each: impl FnMut(Record)) -> Duration {
    let mut took = Duration::ZERO;
    for (n, chunk) in records.chunks(CHUNK).enumerate() {
        let ready = ready(n, chunk);
        let began = cpu();
        ready.into_iter().for_each(&mut each);
        took += cpu() - began;
    }
    took
}

fn ready(chunk: usize, records: &[NewRecord]) -> Vec<Record> {
    let first = i64::try_from(chunk * CHUNK).expect("there are few records");
    mixes::records(first, mixes::START, records)
}

fn snapshot<A: Root>(state: &State<A>) {
    let began = cpu();
    let mut bytes = Vec::new();
    state.store(&mut bytes).expect("a state can be written");
    let wrote = cpu() - began;
    let began = cpu();
    let restored = State::<A>::restore(&bytes).expect("it can be read");
    let took = cpu() - began;
    assert_eq!(restored.position, state.position);
    let mb = bytes.len() as f64 / 1e6;
    println!("  snapshot         {mb:.1} MB, written in {} ms, read in {} ms", wrote.as_millis(), took.as_millis());
}

fn median(mut round: impl FnMut() -> Duration) -> Duration {
    let mut all: Vec<Duration> = (0..ROUNDS).map(|_| round()).collect();
    all.sort();
    all[ROUNDS / 2]
}

fn each(took: Duration, events: u64) -> f64 {
    took.as_nanos() as f64 / events as f64
}

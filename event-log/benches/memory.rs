//! How many bytes the state of a partition takes for each open reservation, finished order and queued visitor.
//!
//! `cargo bench -p event-log --bench memory -- [COUNT]`. Counted are the bytes asked of the allocator and not given back.

mod support;

use std::alloc::System;
use std::collections::BTreeMap;

use domain::inventory::Inventory;
use domain::order::Order;
use domain::queue::WaitingRoom;
use domain::root::Root;
use event_log::log::Partition;
use event_log::owner::Owner;
use event_log::state::State;
use event_log::validity::Position;
use mixes::{Fate, Mix, Orders, Sales, Visitors, Writer};
use schemas::Codec;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::{now, settings};
use uuid::Uuid;

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let (count, _) = support::arguments(200_000);
    println!("bytes on the heap for each of {count}, in the aggregate alone and in its partition's state");
    println!("(which also remembers the id of every command for 24 hours, and timers)\n");
    println!("{:<22}{:>10}{:>12}{:>10}", "", "alone", "partition", "commands");
    each::<Inventory>("open reservation", count, Sales::of_new(1, 8, Fate::Open(count)));
    each::<Inventory>("paid reservation", count, Sales::of_new(1, 8, Fate::Done(count)));
    each::<Order>("open order", count, Orders::new(2, 8, Fate::Open(count)));
    each::<Order>("finished order", count, Orders::new(2, 8, Fate::Done(count)));
    each::<WaitingRoom>("queued visitor", count, Visitors::new(3, 8, Fate::Open(count)));
}

fn each<A: Root>(what: &str, count: u64, mix: impl Mix + Clone) {
    let alone = alone::<A>(mix.clone());
    let (whole, commands) = partition::<A>(mix);
    let per = |bytes: usize| bytes as f64 / count as f64;
    println!("{what:<22}{:>10.0}{:>12.0}{:>10.1}", per(alone), per(whole), commands as f64 / count as f64);
}

/// The aggregates by themselves.
fn alone<A: Root>(mut mix: impl Mix) -> usize {
    let region = Region::new(COUNTING);
    let mut aggregates: BTreeMap<Uuid, A> = BTreeMap::new();
    loop {
        let events = mix.next(mixes::START);
        if events.is_empty() {
            break;
        }
        for event in events {
            let aggregate = aggregates.entry(event.aggregate()).or_default();
            aggregate.apply(A::Event::try_from(event).unwrap_or_else(|_| unreachable!("it is of this context")));
        }
    }
    drop(mix);
    let kept: Vec<A> = aggregates.into_values().collect();
    let change = region.change();
    drop(kept);
    change.bytes_allocated.saturating_sub(change.bytes_deallocated)
}

/// The whole state of a partition, with how many commands it took.
fn partition<A: Root>(mix: impl Mix) -> (usize, u64) {
    let codec = Codec::in_memory();
    let region = Region::new(COUNTING);
    let partition = Partition { context: A::CONTEXT, number: 0 };
    let new_claim = Box::new(Uuid::nil);
    let (mut owner, _) = Owner::<A, ()>::new(settings(partition), codec.clone(), State::default(), new_claim);
    let mut writer = Writer::new(codec, mix, &Position::default(), Default::default(), mixes::START);
    let mut offset = 0;
    let mut read = |new| {
        for record in mixes::records(offset, mixes::START, [&new]) {
            owner.read(record, now());
            offset += 1;
        }
    };
    writer.by_ref().for_each(&mut read);
    writer.settle();
    writer.rest().into_iter().for_each(&mut read);
    let commands = writer.events;
    drop(writer);
    assert_eq!(owner.state().position.next, offset, "everything was folded");
    let change = region.change();
    drop(owner);
    (change.bytes_allocated.saturating_sub(change.bytes_deallocated), commands)
}

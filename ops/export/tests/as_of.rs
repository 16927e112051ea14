//! An aggregate as of a moment is the aggregate at that moment.

use std::sync::Arc;

use domain::inventory::Inventory;
use domain::order::Order;
use domain::root::{Context, Root};
use domain::value::Timestamp;
use event_log::log::Log;
use event_log::partition::partition_of;
use export::as_of::as_of;
use mixes::{Fate, Mix, Orders, START, Sales, Writer};
use schemas::Codec;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{PARTITIONS, Written, at};

/// Every state that an aggregate ever had, with the moment of the log from which on it had it.
fn written<A: Root>(codec: &Codec, mix: impl Mix, events: u64) -> (Written, Vec<(Uuid, Timestamp, Value)>) {
    let mut writer = Writer::new(codec.clone(), mix, &Default::default(), Default::default(), START);
    let mut log = Written::default();
    let mut aggregates = std::collections::BTreeMap::<Uuid, A>::new();
    let mut states = Vec::new();
    let mut n = 0;
    while writer.events < events {
        let record = writer.next().unwrap();
        let frame = event_log::frame::Frame::decode(&record.header).unwrap();
        n += 1;
        let time = Timestamp(START.0 + n * 1_000);
        if let Ok((_, event)) = codec.decode(&record.value) {
            let id = event.aggregate();
            let aggregate = aggregates.entry(id).or_default();
            let Ok(event) = A::Event::try_from(event) else { panic!("of this topic") };
            aggregate.apply(event);
            states.push((id, time, json!(aggregate)));
        }
        // Whatever lies there, every partition has it: an id is looked for in its own.
        for number in 0..PARTITIONS {
            log.push(at(A::CONTEXT, number), time, &frame, &record.key, record.value.clone());
        }
    }
    (log, states)
}

/// Without fingerprints, which are shown as digits.
fn plain(mut value: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("fingerprint");
                fields.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut value);
    value
}

fn every_moment<A: Root>(mix: impl Mix, events: u64) {
    let codec = Codec::in_memory();
    let (log, states) = written::<A>(&codec, mix, events);
    let log: Arc<dyn Log> = Arc::new(log);
    for (id, time, state) in &states {
        let found = as_of(&log, &codec, PARTITIONS, &[A::CONTEXT], *id, *time).unwrap();
        let [found] = &found[..] else { panic!("one aggregate has this id: {found:?}") };
        assert_eq!(plain(found.state.clone()), plain(state.clone()), "{id} at {time:?}");
        assert_eq!(found.partition, partition_of(*id, PARTITIONS));
        assert!(found.last.offset < found.below_offset);
        let before = states.iter().rev().find(|(other, at, _)| other == id && at < time);
        let earlier = as_of(&log, &codec, PARTITIONS, &[A::CONTEXT], *id, Timestamp(time.0 - 1)).unwrap();
        let earlier = earlier.first().map(|it| plain(it.state.clone()));
        assert_eq!(earlier, before.map(|(_, _, state)| plain(state.clone())), "{id} just before {time:?}");
    }
}

#[test]
fn an_order_is_as_it_was_at_every_moment() {
    every_moment::<Order>(Orders::new(3, 2, Fate::Done(12)), 30);
}

#[test]
fn stock_is_as_it_was_at_every_moment() {
    every_moment::<Inventory>(Sales::of_new(3, 2, Fate::Done(12)), 24);
}

#[test]
fn every_kind_of_aggregate_is_shown_as_json() {
    let codec = Codec::in_memory();
    let log: Arc<dyn Log> = Arc::new(Written::default());
    let found = as_of(&log, &codec, PARTITIONS, &Context::ALL, Uuid::nil(), START).unwrap();
    assert!(found.is_empty(), "nobody has this id");
}

//! A reader of its own: says which commands of a log count, in another way than the code under test.

use cqrs_es::Aggregate;
use domain::inventory::{Event, Inventory};
use event_log::frame::{Frame, Kind};
use event_log::log::Record;
use schemas::Codec;
use uuid::Uuid;

/// A command that counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    pub command: Uuid,
    /// The offset of its last event.
    pub offset: i64,
    pub events: Vec<Event>,
}

/// The commands that count. First it looks for the claims that took the partition one after another, then for what each
/// of them wrote before the next one, up to the first number left out.
pub fn counted(records: &[Record]) -> Vec<Counted> {
    let frames: Vec<(Frame, &Record)> =
        records.iter().map(|record| (Frame::decode(&record.header).unwrap(), record)).collect();
    let mut reigns: Vec<(Uuid, usize)> = Vec::new();
    for (at, (frame, _)) in frames.iter().enumerate() {
        if frame.kind == Kind::Claim && frame.term as usize == reigns.len() + 1 {
            reigns.push((frame.claim, at));
        }
    }
    let ends = reigns.iter().skip(1).map(|(_, at)| *at).chain([frames.len()]);
    let mut all = Vec::new();
    for ((claim, from), to) in reigns.iter().zip(ends) {
        let own = frames[*from + 1..to].iter().filter(|(frame, _)| frame.claim == *claim);
        let mut highest = 0;
        let mut kept = Vec::new();
        for (frame, record) in own {
            if frame.seq == highest + 1 && kept.len() as u64 == highest {
                kept.push((*frame, *record));
            }
            highest = highest.max(frame.seq);
        }
        all.extend(whole(&kept));
    }
    all
}

/// Only commands with all their events.
fn whole(kept: &[(Frame, &Record)]) -> Vec<Counted> {
    let codec = Codec::in_memory();
    let events: Vec<_> = kept.iter().filter(|(frame, _)| frame.kind == Kind::Event).collect();
    let groups = events.chunk_by(|one, two| one.0.cmd_id == two.0.cmd_id && two.0.evt_idx > 0);
    let whole = groups.filter(|group| group.len() == usize::from(group[0].0.evt_cnt));
    let count = |group: &[&(Frame, &Record)]| Counted {
        command: group[0].0.cmd_id,
        offset: group.last().unwrap().1.offset,
        events: group.iter().map(|(_, record)| codec.decode(&record.value).unwrap().1.try_into().unwrap()).collect(),
    };
    whole.map(count).collect()
}

/// The stock that the commands up to an offset, inclusive, lead to.
pub fn stock(counted: &[Counted], up_to: i64) -> Inventory {
    let mut stock = Inventory::default();
    let within = counted.iter().take_while(|command| command.offset <= up_to);
    within.flat_map(|command| command.events.clone()).for_each(|event| stock.apply(event));
    stock
}

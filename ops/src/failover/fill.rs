//! A partition with a long history: made events in valid frames, appended through the real log.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use domain::inventory::Inventory;
use domain::value::Timestamp;
use event_log::log::{Delivered, Followed, Log, Partition, Record};
use event_log::owner::absorb;
use event_log::state::State;
use event_log::validity::Reader;
use mixes::{Fate, STEP_US, Sale, Sales, Writer};
use schemas::Codec;

/// Records of one append.
const BATCH: usize = 500;
/// Appends under way.
const UNDER_WAY: usize = 16;
/// The broker says something within so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Appends so many events of the shows that are on sale there. Nobody may own the partition meanwhile.
///
/// # Errors
/// The log does not answer, is broken, or somebody else writes.
pub fn fill(log: &dyn Log, codec: &Codec, at: Partition, partitions: u32, events: u64) -> anyhow::Result<()> {
    let state = read(log, codec, at, partitions)?;
    let sales = state.aggregates().filter_map(|(_, entry)| sale(&entry.state)).collect::<Vec<_>>();
    ensure!(!sales.is_empty(), "no show is on sale in {at}");
    let versions: HashMap<_, _> = state.aggregates().map(|(id, entry)| (*id, entry.version)).collect();
    let count = i64::try_from(events).context("too many events")?;
    let begin = Timestamp(service_kit::clock::now().0 - count * STEP_US);
    let mix = Sales::of_known(7, sales, Fate::Mixed);
    let mut writer = Writer::new(codec.clone(), mix, &state.position, versions, begin);
    let first = writer.next_offset();
    let (told, reports) = sync_channel(UNDER_WAY * 2);
    let (mut sent, mut open) = (0_u64, 0_usize);
    loop {
        let over = writer.events >= events;
        if over {
            writer.settle();
        }
        let mut batch: Vec<_> = if over { Vec::new() } else { writer.by_ref().take(BATCH).collect() };
        if over {
            batch = writer.rest();
        }
        let (number, length) = (sent, batch.len() as u64);
        let told = told.clone();
        let report = move |delivered: Vec<Delivered>| drop(told.send(delivered));
        log.append(at, writer.claim(), number, batch, Arc::new(report));
        (sent, open) = (sent + length, open + 1);
        while open >= UNDER_WAY || (over && open > 0) {
            check(&reports, first)?;
            open -= 1;
        }
        if over {
            return Ok(());
        }
    }
}

/// Every record must lie where it would if nobody else wrote.
fn check(reports: &Receiver<Vec<Delivered>>, first: i64) -> anyhow::Result<()> {
    for Delivered { seq, result, .. } in reports.recv_timeout(PATIENCE).context("the log does not acknowledge")? {
        let expected = first + i64::try_from(seq).context("too many records")?;
        match result {
            Ok(offset) if offset == expected => {}
            Ok(offset) => bail!("a record lies at offset {offset} instead of {expected}: somebody else writes"),
            Err(error) => bail!("a record was not appended: {error}"),
        }
    }
    Ok(())
}

fn sale(inventory: &Inventory) -> Option<Sale> {
    let opened = inventory.opened()?;
    let terms = &inventory.classes().next()?.terms;
    Some(Sale {
        show: opened.show,
        organizer: opened.organizer.clone(),
        ticket_class: terms.ticket_class,
        price: terms.price,
        currency: opened.currency,
        waiting_room: opened.waiting_room,
    })
}

/// What the partition folds to.
fn read(log: &dyn Log, codec: &Codec, at: Partition, partitions: u32) -> anyhow::Result<State<Inventory>> {
    let (found, followed) = channel();
    let following = log.follow(at, 0, Arc::new(move |it| drop(found.send(it))));
    let mut state = State::default();
    let mut reader = Reader::at(state.position);
    loop {
        match followed.recv_timeout(PATIENCE).with_context(|| format!("{at} cannot be read"))? {
            Followed::Records(records) => {
                for record in records {
                    take(&mut state, &mut reader, codec, record, partitions)?;
                }
            }
            Followed::End(_) => break,
            Followed::Lost { start, end } => bail!("{at} begins at {start} and ends at {end}"),
        }
    }
    drop(following);
    Ok(state)
}

fn take(
    state: &mut State<Inventory>,
    reader: &mut Reader,
    codec: &Codec,
    record: Record,
    partitions: u32,
) -> anyhow::Result<()> {
    let verdict = reader.judge(record)?;
    absorb(state, codec, verdict, partitions)?;
    state.position = reader.position();
    Ok(())
}

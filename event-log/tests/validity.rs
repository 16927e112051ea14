//! Every way in which a log is broken stops the owner, loudly; nothing is skipped.

use event_log::frame::{BadFrame, Frame, Kind};
use event_log::log::NewRecord;
use event_log::memory::MemoryLog;
use event_log::owner::{CONTROL_KEY, Phase};
use event_log::state::State;
use event_log::validity::{Broken, Position, Reader};
use schemas::{Codec, Control};
use uuid::Uuid;

use crate::support::AT;
use crate::support::rig::{Rig, World, settings};
use crate::support::stock::{SHOW, look, open};

const ONE: Uuid = Uuid::from_u128(1);
const TWO: Uuid = Uuid::from_u128(2);

fn frame(kind: Kind, term: u32, claim: Uuid, seq: u64) -> Frame {
    Frame { kind, term, seq, evt_idx: 0, evt_cnt: 1, agg_ver: 1, claim, cmd_id: TWO, cmd_hash: [0; 16] }
}

fn record(frame: Frame, value: Vec<u8>) -> NewRecord {
    let key = if frame.kind == Kind::Event { SHOW.to_string() } else { CONTROL_KEY.to_owned() };
    NewRecord { key, header: frame.encode(), value, trace: None }
}

fn control(frame: Frame, value: &Control) -> NewRecord {
    record(frame, Codec::in_memory().encode_control(value).unwrap())
}

fn claim(term: u32, claim: Uuid) -> NewRecord {
    let value = Control::Claimed { claim, term, instance: "test".to_owned(), url: "http://127.0.0.1".to_owned() };
    control(frame(Kind::Claim, term, claim, 0), &value)
}

fn barrier(term: u32, claim: Uuid, seq: u64) -> NewRecord {
    control(frame(Kind::Barrier, term, claim, seq), &Control::Barrier)
}

fn event(frame: Frame) -> NewRecord {
    // A command of another kind encodes it; any valid value will do.
    let world = World::new();
    let log = world.log();
    let mut rig = Rig::serving(&world, &log, "writer");
    rig.submit(open(0, 1));
    rig.run();
    record(frame, log.records(AT)[1].value.to_vec())
}

/// Folds a log of these records, and says why it stops.
#[track_caller]
fn broken(records: &[NewRecord]) -> Broken {
    broken_for(Codec::in_memory(), records)
}

#[track_caller]
fn broken_for(codec: Codec, records: &[NewRecord]) -> Broken {
    let world = World::new();
    let log: MemoryLog = world.log();
    records.iter().for_each(|record| assert!(log.foreign_append(AT, record) >= 0));
    let mut rig = Rig::reading(codec, &world, &log, "one", settings(), State::default());
    rig.submit(look(1));
    rig.run();
    assert_eq!(rig.owner.phase(), Phase::Broken);
    assert_eq!(rig.outcomes(), [(1, "broken")], "who waits is told");
    rig.submit(look(2));
    rig.run_for(std::time::Duration::from_secs(40));
    assert_eq!(rig.outcomes()[1..], [(2, "broken")], "who comes later too");
    assert_eq!(log.records(AT).len(), records.len(), "it writes nothing");
    rig.broken.unwrap()
}

#[test]
fn a_log_begins_with_a_claim() {
    assert_eq!(broken(&[barrier(1, ONE, 1)]), Broken::NoFirstClaim);
}

#[test]
fn no_term_is_skipped() {
    let found = broken(&[claim(1, ONE), claim(3, TWO)]);
    assert_eq!(found, Broken::TermSkipped { current: 1, found: 3, offset: 1 });
    assert_eq!(broken(&[claim(2, ONE)]), Broken::TermSkipped { current: 0, found: 2, offset: 0 });
}

#[test]
fn no_record_comes_from_a_term_without_a_claim() {
    let found = broken(&[claim(1, ONE), barrier(2, TWO, 1)]);
    assert_eq!(found, Broken::FutureTerm { current: 1, found: 2, offset: 1 });
}

#[test]
fn a_term_has_one_claim() {
    let found = broken(&[claim(1, ONE), claim(1, TWO), barrier(1, TWO, 1)]);
    assert_eq!(found, Broken::ForeignClaim { term: 1, offset: 2 });
}

#[test]
fn every_header_is_read() {
    let mut strange = barrier(1, ONE, 1);
    strange.header[0] = 2;
    let found = broken(&[claim(1, ONE), strange]);
    assert_eq!(found, Broken::Header { offset: 1, source: BadFrame::Layout(2) });
    let mut strange = barrier(1, ONE, 1);
    strange.header[1] = 9;
    assert_eq!(broken(&[claim(1, ONE), strange]), Broken::Header { offset: 1, source: BadFrame::Kind(9) });
}

#[test]
fn the_events_of_a_command_follow_each_other() {
    let first = Frame { evt_cnt: 2, ..frame(Kind::Event, 1, ONE, 1) };
    let second = Frame { evt_idx: 1, seq: 2, ..first };
    let orphan = Frame { seq: 1, ..second };
    assert_eq!(broken(&[claim(1, ONE), event(orphan)]), Broken::Frame { offset: 1 });
    let other_command = Frame { cmd_id: ONE, ..second };
    assert_eq!(broken(&[claim(1, ONE), event(first), event(other_command)]), Broken::Frame { offset: 2 });
    let other_count = Frame { evt_cnt: 3, ..second };
    assert_eq!(broken(&[claim(1, ONE), event(first), event(other_count)]), Broken::Frame { offset: 2 });
    assert_eq!(broken(&[claim(1, ONE), event(first), barrier(1, ONE, 2)]), Broken::Frame { offset: 2 });
}

#[test]
fn every_value_is_decoded() {
    let unknown = record(frame(Kind::Event, 1, ONE, 1), vec![0, 0, 0, 99, 99]);
    assert!(matches!(broken(&[claim(1, ONE), unknown]), Broken::Undecodable { offset: 1, .. }));
    let nonsense = record(frame(Kind::Settled, 1, ONE, 1), vec![1, 2, 3]);
    assert!(matches!(broken(&[claim(1, ONE), nonsense]), Broken::Undecodable { offset: 1, .. }));
    let wrong = control(frame(Kind::Settled, 1, ONE, 1), &Control::Barrier);
    assert!(matches!(broken(&[claim(1, ONE), wrong]), Broken::Undecodable { offset: 1, .. }));
}

#[test]
fn an_event_of_a_later_program_stops_the_owner_and_says_that_it_is_too_old() {
    let later = r#"{"type": "record", "name": "SeatsBlessed", "namespace": "boxoffice.inventory", "fields": []}"#;
    let codec = Codec::in_memory();
    codec.learn_text(99_000, later).unwrap();
    let value = [&[0], &99_000_u32.to_be_bytes()[..]].concat();
    let found = broken_for(codec, &[claim(1, ONE), record(frame(Kind::Event, 1, ONE, 1), value)]).to_string();
    assert!(found.contains("boxoffice.inventory.SeatsBlessed") && found.contains("too old"), "{found}");
}

#[test]
fn no_offset_is_missing() {
    let world = World::new();
    let log = world.log();
    [claim(1, ONE), barrier(1, ONE, 1), barrier(1, ONE, 2)]
        .iter()
        .for_each(|it| assert!(log.foreign_append(AT, it) >= 0));
    let records = log.records(AT);
    let mut reader = Reader::at(Position::default());
    reader.judge(records[0].clone()).unwrap();
    assert_eq!(reader.judge(records[2].clone()).unwrap_err(), Broken::Gap { expected: 1, found: 2 });
}

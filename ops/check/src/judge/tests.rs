use bytes::Bytes;
use domain::value::Timestamp;
use event_log::frame::{Frame, Kind};
use event_log::log::Record;
use event_log::validity::{Position, Reader, Void};
use uuid::Uuid;

use super::{Judge, Judged, agree};

const ONE: (u32, Uuid) = (1, Uuid::from_u128(1));
const TWO: (u32, Uuid) = (2, Uuid::from_u128(2));

fn record(kind: Kind, (term, claim): (u32, Uuid), seq: u64, (evt_idx, evt_cnt): (u16, u16)) -> Record {
    let frame = Frame { kind, term, seq, evt_idx, evt_cnt, agg_ver: 1, claim, cmd_id: claim, cmd_hash: [0; 16] };
    let header = Bytes::copy_from_slice(&frame.encode());
    Record { offset: 0, timestamp: Timestamp(0), key: Bytes::new(), header, value: Bytes::new(), trace: None }
}

fn claim(of: (u32, Uuid)) -> Record {
    record(Kind::Claim, of, 0, (0, 1))
}

fn event(of: (u32, Uuid), seq: u64) -> Record {
    record(Kind::Event, of, seq, (0, 1))
}

/// In a word each: what the checker and the services' reader make of them, which must be the same.
fn judged(records: Vec<Record>) -> Vec<&'static str> {
    let (mut judge, mut reader) = (Judge::default(), Reader::at(Position::default()));
    let mut words = Vec::new();
    for (offset, record) in (0..).zip(records) {
        let record = Record { offset, ..record };
        let (ours, theirs) = (judge.judge(record.clone()), reader.judge(record));
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => assert!(agree(ours, theirs), "{ours:?} {theirs:?}"),
            (Err(_), Err(_)) => {
                words.push("broken");
                break;
            }
            other => panic!("{other:?}"),
        }
        words.push(match ours.unwrap() {
            Judged::Claim => "claim",
            Judged::Barrier => "barrier",
            Judged::Settled(_) => "settled",
            Judged::Whole(_) => "whole",
            Judged::Part => "part",
            Judged::Void(Void::OldTerm) => "old term",
            Judged::Void(Void::Duplicate) => "twice",
            Judged::Void(Void::AfterHole) => "after a hole",
        });
    }
    words
}

#[test]
fn what_counts_counts() {
    let pair = [record(Kind::Event, ONE, 2, (0, 2)), record(Kind::Event, ONE, 3, (1, 2))];
    let rest =
        [record(Kind::Barrier, ONE, 4, (0, 1)), record(Kind::Settled, ONE, 5, (0, 1)), claim(TWO), event(TWO, 1)];
    let log = [vec![claim(ONE), event(ONE, 1)], pair.to_vec(), rest.to_vec()].concat();
    assert_eq!(judged(log), ["claim", "whole", "part", "whole", "barrier", "settled", "claim", "whole"]);
}

#[test]
fn what_is_void_is_void_for_one_reason() {
    let log = vec![claim(ONE), event(ONE, 1), event(ONE, 1), event(ONE, 3), event(ONE, 2)];
    assert_eq!(judged(log), ["claim", "whole", "twice", "after a hole", "after a hole"]);
    let half = record(Kind::Event, ONE, 1, (0, 2));
    let log = vec![claim(ONE), half, claim(TWO), event(ONE, 2), claim(ONE), event(TWO, 1)];
    assert_eq!(judged(log), ["claim", "part", "claim", "old term", "old term", "whole"]);
}

#[test]
fn what_is_broken_ends_it() {
    assert_eq!(judged(vec![event(ONE, 1)]), ["broken"], "no claim");
    assert_eq!(judged(vec![claim(TWO)]), ["broken"], "a term left out");
    assert_eq!(judged(vec![claim(ONE), event(TWO, 1)]), ["claim", "broken"], "a term never claimed");
    assert_eq!(judged(vec![claim(ONE), event((1, TWO.1), 1)]), ["claim", "broken"], "two claims of one term");
    let torn = vec![claim(ONE), record(Kind::Event, ONE, 1, (1, 2))];
    assert_eq!(judged(torn), ["claim", "broken"], "a command without its beginning");
    let other = vec![claim(ONE), record(Kind::Event, ONE, 1, (0, 2)), event(ONE, 2)];
    assert_eq!(judged(other), ["claim", "part", "broken"], "another command inside");
    let mut header = claim(ONE);
    header.header = Bytes::from_static(b"x");
    assert_eq!(judged(vec![header]), ["broken"]);
}

#[test]
fn a_difference_is_seen() {
    let (mut judge, mut reader) = (Judge::default(), Reader::at(Position::default()));
    let (ours, theirs) = (judge.judge(claim(ONE)).unwrap(), reader.judge(claim(ONE)).unwrap());
    assert!(agree(&ours, &theirs));
    for other in [Judged::Barrier, Judged::Part, Judged::Void(Void::OldTerm), Judged::Whole(vec![])] {
        assert!(!agree(&other, &theirs), "{other:?}");
    }
    let void = reader.judge(Record { offset: 1, ..claim(ONE) }).unwrap();
    assert!(agree(&Judged::Void(Void::OldTerm), &void) && !agree(&Judged::Void(Void::Duplicate), &void));
}

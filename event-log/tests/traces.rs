//! A recorded trace goes with what it leads to, through the log and across a take-over; what is not traced has nothing of it.

use std::sync::Arc;
use std::time::Duration;

use domain::ids::CommandId;
use domain::payment::{self, Payment};
use domain::trace::TraceContext;
use event_log::log::Record;
use event_log::memory::MemoryLog;
use event_log::owner::Submission;
use event_log::state::State;
use uuid::Uuid;

use crate::stored::{PAYMENTS, request, rig};
use crate::support::image::image;
use crate::support::rig::{Rig, World};

const TRACE: TraceContext = TraceContext { trace: 0x7ace, span: 0x51, sampled: true };

fn traced(n: u32) -> Submission<Payment, u32> {
    Submission { trace: Some(Arc::new(TRACE)), ..request(n) }
}

/// The provider says no; nobody tells the trace.
fn failed(n: u32, of: u32) -> Submission<Payment, u32> {
    let ask = payment::Command::RecordFailure { reason: "no".to_owned() };
    let id = Uuid::from_u128(0xf0_0000 + u128::from(n));
    Submission { ask, id: CommandId(id), reply: n, ..request(of) }
}

/// Everything that lies in the log, and of which trace it is.
fn lying(log: &MemoryLog) -> Vec<Option<TraceContext>> {
    let trace = |record: Record| record.trace.as_deref().copied();
    log.records(PAYMENTS).into_iter().map(trace).collect()
}

fn begun(submissions: impl IntoIterator<Item = Submission<Payment, u32>>) -> (World, MemoryLog, Rig<Payment>) {
    let world = World::new();
    let log = world.log();
    let mut owner = rig(&world, &log, State::default());
    owner.run();
    submissions.into_iter().for_each(|submission| owner.submit(submission));
    owner.run();
    (world, log, owner)
}

fn sent(owner: &Rig<Payment>) -> Vec<Option<TraceContext>> {
    owner.sends.iter().map(|sent| sent.trace.as_deref().copied()).collect()
}

#[test]
fn a_trace_is_on_its_records_and_on_what_they_cause_and_on_nothing_else() {
    let (_, log, owner) = begun([request(1), traced(2), request(3)]);
    assert_eq!(lying(&log), [None, None, Some(TRACE), None], "the claim, and three requests");
    assert_eq!(sent(&owner), [None, Some(TRACE), None]);
}

#[test]
fn whoever_takes_over_goes_on_with_the_trace() {
    let (world, log, owner) = begun([request(1), traced(2)]);
    let stored = image(owner.owner.state()).bytes;
    drop(owner);
    for state in [State::default(), State::<Payment>::restore(&stored).unwrap()] {
        let mut next = rig(&world, &log, state);
        next.run();
        assert!(next.serves());
        assert_eq!(sent(&next), [None, Some(TRACE)], "sent again");
    }
}

#[test]
fn what_happens_to_a_purchase_by_itself_goes_on_with_its_trace() {
    let (world, log, owner) = begun([request(1), traced(2)]);
    drop(owner);
    let mut next = rig(&world, &log, State::default());
    next.run();
    next.submit(failed(5, 1));
    next.submit(failed(6, 2));
    next.run();
    assert_eq!(lying(&log)[4..], [None, Some(TRACE)], "behind both claims and both requests");
}

#[test]
fn what_is_answered_is_forgotten_and_what_is_not_traced_takes_no_room() {
    let (_, _, mut owner) = begun([request(1), traced(2)]);
    let offset = owner.sends[1].at.0;
    assert_eq!(owner.owner.state().trace_of_cause(offset).as_deref(), Some(&TRACE));
    let answered: Vec<(i64, usize)> = owner.sends.iter().map(|sent| sent.at).collect();
    answered.into_iter().for_each(|at| owner.owner.settled(at));
    owner.run_for(Duration::from_secs(3));
    assert!(owner.owner.state().outbox.is_empty());
    assert_eq!(owner.owner.state().trace_of_cause(offset), None);
    let restored = State::<Payment>::restore(&image(owner.owner.state()).bytes).unwrap();
    assert_eq!(image(&restored), image(owner.owner.state()));

    let (_, _, untraced) = begun([request(1), request(2)]);
    let (_, _, traced) = begun([request(1), traced(2)]);
    let sizes = [&untraced, &traced].map(|owner| image(owner.owner.state()).bytes.len());
    assert!(sizes[0] + 30 < sizes[1], "{sizes:?}");
    assert_eq!(image(untraced.owner.state()).bytes.last(), Some(&0), "no traces: one byte says so");
}

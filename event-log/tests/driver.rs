//! The owner on its own thread, on both logs: commands, a take-over by another process, and the way out.

use std::sync::Arc;

use event_log::log::Log;
use event_log::memory::MemoryLog;
use event_log::owner::Settings;

use crate::support::rig::{settings, short};
use crate::support::running::{PATIENCE, Running, both};
use crate::support::stock::{look, open, reserve};
use crate::support::{AT, oracle, wall};

fn everything(log: &Arc<dyn Log>) -> Vec<event_log::log::Record> {
    let followed = crate::support::collector::Collector::default();
    let end = log.bounds(AT).unwrap().end;
    let _following = log.follow(AT, 0, followed.follower());
    followed.end(end)
}

#[test]
fn commands_are_carried_out_and_another_process_takes_over() {
    for [one_log, two_log] in both() {
        let one = Running::on(&one_log).until_serving(1);
        assert_eq!(one.ask(open(0, 300)), "done");
        let waiting: Vec<_> = (1..=400).map(|n| one.submit(reserve(n, n))).collect();
        let told: Vec<&str> = waiting.iter().map(|it| short(&it.recv_timeout(PATIENCE).unwrap())).collect();
        assert_eq!(told[..300], ["done"; 300]);
        assert_eq!(told[300..], ["refused"; 100]);
        assert_eq!(one.sent.iter().take(300).count(), 300);
        assert_eq!(one.ask(reserve(7, 7)), "replayed");

        let two = Running::on(&two_log).until_serving(2);
        assert_eq!(two.sent.iter().take(300).count(), 300, "nothing was settled, so all of it is sent again");
        assert_eq!(one.ask(look(500)), "in doubt", "the first one learns that it is superseded");
        let one = one.until_serving(3);
        assert_eq!(two.ask(look(501)), "in doubt");
        two.leave();
        // The second one took the partition back before it left.
        assert_eq!(one.until_told(|| reserve(401, 1)), "nothing", "an order is known by its id for ever");
        assert!(one.mailbox.status().in_doubt > 0);
        one.leave();
        let counted = oracle::counted(&everything(&one_log));
        assert_eq!(counted.len(), 301);
        assert_eq!(oracle::stock(&counted, i64::MAX).reservations().count(), 300);
    }
}

#[test]
fn who_leaves_answers_everybody() {
    for [log, _] in both() {
        let one = Running::on(&log).until_serving(1);
        one.ask(open(0, 100));
        let waiting: Vec<_> = (1..=50).map(|n| one.submit(reserve(n, n))).collect();
        one.mailbox.shut_down();
        let late: Vec<_> = (51..=60).map(|n| one.submit(reserve(n, n))).collect();
        one.thread.join().unwrap();
        waiting.iter().for_each(|it| assert_eq!(short(&it.recv_timeout(PATIENCE).unwrap()), "done"));
        late.iter().for_each(|it| assert_eq!(short(&it.recv_timeout(PATIENCE).unwrap()), "not served"));
    }
}

#[test]
fn a_full_mailbox_overloads_nobody_else() {
    let log: Arc<dyn Log> = Arc::new(MemoryLog::manual(Arc::new(wall)));
    let one = Running::with(&log, Settings { mailbox: 10, ..settings() });
    let waiting: Vec<_> = (1..=3000).map(|n| one.submit(reserve(n, n))).collect();
    let told = waiting[10..].iter().map(|it| short(&it.recv_timeout(PATIENCE).unwrap()));
    assert!(told.eq(["overloaded"; 2990]), "it has not claimed yet, so ten wait");
    assert!(waiting[..10].iter().all(|it| it.try_recv().is_err()));
}

//! The end: nothing goes wrong any more, everything lands and is answered, and then every law is checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use check::{Law, Transfer, compare_statement, from_facts};
use domain::breakage;
use domain::value::Timestamp;
use event_log::log::Record;
use event_log::owner::Phase;

use crate::clients::Op;
use crate::host::Host;
use crate::oracle::facts;
use crate::seats::Seat;
use crate::wire::Message;
use crate::world::{BEGIN, GRACE, Process, SECOND, World, place};

/// A history has at least so many commands of clients.
const COMMANDS: u64 = 30;
/// So many times something may still end in time.
const CYCLES: u32 = 150;
/// Laws about a box office where the provider always answers in the end, and nobody forged a log.
const AT_REST: &str = "everything caused is done";

impl World {
    /// Nothing goes wrong from now on, and everything comes to rest.
    pub fn heal(&mut self) {
        self.healed = true;
        self.wire.lose = 0;
        self.wire.double = 0;
        self.wire.late = (0, 0);
        self.provider.silent_until = 0;
        self.provider.lose_answers = 0;
        for process in 0..self.processes.len() {
            let now = self.now;
            let member = &mut self.processes[process];
            member.skew = 0;
            member.vouched_anyway = false;
            member.down_until = member.down_until.map(|_| now);
            member.asleep_until = member.asleep_until.map(|_| now);
            (0..6).for_each(|context| self.release_quietly(process, context));
        }
        self.come_back();
        // One that owns without the group's leave may have driven out the one that has it, which would never know.
        let astray = |(process, member): (usize, &Process)| member.assigned != (self.group.assigned == Some(process));
        if self.knobs.all_new_at_the_end || self.processes.iter().enumerate().any(astray) {
            (0..self.processes.len()).for_each(|process| self.crash(process, 0));
        }
        self.ghosts_land();
        // Whoever has not heard asks until there is an answer.
        for call in 0..self.clients.calls.len() {
            self.wire.send(self.now, Message::Call(call));
        }
        // However few were drawn: a history has so many commands.
        for which in 0..u8::try_from(COMMANDS.saturating_sub(self.clients.sent)).unwrap_or(0) {
            self.first_call(Op::Look { what: which, which, who: which % 5 });
        }
        self.come_to_rest();
        self.ghosts_land();
        // An owner that was driven out learns it when it writes, and only then: everyone is asked something once more.
        (0..6).for_each(|what| self.first_call(Op::Look { what, which: 0, who: 0 }));
        self.come_to_rest();
        if self.knobs.a_day_later && self.wrong.is_none() {
            self.a_day_later();
            self.come_to_rest();
        }
        self.read_all_along();
    }

    fn release_quietly(&mut self, process: usize, context: usize) {
        let released = self.processes[process].writer.release(place(context));
        if let Some(seat) = &mut self.processes[process].seats[context] {
            seat.unreported += released;
        }
        self.landed[context] += 1;
    }

    fn come_to_rest(&mut self) {
        for cycle in 0..CYCLES {
            self.rush(12 * SECOND);
            let before = self.landed_events();
            self.pages_end();
            let due = self.next_timer();
            if cycle % 4 == 0 || due.is_none() {
                let serials: Vec<i64> = self.provider.pages.keys().copied().collect();
                serials.into_iter().for_each(|serial| self.wire.send(self.now, Message::Webhook { serial, tries: 0 }));
                (0..self.processes.len()).for_each(|process| self.watch(process));
                self.rush(12 * SECOND);
            }
            if self.wrong.is_some() {
                return;
            }
            match due {
                Some(at) => {
                    let at = u64::try_from(at.0 - BEGIN).unwrap_or(0);
                    let patience = if at <= self.now { GRACE.as_micros() as u64 } else { 0 };
                    self.pass_to(at.max(self.now) + patience + SECOND / 2);
                }
                None if before == self.landed_events() && self.is_at_rest() => {
                    self.seen.happened_times("cycles until at rest", u64::from(cycle));
                    return;
                }
                None => {}
            }
        }
        let left = self.what_is_left();
        self.fail(AT_REST, format!("it never comes to rest: {left}"));
    }

    /// When the owner ends something or goes on with it.
    fn next_timer(&self) -> Option<Timestamp> {
        let owner = self.group.assigned?;
        self.processes[owner].seats.iter().flatten().filter_map(|seat| seat.host.next_timer()).min()
    }

    fn landed_events(&mut self) -> u64 {
        self.read_all_along();
        self.lanes.iter().map(|lane| lane.events).sum()
    }

    fn is_at_rest(&self) -> bool {
        let Some(owner) = self.group.assigned else { return false };
        let member = &self.processes[owner];
        let serves =
            |seat: &Seat| seat.host.phase() == Phase::Serving && seat.host.outbox() == 0 && seat.host.is_idle();
        member.pending.is_empty()
            && member.seats.iter().all(|seat| seat.as_ref().is_some_and(serves))
            && self.clients.calls.iter().all(|call| call.settled || call.given_up())
    }

    /// What has not ended, and who waits for what until when.
    pub fn what_is_left(&self) -> String {
        let mut left = Vec::new();
        for (process, member) in self.processes.iter().enumerate() {
            left.extend(member.pending.values().map(|pending| format!("p{process} {pending:?}")));
            for (context, seat) in member.seats.iter().enumerate() {
                let Some(seat) = seat else { continue };
                let (phase, outbox, timer) = (seat.host.phase(), seat.host.outbox(), seat.host.next_timer());
                let wake = seat.wake.map(|wake| wake.saturating_sub(std::time::Duration::from_secs(1000)));
                left.push(format!(
                    "p{process} {}: {phase:?}, outbox {outbox}, timer {timer:?}, wakes at {wake:?}",
                    Self::named(context)
                ));
            }
        }
        let open = self.clients.calls.iter().filter(|call| !call.settled && !call.given_up()).count();
        left.truncate(12);
        format!("{open} calls; {}; now {}", left.join("; "), BEGIN + self.now.cast_signed())
    }

    /// Checks everything that has to hold at the end.
    pub fn check_all(&mut self) {
        breakage::with(None, || {
            self.nothing_denied_counts();
            self.everything_was_done();
        });
        // With what is broken still broken: it is the real code that folds here.
        for context in 0..6 {
            if self.wrong.is_none() {
                self.folds_agree(context);
            }
        }
        breakage::with(None, || self.laws());
        self.readers_agree();
    }

    /// Everything that an event which counts wants done was done at least once.
    fn everything_was_done(&mut self) {
        let mut missing = None;
        for (context, lane) in self.lanes.iter().enumerate() {
            for (offset, outgoing) in &lane.causes {
                let undone = (0..outgoing.len()).find(|n| !self.done.contains(&(context, *offset, *n)));
                if let Some(n) = undone {
                    missing.get_or_insert(format!("{} {offset} wants {:?}", Self::named(context), outgoing[n]));
                }
            }
        }
        if let Some(detail) = missing {
            self.fail(AT_REST, format!("nobody did it: {detail}"));
        }
    }

    /// The owner, a replay of the whole log, every snapshot and the oracle agree.
    fn folds_agree(&mut self, context: usize) {
        let Some(owner) = self.group.assigned else { return };
        let Some(seat) = self.processes[owner].seats[context].take() else { return };
        let found = self.compare_folds(context, &*seat.host);
        self.processes[owner].seats[context] = Some(seat);
        if let Err(detail) = found {
            self.fail("owner = replay = snapshot + tail = oracle", format!("{}: {detail}", Self::named(context)));
        }
    }

    fn compare_folds(&mut self, context: usize, host: &dyn Host) -> Result<(), String> {
        let records: Vec<Record> = self.log.records(place(context));
        let lane = &self.lanes[context];
        let mut aggregates: BTreeMap<_, _> =
            host.aggregates().into_iter().map(|(id, version, state)| (id, (version, state))).collect();
        for (id, was) in lane.aggregates() {
            match aggregates.remove(id) {
                Some((version, state)) if version == was.version && state == was.state => {}
                other => return Err(format!("the log makes {was:?}, and the owner has {other:?}")),
            }
        }
        if let Some((id, other)) = aggregates.first_key_value() {
            return Err(format!("the owner has {id}, and no event of it counts: {other:?}"));
        }
        let whole = host.replay(&records)?;
        let remembered = lane.counted.iter().filter(|it| it.at.plus_s(23 * 3600) > lane.last);
        host.remembers(&mut remembered.map(|it| (it.id, it.hash)))?;
        let ours = self.shelf[context].iter().enumerate().filter(|(n, _)| !self.foreign[context].contains(n));
        let snapshots: Vec<Arc<[u8]>> = ours.rev().take(2).map(|(_, bytes)| Arc::clone(bytes)).collect();
        for snapshot in snapshots {
            let Some(led) = host.leads_to(&snapshot, &records, &self.log)? else {
                self.seen.happened("a snapshot was not used");
                continue;
            };
            self.seen.happened("snapshot led to the end");
            if let Some(difference) = whole.difference(&led) {
                return Err(format!("a snapshot leads to something else than the whole log: {difference}"));
            }
        }
        Ok(())
    }

    /// The laws of a box office, and the provider's statement.
    fn laws(&mut self) {
        if self.wrong.is_some() {
            return;
        }
        let facts = facts(&self.lanes);
        let mut laws: Vec<Law> = from_facts(&facts).laws;
        let banked = self.provider.pages.values().flat_map(|page| &page.movements).map(|moved| Transfer {
            reference: moved.reference.clone(),
            amount: moved.amount,
            currency: moved.currency.as_str().to_owned(),
        });
        let back = self.provider.paid_out.iter().map(|(refund, (amount, currency))| Transfer {
            reference: format!("refund {refund}"),
            amount: -amount,
            currency: currency.to_string(),
        });
        let banked: Vec<Transfer> = banked.chain(back).collect();
        laws.push(compare_statement(&facts, &banked));
        for law in laws.iter().filter(|law| !law.holds()) {
            self.fail(law.name, law.faults.first.join("; "));
        }
    }
}

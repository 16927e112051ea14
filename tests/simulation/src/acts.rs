//! What each step does to the world.

use event_log::memory::Fault;

use crate::plan::Step;
use crate::wire::Message;
use crate::world::{Ghost, SECOND, World, place};

/// The group notices after so long that somebody is gone.
const SESSION: u64 = 2 * SECOND;

impl World {
    /// Takes a step.
    pub fn take(&mut self, step: Step) {
        let of = |process: u8| usize::from(process) % self.processes.len();
        match step {
            Step::Call(op) => self.first_call(op),
            Step::Again { which, other_body } => self.repeat(usize::from(which), other_body),
            Step::Flow { rounds } => (0..rounds).for_each(|_| self.flow()),
            Step::Rush { ms } => self.rush(u64::from(ms) * 1000),
            Step::Pass { ms } => self.pass(u64::from(ms) * 1000),
            Step::Turn { process, context } => drop(self.turn(of(process), usize::from(context))),
            Step::Land { process, context, records } => {
                self.land(of(process), usize::from(context), usize::from(records));
            }
            Step::Report { process, context } => drop(self.report(of(process), usize::from(context))),
            Step::Deliver { process, context } => drop(self.deliver(of(process), usize::from(context))),
            Step::LogFault { process, context, after, fault } => self.plan_fault(of(process), context, after, fault),
            Step::Release { process, context } => self.release(of(process), usize::from(context)),
            Step::Ghosts => self.ghosts_land(),
            Step::Net { lose, double, late, by_ms } => {
                self.wire.lose += u32::from(lose);
                self.wire.double += u32::from(double);
                self.wire.late = (self.wire.late.0 + u32::from(late), u64::from(by_ms) * 1000);
            }
            Step::Crash { process, ms } => self.crash(of(process), u64::from(ms) * 1000),
            Step::Freeze { process, ms, held } => self.freeze(of(process), u64::from(ms) * 1000, held),
            Step::Rebalance { to } => self.rebalance(of(to)),
            Step::Vouch { process, anyway } => self.vouch_anyway(of(process), anyway),
            Step::Clock { process, off_ms } => {
                let process = of(process);
                self.processes[process].skew = i64::from(off_ms) * 1000;
                if off_ms != 0 {
                    self.seen.fault(if off_ms.abs() > 2000 { "clock: far off" } else { "clock: a little off" });
                }
            }
            Step::Snapshot { process, context } => self.snapshot(of(process), usize::from(context)),
            Step::ForeignSnapshot { context } => self.foreign_snapshot(usize::from(context)),
            Step::Money { page, what } => self.money(usize::from(page), what),
            Step::Stray => self.stray_money(),
            Step::Watch { process } => self.watch(of(process)),
            Step::Provider { silent_ms, lose } => {
                self.provider.silent_until = self.now + u64::from(silent_ms) * 1000;
                self.provider.lose_answers += u32::from(lose);
            }
            Step::Project { reader, store } => self.project(usize::from(reader), store),
        }
    }

    fn plan_fault(&mut self, process: usize, context: u8, after: u8, fault: Fault) {
        let context = usize::from(context);
        let member = &mut self.processes[process];
        if member.seats[context].is_some() {
            let faults: Vec<Fault> = (0..after).map(|_| Fault::None).chain([fault]).collect();
            member.planned[context].extend(&faults);
            member.writer.plan(place(context), faults);
        }
    }

    /// So many records of an owner have landed, and met what was planned for them.
    pub fn faults_met(&mut self, process: usize, context: usize, records: usize) {
        let planned = &mut self.processes[process].planned[context];
        let met: Vec<Fault> = planned.drain(..records.min(planned.len())).collect();
        for fault in met.into_iter().filter(|fault| *fault != Fault::None) {
            self.seen.fault(match fault {
                Fault::None => unreachable!("they are left out"),
                Fault::Lose => "log: append lost, error told",
                Fault::LoseSilently => "log: append lost, nothing told",
                Fault::LoseAcknowledgement => "log: acknowledgement lost, error told",
                Fault::LoseAcknowledgementSilently => "log: acknowledgement lost, nothing told",
                Fault::Delay => "log: append late, after others",
                Fault::Duplicate => "log: record twice",
            });
        }
    }

    fn release(&mut self, process: usize, context: usize) {
        let released = self.processes[process].writer.release(place(context));
        if let (true, Some(seat)) = (released > 0, &mut self.processes[process].seats[context]) {
            seat.unreported += released;
            self.seen.happened("late append landed");
        }
        self.landed[context] += 1;
    }

    /// One after another, what the dead had under way lands.
    pub fn ghosts_land(&mut self) {
        for Ghost { writer, queued } in std::mem::take(&mut self.ghosts) {
            for (context, queued) in queued.into_iter().enumerate().filter(|(_, queued)| *queued > 0) {
                if writer.land(place(context), queued) + writer.release(place(context)) > 0 {
                    self.seen.fault("log: append of a dead process landed later");
                }
                self.landed[context] += 1;
            }
        }
    }

    /// A process is gone, in the middle of whatever it did.
    pub fn crash(&mut self, process: usize, down: u64) {
        if self.processes[process].down_until.is_some() {
            return;
        }
        let serving = self.group.assigned == Some(process);
        self.seen.fault(if serving { "crash of the owner" } else { "crash of another" });
        let writer = self.log.writer();
        let member = &mut self.processes[process];
        let mut queued = [0; 6];
        for (context, seat) in member.seats.iter_mut().enumerate() {
            queued[context] = seat.take().map_or(0, |seat| seat.queued.max(1));
        }
        let dead = std::mem::replace(&mut member.writer, writer);
        member.life += 1;
        member.assigned = false;
        member.vouched_anyway = false;
        member.asleep_until = None;
        member.pending.clear();
        member.planned = Default::default();
        member.down_until = Some(self.now + down);
        let under_way = (0..6).any(|context| dead.waiting(place(context)) > 0);
        if under_way {
            self.seen.fault("crash with appends under way");
        }
        self.ghosts.push(Ghost { writer: dead, queued });
        // Some of it is on the wire already.
        if self.dice.chance(50) {
            self.some_of_the_last_ghost();
        }
        if serving {
            self.group.notices_at = Some(self.now + SESSION.min(down));
        }
        if down == 0 {
            self.come_back();
        }
    }

    /// The first records of what a process had under way land as it dies: in the middle of a frame, too.
    fn some_of_the_last_ghost(&mut self) {
        for context in 0..6 {
            let Some(ghost) = self.ghosts.last() else { return };
            let waiting = ghost.writer.waiting(place(context));
            if waiting > 0 {
                let records = 1 + self.dice.index(waiting);
                self.ghosts.last().map(|ghost| ghost.writer.land(place(context), records));
                self.landed[context] += 1;
            }
        }
    }

    fn freeze(&mut self, process: usize, time: u64, held: bool) {
        let now = self.now;
        let member = &mut self.processes[process];
        if member.down_until.is_some() || member.asleep_until.is_some() {
            return;
        }
        member.asleep_until = Some(now + time);
        member.held = held;
        let serving = self.group.assigned == Some(process);
        self.seen.fault(if serving { "owner asleep" } else { "another asleep" });
        if serving && time > SESSION {
            self.group.notices_at = Some(now + SESSION);
        }
    }

    /// Those whose time has come start again or wake up, and the group gives the partition to somebody.
    pub fn come_back(&mut self) -> bool {
        let now = self.now;
        let mut anything = false;
        for process in 0..self.processes.len() {
            let member = &mut self.processes[process];
            if member.down_until.is_some_and(|until| until <= now) {
                member.down_until = None;
                anything = true;
                if self.group.assigned == Some(process) {
                    self.group.notices_at = Some(now);
                }
            }
            let member = &mut self.processes[process];
            if member.asleep_until.is_some_and(|until| until <= now) {
                member.asleep_until = None;
                anything = true;
                let believes = member.assigned;
                member.seats.iter_mut().flatten().for_each(|seat| seat.stirred = true);
                if believes && self.group.assigned != Some(process) {
                    self.seen.fault("woken, and believes that the partition is its own");
                    let (life, at) = (self.processes[process].life, now + 50_000 + self.dice.below(SECOND));
                    self.wire.send(at, Message::Assignment { process, life, assigned: false });
                }
            }
        }
        if self.group.notices_at.is_some_and(|at| at <= now) {
            self.group.notices_at = None;
            let up: Vec<usize> = (0..self.processes.len()).filter(|it| self.is_up(*it)).collect();
            match up.is_empty() {
                true => self.group.notices_at = Some(now + SECOND),
                false => {
                    let to = self.dice.pick(&up);
                    self.rebalance(to);
                    anything = true;
                }
            }
        }
        anything
    }

    /// When somebody comes back, or the group notices.
    pub fn next_return(&self) -> Option<u64> {
        let of = self.processes.iter().flat_map(|it| [it.down_until, it.asleep_until]);
        of.chain([self.group.notices_at]).flatten().min()
    }

    fn rebalance(&mut self, to: usize) {
        let before = self.group.assigned.replace(to);
        if let Some(from) = before.filter(|from| *from != to) {
            self.seen.fault("the partition goes to another");
            let (life, at) = (self.processes[from].life, self.now + self.dice.below(SECOND));
            self.wire.send(at, Message::Assignment { process: from, life, assigned: false });
        }
        let (life, at) = (self.processes[to].life, self.now + self.dice.below(SECOND / 2));
        self.wire.send(at, Message::Assignment { process: to, life, assigned: true });
    }

    /// A process hears from the group.
    pub fn assignment(&mut self, process: usize, life: u32, assigned: bool) {
        if self.processes[process].life != life || self.processes[process].down_until.is_some() {
            return;
        }
        if self.processes[process].asleep_until.is_some() {
            let later = self.now + SECOND / 2;
            return self.wire.send(later, Message::Assignment { process, life, assigned });
        }
        if assigned != (self.group.assigned == Some(process)) || assigned == self.processes[process].assigned {
            return;
        }
        if assigned {
            return self.begin_to_own(process);
        }
        let member = &mut self.processes[process];
        member.assigned = false;
        member.pending.clear();
        for seat in member.seats.iter_mut().flatten() {
            seat.leaving = true;
            seat.stirred = true;
            seat.host.leave();
        }
    }

    fn vouch_anyway(&mut self, process: usize, anyway: bool) {
        if self.processes[process].down_until.is_some() {
            return;
        }
        self.processes[process].vouched_anyway = anyway;
        if anyway && !self.processes[process].assigned && self.is_up(process) {
            self.begin_to_own(process);
        }
    }

    /// A snapshot that somebody took of another log lies in the same folder.
    fn foreign_snapshot(&mut self, context: usize) {
        let end = i64::try_from(self.log.records(place(context)).len()).expect("a short log");
        if end < 3 {
            return;
        }
        let newest = self.shelf[context].len();
        let foreign = crate::host::foreign(place(context), end - 1, self.true_time());
        self.foreign[context].push(newest);
        self.shelf[context].push(foreign.into());
        self.seen.fault("snapshot of another log");
    }

    fn snapshot(&mut self, process: usize, context: usize) {
        if !self.is_up(process) {
            return;
        }
        if let Some(seat) = self.processes[process].seats[context].take() {
            self.shelve(context, &*seat.host, process);
            self.processes[process].seats[context] = Some(seat);
        }
    }

    /// Time passes; nobody does anything in it.
    fn pass(&mut self, time: u64) {
        self.pass_to(self.now + time);
        self.pages_end();
        self.come_back();
    }

    /// Each owner, each message, each record: now, or not yet.
    pub fn flow(&mut self) {
        let first = self.dice.index(self.processes.len());
        for n in 0..self.processes.len() {
            let process = (first + n) % self.processes.len();
            for context in 0..6 {
                let bits = self.dice.next();
                if bits & 3 != 0 {
                    self.turn(process, context);
                }
                if bits & 12 != 0 {
                    let records = if bits & 16 == 0 { usize::MAX } else { 1 + (bits as usize >> 5) % 3 };
                    self.land(process, context, records);
                }
                if bits & 0x300 != 0 {
                    self.report(process, context);
                }
                if bits & 0xc00 != 0 {
                    self.deliver(process, context);
                }
                if self.wrong.is_some() {
                    return;
                }
            }
            self.try_outbox(process);
        }
        let time = self.dice.pick(&[300, 3000, 25_000]);
        self.pass_to(self.now + time);
        self.come_back();
        self.carry();
    }

    /// Everything happens at once, until nothing does for so long.
    pub fn rush(&mut self, patience: u64) {
        let until = self.now + patience;
        for round in 0.. {
            if self.wrong.is_some() {
                return;
            }
            if round > 5000 {
                return self.fail("everything comes to rest", format!("at {}: {}", self.now, self.what_is_left()));
            }
            if self.everything_once() {
                continue;
            }
            match self.next_moment().filter(|at| *at <= until) {
                Some(at) => self.pass_to(at.max(self.now + 1)),
                None => break,
            }
        }
        self.pass_to(until);
        self.come_back();
    }

    /// Tells whether anything happened.
    fn everything_once(&mut self) -> bool {
        let mut anything = self.come_back() | self.carry();
        for process in 0..self.processes.len() {
            for context in 0..6 {
                anything |= self.turn(process, context);
                anything |= self.land(process, context, usize::MAX) > 0;
                anything |= self.report(process, context);
                anything |= self.deliver(process, context);
            }
            anything |= self.try_outbox(process);
        }
        anything
    }

    /// When something happens by itself.
    pub fn next_moment(&self) -> Option<u64> {
        let mut next: Option<u64> = None;
        let mut soon = |at: u64| next = Some(next.map_or(at, |next| next.min(at)));
        self.wire.next().into_iter().for_each(&mut soon);
        self.next_return().into_iter().for_each(&mut soon);
        for process in (0..self.processes.len()).filter(|it| self.is_up(*it)) {
            let member = &self.processes[process];
            member.pending.values().for_each(|pending| soon(pending.at));
            for seat in member.seats.iter().flatten() {
                let wake = seat.wake.map(|wake| wake.saturating_sub(std::time::Duration::from_secs(1000)));
                wake.into_iter().for_each(|wake| soon(u64::try_from(wake.as_micros()).expect("short")));
            }
        }
        next
    }
}

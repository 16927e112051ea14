//! One owner in one process, driven as its thread drives it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::ids::derived;
use event_log::frame::{Frame, Kind};
use event_log::log::{Delivered, Followed, Following, Log, NewRecord, Reports};
use event_log::owner::Phase;
use event_log::validity::Void;
use uuid::Uuid;

use crate::host::{Host, Out, host};
use crate::outbox::Pending;
use crate::wire::Message;
use crate::world::{World, place};

/// What came from the log for an owner.
pub enum Input {
    /// Reports of what it appended.
    Delivered(Vec<Delivered>),
    /// What it follows.
    Followed(u64, Followed),
}

/// An owner with what comes and goes.
pub struct Seat {
    /// The owner.
    pub host: Box<dyn Host>,
    inputs: Arc<Mutex<VecDeque<Input>>>,
    generation: u64,
    following: Option<Box<dyn Following>>,
    /// Handed over up to this count of what landed.
    delivered: u64,
    /// Records on their way into the log.
    pub queued: usize,
    /// Records that landed and are not reported.
    pub unreported: usize,
    /// Claims that it has appended.
    claims: Vec<Uuid>,
    /// The last question to the group.
    question: u64,
    /// Something came since it was last stepped.
    pub stirred: bool,
    /// When it wants to be stepped though nothing comes.
    pub wake: Option<Duration>,
    /// It is to go.
    pub leaving: bool,
}

impl World {
    /// A process starts owners of all contexts, from the newest snapshots that can be used. Whoever is still about to go
    /// goes now.
    pub fn begin_to_own(&mut self, process: usize) {
        self.processes[process].assigned = true;
        for context in 0..6 {
            if self.processes[process].seats[context].as_ref().is_none_or(|seat| seat.leaving) {
                let seat = self.new_seat(process, context);
                self.processes[process].seats[context] = Some(seat);
            }
        }
    }

    fn new_seat(&mut self, process: usize, context: usize) -> Seat {
        let name = derived(Uuid::nil(), "seat", self.counter);
        self.counter += 1;
        let mut claims = 0_u64;
        let new_claim = move || {
            claims += 1;
            derived(name, "claim", claims)
        };
        let mut host = host(self.settings(process, context), &self.codec, Box::new(new_claim));
        let mut outs = None;
        for snapshot in self.shelf[context].iter().rev().take(2) {
            outs = host.load(Some(snapshot), &self.log);
            if outs.is_some() {
                self.seen.happened("began with a snapshot");
                break;
            }
            self.seen.happened("a snapshot was not used");
        }
        let outs = outs.unwrap_or_else(|| host.load(None, &self.log).expect("nothing can always be loaded"));
        let mut seat = Seat {
            host,
            inputs: Arc::default(),
            generation: 0,
            following: None,
            delivered: u64::MAX,
            queued: 0,
            unreported: 0,
            claims: Vec::new(),
            question: 0,
            stirred: true,
            wake: None,
            leaving: false,
        };
        self.perform(process, context, &mut seat, outs);
        seat
    }

    /// Hands an owner what has come, and lets it do what it can. Tells whether anything had come.
    pub fn turn(&mut self, process: usize, context: usize) -> bool {
        if !self.is_up(process) {
            return false;
        }
        let now = self.clocks(process);
        let wants = |seat: &Seat| seat.stirred || seat.wake.is_some_and(|wake| wake <= now.mono);
        if !self.processes[process].seats[context].as_ref().is_some_and(wants) {
            return false;
        }
        let mut seat = self.processes[process].seats[context].take().expect("it was there");
        let moved = std::mem::take(&mut seat.stirred);
        loop {
            let input = seat.inputs.lock().expect("nobody panics with it").pop_front();
            let outs = match input {
                None => break,
                Some(Input::Delivered(reports)) => seat.host.delivered(reports, now),
                Some(Input::Followed(generation, _)) if generation != seat.generation => continue,
                Some(Input::Followed(_, Followed::Records(records))) => seat.host.read(records, now),
                Some(Input::Followed(_, Followed::End(end))) => seat.host.reached_end(end, now),
                Some(Input::Followed(_, Followed::Lost { start, end })) => seat.host.lost(start, end),
            };
            self.perform(process, context, &mut seat, outs);
        }
        let outs = seat.host.step(now);
        self.perform(process, context, &mut seat, outs);
        seat.wake = seat.host.wake_at(now);
        // A snapshot may come at any moment, also while much is under way.
        if seat.queued > 0 && self.dice.chance(3) {
            self.shelve(context, &*seat.host, process);
        }
        if seat.leaving && seat.host.is_idle() {
            let outs = seat.host.give_up();
            self.perform(process, context, &mut seat, outs);
            self.seen.happened("left the partition");
            self.shelve(context, &*seat.host, process);
            self.ghost(process, context, seat.queued);
            self.tell_answers();
            return true;
        }
        self.processes[process].seats[context] = Some(seat);
        self.tell_answers();
        moved
    }

    /// Whoever was answered hears it, now that every owner is in its seat.
    fn tell_answers(&mut self) {
        for (process, reply, said) in std::mem::take(&mut self.answers) {
            self.answered(process, reply, said);
        }
    }

    /// What somebody who is gone had under way goes on by itself.
    pub fn ghost(&mut self, process: usize, context: usize, queued: usize) {
        if queued > 0 {
            let mut all = [0; 6];
            all[context] = queued;
            let writer = self.processes[process].writer.clone();
            self.ghosts.push(crate::world::Ghost { writer, queued: all });
        }
    }

    fn perform(&mut self, process: usize, context: usize, seat: &mut Seat, outs: Vec<Out>) {
        for out in outs {
            match out {
                Out::Follow(from) => self.follow(process, context, seat, from),
                Out::Unfollow => {
                    seat.generation += 1;
                    seat.following = None;
                }
                Out::Vouch => self.ask_the_group(process, context, seat),
                Out::Append { claim, first_seq, records } => {
                    self.append(process, context, seat, claim, first_seq, records);
                }
                Out::Answer(reply, said) => self.answers.push((process, reply, said)),
                Out::Send(sent) => {
                    self.read_along(context);
                    if !self.lanes[context].causes.contains_key(&sent.at.0) {
                        let topic = Self::named(context);
                        self.fail("only what counts is acted on", format!("sent for {topic} {}: {sent:?}", sent.at.0));
                    }
                    let key = self.count();
                    self.processes[process].pending.insert(key, Pending::of(context, sent, self.now));
                }
                Out::Serving(term) => {
                    self.hints[context] = process;
                    self.seen.happened(if term == 1 { "first claim" } else { "take-over" });
                }
                Out::Doubt => self.seen.happened("owner in doubt"),
                Out::Void(Void::OldTerm) => self.seen.happened("void: old term"),
                Out::Void(Void::Duplicate) => self.seen.happened("void: duplicate"),
                Out::Void(Void::AfterHole) => self.seen.happened("void: after a hole"),
                Out::Broken(broken) => self.fail("no fault here breaks a log", broken.to_string()),
            }
        }
    }

    fn follow(&mut self, process: usize, context: usize, seat: &mut Seat, from: i64) {
        seat.generation += 1;
        seat.delivered = u64::MAX;
        let (generation, inputs) = (seat.generation, Arc::clone(&seat.inputs));
        let follower = move |followed| {
            inputs.lock().expect("nobody panics with it").push_back(Input::Followed(generation, followed));
        };
        seat.following = Some(self.processes[process].writer.follow(place(context), from, Arc::new(follower)));
    }

    fn ask_the_group(&mut self, process: usize, context: usize, seat: &mut Seat) {
        seat.question += 1;
        let member = &self.processes[process];
        let vouched = self.group.assigned == Some(process) || member.vouched_anyway;
        if member.vouched_anyway && self.group.assigned != Some(process) {
            self.seen.fault("two believe that the partition is their own");
        }
        let life = member.life;
        let at = self.now + 100 + self.dice.below(5000);
        self.wire.send(at, Message::Vouched { process, life, context, question: seat.question, vouched });
    }

    /// The group's answer arrives.
    pub fn group_answers(&mut self, process: usize, context: usize, question: u64, vouched: bool) {
        if !self.is_up(process) {
            return;
        }
        let now = self.clocks(process);
        let Some(mut seat) = self.processes[process].seats[context].take() else { return };
        if seat.question == question {
            let outs = seat.host.vouched(vouched, now);
            self.perform(process, context, &mut seat, outs);
            seat.stirred = true;
        }
        self.processes[process].seats[context] = Some(seat);
        self.tell_answers();
    }

    fn append(
        &mut self,
        process: usize,
        context: usize,
        seat: &mut Seat,
        claim: Uuid,
        first_seq: u64,
        records: Vec<NewRecord>,
    ) {
        for record in &records {
            let frame = Frame::decode(&record.header).expect("an owner writes headers");
            if frame.kind == Kind::Event && frame.evt_idx == 0 {
                self.seen.happened(match frame.evt_cnt {
                    1 => "frame of 1 event",
                    2..=5 => "frame of 2 to 5 events",
                    6..=50 => "frame of 6 to 50 events",
                    _ => "frame of more than 50 events",
                });
                self.was_in_time(process, context, frame.cmd_id);
            }
        }
        if first_seq == 0 {
            seat.claims.push(claim);
        } else if !seat.claims.contains(&claim) {
            let topic = Self::named(context);
            self.fail("an owner writes under its own claims", format!("{topic}: under {claim}"));
        }
        seat.queued += records.len();
        let inputs = Arc::clone(&seat.inputs);
        let reports: Reports = Arc::new(move |reports| {
            inputs.lock().expect("nobody panics with it").push_back(Input::Delivered(reports));
        });
        self.processes[process].writer.append(place(context), claim, first_seq, records, reports);
    }

    /// Lets records of an owner land. Tells how many.
    pub fn land(&mut self, process: usize, context: usize, records: usize) -> usize {
        let member = &mut self.processes[process];
        if member.down_until.is_some() || (member.asleep_until.is_some() && member.held) {
            return 0;
        }
        let Some(seat) = &mut member.seats[context] else { return 0 };
        if seat.queued == 0 {
            return 0;
        }
        let landed = member.writer.land(place(context), records);
        seat.queued = member.writer.waiting(place(context));
        seat.unreported += landed;
        self.landed[context] += 1;
        self.faults_met(process, context, landed);
        landed
    }

    /// Hands reports of what landed over.
    pub fn report(&mut self, process: usize, context: usize) -> bool {
        if !self.is_up(process) {
            return false;
        }
        let member = &mut self.processes[process];
        let Some(seat) = &mut member.seats[context] else { return false };
        if seat.unreported == 0 {
            return false;
        }
        seat.unreported = 0;
        member.writer.report(place(context));
        seat.stirred = true;
        true
    }

    /// Hands new records over to an owner that follows.
    pub fn deliver(&mut self, process: usize, context: usize) -> bool {
        if !self.is_up(process) {
            return false;
        }
        let landed = self.landed[context];
        let member = &mut self.processes[process];
        let Some(seat) = &mut member.seats[context] else { return false };
        if seat.following.is_none() || seat.delivered == landed {
            return false;
        }
        seat.delivered = landed;
        seat.stirred |= member.writer.deliver(place(context));
        true
    }

    /// Writes an owner's acknowledged state down.
    pub fn shelve(&mut self, context: usize, host: &dyn Host, process: usize) {
        if host.phase() == Phase::Loading {
            return;
        }
        let now = self.clocks(process).wall;
        self.read_along(context);
        if host.position().is_some_and(|next| next > self.lanes[context].next) {
            let topic = Self::named(context);
            self.fail("a snapshot is of what is acknowledged", format!("{topic}: of {:?}", host.position()));
        }
        if let Some(bytes) = host.snapshot(now) {
            self.seen.happened("snapshot");
            self.shelf[context].push(bytes.into());
        }
    }
}

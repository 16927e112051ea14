//! Asks on their way to owners and answers on their way back, between processes too.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::root::Context;
use event_log::owner::Phase;

use crate::part::{Asked, Said};
use crate::world::{World, number};

/// A command of a client is not decided later than this.
pub const WITHIN: Duration = Duration::from_secs(5);

/// Who wants to know what an ask led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A client's call.
    Call(usize),
    /// Something that the outbox of this process wants.
    Outbox(u64),
    /// A webhook.
    Webhook(usize),
    /// A webhook about money for nobody, and which movement of it.
    Stray(usize, usize),
    /// Nobody waits for it.
    Nobody,
}

/// A command that was asked once; a retry is another ask.
#[derive(Debug, Clone)]
pub struct Ask {
    pub asked: Asked,
    pub context: usize,
    /// The process that was asked, and which life of it.
    pub via: (usize, u32),
    pub asker: Asker,
    pub at: u64,
    /// What was known when it was asked: the answer must not be older.
    pub known: i64,
    pub deadline: Option<Duration>,
    /// What its owner answered, by name.
    pub answered: Option<&'static str>,
}

/// Something on its way.
#[derive(Debug)]
pub enum Message {
    /// An ask on its way to the owners of another process.
    Ask { to: usize, ask: usize },
    /// An answer on its way back.
    Answer { ask: usize, said: Said },
    /// The group's answer.
    Vouched { process: usize, life: u32, context: usize, question: u64, vouched: bool },
    /// The group tells a process what it has.
    Assignment { process: usize, life: u32, assigned: bool },
    /// A client calls (again).
    Call(usize),
    /// The provider tells what it knows of a page.
    Webhook { serial: i64, tries: u32 },
}

/// What is on its way, by when it arrives.
#[derive(Debug, Default)]
pub struct Wire {
    messages: BTreeMap<(u64, u64), Message>,
    count: u64,
    /// So many of the next messages between processes are lost.
    pub lose: u32,
    /// So many arrive twice.
    pub double: u32,
    /// So many are late, by so much.
    pub late: (u32, u64),
}

impl Wire {
    /// Puts something on its way.
    pub fn send(&mut self, at: u64, message: Message) {
        self.count += 1;
        self.messages.insert((at, self.count), message);
    }

    /// The next that has arrived.
    pub fn arrived(&mut self, now: u64) -> Option<Message> {
        let first = self.messages.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// When the next arrives.
    pub fn next(&self) -> Option<u64> {
        self.messages.keys().next().map(|(at, _)| *at)
    }
}

impl World {
    /// Asks the owner of what a command is for, by way of a process.
    pub fn ask(&mut self, via: usize, asked: Asked, asker: Asker, within: Option<Duration>) {
        let context = number(asked.command.target().0);
        let deadline = within.map(|within| self.clocks(via).mono + within);
        let ask = self.asks.len();
        let known = self.known[context];
        let life = self.processes[via].life;
        let at = self.now;
        self.asks.push(Ask { asked, context, via: (via, life), asker, at, known, deadline, answered: None });
        let to = self.owner_as_known(via, context);
        if to == via {
            self.submit(via, ask);
        } else {
            self.travel(Message::Ask { to, ask });
        }
    }

    /// Who owns a context, as far as a process knows.
    fn owner_as_known(&self, via: usize, context: usize) -> usize {
        let own = self.processes[via].seats[context].as_ref();
        match own {
            Some(seat) if seat.host.phase() == Phase::Serving || self.processes[via].assigned => via,
            _ => self.hints[context],
        }
    }

    /// Puts a command in the mailbox of the owner here.
    fn submit(&mut self, process: usize, ask: usize) {
        let (asked, context, deadline) = {
            let ask = &self.asks[ask];
            (ask.asked.clone(), ask.context, ask.deadline)
        };
        let reply = u32::try_from(ask).expect("histories are short");
        let taken = match &mut self.processes[process].seats[context] {
            None => Some(Said::NotServed),
            Some(seat) if seat.leaving => Some(Said::NotServed),
            Some(seat) => {
                seat.stirred = true;
                (!seat.host.submit(asked, deadline, reply)).then_some(Said::Overloaded)
            }
        };
        if let Some(said) = taken {
            self.answered(process, reply, said);
        }
    }

    /// Between processes things are lost, late, and come twice.
    fn travel(&mut self, message: Message) {
        let mut at = self.now + 200 + self.dice.below(3000);
        if self.wire.lose > 0 {
            self.wire.lose -= 1;
            self.seen.fault("network: lost");
            return;
        }
        if self.wire.late.0 > 0 {
            self.wire.late.0 -= 1;
            at += self.wire.late.1;
            self.seen.fault("network: late, after others");
        }
        if self.wire.double > 0 {
            self.wire.double -= 1;
            if let Message::Ask { to, ask } = &message {
                self.seen.fault("network: twice");
                let later = at + self.dice.below(2_000_000);
                // The second has an answer of its own.
                let again = Ask { asker: Asker::Nobody, ..self.asks[*ask].clone() };
                self.asks.push(again);
                self.wire.send(later, Message::Ask { to: *to, ask: self.asks.len() - 1 });
            }
        }
        self.wire.send(at, message);
    }

    /// An owner answers: what it says is judged, and goes back to whoever asked.
    pub fn answered(&mut self, process: usize, reply: u32, said: Said) {
        let ask = reply as usize;
        self.seen.happened(said.name());
        self.asks[ask].answered = Some(said.name());
        self.judge(ask, &said);
        if self.asks[ask].via.0 == process {
            self.arrived_back(ask, said);
        } else {
            self.travel(Message::Answer { ask, said });
        }
    }

    /// Whoever was asked tells whoever wants to know.
    fn arrived_back(&mut self, ask: usize, said: Said) {
        let Ask { asker, via: (via, life), .. } = self.asks[ask];
        let asked = self.asks[ask].asked.id;
        if self.processes[via].life != life || self.processes[via].down_until.is_some() {
            return;
        }
        match asker {
            Asker::Call(call) => self.called_back(call, said),
            Asker::Outbox(key) => self.outbox_answered(via, key, asked, said),
            Asker::Webhook(webhook) => self.webhook_answered(webhook, &said),
            Asker::Stray(webhook, movement) => self.stray_answered(webhook, movement, &said),
            Asker::Nobody => {}
        }
    }

    /// Everything that has arrived by now gets where it goes. Tells whether there was anything.
    pub fn carry(&mut self) -> bool {
        let mut anything = false;
        while let Some(message) = self.wire.arrived(self.now) {
            anything = true;
            match message {
                Message::Ask { to, ask } => self.ask_arrives(to, ask),
                Message::Answer { ask, said } => {
                    if self.processes[self.asks[ask].via.0].asleep_until.is_some() {
                        let later = self.now + 100_000;
                        self.wire.send(later, Message::Answer { ask, said });
                    } else {
                        self.arrived_back(ask, said);
                    }
                }
                Message::Vouched { process, life, context, question, vouched } => {
                    if self.processes[process].life == life {
                        self.group_answers(process, context, question, vouched);
                    }
                }
                Message::Assignment { process, life, assigned } => self.assignment(process, life, assigned),
                Message::Call(call) => self.call(call),
                Message::Webhook { serial, tries } => self.webhook(serial, tries),
            }
            if self.wrong.is_some() {
                return true;
            }
        }
        anything
    }

    fn ask_arrives(&mut self, to: usize, ask: usize) {
        if self.processes[to].down_until.is_some() {
            return;
        }
        if self.processes[to].asleep_until.is_some() {
            // It waits at the door.
            let later = self.now + 100_000;
            self.wire.send(later, Message::Ask { to, ask });
            return;
        }
        self.submit(to, ask);
    }

    /// The context of a number, for people to read.
    pub fn named(context: usize) -> &'static str {
        Context::ALL[context].topic()
    }
}

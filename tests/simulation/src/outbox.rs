//! What owners want done: sent again and again under the same id until it is answered, as the outbox of a service does.

use domain::event::{Command, Refusal};
use domain::ids::{CommandId, derived};
use domain::payment::{self, Movement, Standing};
use domain::queue;
use domain::saga::{Action, CreatePayment, Effect, Outgoing, is_early, on_refusal};
use domain::value::{Actor, Fingerprint};
use event_log::owner::{Send as Sent, Target};

use crate::clients::SEED;
use crate::part::{Asked, Said};
use crate::wire::Asker;
use crate::world::{SECOND, World};

/// A refusal that causes a command that is refused, and so on: never deeper than this.
const REFUSALS: u32 = 4;

/// Something that an owner wants done.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The owner's context.
    cause: usize,
    sent: Sent,
    /// What is to be asked now: what was sent, what its refusal led to, or what an effect is to tell.
    next: Option<Outgoing>,
    refusals: u32,
    /// When it is tried (again).
    pub at: u64,
    wait: u64,
}

impl Pending {
    /// Wanted from now on.
    pub fn of(cause: usize, sent: Sent, now: u64) -> Self {
        let next = matches!(sent.outgoing.action, Action::Command(_)).then(|| sent.outgoing.clone());
        Self { cause, sent, next, refusals: 0, at: now, wait: SECOND / 20 }
    }
}

impl World {
    /// Tries what is due to be tried in a process. Tells whether there was anything.
    pub fn try_outbox(&mut self, process: usize) -> bool {
        if !self.is_up(process) || self.processes[process].pending.is_empty() {
            return false;
        }
        let now = self.now;
        let due = self.processes[process].pending.iter().filter(|(_, pending)| pending.at <= now);
        let due: Vec<u64> = due.map(|(key, _)| *key).collect();
        for key in &due {
            self.try_one(process, *key);
        }
        !due.is_empty()
    }

    fn try_one(&mut self, process: usize, key: u64) {
        let now = self.now;
        let Some(pending) = self.processes[process].pending.get_mut(&key) else { return };
        pending.wait = (pending.wait * 2).min(2 * SECOND);
        // An answer that does not come is waited for so long.
        pending.at = now + 3 * SECOND + pending.wait;
        let effect = match (&pending.next, &pending.sent.outgoing.action) {
            (None, Action::Effect(effect)) => Some((effect.clone(), pending.sent.outgoing.id)),
            _ => None,
        };
        if let Some((effect, id)) = effect {
            let told = self.carry_out(&effect, id);
            let Some(pending) = self.processes[process].pending.get_mut(&key) else { return };
            match told {
                Ok(Some(next)) => pending.next = Some(next),
                Ok(None) => return self.done(process, key),
                Err(()) => {
                    pending.at = now + pending.wait;
                    return;
                }
            }
        }
        let pending = &self.processes[process].pending[&key];
        let outgoing = pending.next.clone().expect("a command, or what an effect tells");
        let Action::Command(command) = outgoing.action else { unreachable!("effects tell commands") };
        let asked = Asked {
            target: Target::Id(command.target().1),
            command,
            by: Actor::System,
            id: outgoing.id,
            hash: Fingerprint::default(),
            correlation_id: pending.sent.correlation_id,
            causation_id: pending.sent.causation_id,
        };
        self.ask(process, asked, Asker::Outbox(key), None);
    }

    /// The answer to something that the outbox asked. One to an earlier question is no answer to this one.
    pub fn outbox_answered(&mut self, process: usize, key: u64, asked: CommandId, said: Said) {
        let now = self.now;
        let Some(pending) = self.processes[process].pending.get_mut(&key) else { return };
        if pending.next.as_ref().is_none_or(|next| next.id != asked) {
            return;
        }
        match said {
            Said::Done(_) => self.done(process, key),
            Said::Refused(refusal) => self.refused(process, key, &refusal),
            Said::Overloaded | Said::TooLate | Said::NotServed | Said::InDoubt => pending.at = now + pending.wait,
            other => {
                let detail = format!("{other:?} to {:?}", pending.sent.outgoing);
                self.fail("sagas can be carried out", detail);
            }
        }
    }

    fn refused(&mut self, process: usize, key: u64, refusal: &Refusal) {
        self.seen.happened("saga: refused");
        let now = self.now;
        let Some(pending) = self.processes[process].pending.get_mut(&key) else { return };
        let outgoing = pending.next.clone().expect("something was asked");
        if matches!(pending.sent.outgoing.action, Action::Effect(_)) {
            return self.done(process, key);
        }
        if is_early(&outgoing, refusal) {
            pending.at = now + pending.wait;
            return self.seen.happened("saga: asked too early");
        }
        pending.refusals += 1;
        match on_refusal(&outgoing, refusal) {
            Some(command) if pending.refusals < REFUSALS => {
                let id = CommandId(derived(outgoing.id.0, "refused", 0));
                pending.next = Some(Outgoing { id, action: Action::Command(command) });
                pending.at = now;
                self.seen.happened("saga: a refusal led to a command");
            }
            Some(_) => self.fail("refusals end", format!("{outgoing:?} was refused: {refusal:?}")),
            None => self.done(process, key),
        }
    }

    fn done(&mut self, process: usize, key: u64) {
        let Some(pending) = self.processes[process].pending.remove(&key) else { return };
        self.done.insert((pending.cause, pending.sent.at.0, pending.sent.at.1));
        if let Some(seat) = &mut self.processes[process].seats[pending.cause] {
            seat.host.settled(pending.sent.at);
            seat.stirred = true;
        }
    }

    /// What the world outside is asked, and what its answer tells whom. `Err` if it does not answer.
    fn carry_out(&mut self, effect: &Effect, id: CommandId) -> Result<Option<Outgoing>, ()> {
        if self.provider.is_silent(self.now) {
            self.seen.fault("provider: no answer");
            return Err(());
        }
        match effect {
            Effect::CreatePayment(create) => {
                let opened = self.provider.open(create, self.true_time());
                if self.provider.lose_answers > 0 {
                    self.provider.lose_answers -= 1;
                    self.seen.fault("provider: answer lost");
                    return Err(());
                }
                Ok(opened.then(|| intent(create, id)))
            }
            Effect::ClosePayment { payment, serial, .. } => {
                let (movements, standing) = self.provider.close(*payment, *serial);
                if self.provider.lose_answers > 0 {
                    self.provider.lose_answers -= 1;
                    self.seen.fault("provider: answer lost");
                    return Err(());
                }
                let id = CommandId(self.dice.id());
                Ok(Some(telling(id, Command::Payment(*payment, report(movements, standing)))))
            }
            Effect::RefundPayment { payment, refund, amount, currency, .. } => {
                // Asked again, the provider finds what it did the first time.
                let (refund, fails) = (*refund, refund.0.as_u128().is_multiple_of(8));
                if !fails {
                    self.provider.paid_out.insert(refund, (*amount, *currency));
                }
                if self.provider.lose_answers > 0 {
                    self.provider.lose_answers -= 1;
                    self.seen.fault("provider: answer lost");
                    return Err(());
                }
                self.seen.happened(if fails { "money: refund failed" } else { "money: refunded" });
                let command = match fails {
                    true => payment::Command::RecordRefundFailure { refund, reason: "no account".to_owned() },
                    false => payment::Command::RecordRefund { refund, reference: format!("refund {refund}") },
                };
                Ok(Some(telling(CommandId(self.dice.id()), Command::Payment(*payment, command))))
            }
            // Tombstones of keys lie beside the log, and no law here asks for them.
            Effect::ForgetKeys { .. } => Ok(None),
            Effect::RevealSeed { show } => {
                Ok(Some(telling(id, Command::Queue(*show, queue::Command::Draw { seed: SEED.to_string() }))))
            }
        }
    }
}

fn intent(create: &CreatePayment, id: CommandId) -> Outgoing {
    let (reference, url) = (format!("link {}", create.serial), "https://pay.test".to_owned());
    let command = payment::Command::RecordIntent { reference, url };
    telling(CommandId(derived(id.0, "created", 0)), Command::Payment(create.payment, command))
}

fn telling(id: CommandId, command: Command) -> Outgoing {
    Outgoing { id, action: Action::Command(command) }
}

/// What a payment is told of its page.
pub fn report(movements: Vec<Movement>, standing: Standing) -> payment::Command {
    payment::Command::Report { movements, standing }
}

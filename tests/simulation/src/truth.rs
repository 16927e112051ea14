//! Whether an answer is true: in the log, as the log says, and of some moment between the question and the answer.

use domain::breakage;
use domain::ids::CommandId;
use domain::value::Timestamp;
use event_log::owner::Target;
use uuid::Uuid;

use crate::oracle::{Counted, Lane, Was};
use crate::part::{Asked, Kept, Said, Told};
use crate::wire::Ask;
use crate::world::{BEGIN, TOLERANCE, World};

/// What an answer has to be true of.
const ACKNOWLEDGED: &str = "acknowledged ⊆ log";
const TRUE_STATE: &str = "an answer tells the state at its offset";
const MONOTONE: &str = "an answer is not older than what was known";
const REFUSED_TRULY: &str = "a refusal is true at some moment between call and answer";
const REPEATED_TRULY: &str = "the same key gets the same, another body is refused";

impl World {
    /// Judges what an owner answers at the moment it does. Whatever is switched on, the judge is not broken.
    pub fn judge(&mut self, ask: usize, said: &Said) {
        if self.wrong.is_some() {
            return;
        }
        let context = self.asks[ask].context;
        self.read_along(context);
        let found = breakage::with(None, || self.judged(ask, said));
        if let Err((law, detail)) = found {
            let Ask { asked, at, .. } = &self.asks[ask];
            let topic = Self::named(context);
            self.fail(law, format!("{topic}: {asked:?}, asked at {at}, was told {said:?}: {detail}"));
        }
        if let Said::Done(told) = said {
            self.known[context] = self.known[context].max(told.offset);
        }
    }

    fn judged(&self, ask: usize, said: &Said) -> Result<(), (&'static str, String)> {
        let ask = &self.asks[ask];
        let lane = &self.lanes[ask.context];
        match said {
            Said::Done(told) => self.done_truly(ask, lane, told),
            Said::Refused(refusal) => {
                let id = target(lane, &ask.asked);
                let truly = |was: Option<&Was>, at| decides(was, ask, at).err().as_ref() == Some(refusal);
                let told = self.sometime(lane, id, ask, truly);
                told.then_some(()).ok_or_else(|| (REFUSED_TRULY, "it was true at no moment".to_owned()))
            }
            Said::KeyReused => match lane.find(ask.asked.id) {
                Some(counted) if counted.hash != ask.asked.hash.0 => Ok(()),
                other => Err((REPEATED_TRULY, format!("the log says {other:?}"))),
            },
            Said::NoSuchSerial => match (&ask.asked.target, lane) {
                (Target::Serial(serial), lane) => match lane.serials.get(serial) {
                    Some((offset, _)) if *offset <= ask.known => Err((MONOTONE, format!("it is at {offset}"))),
                    _ => Ok(()),
                },
                _ => Err((REFUSED_TRULY, "no serial number was asked for".to_owned())),
            },
            Said::TooLarge if is_huge(&ask.asked) => Ok(()),
            Said::TooLarge => Err((REFUSED_TRULY, "it is not too large".to_owned())),
            Said::Broken => Err(("no fault here breaks a log", String::new())),
            Said::TooLate | Said::Overloaded | Said::NotServed | Said::InDoubt => Ok(()),
        }
    }

    fn done_truly(&self, ask: &Ask, lane: &Lane, told: &Told) -> Result<(), (&'static str, String)> {
        let wrong = |law, detail: String| Err((law, detail));
        if told.offset >= lane.next {
            return wrong(ACKNOWLEDGED, format!("the log ends at {}", lane.next));
        }
        if lane.reigns.first().is_none_or(|reign| reign.claim != told.identity) {
            return wrong(ACKNOWLEDGED, "it is another log".to_owned());
        }
        if told.offset < ask.known {
            return wrong(MONOTONE, format!("{} was known before", ask.known));
        }
        let counted = lane.find(ask.asked.id).filter(|counted| counted.last <= told.offset);
        match counted {
            Some(counted) if counted.hash != ask.asked.hash.0 => {
                return wrong(REPEATED_TRULY, "the log has another body under this key".to_owned());
            }
            Some(Counted { first, last, .. }) if told.written > 0 && (last - first + 1) < told.written as i64 => {
                return wrong(ACKNOWLEDGED, format!("the log has fewer events from {first} to {last}"));
            }
            None if told.written > 0 || told.replayed => {
                return wrong(ACKNOWLEDGED, "the log has no such command that counts".to_owned());
            }
            _ => {}
        }
        let (state, version) = match lane.at(told.id, told.offset) {
            Some(was) => (was.state.told(&ask.asked), was.version),
            None => (Kept::fresh(domain::root::Context::ALL[ask.context]), 0),
        };
        if (told.version, &told.state) != (version, &state) {
            return wrong(TRUE_STATE, format!("version {version} was {state:?}"));
        }
        let nothing = |was: Option<&Was>, at| decides(was, ask, at) == Ok(0);
        if told.written == 0 && !told.replayed && !self.sometime(lane, Some(told.id), ask, nothing) {
            return wrong(REFUSED_TRULY, "at no moment was there nothing to do".to_owned());
        }
        Ok(())
    }

    /// Whether something held at some moment between the question and now: of any state, by any clock of then.
    fn sometime(&self, lane: &Lane, id: Option<Uuid>, ask: &Ask, so: impl Fn(Option<&Was>, Timestamp) -> bool) -> bool {
        let off = i64::try_from(TOLERANCE.as_micros()).expect("a short time") + 100_000;
        let (from, to) = (BEGIN + ask.at.cast_signed() - off, BEGIN + self.now.cast_signed() + off);
        let mut clocks = vec![Timestamp(from), Timestamp(to)];
        clocks.extend([lane.last].into_iter().filter(|last| last.0 > from));
        let states = id.map_or_else(|| vec![None], |id| lane.since(id, ask.known));
        states.into_iter().any(|was| clocks.iter().any(|at| so(was, *at)))
    }

    /// A command is decided before its deadline or never.
    pub fn was_in_time(&mut self, process: usize, context: usize, command: Uuid) {
        let now = self.clocks(process).mono;
        let mut late = false;
        for ask in self.asks.iter().rev().filter(|ask| ask.asked.id == CommandId(command)) {
            match ask.deadline {
                Some(deadline) if deadline <= now => late = true,
                _ => return,
            }
        }
        if late {
            let topic = Self::named(context);
            self.fail("too late means not carried out", format!("{topic}: command {command} was decided too late"));
        }
    }

    /// What was told to be not carried out was not.
    pub fn nothing_denied_counts(&mut self) {
        let mut denied: Vec<&Ask> = self.asks.iter().filter(|ask| !ask.asked.by.is_system()).collect();
        denied.sort_by_key(|ask| ask.asked.id);
        let mut found = None;
        for same in denied.chunk_by(|one, two| one.asked.id == two.asked.id) {
            let never = |ask: &&Ask| {
                matches!(
                    ask.answered,
                    Some(
                        "refused"
                            | "too late"
                            | "overloaded"
                            | "not served"
                            | "key reused"
                            | "nothing to do"
                            | "too large"
                    )
                )
            };
            if same.iter().all(never)
                && let Some(counted) = self.lanes[same[0].context].find(same[0].asked.id)
            {
                found = Some(format!("{:?} counts, and was answered {:?}", counted, same[0].answered));
            }
        }
        if let Some(detail) = found {
            self.fail("log ⊆ acknowledged + in doubt", detail);
        }
    }
}

/// The aggregate that a command is for.
fn target(lane: &Lane, asked: &Asked) -> Option<Uuid> {
    match asked.target {
        Target::Id(id) => Some(id),
        Target::Serial(serial) => lane.serials.get(&serial).map(|(_, id)| *id),
    }
}

fn decides(was: Option<&Was>, ask: &Ask, at: Timestamp) -> Result<usize, domain::event::Refusal> {
    match was {
        Some(was) => was.state.decide(&ask.asked, at),
        None => Kept::fresh(domain::root::Context::ALL[ask.context]).decide(&ask.asked, at),
    }
}

fn is_huge(asked: &Asked) -> bool {
    use domain::event::Command;
    use domain::inventory;
    matches!(&asked.command, Command::Inventory(_, inventory::Command::Reserve { checkout, .. }) if checkout.buyer.0.len() > 500_000)
}

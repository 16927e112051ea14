//! A day later: what somebody held back that long arrives once more, when no owner remembers it any more.

use std::collections::BTreeSet;

use crate::clients::Op;
use crate::part::Asked;
use crate::wire::Asker;
use crate::world::{SECOND, World};

/// Beyond the time for which an owner recognises what it is asked again.
const A_DAY: u64 = 25 * 3600 * SECOND;
/// Nobody of these numbers came before.
const NEWCOMER: u8 = 20;

impl World {
    /// Everything that sagas and the provider ever asked is asked once more, the next day: every target is a no-op by its
    /// own state. Not so clients: their keys are good for a day, and what they ask later is another command.
    pub fn a_day_later(&mut self) {
        let Some(via) = self.group.assigned else { return };
        self.pass_to(self.now + A_DAY);
        self.news();
        let (mut known, mut again) = (BTreeSet::new(), Vec::<Asked>::new());
        for ask in self.asks.iter().filter(|ask| ask.asked.by.is_system()) {
            if known.insert(ask.asked.id) {
                again.push(ask.asked.clone());
            }
        }
        if self.dice.chance(50) {
            again.reverse();
        }
        for some in again.chunks(self.knobs.mailbox) {
            for asked in some {
                self.seen.fault("network: once more, a day later");
                self.ask(via, asked.clone(), Asker::Nobody, None);
            }
            self.rush(SECOND / 10);
            if self.wrong.is_some() {
                return;
            }
        }
    }

    /// An owner forgets when something new happens, so something does, wherever it can.
    fn news(&mut self) {
        self.stray_money();
        for show in 0..2 {
            self.first_call(Op::Join { show, who: NEWCOMER });
            self.first_call(Op::Price { show, class: 1, price: 99 });
            self.first_call(Op::Order { show, who: NEWCOMER, order: NEWCOMER, class: 0, quantity: 1, sloppy: false });
        }
        self.rush(2 * SECOND);
    }
}

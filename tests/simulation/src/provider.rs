//! A payment provider with pages of its own: it lets people pay in time, late, twice, in part and too much.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::event::Command;
use domain::ids::{CommandId, PaymentId, RefundId};
use domain::payment::{self, Movement, Standing};
use domain::saga::CreatePayment;
use domain::value::{Actor, Currency, Fingerprint, Provider as Name, Timestamp};
use event_log::owner::Target;
use uuid::Uuid;

use crate::clients::{usd, vnd};
use crate::outbox::report;
use crate::part::{Asked, Said};
use crate::wire::{Asker, Message};
use crate::world::{SECOND, World, number};
use domain::root::Context;

/// A payment as the provider has it.
#[derive(Debug, Clone)]
pub struct Page {
    /// Whose.
    pub payment: PaymentId,
    /// To be paid.
    pub amount: i64,
    /// Until when.
    pub pay_by: Timestamp,
    /// What came.
    pub movements: Vec<Movement>,
    /// How it stands.
    pub standing: Standing,
}

/// What somebody does at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Money {
    /// Pays all that is missing.
    All,
    /// A part of it.
    Part,
    /// In many small parts.
    Crumbs,
    /// More than is missing.
    TooMuch,
    /// The whole amount, whatever has come.
    Again,
    /// In another currency.
    Dollars,
    /// The bank says no.
    Decline,
}

/// All pages by serial number.
#[derive(Debug, Default)]
pub struct Provider {
    /// Pages.
    pub pages: BTreeMap<i64, Page>,
    /// What went back to payers, each refund once.
    pub paid_out: BTreeMap<RefundId, (i64, Currency)>,
    /// Until when nobody answers.
    pub silent_until: u64,
    /// So many of the next answers are lost.
    pub lose_answers: u32,
    references: u64,
    /// Webhooks that came, by number: the page, and how often it was tried.
    webhooks: Vec<(i64, u32)>,
}

impl Provider {
    /// Whether nobody answers there.
    pub fn is_silent(&self, now: u64) -> bool {
        now < self.silent_until
    }

    /// Opens a page, once. Tells whether somebody can pay there.
    pub fn open(&mut self, create: &CreatePayment, now: Timestamp) -> bool {
        let page = self.pages.entry(create.serial).or_insert_with(|| Page {
            payment: create.payment,
            amount: create.amount,
            pay_by: create.pay_by,
            movements: vec![],
            standing: Standing::Open,
        });
        if page.standing == Standing::Open && page.pay_by <= now {
            page.standing = Standing::Ended;
        }
        page.standing == Standing::Open
    }

    /// Closes a page and tells how it stands. What it never heard of, it will never let anybody pay.
    pub fn close(&mut self, payment: PaymentId, serial: i64) -> (Vec<Movement>, Standing) {
        let pay_by = Timestamp(0);
        let unheard = || Page { payment, amount: 0, pay_by, movements: vec![], standing: Standing::Ended };
        let page = self.pages.entry(serial).or_insert_with(unheard);
        if page.standing == Standing::Open {
            page.standing = Standing::Ended;
        }
        (page.movements.clone(), page.standing)
    }

    fn transfer(&mut self, serial: i64, amount: i64, currency: Currency) {
        self.references += 1;
        let reference = format!("transfer {}", self.references);
        let Some(page) = self.pages.get_mut(&serial) else { return };
        page.movements.push(Movement { reference, amount, currency, fee: 0 });
        let sum: i64 = page.movements.iter().filter(|moved| moved.currency == vnd()).map(|moved| moved.amount).sum();
        if sum >= page.amount {
            page.standing = Standing::Paid;
        }
    }
}

impl World {
    /// Somebody does something at a page; the provider tells us, sooner or later, perhaps twice.
    pub fn money(&mut self, which: usize, what: Money) {
        // Nobody knows a page that was closed before it was ever opened.
        let opened = self.provider.pages.iter().filter(|(_, page)| page.amount > 0);
        let serials: Vec<i64> = opened.map(|(serial, _)| *serial).collect();
        if serials.is_empty() {
            return;
        }
        let serial = serials[which % serials.len()];
        let page = &self.provider.pages[&serial];
        let came: i64 = page.movements.iter().filter(|it| it.currency == vnd()).map(|it| it.amount).sum();
        let missing = (page.amount - came).max(1);
        self.seen.happened(match what {
            Money::All => "money: all",
            Money::Part => "money: a part",
            Money::Crumbs => "money: crumbs",
            Money::TooMuch => "money: too much",
            Money::Again => "money: again",
            Money::Dollars => "money: wrong currency",
            Money::Decline => "money: declined",
        });
        let amount = page.amount;
        match what {
            Money::All => self.provider.transfer(serial, missing, vnd()),
            Money::Part => self.provider.transfer(serial, (missing / 2).max(1), vnd()),
            Money::Crumbs => (0..missing.min(60)).for_each(|_| self.provider.transfer(serial, 1, vnd())),
            Money::TooMuch => self.provider.transfer(serial, missing + 1, vnd()),
            Money::Again => self.provider.transfer(serial, amount.max(1), vnd()),
            Money::Dollars => self.provider.transfer(serial, missing, usd()),
            Money::Decline => {
                let page = self.provider.pages.get_mut(&serial).expect("it was there");
                if page.standing == Standing::Open {
                    page.standing = Standing::Failed;
                }
            }
        }
        let at = self.now + self.dice.below(SECOND / 2);
        self.wire.send(at, Message::Webhook { serial, tries: 0 });
        if self.dice.chance(20) {
            let at = self.now + self.dice.below(20 * SECOND);
            self.wire.send(at, Message::Webhook { serial, tries: 0 });
        }
    }

    /// The provider tells a process what has come; as often as it takes.
    pub fn webhook(&mut self, serial: i64, tries: u32) {
        let via = self.dice.index(self.processes.len());
        if !self.is_up(via) {
            self.webhook_again(serial, tries);
            return;
        }
        let Page { movements, standing, .. } = self.provider.pages[&serial].clone();
        if movements.is_empty() && standing != Standing::Failed {
            return;
        }
        let webhook = self.provider.webhooks.len();
        self.provider.webhooks.push((serial, tries));
        let id = CommandId(self.dice.id());
        let command = Command::Payment(PaymentId(Uuid::nil()), report(movements, standing));
        let asked = Asked {
            target: Target::Serial(serial.unsigned_abs()),
            command,
            by: Actor::System,
            id,
            hash: Fingerprint::default(),
            correlation_id: id.0,
            causation_id: id.0,
        };
        self.ask(via, asked, Asker::Webhook(webhook), Some(Duration::from_secs(5)));
    }

    fn webhook_again(&mut self, serial: i64, tries: u32) {
        if tries < 4 || self.healed {
            let at = self.now + SECOND * (1 << tries.min(4));
            self.wire.send(at, Message::Webhook { serial, tries: tries + 1 });
        }
    }

    /// What became of a webhook: money is told of until it is in the log.
    pub fn webhook_answered(&mut self, webhook: usize, said: &Said) {
        let (serial, tries) = self.provider.webhooks[webhook];
        match said {
            Said::Done(_) => {}
            Said::NoSuchSerial => self.quarantine(webhook, 0),
            Said::Refused(refusal) => {
                let detail = format!("what the provider reports of {serial} is refused: {refusal:?}");
                self.fail("money is taken in", detail);
            }
            Said::KeyReused | Said::TooLarge | Said::Broken => {
                self.fail("money is taken in", format!("the report of {serial} led to {said:?}"));
            }
            Said::TooLate | Said::Overloaded | Said::NotServed | Said::InDoubt => self.webhook_again(serial, tries),
        }
    }

    /// Money for a number that nobody knows: one movement after the other.
    fn quarantine(&mut self, webhook: usize, nth: usize) {
        let (serial, tries) = self.provider.webhooks[webhook];
        let Some(movement) = self.provider.pages[&serial].movements.get(nth).cloned() else { return };
        let via = self.dice.index(self.processes.len());
        if !self.is_up(via) {
            return self.webhook_again(serial, tries);
        }
        let payment = PaymentId(Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("payos:{serial}").as_bytes()));
        let command = payment::Command::Quarantine { payment, provider: Name::Payos, serial, movement };
        let id = CommandId(self.dice.id());
        let asked = Asked {
            target: Target::Id(payment.0),
            command: Command::Payment(payment, command),
            by: Actor::System,
            id,
            hash: Fingerprint::default(),
            correlation_id: id.0,
            causation_id: id.0,
        };
        self.ask(via, asked, Asker::Stray(webhook, nth), Some(Duration::from_secs(5)));
    }

    /// What became of one movement of money for nobody.
    pub fn stray_answered(&mut self, webhook: usize, nth: usize, said: &Said) {
        let (serial, tries) = self.provider.webhooks[webhook];
        match said {
            Said::Done(_) => self.quarantine(webhook, nth + 1),
            _ => self.webhook_again(serial, tries),
        }
    }

    /// Money comes for a number that nobody gave out.
    pub fn stray_money(&mut self) {
        let serial = 7 + i64::try_from(self.dice.below(3)).expect("small");
        let pay_by = self.true_time();
        let payment = PaymentId(Uuid::nil());
        self.provider.pages.entry(serial).or_insert_with(|| Page {
            payment,
            amount: 1,
            pay_by,
            movements: vec![],
            standing: Standing::Open,
        });
        self.provider.transfer(serial, 5, vnd());
        self.seen.happened("money: for nobody");
        self.wire.send(self.now, Message::Webhook { serial, tries: 0 });
    }

    /// A process asks how its open payments stand.
    pub fn watch(&mut self, process: usize) {
        if !self.is_up(process) || self.provider.is_silent(self.now) {
            return;
        }
        let seat = self.processes[process].seats[number(Context::Payment)].as_ref();
        let watched = seat.map(|seat| seat.host.watched()).unwrap_or_default();
        for id in watched {
            let page = self.provider.pages.values().find(|page| page.payment.0 == id);
            let Some(Page { movements, standing, payment, .. }) = page.cloned() else { continue };
            if movements.is_empty() && standing == Standing::Open {
                continue;
            }
            let id = CommandId(self.dice.id());
            let asked = Asked {
                target: Target::Id(payment.0),
                command: Command::Payment(payment, report(movements, standing)),
                by: Actor::System,
                id,
                hash: Fingerprint::default(),
                correlation_id: id.0,
                causation_id: id.0,
            };
            self.ask(process, asked, Asker::Nobody, None);
        }
    }

    /// Pages that are too old end at the provider.
    pub fn pages_end(&mut self) {
        let now = self.true_time();
        for page in self.provider.pages.values_mut().filter(|it| it.standing == Standing::Open && it.pay_by <= now) {
            page.standing = Standing::Ended;
        }
    }
}

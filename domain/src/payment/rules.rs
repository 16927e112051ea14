//! What becomes of an attempt to collect money, and of every movement of money that is reported.

use crate::breakage::{Breakage, broken};
use crate::payment::state::Known;
use crate::payment::{
    Command, Event, Movement, Payment, PaymentClosureRequested, PaymentCompleted, PaymentExpired, PaymentFailed,
    PaymentIntentCreated, PaymentPartiallyReceived, PaymentQuarantined, PaymentRequested, QuarantineReason, RefundWhy,
    Refusal, Standing, Status,
};
use crate::root::Issued;
use crate::value::{Role, Timestamp};

type Decision = Result<Vec<Event>, Refusal>;

/// So many movements of one report are taken in at most; the rest comes with the next report.
const MAX_MOVEMENTS: usize = 100;
/// So long after the deadline a provider that says "paid" has listed all the money that it means.
const LISTED_WITHIN_S: i64 = 600;

impl Payment {
    pub(super) fn decide(&self, issued: Issued<Command>) -> Decision {
        let Issued { command, by, at, serial, .. } = issued;
        match command {
            Command::Look => self.known().map(|_| vec![]).ok_or(Refusal::NotFound),
            Command::SettleRefund { refund, reference } if by.has(Role::Support) || by.has(Role::Admin) => {
                self.existing()?.settle_refund(refund, reference)
            }
            _ if !by.is_system() => Err(Refusal::NotFound),
            command @ Command::Request { .. } => Ok(self.request(command, serial)),
            command @ Command::Quarantine { .. } => Ok(self.quarantine(command)),
            Command::RecordIntent { reference, url } => Ok(self.existing()?.record_intent(reference, url)),
            Command::RecordFailure { reason } => Ok(self.existing()?.record_failure(reason)),
            Command::Report { movements, standing } => self.existing().map(|_| self.report(movements, standing, at)),
            Command::Close => Ok(self.existing()?.close()),
            Command::Refund { why } => self.existing()?.refund(why, at),
            Command::RefundPart { refund, amount, why } => self.existing()?.refund_part(refund, amount, why, at),
            Command::RecordRefund { refund, reference } => self.existing()?.record_refund(refund, reference),
            Command::RecordRefundFailure { refund, reason } => self.existing()?.record_refund_failure(refund, reason),
            Command::SettleRefund { refund, reference } => self.existing()?.settle_refund(refund, reference),
        }
    }

    fn existing(&self) -> Result<&Known, Refusal> {
        self.known().ok_or(Refusal::NotFound)
    }

    fn request(&self, command: Command, serial: u64) -> Vec<Event> {
        match command {
            Command::Request {
                payment,
                order,
                show,
                provider,
                amount,
                currency,
                code,
                return_url,
                cancel_url,
                pay_by,
            } if self.known().is_none() => {
                let serial = i64::try_from(serial).expect("a counter never gets that far");
                let requested = PaymentRequested {
                    payment,
                    order,
                    show,
                    provider,
                    serial,
                    amount,
                    currency,
                    code,
                    return_url,
                    cancel_url,
                    pay_by,
                };
                vec![requested.into()]
            }
            _ => vec![], // A retry.
        }
    }

    fn quarantine(&self, command: Command) -> Vec<Event> {
        match command {
            Command::Quarantine { payment, provider, serial, movement } if !self.has_seen(&movement.reference) => {
                let known = self.known();
                let (order, show) = (known.map(|known| known.order), known.map(|known| known.show));
                let Movement { reference, amount, currency, .. } = movement;
                let reason = QuarantineReason::UnknownReference;
                let quarantined =
                    PaymentQuarantined { payment, order, show, provider, serial, reference, amount, currency, reason };
                vec![quarantined.into()]
            }
            _ => vec![], // A retry.
        }
    }

    /// Takes in the movements not seen before, one after the other, then how the payment stands.
    fn report(&self, movements: Vec<Movement>, standing: Standing, at: Timestamp) -> Vec<Event> {
        let mut next = self.clone();
        let mut events = Vec::new();
        let mut taken = 0;
        for movement in movements {
            if next.has_seen(&movement.reference) && !broken(Breakage::MovementCountedTwice) {
                continue;
            }
            if taken == MAX_MOVEMENTS {
                return events;
            }
            taken += 1;
            let known = next.known().expect("only what exists is reported on");
            let received = known.receive(movement, at);
            received.iter().cloned().for_each(|event| next.fold(event));
            events.extend(received);
        }
        let known = next.known().expect("only what exists is reported on");
        events.extend(known.settle(standing, at));
        events
    }
}

impl Known {
    /// A page that comes after the order lost interest is of no use to anybody; the provider is being asked anyway.
    fn record_intent(&self, reference: String, url: String) -> Vec<Event> {
        match self.status {
            Status::Requested => {
                let (payment, order, show) = (self.payment, self.order, self.show);
                vec![PaymentIntentCreated { payment, order, show, reference, url }.into()]
            }
            Status::Ready | Status::Closing | Status::Completed | Status::Failed | Status::Expired => vec![],
        }
    }

    fn record_failure(&self, reason: String) -> Vec<Event> {
        if self.status.open() && self.received == 0 { vec![self.failed(reason)] } else { vec![] }
    }

    fn receive(&self, movement: Movement, at: Timestamp) -> Vec<Event> {
        let Movement { reference, amount, currency, fee } = movement;
        if currency != self.currency && !broken(Breakage::WrongCurrencyApplied) {
            return vec![self.quarantined(reference, amount, currency, QuarantineReason::WrongCurrency)];
        }
        // No provider reports such a movement; if one does, a person has to look.
        if amount <= 0 {
            return vec![self.quarantined(reference, amount, currency, QuarantineReason::Unknown)];
        }
        let fits = |received: &i64| *received <= self.amount || broken(Breakage::TooMuchApplied);
        let Some(received) = self.received.checked_add(amount).filter(fits) else {
            return vec![self.quarantined(reference, amount, currency, QuarantineReason::TooMuch)];
        };
        let Self { payment, order, show, provider, .. } = *self;
        // What has gone back in part can never become whole.
        if received == self.amount && self.refunded == 0 {
            let whole = PaymentCompleted { payment, order, show, reference, amount, currency, received, fee, provider };
            return vec![whole.into()];
        }
        let part =
            PaymentPartiallyReceived { payment, order, show, reference, amount, currency, received, fee, provider };
        // Nobody waits for the rest any more, so it goes back at once.
        let back = (!self.status.open()).then(|| self.refunding(amount, RefundWhy::PaidInPart, at));
        [part.into()].into_iter().chain(back).collect()
    }

    /// Ends what the provider says is over. A whole amount is told by the movements alone: if it says paid,
    /// they may be late; but if part of them is in quarantine, the rest will never be enough.
    fn settle(&self, standing: Standing, at: Timestamp) -> Vec<Event> {
        match standing {
            _ if !self.status.open() => vec![],
            Standing::Open => vec![],
            // It calls paid what is less than was asked for: a discount, say.
            Standing::Paid if self.kept() > 0 && at >= self.pay_by.plus_s(LISTED_WITHIN_S) => self.expire(at),
            Standing::Paid if !self.quarantined => vec![],
            Standing::Failed if self.kept() == 0 => vec![self.failed("declined".to_owned())],
            Standing::Failed | Standing::Ended | Standing::Paid => self.expire(at),
        }
    }

    fn expire(&self, at: Timestamp) -> Vec<Event> {
        let expired = PaymentExpired { payment: self.payment, order: self.order, show: self.show }.into();
        let back = (self.kept() > 0).then(|| self.refunding(self.kept(), RefundWhy::PaidInPart, at));
        [expired].into_iter().chain(back).collect()
    }

    fn close(&self) -> Vec<Event> {
        match self.status {
            Status::Requested | Status::Ready => {
                let Self { payment, order, show, provider, serial, .. } = *self;
                vec![PaymentClosureRequested { payment, order, show, provider, serial }.into()]
            }
            Status::Closing | Status::Completed | Status::Failed | Status::Expired => vec![],
        }
    }

    fn failed(&self, reason: String) -> Event {
        PaymentFailed { payment: self.payment, order: self.order, show: self.show, reason }.into()
    }

    fn quarantined(
        &self,
        reference: String,
        amount: i64,
        currency: crate::value::Currency,
        reason: QuarantineReason,
    ) -> Event {
        let Self { payment, provider, serial, .. } = *self;
        let (order, show) = (Some(self.order), Some(self.show));
        PaymentQuarantined { payment, order, show, provider, serial, reference, amount, currency, reason }.into()
    }
}

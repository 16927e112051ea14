//! The refunds of a payment: asked for, done by the provider, or due from a person.

use serde::{Deserialize, Serialize};

use crate::breakage::{Breakage, broken};
use crate::ids::{RefundId, derived};
use crate::payment::state::Known;
use crate::payment::{Event, PaymentRefunded, RefundFailed, RefundRequested, RefundWhy, Refusal, Status};
use crate::value::Timestamp;

type Decision = Result<Vec<Event>, Refusal>;

/// Money that goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Which one.
    pub refund: RefundId,
    /// Minor units of the payment's currency.
    pub amount: i64,
    /// When it was decided.
    pub requested_at: Timestamp,
    /// How it stands.
    pub state: RefundState,
}

/// How a refund stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefundState {
    /// The provider is being asked.
    Asked,
    /// A person has to do it.
    Due,
    /// It is done, under this name of the movement.
    Done(Box<str>),
}

/// Who gave money back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Provider,
    Person,
}

impl Known {
    /// Refunds that the provider is being asked for.
    pub fn asked_refunds(&self) -> impl Iterator<Item = &Refund> {
        self.refunds.iter().filter(|it| it.state == RefundState::Asked)
    }

    /// Sends everything back, once.
    pub(super) fn refund(&self, why: RefundWhy, at: Timestamp) -> Decision {
        match self.status {
            Status::Completed if broken(Breakage::RefundTwice) => Ok(vec![self.refunding(self.received, why, at)]),
            Status::Completed if self.kept() > 0 => Ok(vec![self.refunding(self.kept(), why, at)]),
            Status::Completed => Ok(vec![]), // A retry.
            Status::Requested | Status::Ready | Status::Closing | Status::Failed | Status::Expired => {
                Err(Refusal::WrongState)
            }
        }
    }

    /// Sends a part back, once. Where all of it is going back already, nothing is left to send.
    pub(super) fn refund_part(&self, refund: RefundId, amount: i64, why: RefundWhy, at: Timestamp) -> Decision {
        match self.status {
            Status::Completed if self.find(refund).is_some() || self.kept() == 0 => Ok(vec![]),
            Status::Completed => Ok(vec![self.refund_event(refund, amount.min(self.kept()), why, at)]),
            Status::Requested | Status::Ready | Status::Closing | Status::Failed | Status::Expired => {
                Err(Refusal::WrongState)
            }
        }
    }

    /// One movement settles one refund. Where a provider cannot tell two of the same amount apart (VNPay) and names the
    /// first again, a person has to do the second.
    pub(super) fn record_refund(&self, refund: RefundId, reference: String) -> Decision {
        let known = self.find(refund).ok_or(Refusal::NoSuchRefund)?;
        let spent = self.refunds.iter().any(|it| matches!(&it.state, RefundState::Done(name) if **name == *reference));
        match known.state {
            RefundState::Asked if spent => Ok(vec![self.refund_failed(known, "another-refund".to_owned())]),
            RefundState::Due if spent => Ok(vec![]),
            RefundState::Asked | RefundState::Due => Ok(vec![self.refunded(known, reference, By::Provider)]),
            RefundState::Done(_) => Ok(vec![]), // A retry.
        }
    }

    pub(super) fn record_refund_failure(&self, refund: RefundId, reason: String) -> Decision {
        let known = self.find(refund).ok_or(Refusal::NoSuchRefund)?;
        match known.state {
            RefundState::Asked => Ok(vec![self.refund_failed(known, reason)]),
            RefundState::Due | RefundState::Done(_) => Ok(vec![]), // A retry.
        }
    }

    pub(super) fn settle_refund(&self, refund: Option<RefundId>, reference: String) -> Decision {
        let known = match refund {
            Some(refund) => self.find(refund).ok_or(Refusal::NoSuchRefund)?,
            None => self.only_due(&reference)?,
        };
        match &known.state {
            RefundState::Due => Ok(vec![self.refunded(known, reference, By::Person)]),
            RefundState::Done(before) if **before == *reference => Ok(vec![]), // A retry.
            RefundState::Done(before) => Err(Refusal::RefundedBefore { reference: before.to_string() }),
            RefundState::Asked => Err(Refusal::NoSuchRefund),
        }
    }

    /// The one that is due, or the one that was done under this reference.
    fn only_due(&self, reference: &str) -> Result<&Refund, Refusal> {
        let done = |it: &&Refund| matches!(&it.state, RefundState::Done(before) if **before == *reference);
        let done = self.refunds.iter().find(done);
        let mut due = self.refunds.iter().filter(|it| it.state == RefundState::Due);
        match (due.next(), due.next(), done) {
            (Some(only), None, None) => Ok(only),
            // Whether it is a retry, or one transfer for two refunds, only who asks can tell.
            (Some(_), _, _) => Err(Refusal::SeveralDue),
            (None, _, done) => done.ok_or(Refusal::NoSuchRefund),
        }
    }

    fn find(&self, refund: RefundId) -> Option<&Refund> {
        self.refunds.iter().find(|it| it.refund == refund)
    }

    /// The id of a refund that nobody named: by its number, so that a retry names it again.
    pub(super) fn next_refund(&self) -> RefundId {
        RefundId(derived(self.payment.0, "refund", self.refunds.len() as u64))
    }

    pub(super) fn refunding(&self, amount: i64, why: RefundWhy, at: Timestamp) -> Event {
        self.refund_event(self.next_refund(), amount, why, at)
    }

    fn refund_event(&self, refund: RefundId, amount: i64, why: RefundWhy, requested_at: Timestamp) -> Event {
        let Self { payment, order, show, provider, currency, .. } = *self;
        let by_hand = provider.refunds_by_hand();
        let event =
            RefundRequested { payment, order, show, provider, amount, currency, why, by_hand, refund, requested_at };
        event.into()
    }

    fn refunded(&self, known: &Refund, reference: String, by: By) -> Event {
        let Self { payment, order, show, provider, currency, .. } = *self;
        let (refund, amount) = (known.refund, known.amount);
        let by_hand = by == By::Person;
        PaymentRefunded { payment, order, show, provider, refund, reference, amount, currency, by_hand }.into()
    }

    fn refund_failed(&self, refund: &Refund, reason: String) -> Event {
        let Self { payment, order, show, provider, currency, .. } = *self;
        let (refund, amount) = (refund.refund, refund.amount);
        RefundFailed { payment, order, show, provider, refund, amount, currency, reason }.into()
    }

    pub(super) fn fold_refund(&mut self, event: &RefundRequested) {
        let refund = if event.refund.0.is_nil() { self.next_refund() } else { event.refund };
        let state = if event.by_hand { RefundState::Due } else { RefundState::Asked };
        let asked = Refund { refund, amount: event.amount, requested_at: event.requested_at, state };
        self.refunds = self.refunds.iter().cloned().chain([asked]).collect();
        self.refunded += event.amount;
        assert!(self.refunded <= self.received, "more would go back than came: {self:?}");
    }

    pub(super) fn set_refund(&mut self, refund: RefundId, state: RefundState) {
        let known = self.refunds.iter_mut().find(|it| it.refund == refund);
        known.expect("RefundRequested comes first").state = state;
    }
}

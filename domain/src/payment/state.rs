//! An attempt to collect money as it is known: folded from its events.

use std::sync::Arc;

use imbl::OrdSet;
use serde::{Deserialize, Serialize};

use crate::event_name::aggregate;
use crate::ids::{OrderId, PaymentId, ShowId};
use crate::payment::{Command, Event, PaymentRequested, Refund, RefundState, Refusal};
use crate::root::{Context, Root};
use crate::value::{Currency, Provider, Timestamp};

/// An attempt to collect money; the default is one that does not exist yet.
///
/// Money for a reference that nobody knows has an aggregate of its own: it knows movements, but no attempt.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Payment {
    known: Option<Arc<Known>>,
    /// References of every movement of money that was ever reported, applied or quarantined.
    seen: OrdSet<Box<str>>,
}

/// What is known of an attempt that exists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// Its id.
    pub payment: PaymentId,
    /// The order it is for.
    pub order: OrderId,
    /// The show of that order.
    pub show: ShowId,
    /// Who collects.
    pub provider: Provider,
    /// The integer the provider knows it by.
    pub serial: i64,
    /// To be collected, minor units.
    pub amount: i64,
    /// In what.
    pub currency: Currency,
    /// Until when.
    pub pay_by: Timestamp,
    /// How it stands.
    pub status: Status,
    /// The payer's page, once there is one.
    pub url: Option<Box<str>>,
    /// The provider's own name for it, once it has one.
    pub reference: Option<Box<str>>,
    /// Where the payer's browser goes afterwards, whenever it comes back.
    pub return_url: Box<str>,
    /// Where it goes after giving up.
    pub cancel_url: Option<Box<str>>,
    /// What has come, quarantined money aside.
    pub received: i64,
    /// What of it goes back.
    pub refunded: i64,
    /// Each time that some of it goes back.
    pub refunds: Box<[Refund]>,
    /// Whether money came that was not applied.
    pub quarantined: bool,
}

/// How an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// The provider has not answered yet.
    Requested,
    /// The payer has a page.
    Ready,
    /// The order wants no money any more; the provider is being asked.
    Closing,
    /// The whole amount came.
    Completed,
    /// Declined.
    Failed,
    /// Closed without the whole amount.
    Expired,
}

impl Status {
    /// Whether it may still end in more than one way.
    pub fn open(self) -> bool {
        match self {
            Self::Requested | Self::Ready | Self::Closing => true,
            Self::Completed | Self::Failed | Self::Expired => false,
        }
    }
}

impl Known {
    /// What came and does not go back.
    pub fn kept(&self) -> i64 {
        self.received - self.refunded
    }
}

impl Payment {
    /// What is known, if it was ever requested.
    pub fn known(&self) -> Option<&Known> {
        self.known.as_deref()
    }

    /// Whether this movement of money was reported before.
    pub fn has_seen(&self, reference: &str) -> bool {
        self.seen.contains(reference)
    }

    /// The provider's name of the money, if one movement brought all that ever came.
    pub fn only_movement(&self) -> Option<&str> {
        let only = self.seen.iter().next().filter(|_| self.seen.len() == 1)?;
        Some(only)
    }

    pub(super) fn fold(&mut self, event: Event) {
        match event {
            Event::PaymentRequested(event) => self.known = Some(Arc::new(born(event))),
            Event::PaymentIntentCreated(event) => {
                let known = self.known_mut();
                known.status = Status::Ready;
                known.url = Some(event.url.into());
                known.reference = Some(event.reference.into());
            }
            Event::PaymentPartiallyReceived(event) => {
                self.seen.insert(event.reference.into());
                self.receive(event.amount);
            }
            Event::PaymentCompleted(event) => {
                self.seen.insert(event.reference.into());
                self.receive(event.amount);
                self.end(Status::Completed);
            }
            Event::PaymentFailed(_) => self.end(Status::Failed),
            Event::PaymentClosureRequested(_) => self.known_mut().status = Status::Closing,
            Event::PaymentExpired(_) => self.end(Status::Expired),
            Event::PaymentQuarantined(event) => {
                self.seen.insert(event.reference.into());
                if let Some(known) = self.known.as_mut() {
                    Arc::make_mut(known).quarantined = true;
                }
            }
            Event::RefundRequested(event) => self.known_mut().fold_refund(&event),
            Event::PaymentRefunded(event) => {
                self.known_mut().set_refund(event.refund, RefundState::Done(event.reference.into()));
            }
            Event::RefundFailed(event) => self.known_mut().set_refund(event.refund, RefundState::Due),
        }
    }

    fn receive(&mut self, amount: i64) {
        let known = self.known_mut();
        known.received += amount;
        assert!(known.received <= known.amount, "too much is quarantined, never applied: {known:?}");
    }

    /// Nobody is sent to the page of an attempt that is over, so its URL is dropped.
    fn end(&mut self, status: Status) {
        let known = self.known_mut();
        known.status = status;
        known.url = None;
    }

    fn known_mut(&mut self) -> &mut Known {
        Arc::make_mut(self.known.as_mut().expect("PaymentRequested comes first"))
    }
}

fn born(event: PaymentRequested) -> Known {
    Known {
        payment: event.payment,
        order: event.order,
        show: event.show,
        provider: event.provider,
        serial: event.serial,
        amount: event.amount,
        currency: event.currency,
        pay_by: event.pay_by,
        status: Status::Requested,
        url: None,
        reference: None,
        return_url: event.return_url.into(),
        cancel_url: event.cancel_url.map(Into::into),
        received: 0,
        refunded: 0,
        refunds: Box::default(),
        quarantined: false,
    }
}

aggregate!(Payment, "payment");

impl Root for Payment {
    type Ask = Command;
    type About = ();
    const CONTEXT: Context = Context::Payment;

    fn next_due(&self) -> Option<Timestamp> {
        None
    }

    fn due() -> Command {
        Command::Look
    }

    fn watched(&self) -> bool {
        let open = |known: &Known| matches!(known.status, Status::Ready | Status::Closing);
        self.known().is_some_and(|known| open(known) || known.asked_refunds().next().is_some())
    }

    fn serial(event: &Event) -> Option<u64> {
        match event {
            Event::PaymentRequested(event) => u64::try_from(event.serial).ok(),
            _ => None,
        }
    }

    fn id(event: &Event) -> uuid::Uuid {
        event.aggregate()
    }
}

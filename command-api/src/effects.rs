//! What events ask of the world outside: calls to payment providers, with what their answers tell the payment, and the
//! seeds of draws.

use std::sync::Arc;
use std::time::Duration;

use domain::event::{Command, Refusal};
use domain::ids::{CommandId, DataKeyId, PaymentId, ShowId, derived};
use domain::order::Step;
use domain::payment::{self, Payment, RefundState, Status};
use domain::queue;
use domain::saga::{CreatePayment, Effect};
use domain::value::{Actor, Fingerprint, Provider};
use event_log::owner::{Outcome, Target};
use service_kit::backoff::Backoff;
use service_kit::keys::Keys;
use service_kit::{clock, random};
use uuid::Uuid;

use crate::outbox::{insist, mark_stuck};
use crate::owners::{Owners, Request};
use crate::payments::gateway::{Attempt, Intent, ORDER_OVER, Refund, Refunded, Report};
use crate::payments::{CreateError, GatewayError, Gateways, PaymentGateway};
use crate::person_keys::KeyStore;

/// Carries effects out. Each call may happen twice; providers recognise the second by its reference.
pub struct Effects {
    owners: Arc<Owners>,
    gateways: Arc<Gateways>,
    /// Where the keys of personal data are.
    store: Arc<dyn KeyStore>,
    give_up: Duration,
    keys: Keys,
}

/// A call to a provider.
#[derive(Clone, Copy)]
enum Call<'a> {
    Create(&'a CreatePayment),
    Close { payment: PaymentId, provider: Provider },
}

impl Call<'_> {
    fn payment(&self) -> PaymentId {
        match self {
            Self::Create(create) => create.payment,
            Self::Close { payment, .. } => *payment,
        }
    }

    fn provider(&self) -> Provider {
        match self {
            Self::Create(create) => create.provider,
            Self::Close { provider, .. } => *provider,
        }
    }
}

/// When a payment is to be asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Less often the longer it is open.
    Usual,
    /// An order waits for it to be over.
    Soon,
}

/// What came of asking for a refund.
enum GivenBack {
    /// It is done, or a person has to do it.
    Answered,
    /// It is asked for again later.
    NotYet,
    /// No refund is to be asked for.
    NothingAsked,
}

/// What a payment is told.
struct Telling {
    command: payment::Command,
    id: CommandId,
}

impl Effects {
    /// With the providers that are set up, where the keys of personal data are, and the keys that draws go by; a call that
    /// fails for `give_up` makes its order stuck.
    pub fn new(
        owners: Arc<Owners>,
        gateways: Arc<Gateways>,
        store: Arc<dyn KeyStore>,
        give_up: Duration,
        keys: Keys,
    ) -> Self {
        Self { owners, gateways, store, give_up, keys }
    }

    /// Carries one effect out, and comes back when it is answered or a person was called.
    pub async fn carry_out(&self, effect: &Effect, correlation: Uuid, id: CommandId) {
        match effect {
            Effect::CreatePayment(create) => self.call(Call::Create(create), correlation, id).await,
            Effect::ClosePayment { payment, provider, .. } => {
                self.call(Call::Close { payment: *payment, provider: *provider }, correlation, id).await;
            }
            Effect::RefundPayment { payment, .. } => self.refund(*payment, correlation).await,
            Effect::RevealSeed { show } => self.reveal_seed(*show, correlation, id).await,
            Effect::ForgetKeys { keys } => self.forget(keys).await,
        }
    }

    async fn call(&self, call: Call<'_>, correlation: Uuid, id: CommandId) {
        let payment = call.payment();
        let Some(gateway) = self.gateways.get(call.provider()) else {
            return self.give_up(payment, correlation, id, "the provider is not set up here").await;
        };
        let started = clock::monotonic();
        let mut backoff = Backoff::between(Duration::from_millis(200), Duration::from_secs(10));
        loop {
            let told = match call {
                Call::Create(create) => self.create(gateway.as_ref(), create, id).await,
                Call::Close { .. } => self.close(gateway.as_ref(), payment).await.map(Some),
            };
            match told {
                Ok(Some(telling)) => return self.tell(payment, telling, correlation).await,
                Ok(None) => return,
                Err(reason) if started.elapsed() > self.give_up => {
                    return self.give_up(payment, correlation, id, &reason).await;
                }
                Err(reason) => tracing::warn!(payment.id = %payment, reason, "a provider call is tried again"),
            }
            backoff.wait().await;
            let creating = matches!(call, Call::Create(_));
            if creating && self.look(payment).await.is_some_and(|status| status != Status::Requested) {
                // The order gave up in the meantime; closing finds out what the lost call left behind.
                return;
            }
        }
    }

    /// Only we know the seed that was promised; the waiting room compares it with the promise.
    async fn reveal_seed(&self, show: ShowId, correlation: Uuid, id: CommandId) {
        let seed = self.keys.draw_seed(show).to_string();
        let command = Command::Queue(show, queue::Command::Draw { seed });
        match insist(&self.owners, command, id, correlation, id.0).await {
            Ok(()) => {}
            Err(Refusal::Queue(queue::Refusal::Closed)) => {
                tracing::info!(show.id = %show, "a waiting room closed before its draw");
            }
            Err(refusal) => {
                tracing::error!(show.id = %show, ?refusal, "the seed of a draw is refused: nobody is admitted until BOXOFFICE_SECRET is what it was when the show was published");
            }
        }
    }

    /// However long it takes: only a key that is known to be gone is forgotten. Taking one away twice changes nothing.
    async fn forget(&self, keys: &[DataKeyId]) {
        let mut backoff = Backoff::between(Duration::from_millis(200), Duration::from_secs(10));
        for key in keys {
            while let Err(error) = self.store.forget(*key).await {
                tracing::warn!(key.id = %key, error = format!("{error:#}"), "a person is not forgotten yet: trying again");
                backoff.wait().await;
            }
        }
    }

    /// What the payment is to be told; nothing if it knows all already.
    async fn create(
        &self,
        gateway: &dyn PaymentGateway,
        create: &CreatePayment,
        id: CommandId,
    ) -> Result<Option<Telling>, String> {
        let urls = self.gateways.urls(create.provider, create.payment);
        let command = match gateway.create(create, &urls).await {
            Ok(Intent { reference, url }) => payment::Command::RecordIntent { reference, url },
            Err(CreateError::Refused { code }) => payment::Command::RecordFailure { reason: code },
            Err(CreateError::PageLost { reference }) => return self.page_lost(gateway, create, reference, id).await,
            Err(error @ (CreateError::Ambiguous(_) | CreateError::Unavailable { .. })) => return Err(chain(&error)),
        };
        Ok(Some(Telling { command, id: CommandId(derived(id.0, "created", 0)) }))
    }

    /// A page that nobody was ever sent to is cancelled. After a restart it may be one that somebody is paying at.
    async fn page_lost(
        &self,
        gateway: &dyn PaymentGateway,
        create: &CreatePayment,
        reference: String,
        id: CommandId,
    ) -> Result<Option<Telling>, String> {
        let attempt = Attempt { reference: Some(reference), ..Attempt::from(create) };
        match self.look(create.payment).await {
            Some(Status::Requested) => {}
            Some(_) => return Ok(None),
            None => return Err("nobody knows how the payment stands".to_owned()),
        }
        let command = match gateway.close(&attempt, "page lost").await {
            Ok(report) if report.movements.is_empty() => {
                payment::Command::RecordFailure { reason: "page-lost".to_owned() }
            }
            Ok(report) => reported(report),
            Err(error) => return Err(chain(&error)),
        };
        Ok(Some(Telling { command, id: CommandId(derived(id.0, "created", 0)) }))
    }

    /// What is reported the second time may be more than the first time: so each report has an id of its own, and the
    /// payment makes a no-op of what it knows.
    async fn close(&self, gateway: &dyn PaymentGateway, payment: PaymentId) -> Result<Telling, String> {
        let known = self.known(payment).await.ok_or("nobody knows how the payment stands")?;
        let report = match gateway.close(&Attempt::from(&known), ORDER_OVER).await {
            Ok(report) => report,
            Err(GatewayError::NotFound) => Report::never_opened(),
            Err(error) => return Err(chain(&error)),
        };
        let report = if is_ours(&known, &report) { report } else { Report::never_opened() };
        Ok(Telling { command: reported(report), id: CommandId(random::id()) })
    }

    /// Has the provider give money back, one refund of a payment after the other. What it does not end now (it takes its
    /// time, or does not answer) is asked for again with the open payments, for as long as it takes.
    async fn refund(&self, payment: PaymentId, correlation: Uuid) {
        while let Some(state) = self.answered(payment).await {
            match self.give_back(&state, correlation).await {
                GivenBack::Answered => {}
                GivenBack::NotYet | GivenBack::NothingAsked => return,
            }
        }
    }

    async fn give_back(&self, state: &Payment, correlation: Uuid) -> GivenBack {
        let Some(known) = state.known() else { return GivenBack::NothingAsked };
        let Some(asked) = known.asked_refunds().next() else { return GivenBack::NothingAsked };
        let Some(gateway) = self.gateways.get(known.provider) else {
            tracing::error!(payment.id = %known.payment, "money is to go back by a provider that is not set up here");
            return GivenBack::NotYet;
        };
        let refund = asked.refund;
        let done = known.refunds.iter().filter_map(|it| match &it.state {
            RefundState::Done(reference) => Some(reference.to_string()),
            RefundState::Asked | RefundState::Due => None,
        });
        let wanted = Refund {
            refund,
            attempt: Attempt::from(known),
            amount: asked.amount,
            requested_at: asked.requested_at,
            capture: state.only_movement().map(str::to_owned),
            done: done.collect(),
        };
        let command = match gateway.refund(&wanted).await {
            Ok(Refunded::Done { reference }) => payment::Command::RecordRefund { refund, reference },
            Ok(Refunded::Failed { code }) => payment::Command::RecordRefundFailure { refund, reason: code },
            Ok(Refunded::ByHand) => payment::Command::RecordRefundFailure { refund, reason: "by-hand".to_owned() },
            Err(GatewayError::NotFound) => {
                payment::Command::RecordRefundFailure { refund, reason: "not-found".to_owned() }
            }
            Ok(Refunded::Pending) => return GivenBack::NotYet,
            // Who is refused as such (a key that is not accepted, say) may be heard later; a refund that is refused is Failed.
            Err(
                error @ (GatewayError::Ambiguous(_) | GatewayError::Unavailable { .. } | GatewayError::Refused { .. }),
            ) => {
                let reason = chain(&error);
                tracing::warn!(payment.id = %known.payment, reason, "a refund is asked for again later");
                return GivenBack::NotYet;
            }
        };
        if let payment::Command::RecordRefundFailure { reason, .. } = &command {
            tracing::error!(payment.id = %known.payment, reason, "a provider does not give money back: a person has to");
        }
        self.tell(known.payment, Telling { command, id: CommandId(random::id()) }, correlation).await;
        GivenBack::Answered
    }

    async fn tell(&self, payment: PaymentId, telling: Telling, correlation: Uuid) {
        let command = Command::Payment(payment, telling.command);
        if let Err(refusal) = insist(&self.owners, command, telling.id, correlation, telling.id.0).await {
            tracing::error!(payment.id = %payment, ?refusal, "a payment does not take its provider's answer");
        }
    }

    async fn give_up(&self, payment: PaymentId, correlation: Uuid, id: CommandId, reason: &str) {
        let state = self.answered(payment).await;
        let Some(order) = state.as_ref().and_then(Payment::known).map(|known| known.order) else { return };
        tracing::error!(payment.id = %payment, order.id = %order, reason, "a provider call does not get on: the order is stuck");
        mark_stuck(&self.owners, order, Step::PaymentStatus, reason.chars().take(200).collect(), id, correlation).await;
    }

    async fn look(&self, payment: PaymentId) -> Option<Status> {
        self.known(payment).await.map(|known| known.status)
    }

    /// What the payment's owner knows of it.
    pub async fn known(&self, payment: PaymentId) -> Option<payment::Known> {
        match self.asked(payment).await {
            Outcome::Done(answer) => answer.state.known().cloned(),
            _ => None,
        }
    }

    /// What its owner says, however long that takes: an effect that is settled without a trace would be lost. None if
    /// there is no such payment.
    async fn answered(&self, payment: PaymentId) -> Option<Payment> {
        loop {
            match self.asked(payment).await {
                Outcome::Done(answer) => return Some(answer.state),
                Outcome::Refused(_) => return None,
                _ => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }

    async fn asked(&self, payment: PaymentId) -> Outcome<Payment> {
        let id = CommandId(random::id());
        let request = Request {
            ask: payment::Command::Look,
            by: Actor::System,
            id,
            hash: Fingerprint::default(),
            correlation_id: id.0,
            causation_id: id.0,
            within: Some(Duration::from_secs(5)),
        };
        self.owners.ask::<Payment>(Target::Id(payment.0), request).await
    }

    /// Asks the provider how an open payment or a refund stands, and tells the payment if there is news.
    pub async fn ask(&self, payment: PaymentId) -> Pace {
        let Some(known) = self.known(payment).await else { return Pace::Usual };
        let Some(gateway) = self.gateways.get(known.provider) else { return Pace::Usual };
        let pace = if known.status == Status::Closing { Pace::Soon } else { Pace::Usual };
        if known.asked_refunds().next().is_some() {
            self.refund(payment, random::id()).await;
        }
        let asked = match known.status {
            Status::Ready | Status::Closing => gateway.stands(&known).await,
            Status::Requested | Status::Completed | Status::Failed | Status::Expired => return pace,
        };
        match asked {
            Ok(report) if is_news(&known, &report) && is_ours(&known, &report) => {
                let id = CommandId(random::id());
                self.tell(payment, Telling { command: reported(report), id }, id.0).await;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(payment.id = %payment, reason = chain(&error), "a provider does not say how a payment stands")
            }
        }
        pace
    }
}

/// Whether what the provider has under our serial number is what we opened; somebody else's money is not ours to count.
/// The provider's own name of it tells; only where one of us has none, the amount does. What bears our name is ours also
/// if more came than we asked for: then the payment puts it aside.
fn is_ours(known: &payment::Known, report: &Report) -> bool {
    let ours = match (known.reference.as_deref(), report.reference.as_deref()) {
        (Some(ours), Some(theirs)) => ours == theirs,
        (None, _) | (_, None) => report.amount.is_none_or(|amount| amount == known.amount),
    };
    if !ours {
        tracing::error!(payment.id = %known.payment, payment.serial = known.serial, "the provider has another payment under our serial number");
    }
    ours
}

fn is_news(known: &payment::Known, report: &Report) -> bool {
    let came: i64 = report.movements.iter().map(|movement| movement.amount).sum();
    came != known.received || report.standing != payment::Standing::Open
}

fn reported(report: Report) -> payment::Command {
    payment::Command::Report { movements: report.movements, standing: report.standing }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        line.push_str(": ");
        line.push_str(&next.to_string());
        cause = next.source();
    }
    line
}

#[cfg(test)]
mod tests;

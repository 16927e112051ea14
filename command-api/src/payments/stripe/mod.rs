//! Stripe: cards and wallets, by Checkout Sessions.

mod amounts;
mod client;
mod create;
mod refund;
mod session;
mod settings;
mod signature;
mod webhook;

use domain::payment::Standing;
use domain::saga::CreatePayment;
use domain::value::{Currency, Provider};
use futures::future::{BoxFuture, FutureExt};
use http::StatusCode;
use service_kit::clock;

pub use settings::{StripeKeys, StripeSettings};

use super::caller::{Call, CallSettings, ClientError, Repeats};
use super::failure::{Failure, Trouble};
use super::gateway::{
    About, Answer, Attempt, CreateError, GatewayError, Intent, Notification, Notified, Outcome, PaymentGateway, Refund,
    Refunded, Rejected, Report, Urls,
};
use super::reference::is_plain;
use client::{Client, is_not_found};
use session::Session;

/// One account of Stripe.
#[derive(Debug)]
pub struct Stripe {
    client: Client,
    settings: StripeSettings,
}

impl Stripe {
    /// Makes the client; calls nobody yet.
    ///
    /// # Errors
    /// The address or a key is unusable, or the system has no certificates.
    pub fn new(settings: StripeSettings, calls: CallSettings) -> Result<Self, ClientError> {
        Ok(Self { client: Client::new(&settings, calls)?, settings })
    }

    async fn session(&self, id: &str) -> Result<Session, Failure> {
        if !is_plain(id) {
            return Err(Failure::Refused { status: StatusCode::NOT_FOUND, code: "resource_missing".to_owned() });
        }
        let call = Call::get("query", format!("/v1/checkout/sessions/{id}?expand%5B0%5D=payment_intent"));
        self.client.call(&call).await
    }

    async fn asked(&self, attempt: &Attempt, id: &str) -> Result<Report, Failure> {
        let session = self.session(id).await?;
        if session.id != id || session.about() != About::Payment(attempt.payment) {
            return Err(Failure::lost(None, Trouble::AnotherPayment));
        }
        session.report().map_err(|what| Failure::lost(None, Trouble::Unreadable(what.into())))
    }

    async fn ask(&self, attempt: &Attempt) -> Result<Report, GatewayError> {
        match &attempt.reference {
            Some(id) => self.asked(attempt, id).await.map_err(unasked),
            None => Err(GatewayError::NotFound),
        }
    }

    async fn end(&self, attempt: &Attempt) -> Result<Report, GatewayError> {
        // Nobody was ever sent to its page.
        let Some(id) = attempt.reference.as_deref().filter(|id| is_plain(id)) else {
            return Ok(Report::never_opened());
        };
        let call = Call::form("expire", &format!("/v1/checkout/sessions/{id}/expire"), &[], Repeats::Allowed);
        let expired = self.client.call::<Session>(&call).await;
        // It may have been paid before it was closed, or closed without an answer.
        match (self.asked(attempt, id).await, expired) {
            (Ok(Report { standing: Standing::Open, url: Some(_), .. }), expired) => Err(still_open(expired)),
            (Ok(report), _) => Ok(report),
            (Err(failure), _) if is_not_found(&failure) => Ok(Report::never_opened()),
            (Err(_), Err(Failure::Lost { cause, .. })) => Err(GatewayError::Ambiguous(cause)),
            (Err(failure), _) => Err(unasked(failure)),
        }
    }
}

/// It would not be expired, and the payer can still use its page.
fn still_open(expired: Result<Session, Failure>) -> GatewayError {
    match expired {
        Ok(_) => GatewayError::Refused { code: "still-open".to_owned() },
        Err(failure) => failure.of_deed(),
    }
}

fn unasked(failure: Failure) -> GatewayError {
    if is_not_found(&failure) { GatewayError::NotFound } else { failure.of_question() }
}

impl PaymentGateway for Stripe {
    fn provider(&self) -> Provider {
        Provider::Stripe
    }

    fn currencies(&self) -> &[Currency] {
        &self.settings.currencies
    }

    fn create<'a>(&'a self, payment: &'a CreatePayment, back: &'a Urls) -> BoxFuture<'a, Result<Intent, CreateError>> {
        self.open(payment, back).boxed()
    }

    fn status<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Report, GatewayError>> {
        self.ask(attempt).boxed()
    }

    /// Stripe takes no reason.
    fn close<'a>(&'a self, attempt: &'a Attempt, _: &'a str) -> BoxFuture<'a, Result<Report, GatewayError>> {
        self.end(attempt).boxed()
    }

    fn refund<'a>(&'a self, refund: &'a Refund) -> BoxFuture<'a, Result<Refunded, GatewayError>> {
        self.give_back(refund).boxed()
    }

    fn notify<'a>(&'a self, raw: &'a Notification<'a>) -> BoxFuture<'a, Result<Notified, Rejected>> {
        async { webhook::read(&self.settings.keys.webhook_secrets, raw, clock::now()) }.boxed()
    }

    /// Stripe looks at the status alone, and sends again for three days unless it is 2xx.
    fn answer(&self, outcome: Outcome) -> Answer {
        let (status, body) = match outcome {
            Outcome::Accepted | Outcome::Repeated | Outcome::WrongAmount | Outcome::Unknown => {
                (StatusCode::OK, r#"{"received":true}"#)
            }
            Outcome::RetryLater => (StatusCode::SERVICE_UNAVAILABLE, r#"{"received":false}"#),
            Outcome::Rejected(_) => (StatusCode::BAD_REQUEST, r#"{"received":false}"#),
        };
        Answer::json(status, body)
    }
}

#[cfg(test)]
mod sandbox_tests;
#[cfg(test)]
mod stub_tests;

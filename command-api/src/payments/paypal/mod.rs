//! PayPal: wallets and cards, by Orders v2. Money only moves when we ask for it, after the payer agreed.

mod certificate;
mod certificates;
mod client;
mod create;
mod decimals;
mod order;
mod refund;
mod settings;
mod signature;
mod status;
mod trust;
mod webhook;

use domain::saga::CreatePayment;
use domain::value::{Currency, Provider, Timestamp};
use futures::future::{BoxFuture, FutureExt};
use http::{Method, StatusCode};
use service_kit::clock;

pub use settings::{PaypalKeys, PaypalSettings};

use super::caller::{CallSettings, ClientError};
use super::gateway::{
    Answer, Attempt, CreateError, GatewayError, Intent, Notification, Notified, Outcome, PaymentGateway, Refund,
    Refunded, Rejected, Report, Urls,
};
use certificates::Certificates;
use client::Client;
use signature::Transmission;
use trust::Trust;

/// One application at PayPal.
#[derive(Debug)]
pub struct Paypal {
    client: Client,
    certificates: Certificates,
    settings: PaypalSettings,
}

impl Paypal {
    /// Makes the client; calls nobody yet.
    ///
    /// # Errors
    /// An address, a key or the file of root certificates is unusable, or the system has no certificates.
    pub fn new(settings: PaypalSettings, calls: CallSettings) -> Result<Self, ClientError> {
        let client = Client::new(&settings, calls)?;
        let trust = Trust::new(settings.cert_name(), settings.cert_ca.as_deref())?;
        let certificates = Certificates::new(trust, client.caller(), &settings.cert_bases)?;
        Ok(Self { client, certificates, settings })
    }

    async fn read(&self, raw: &Notification<'_>, now: Timestamp) -> Result<Notified, Rejected> {
        if raw.method != Method::POST {
            return Err(Rejected::Method);
        }
        if raw.body.len() > webhook::LONGEST {
            return Err(Rejected::Malformed("it is too long"));
        }
        let transmission = Transmission::read(raw.headers).ok_or(Rejected::Signature)?;
        transmission.verify(&self.certificates, &self.settings.webhook_id, raw.body, now).await?;
        webhook::read(raw.body)
    }
}

impl PaymentGateway for Paypal {
    fn provider(&self) -> Provider {
        Provider::Paypal
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

    /// PayPal takes no reason, for it has no such call.
    fn close<'a>(&'a self, attempt: &'a Attempt, _: &'a str) -> BoxFuture<'a, Result<Report, GatewayError>> {
        self.end(attempt).boxed()
    }

    fn refund<'a>(&'a self, refund: &'a Refund) -> BoxFuture<'a, Result<Refunded, GatewayError>> {
        self.give_back(refund).boxed()
    }

    fn notify<'a>(&'a self, raw: &'a Notification<'a>) -> BoxFuture<'a, Result<Notified, Rejected>> {
        self.read(raw, clock::now()).boxed()
    }

    /// PayPal looks at the status alone, and sends again 25 times in three days unless it is 2xx.
    fn answer(&self, outcome: Outcome) -> Answer {
        let (status, body) = match outcome {
            Outcome::Accepted | Outcome::Repeated | Outcome::WrongAmount | Outcome::Unknown => {
                (StatusCode::OK, r#"{"received":true}"#)
            }
            Outcome::RetryLater | Outcome::Rejected(Rejected::Unverifiable) => {
                (StatusCode::SERVICE_UNAVAILABLE, r#"{"received":false}"#)
            }
            Outcome::Rejected(Rejected::Signature | Rejected::Malformed(_) | Rejected::Method) => {
                (StatusCode::BAD_REQUEST, r#"{"received":false}"#)
            }
        };
        Answer::json(status, body)
    }
}

#[cfg(test)]
mod sandbox_tests;
#[cfg(test)]
mod stub_tests;

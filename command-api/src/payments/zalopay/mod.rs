//! ZaloPay (Open API v2): its wallet, cards and bank transfers, in VND.

mod callback;
mod client;
mod create;
mod mac;
mod query;
mod reference;
mod refund;
mod settings;

use domain::saga::CreatePayment;
use domain::value::{Currency, Provider, Timestamp};
use futures::future::{BoxFuture, FutureExt};
use http::StatusCode;
use service_kit::clock;

pub use settings::{ZalopayKeys, ZalopaySettings};

use super::caller::{CallSettings, ClientError};
use super::gateway::{
    Answer, Attempt, CreateError, GatewayError, Intent, Notification, Notified, Outcome, PaymentGateway, Refund,
    Refunded, Rejected, Report, Urls,
};
use super::vietnam::DONG;
use client::Client;

/// One app of ZaloPay.
#[derive(Debug)]
pub struct Zalopay {
    client: Client,
    settings: ZalopaySettings,
}

impl Zalopay {
    /// Makes the client; calls nobody yet.
    ///
    /// # Errors
    /// The address is unusable, or the system has no certificates.
    pub fn new(settings: ZalopaySettings, calls: CallSettings) -> Result<Self, ClientError> {
        Ok(Self { client: Client::new(settings.clone(), calls)?, settings })
    }
}

impl PaymentGateway for Zalopay {
    fn provider(&self) -> Provider {
        Provider::Zalopay
    }

    fn currencies(&self) -> &[Currency] {
        std::slice::from_ref(&*DONG)
    }

    fn create<'a>(&'a self, payment: &'a CreatePayment, back: &'a Urls) -> BoxFuture<'a, Result<Intent, CreateError>> {
        self.open(payment, back, clock::now()).boxed()
    }

    fn status<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Report, GatewayError>> {
        self.ask(attempt).boxed()
    }

    /// How an order is cancelled there is not documented well enough to rely on: it ends when its own time is over.
    fn close<'a>(&'a self, attempt: &'a Attempt, _: &'a str) -> BoxFuture<'a, Result<Report, GatewayError>> {
        async {
            match attempt.reference {
                Some(_) => self.ask(attempt).await,
                None => Ok(Report::never_opened()),
            }
        }
        .boxed()
    }

    fn refund<'a>(&'a self, refund: &'a Refund) -> BoxFuture<'a, Result<Refunded, GatewayError>> {
        self.give_back(refund).boxed()
    }

    fn notify<'a>(&'a self, raw: &'a Notification<'a>) -> BoxFuture<'a, Result<Notified, Rejected>> {
        async { callback::read(&self.settings, raw) }.boxed()
    }

    /// ZaloPay calls again, three times at most, while it hears 0. The HTTP status is always 200.
    fn answer(&self, outcome: Outcome) -> Answer {
        let body = match outcome {
            Outcome::Accepted => r#"{"return_code":1,"return_message":"success"}"#,
            Outcome::Repeated => r#"{"return_code":2,"return_message":"duplicate"}"#,
            Outcome::WrongAmount => r#"{"return_code":2,"return_message":"invalid amount"}"#,
            Outcome::Unknown => r#"{"return_code":2,"return_message":"order not found"}"#,
            Outcome::RetryLater => r#"{"return_code":0,"return_message":"please call again"}"#,
            Outcome::Rejected(Rejected::Signature) => r#"{"return_code":-1,"return_message":"mac not equal"}"#,
            Outcome::Rejected(Rejected::Malformed(_) | Rejected::Method | Rejected::Unverifiable) => {
                r#"{"return_code":2,"return_message":"invalid"}"#
            }
        };
        Answer::json(StatusCode::OK, body)
    }

    /// A status below zero: -49 when the payer cancelled.
    fn gave_up(&self, query: &str) -> bool {
        let status = query.split('&').find_map(|pair| pair.strip_prefix("status="));
        status.and_then(|it| it.parse::<i64>().ok()).is_some_and(|status| status < 0)
    }
}

/// No order lives shorter: one that is opened late outlives what it was opened for by as much.
const SHORTEST_S: i64 = 300;
/// For clocks that differ.
const GRACE_S: i64 = 60;

/// Whether nobody can pay this any more.
fn is_over(attempt: &Attempt, now: Timestamp) -> bool {
    now >= attempt.pay_by.plus_s(SHORTEST_S + GRACE_S)
}

#[cfg(test)]
mod sandbox_tests;
#[cfg(test)]
mod stub;
#[cfg(test)]
mod stub_tests;
#[cfg(test)]
mod vectors;

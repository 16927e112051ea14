//! VNPay (PAY 2.1.0): bank cards, accounts and QR codes, in VND. Opening a payment calls nobody: it is a signed address.

mod client;
mod ipn;
mod money;
mod page;
mod reference;
mod refund;
mod settings;
mod signature;
mod status;
mod verdict;

use domain::saga::CreatePayment;
use domain::value::{Currency, Provider, Timestamp};
use futures::future::{BoxFuture, FutureExt};
use http::StatusCode;
use service_kit::clock;

pub use settings::{VnpayKeys, VnpaySettings};

use super::caller::{CallSettings, ClientError};
use super::gateway::{
    Answer, Attempt, CreateError, GatewayError, Intent, Notification, Notified, Outcome, PaymentGateway, Refund,
    Refunded, Rejected, Report, Urls,
};
use super::vietnam::DONG;
use client::Client;

/// The protocol's version, in every request.
const VERSION: &str = "2.1.0";

/// One terminal of VNPay.
#[derive(Debug)]
pub struct Vnpay {
    client: Client,
    settings: VnpaySettings,
}

impl Vnpay {
    /// Makes the client; calls nobody yet.
    ///
    /// # Errors
    /// An address is unusable, or the system has no certificates.
    pub fn new(settings: VnpaySettings, calls: CallSettings) -> Result<Self, ClientError> {
        Ok(Self { client: Client::new(settings.clone(), calls)?, settings })
    }
}

impl PaymentGateway for Vnpay {
    fn provider(&self) -> Provider {
        Provider::Vnpay
    }

    fn currencies(&self) -> &[Currency] {
        std::slice::from_ref(&*DONG)
    }

    /// Each call makes another address, with the time of the call in its reference; only one of them is ever shown.
    fn create<'a>(&'a self, payment: &'a CreatePayment, back: &'a Urls) -> BoxFuture<'a, Result<Intent, CreateError>> {
        async { page::intent(&self.settings, payment, back, clock::now()) }.boxed()
    }

    fn status<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Report, GatewayError>> {
        self.ask(attempt).boxed()
    }

    /// VNPay cannot be told to cancel: the page ends when its own time is over.
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
        async { ipn::read(&self.settings.keys, raw) }.boxed()
    }

    /// VNPay asks again, ten times at most, unless it hears 00 or 02. The HTTP status is always 200.
    fn answer(&self, outcome: Outcome) -> Answer {
        let body = match outcome {
            Outcome::Accepted => r#"{"RspCode":"00","Message":"Confirm Success"}"#,
            Outcome::Repeated => r#"{"RspCode":"02","Message":"Order already confirmed"}"#,
            Outcome::WrongAmount => r#"{"RspCode":"04","Message":"Invalid amount"}"#,
            Outcome::Unknown => r#"{"RspCode":"01","Message":"Order not found"}"#,
            Outcome::Rejected(Rejected::Signature) => r#"{"RspCode":"97","Message":"Invalid signature"}"#,
            Outcome::RetryLater
            | Outcome::Rejected(Rejected::Malformed(_) | Rejected::Method | Rejected::Unverifiable) => {
                r#"{"RspCode":"99","Message":"Unknown error"}"#
            }
        };
        Answer::json(StatusCode::OK, body)
    }

    /// Code 24: the customer cancelled.
    fn gave_up(&self, query: &str) -> bool {
        query.split('&').any(|pair| pair == "vnp_ResponseCode=24")
    }
}

/// After a page's own time, which VNPay keeps, nothing more comes; the grace is for clocks that differ.
const GRACE_S: i64 = 60;

/// Whether nobody can pay this any more.
fn is_over(attempt: &Attempt, now: Timestamp) -> bool {
    now >= attempt.pay_by.plus_s(GRACE_S)
}

#[cfg(test)]
mod sandbox_tests;
#[cfg(test)]
mod stub;
#[cfg(test)]
mod stub_tests;
#[cfg(test)]
mod vectors;

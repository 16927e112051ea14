use domain::saga::CreatePayment;
use domain::value::{Currency, Provider};
use futures::future::{BoxFuture, FutureExt};
use http::{HeaderMap, StatusCode};

use crate::payments::PaymentGateway;
use crate::payments::gateway::{
    Answer as Spoken, Attempt, CreateError, GatewayError, Intent, Notification, Notified, Outcome as Heard, Refund,
    Refunded, Rejected, Report, Urls,
};

/// A provider at which payments are opened and never paid.
#[derive(Debug)]
pub struct Patient([Currency; 1]);

impl Default for Patient {
    fn default() -> Self {
        Self(["VND".parse().unwrap()])
    }
}

impl PaymentGateway for Patient {
    fn provider(&self) -> Provider {
        Provider::Payos
    }

    fn currencies(&self) -> &[Currency] {
        &self.0
    }

    fn create<'a>(&'a self, _: &'a CreatePayment, _: &'a Urls) -> BoxFuture<'a, Result<Intent, CreateError>> {
        async { Ok(Intent { reference: "link".to_owned(), url: "https://p.test/link".to_owned() }) }.boxed()
    }

    fn status<'a>(&'a self, _: &'a Attempt) -> BoxFuture<'a, Result<Report, GatewayError>> {
        async { Err(GatewayError::NotFound) }.boxed()
    }

    fn close<'a>(&'a self, _: &'a Attempt, _: &'a str) -> BoxFuture<'a, Result<Report, GatewayError>> {
        async { Ok(Report::never_opened()) }.boxed()
    }

    fn notify<'a>(&'a self, _: &'a Notification<'a>) -> BoxFuture<'a, Result<Notified, Rejected>> {
        async { Err(Rejected::Signature) }.boxed()
    }

    fn answer(&self, _: Heard) -> Spoken {
        Spoken { status: StatusCode::OK, headers: HeaderMap::new(), body: Default::default() }
    }

    fn refund<'a>(&'a self, _: &'a Refund) -> BoxFuture<'a, Result<Refunded, GatewayError>> {
        async { Ok(Refunded::ByHand) }.boxed()
    }
}

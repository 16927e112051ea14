use domain::saga::CreatePayment;
use domain::value::{Currency, Provider};
use futures::future::{BoxFuture, FutureExt};
use http::{HeaderMap, StatusCode};

use crate::payments::PaymentGateway;
use crate::payments::gateway::{
    Answer as Spoken, CreateError, GatewayError, Intent, Notification, Notified, Outcome as Heard, Rejected, Report,
    Returned, Urls,
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

    fn status(&self, _: i64) -> BoxFuture<'_, Result<Report, GatewayError>> {
        async { Err(GatewayError::NotFound) }.boxed()
    }

    fn close<'a>(&'a self, _: i64, _: &'a str) -> BoxFuture<'a, Result<Report, GatewayError>> {
        async { Ok(Report::never_opened()) }.boxed()
    }

    fn notify(&self, _: &Notification<'_>) -> Result<Notified, Rejected> {
        Err(Rejected::Signature)
    }

    fn answer(&self, _: Heard) -> Spoken {
        Spoken { status: StatusCode::OK, headers: HeaderMap::new(), body: Default::default() }
    }

    fn returned(&self, _: &str) -> Result<Returned, Rejected> {
        Err(Rejected::Signature)
    }
}

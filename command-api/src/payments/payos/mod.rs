//! PayOS: bank transfers by VietQR. Amounts are VND, which has no smaller unit.

mod client;
mod create;
mod settings;
mod signature;
mod types;
mod webhook;

use std::sync::LazyLock;

use domain::payment::{Movement, Standing};
use domain::saga::CreatePayment;
use domain::value::{Currency, Provider};
use futures::future::{BoxFuture, FutureExt};
use http::StatusCode;

pub use settings::{PayosKeys, PayosSettings};

use super::caller::{Call, CallSettings, ClientError, Repeats};
use super::failure::{Failure, Trouble};
use super::gateway::{
    Answer, Attempt, CreateError, GatewayError, Intent, Notification, Notified, Outcome, PaymentGateway, Refund,
    Refunded, Rejected, Report, Urls,
};
use client::{Client, is_not_found};
use types::{Cancel, Link, Status};

/// The only currency of PayOS.
static CURRENCY: LazyLock<Currency> = LazyLock::new(|| "VND".parse().expect("VND is three upper-case letters"));

/// One payment channel of PayOS.
#[derive(Debug)]
pub struct Payos {
    client: Client,
    settings: PayosSettings,
}

impl Payos {
    /// Makes the client; calls nobody yet.
    ///
    /// # Errors
    /// The address or a key is unusable, or the system has no certificates.
    pub fn new(settings: PayosSettings, calls: CallSettings) -> Result<Self, ClientError> {
        Ok(Self { client: Client::new(settings.clone(), calls)?, settings })
    }

    /// The page of a link, where the settings know its address.
    fn page(&self, id: &str) -> Option<String> {
        let plain =
            !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        self.settings.page.as_ref().filter(|_| plain).map(|page| page.replace("{id}", id))
    }

    async fn link(&self, serial: i64) -> Result<Link, Failure> {
        let call = Call::get("query", format!("/v2/payment-requests/{serial}"));
        self.read_link(&call, serial).await
    }

    async fn cancelled(&self, serial: i64, reason: &str) -> Result<Link, Failure> {
        let reason: String = reason.chars().take(100).collect();
        let path = format!("/v2/payment-requests/{serial}/cancel");
        let call = Call::json("cancel", &path, &Cancel { cancellation_reason: &reason }, Repeats::Never);
        self.read_link(&call, serial).await
    }

    async fn read_link(&self, call: &Call, serial: i64) -> Result<Link, Failure> {
        let data = self.client.call(call).await?;
        let link: Link = types::read(data).map_err(|error| Failure::lost(None, Trouble::Unreadable(error.into())))?;
        if link.order_code != serial {
            return Err(Failure::lost(None, Trouble::AnotherPayment));
        }
        Ok(link)
    }

    async fn ask(&self, serial: i64) -> Result<Report, GatewayError> {
        match self.link(serial).await {
            Ok(link) => Ok(self.report(link)),
            Err(failure) if is_not_found(&failure) => Err(GatewayError::NotFound),
            Err(failure) => Err(failure.of_question()),
        }
    }

    async fn end(&self, serial: i64, reason: &str) -> Result<Report, GatewayError> {
        let open = match self.cancelled(serial, reason).await {
            Ok(link) => match self.report(link) {
                Report { standing: Standing::Open, .. } => GatewayError::Refused { code: "still-open".to_owned() },
                report => return Ok(report),
            },
            Err(failure) if is_not_found(&failure) => return Ok(Report::never_opened()),
            Err(unsent @ Failure::Unsent { .. }) => return Err(unsent.of_deed()),
            Err(failure) => failure.of_deed(),
        };
        // It may have been paid before it was cancelled, or cancelled without an answer.
        match self.ask(serial).await {
            Ok(report) if report.standing != Standing::Open => Ok(report),
            Ok(_) | Err(_) => Err(open),
        }
    }

    fn report(&self, link: Link) -> Report {
        let standing = standing(&link);
        let url = self.page(&link.id);
        let transactions = link.transactions.unwrap_or_default();
        let (money, odd): (Vec<_>, Vec<_>) =
            transactions.into_iter().partition(|it| it.amount > 0 && !it.reference.is_empty());
        if !odd.is_empty() {
            tracing::error!(
                payment.serial = link.order_code,
                count = odd.len(),
                "PayOS lists transfers without amount or reference"
            );
        }
        let movement = |it: types::Transaction| Movement {
            reference: it.reference,
            amount: it.amount,
            currency: *CURRENCY,
            fee: 0,
        };
        let movements = money.into_iter().map(movement).collect();
        Report { movements, standing, reference: Some(link.id), url, amount: Some(link.amount) }
    }
}

impl PaymentGateway for Payos {
    fn provider(&self) -> Provider {
        Provider::Payos
    }

    fn currencies(&self) -> &[Currency] {
        std::slice::from_ref(&*CURRENCY)
    }

    fn create<'a>(&'a self, payment: &'a CreatePayment, back: &'a Urls) -> BoxFuture<'a, Result<Intent, CreateError>> {
        self.open(payment, back).boxed()
    }

    fn status<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Report, GatewayError>> {
        self.ask(attempt.serial).boxed()
    }

    fn close<'a>(&'a self, attempt: &'a Attempt, reason: &'a str) -> BoxFuture<'a, Result<Report, GatewayError>> {
        self.end(attempt.serial, reason).boxed()
    }

    /// PayOS has payouts, but no call that gives the money of a link back.
    fn refund<'a>(&'a self, _: &'a Refund) -> BoxFuture<'a, Result<Refunded, GatewayError>> {
        async { Ok(Refunded::ByHand) }.boxed()
    }

    fn notify<'a>(&'a self, raw: &'a Notification<'a>) -> BoxFuture<'a, Result<Notified, Rejected>> {
        async { webhook::read(&self.settings.keys.checksum_key, raw) }.boxed()
    }

    fn answer(&self, outcome: Outcome) -> Answer {
        let (status, body) = match outcome {
            Outcome::Accepted | Outcome::Repeated | Outcome::WrongAmount | Outcome::Unknown => {
                (StatusCode::OK, r#"{"success":true}"#)
            }
            Outcome::RetryLater => (StatusCode::SERVICE_UNAVAILABLE, r#"{"success":false}"#),
            Outcome::Rejected(_) => (StatusCode::BAD_REQUEST, r#"{"success":false}"#),
        };
        Answer::json(status, body)
    }
}

/// Paid only if the money is there: the movements decide, and a status alone moves nothing.
fn standing(link: &Link) -> Standing {
    match link.status {
        Status::Pending | Status::Processing | Status::Underpaid => Standing::Open,
        Status::Paid if link.amount_paid >= link.amount => Standing::Paid,
        Status::Failed => Standing::Failed,
        Status::Cancelled | Status::Expired => Standing::Ended,
        Status::Paid | Status::Unknown => {
            tracing::error!(payment.serial = link.order_code, provider.status = ?link.status, "PayOS says what cannot be: taken as still open");
            Standing::Open
        }
    }
}

#[cfg(test)]
mod sandbox_tests;
#[cfg(test)]
mod stub_tests;

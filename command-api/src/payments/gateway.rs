//! The seam to whoever collects money: what every provider can be asked, and in which words it is answered.
//!
//! Invariant: nothing a provider did not sign or answer itself becomes a movement of money, and an answer that was lost
//! is never taken for a refusal.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use domain::ids::{PaymentId, RefundId};
use domain::payment::{Known, Movement, Standing, Status};
use domain::saga::CreatePayment;
use domain::value::{Currency, Provider, Timestamp};
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

/// Why a call went wrong, for the log; never holds keys or personal data.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Somebody who collects money.
pub trait PaymentGateway: Send + Sync + fmt::Debug {
    /// Who that is.
    fn provider(&self) -> Provider;

    /// The currencies it takes.
    fn currencies(&self) -> &[Currency];

    /// Opens a payment. May be called again with the same `payment` at any time: it then finds what is there.
    ///
    /// # Errors
    /// Refused for good, perhaps opened, opened without a page, or not opened yet.
    fn create<'a>(&'a self, payment: &'a CreatePayment, back: &'a Urls) -> BoxFuture<'a, Result<Intent, CreateError>>;

    /// How a payment stands. Where money only moves when we ask for it (PayPal), this asks for it.
    ///
    /// # Errors
    /// There is none of that name, or the provider cannot be asked now.
    fn status<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Report, GatewayError>>;

    /// Cancels a payment, then says how it stands: one that was paid meanwhile stays paid. One that was never opened
    /// counts as ended, since nobody got a page to pay it on. One that cannot be cancelled there is still open: it is
    /// asked for again until its time is over. `reason` is for people at the provider, at most 100 characters.
    ///
    /// # Errors
    /// It would not be cancelled and is still open, or nobody knows: ask again.
    fn close<'a>(&'a self, attempt: &'a Attempt, reason: &'a str) -> BoxFuture<'a, Result<Report, GatewayError>>;

    /// Sends money back, once: asked again for the same refund, it finds how that one stands.
    ///
    /// # Errors
    /// Refused for good, or nobody knows: ask again.
    fn refund<'a>(&'a self, refund: &'a Refund) -> BoxFuture<'a, Result<Refunded, GatewayError>>;

    /// Verifies and reads a webhook. What it says goes to the payment as a report; only after that is acknowledged is
    /// the webhook answered.
    ///
    /// # Errors
    /// It is not the provider's, or makes no sense.
    fn notify<'a>(&'a self, raw: &'a Notification<'a>) -> BoxFuture<'a, Result<Notified, Rejected>>;

    /// What the provider wants to hear.
    fn answer(&self, outcome: Outcome) -> Answer;

    /// Whether the raw query that a browser comes back with says that the payer gave up, beside our own word for it.
    /// Anyone can write one: for display only.
    fn gave_up(&self, _query: &str) -> bool {
        false
    }
}

impl dyn PaymentGateway + '_ {
    /// How an open payment stands. Asking can take the money, so that one that is being closed is closed instead.
    ///
    /// # Errors
    /// Those of `close` and `status`.
    pub async fn stands(&self, known: &Known) -> Result<Report, GatewayError> {
        let attempt = Attempt::from(known);
        match known.status {
            Status::Closing => self.close(&attempt, ORDER_OVER).await,
            Status::Requested | Status::Ready | Status::Completed | Status::Failed | Status::Expired => {
                self.status(&attempt).await
            }
        }
    }
}

/// Why payments are closed, for people at the provider.
pub const ORDER_OVER: &str = "order over";

/// Where the provider sends the payer's browser: to us, with nothing of the buyer's in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    /// After paying.
    pub paid: String,
    /// After giving up.
    pub cancelled: String,
}

/// An attempt to collect money, as far as its provider has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Ours, a UUID.
    pub payment: PaymentId,
    /// Ours, an integer.
    pub serial: i64,
    /// The provider's own name of it, as its intent said; none if that never reached us.
    pub reference: Option<String>,
    /// To be collected, minor units.
    pub amount: i64,
    /// In what.
    pub currency: Currency,
    /// Until when.
    pub pay_by: Timestamp,
}

impl From<&Known> for Attempt {
    fn from(known: &Known) -> Self {
        Self {
            payment: known.payment,
            serial: known.serial,
            reference: known.reference.as_deref().map(ToOwned::to_owned),
            amount: known.amount,
            currency: known.currency,
            pay_by: known.pay_by,
        }
    }
}

impl From<&CreatePayment> for Attempt {
    fn from(create: &CreatePayment) -> Self {
        let CreatePayment { payment, serial, amount, currency, pay_by, .. } = *create;
        Self { payment, serial, reference: None, amount, currency, pay_by }
    }
}

/// Money of a payment that is to go back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// Ours: the same at every try, and unlike that of any other refund.
    pub refund: RefundId,
    /// Whose money.
    pub attempt: Attempt,
    /// Minor units of the attempt's currency; all of it, or a part.
    pub amount: i64,
    /// When it was asked for first.
    pub requested_at: Timestamp,
    /// The provider's own name of the money, where one movement brought all of it.
    pub capture: Option<String>,
    /// The provider's names of earlier refunds of this payment. One is asked for after the other.
    pub done: Vec<String>,
}

/// How a refund stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refunded {
    /// The payer has it, or the provider promises it; `reference` is the provider's own name of it.
    Done { reference: String },
    /// The provider is at it: ask again.
    Pending,
    /// The provider says that it failed, with its code; a person has to do it.
    Failed { code: String },
    /// The provider has no call for it: a person has to do it.
    ByHand,
}

/// An open payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The provider's own name of it.
    pub reference: String,
    /// The page for the payer.
    pub url: String,
}

/// How a payment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// All money that came for it, oldest first if the provider keeps them so.
    pub movements: Vec<Movement>,
    /// Open, ended, failed or paid. The movements decide; this only ends what money does not.
    pub standing: Standing,
    /// The provider's own name of it.
    pub reference: Option<String>,
    /// The page for the payer, where it can be had.
    pub url: Option<String>,
    /// What the provider thinks is to be collected, in minor units. If it differs from ours, the payment is not ours.
    pub amount: Option<i64>,
}

impl Report {
    /// Nothing was opened, so nothing can come.
    pub fn never_opened() -> Self {
        Self { movements: Vec::new(), standing: Standing::Ended, reference: None, url: None, amount: None }
    }
}

/// A webhook as it came.
#[derive(Clone, Copy)]
pub struct Notification<'a> {
    /// GET or POST.
    pub method: &'a Method,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// What stood behind the `?`, undecoded; empty if nothing did.
    pub query: &'a str,
    /// The bytes of the body.
    pub body: &'a [u8],
}

impl fmt::Debug for Notification<'_> {
    /// The query and the body can hold personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Notification({} with {} bytes)", self.method, self.body.len())
    }
}

/// Which payment a provider speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// By our integer.
    Serial(i64),
    /// By our UUID.
    Payment(PaymentId),
    /// By a name that we never gave.
    Foreign(String),
}

/// What a verified webhook says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notified {
    /// Which payment; one that nobody knows is answered with [`Outcome::Unknown`], its money quarantined.
    pub about: About,
    /// What it tells: often one movement of several. Open and without movements there is nothing to record.
    pub report: Report,
    /// Whether the provider has to be asked how an open payment stands, because the webhook alone does not tell.
    pub ask: bool,
}

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is recorded now, or there was nothing to record.
    Accepted,
    /// All of it was known before.
    Repeated,
    /// It is genuine and recorded, but not over the amount that we asked for.
    WrongAmount,
    /// It is genuine, but no payment of ours; its money is recorded as such.
    Unknown,
    /// It could not be recorded: it must come again.
    RetryLater,
    /// It was not genuine, or made no sense.
    Rejected(Rejected),
}

/// An answer to a provider, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers, `Content-Type` among them.
    pub headers: HeaderMap<HeaderValue>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// JSON. Who is told that it did not work now is told when to come again, too.
    pub fn json(status: StatusCode, body: &'static str) -> Self {
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        Self { status, headers, body: Bytes::from_static(body.as_bytes()) }
    }
}

/// Why a webhook is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It was not signed, or not by the provider.
    #[error("the signature does not verify")]
    Signature,
    /// It cannot be read; says which part.
    #[error("it cannot be read: {0}")]
    Malformed(&'static str),
    /// The provider does not send such requests.
    #[error("the provider does not use this method")]
    Method,
    /// Whether it is genuine cannot be found out now: it should come again.
    #[error("what it has to be verified with cannot be had now")]
    Unverifiable,
}

/// Why a payment was not opened.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// For good: this attempt has failed. Nothing is open.
    #[error("the provider refuses the payment with code {code}")]
    Refused {
        /// The provider's code, or ours: a few letters, digits and dashes.
        code: String,
    },
    /// Perhaps it is open, perhaps not: create it again, or ask, until it is known.
    #[error("nobody knows whether the payment was opened")]
    Ambiguous(#[source] Cause),
    /// It is open, but its page cannot be had any more: close it, and record that the attempt failed unless closing
    /// reports money.
    #[error("the payment was opened, but its page is lost")]
    PageLost {
        /// The provider's own name of it.
        reference: String,
    },
    /// It was not opened: try again later.
    #[error("the provider cannot be reached")]
    Unavailable {
        /// Not before, if that is known.
        retry_after: Option<Duration>,
        /// What stood in the way.
        #[source]
        cause: Cause,
    },
}

/// Why nobody could say how a payment stands.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The provider knows no such payment.
    #[error("the provider knows no such payment")]
    NotFound,
    /// The provider answers with a refusal; asking again soon will not help.
    #[error("the provider refuses with code {code}")]
    Refused {
        /// The provider's code, or ours.
        code: String,
    },
    /// Something was asked for, and perhaps done: ask again.
    #[error("nobody knows whether the provider did it")]
    Ambiguous(#[source] Cause),
    /// Nothing was done: try again later.
    #[error("the provider cannot be reached")]
    Unavailable {
        /// Not before, if that is known.
        retry_after: Option<Duration>,
        /// What stood in the way.
        #[source]
        cause: Cause,
    },
}

/// An attempt of 1,000 dong that its provider knows by this integer alone.
#[cfg(test)]
pub(super) fn attempt_of(serial: i64) -> Attempt {
    let currency = "VND".parse().expect("VND is three upper-case letters");
    let payment = PaymentId(uuid::Uuid::from_u128(7));
    Attempt { payment, serial, reference: None, amount: 1000, currency, pay_by: Timestamp(0) }
}

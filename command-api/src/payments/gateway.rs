//! The seam to whoever collects money: what every provider can be asked, and in which words it is answered.
//!
//! Invariant: nothing a provider did not sign or answer itself becomes a movement of money, and an answer that was lost
//! is never taken for a refusal.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::payment::{Movement, Standing};
use domain::saga::CreatePayment;
use domain::value::{Currency, Provider};
use futures::future::BoxFuture;
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

    /// How a payment stands.
    ///
    /// # Errors
    /// There is none with this serial number, or the provider cannot be asked now.
    fn status(&self, serial: i64) -> BoxFuture<'_, Result<Report, GatewayError>>;

    /// Cancels a payment, then says how it stands: one that was paid meanwhile stays paid. One that was never opened
    /// counts as ended, since nobody got a page to pay it on. `reason` is for people at the provider, at most 100
    /// characters.
    ///
    /// # Errors
    /// It would not be cancelled and is still open, or nobody knows: ask again.
    fn close<'a>(&'a self, serial: i64, reason: &'a str) -> BoxFuture<'a, Result<Report, GatewayError>>;

    /// Verifies and reads a webhook. What it says goes to the payment as a report; only after that is acknowledged is
    /// the webhook answered.
    ///
    /// # Errors
    /// It is not the provider's, or makes no sense.
    fn notify(&self, raw: &Notification<'_>) -> Result<Notified, Rejected>;

    /// What the provider wants to hear.
    fn answer(&self, outcome: Outcome) -> Answer;

    /// Reads the raw query that a browser comes back with. Anyone can write one: for display only.
    ///
    /// # Errors
    /// It names no payment.
    fn returned(&self, query: &str) -> Result<Returned, Rejected>;
}

/// Where the provider sends the payer's browser: to us, with nothing of the buyer's in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Urls {
    /// After paying.
    pub paid: String,
    /// After giving up.
    pub cancelled: String,
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

/// What a verified webhook says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notified {
    /// Which payment; one that nobody knows is answered with [`Outcome::Unknown`], its money quarantined.
    pub serial: i64,
    /// What it tells: often one movement of several. Without movements there is nothing to record.
    pub report: Report,
}

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is recorded, now or before.
    Accepted,
    /// It is genuine, but no payment of ours; it is recorded as such.
    Unknown,
    /// It could not be recorded: it must come again.
    RetryLater,
    /// It was not genuine, or made no sense.
    Rejected,
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

/// What a browser that comes back says; proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// Which payment.
    pub serial: i64,
    /// Whether the payer seems to have given up.
    pub cancelled: bool,
    /// The provider's own name for the payment, which nobody guesses: serial numbers can be counted through.
    pub reference: String,
}

/// Why a webhook or a returning browser is turned away.
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

/// The providers that are set up.
#[derive(Debug, Clone)]
pub struct Gateways {
    public_url: String,
    by_provider: BTreeMap<Provider, Arc<dyn PaymentGateway>>,
}

impl Gateways {
    /// None yet; `public_url` is how browsers reach us.
    pub fn new(public_url: &str) -> Self {
        Self { public_url: public_url.trim_end_matches('/').to_owned(), by_provider: BTreeMap::new() }
    }

    /// With one more, or another in its place.
    #[must_use]
    pub fn with(mut self, gateway: Arc<dyn PaymentGateway>) -> Self {
        self.by_provider.insert(gateway.provider(), gateway);
        self
    }

    /// The gateway of a provider, if it is set up.
    pub fn get(&self, provider: Provider) -> Option<&Arc<dyn PaymentGateway>> {
        self.by_provider.get(&provider)
    }

    /// The gateway whose provider has this name in URLs.
    pub fn by_name(&self, name: &str) -> Option<&Arc<dyn PaymentGateway>> {
        self.by_provider.values().find(|gateway| gateway.provider().as_str() == name)
    }

    /// Whether this provider is set up and takes this currency.
    pub fn takes(&self, provider: Provider, currency: Currency) -> bool {
        self.get(provider).is_some_and(|gateway| gateway.currencies().contains(&currency))
    }

    /// Every provider that is set up, with its currencies.
    pub fn offered(&self) -> impl Iterator<Item = (Provider, &[Currency])> {
        self.by_provider.iter().map(|(provider, gateway)| (*provider, gateway.currencies()))
    }

    /// Where this provider sends browsers back to.
    pub fn urls(&self, provider: Provider) -> Urls {
        let back = format!("{}/v1/payments/{}/return", self.public_url, provider.as_str());
        Urls { paid: back.clone(), cancelled: back }
    }
}

//! PayOS: bank transfers by VietQR. Amounts are VND, which has no smaller unit.

mod client;
mod settings;
mod signature;
mod types;
mod wait;
mod webhook;

use std::sync::LazyLock;

use bytes::Bytes;
use domain::payment::{Movement, Standing};
use domain::saga::CreatePayment;
use domain::value::{Currency, Provider};
use futures::future::{BoxFuture, FutureExt};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Url;
use service_kit::validate::is_web_url;

pub use client::ClientError;
pub use settings::{PayosKeys, PayosSettings};

pub use super::breaker::BreakerSettings;
use super::gateway::{
    Answer, Cause, CreateError, GatewayError, Intent, Notification, Notified, Outcome, PaymentGateway, Rejected, Report,
    Returned, Urls,
};
use client::{Call, Client, Failure, Repeats, Trouble};
use types::{Cancel, Create, Created, Link, Status};

/// The only currency of PayOS.
static CURRENCY: LazyLock<Currency> = LazyLock::new(|| "VND".parse().expect("VND is three upper-case letters"));
/// The official Node SDK reads an order code as a double.
const LARGEST_ORDER_CODE: i64 = (1 << 53) - 1;
/// A raw query longer than this is not PayOS's.
const LONGEST_QUERY: usize = 4096;

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
    pub fn new(settings: PayosSettings) -> Result<Self, ClientError> {
        Ok(Self { client: Client::new(settings.clone())?, settings })
    }

    async fn open(&self, payment: &CreatePayment, back: &Urls) -> Result<Intent, CreateError> {
        let call = self.creation(payment, back)?;
        match self.client.call(&call).await {
            Ok(data) => match types::read(data) {
                Ok(created) => opened(payment, created),
                Err(error) => Err(CreateError::Ambiguous(Box::new(Trouble::Unreadable(error)))),
            },
            Err(Failure::Unsent { retry_after, cause }) => Err(CreateError::Unavailable { retry_after, cause }),
            Err(Failure::Lost { cause, .. }) => self.find(payment, cause).await,
            Err(Failure::Refused { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, code }) => {
                tracing::error!(code, "PayOS does not accept our keys: no payment can be opened");
                Err(CreateError::Refused { code })
            }
            // Code 231 says that it is there; and whatever the code, an earlier call may have opened it.
            Err(Failure::Refused { code, .. }) => self.take_over(payment, code).await,
        }
    }

    /// The request, if PayOS could take it at all.
    fn creation(&self, payment: &CreatePayment, back: &Urls) -> Result<Call, CreateError> {
        let refuse = |code: &str| Err(CreateError::Refused { code: code.to_owned() });
        if payment.currency != *CURRENCY {
            return refuse("currency-not-taken");
        }
        if !(1..=LARGEST_ORDER_CODE).contains(&payment.serial) {
            return refuse("serial-out-of-range");
        }
        let description: String = payment.code.chars().take(self.settings.description_limit).collect();
        let text =
            signature::create_text(payment.amount, &back.cancelled, &description, payment.serial, &back.paid);
        let create = Create {
            order_code: payment.serial,
            amount: payment.amount,
            description,
            cancel_url: back.cancelled.clone(),
            return_url: back.paid.clone(),
            expired_at: i32::try_from(payment.pay_by.0.div_euclid(1_000_000)).unwrap_or(i32::MAX),
            signature: self.settings.keys.checksum_key.sign(&text),
        };
        Ok(Call {
            name: "create",
            method: Method::POST,
            path: "/v2/payment-requests".to_owned(),
            body: Some(json(&create)),
            repeats: Repeats::Allowed,
        })
    }

    /// No answer came: perhaps the link is there.
    async fn find(&self, payment: &CreatePayment, lost: Cause) -> Result<Intent, CreateError> {
        match self.link(payment.serial).await {
            Ok(link) => self.adopt(payment, link),
            // A call that is still under way may open it yet.
            Err(_) => Err(CreateError::Ambiguous(lost)),
        }
    }

    /// Creating is refused: perhaps because the link is there.
    async fn take_over(&self, payment: &CreatePayment, code: String) -> Result<Intent, CreateError> {
        match self.link(payment.serial).await {
            Ok(link) => self.adopt(payment, link),
            Err(failure) if failure.is_not_found() && code != "231" => Err(CreateError::Refused { code }),
            Err(Failure::Refused { code: asked, .. }) => {
                let cause = format!("creating is refused with code {code}, and asking with code {asked}");
                Err(CreateError::Ambiguous(cause.into()))
            }
            Err(Failure::Unsent { cause, .. } | Failure::Lost { cause, .. }) => Err(CreateError::Ambiguous(cause)),
        }
    }

    /// Makes a link our own whose creation was not answered.
    fn adopt(&self, payment: &CreatePayment, link: Link) -> Result<Intent, CreateError> {
        if link.amount != payment.amount {
            tracing::error!(payment.id = %payment.payment, serial = payment.serial, "PayOS has another payment under our order code: does another service use this channel?");
            return Err(CreateError::Refused { code: "serial-taken".to_owned() });
        }
        let ended = match link.status {
            Status::Cancelled => Some("cancelled"),
            Status::Expired => Some("expired"),
            Status::Failed => Some("failed"),
            Status::Pending | Status::Processing | Status::Underpaid | Status::Paid | Status::Unknown => None,
        };
        match (ended, self.page(&link.id)) {
            (Some(code), _) if link.amount_paid == 0 => Err(CreateError::Refused { code: code.to_owned() }),
            (None, Some(url)) => Ok(Intent { reference: link.id, url }),
            (Some(_), _) | (None, None) => Err(CreateError::PageLost { reference: link.id }),
        }
    }

    /// The page of a link, where the settings know its address.
    fn page(&self, id: &str) -> Option<String> {
        let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        self.settings.page.as_ref().filter(|_| plain).map(|page| page.replace("{id}", id))
    }

    async fn link(&self, serial: i64) -> Result<Link, Failure> {
        let path = format!("/v2/payment-requests/{serial}");
        let call = Call { name: "query", method: Method::GET, path, body: None, repeats: Repeats::Allowed };
        self.read_link(&call, serial).await
    }

    async fn cancelled(&self, serial: i64, reason: &str) -> Result<Link, Failure> {
        let reason: String = reason.chars().take(100).collect();
        let body = Some(json(&Cancel { cancellation_reason: &reason }));
        let path = format!("/v2/payment-requests/{serial}/cancel");
        let call = Call { name: "cancel", method: Method::POST, path, body, repeats: Repeats::Never };
        self.read_link(&call, serial).await
    }

    async fn read_link(&self, call: &Call, serial: i64) -> Result<Link, Failure> {
        let data = self.client.call(call).await?;
        let link: Link = types::read(data).map_err(|error| Failure::lost(None, Trouble::Unreadable(error)))?;
        if link.order_code != serial {
            return Err(Failure::lost(None, Trouble::AnotherPayment));
        }
        Ok(link)
    }

    async fn ask(&self, serial: i64) -> Result<Report, GatewayError> {
        match self.link(serial).await {
            Ok(link) => Ok(self.report(link)),
            Err(failure) if failure.is_not_found() => Err(GatewayError::NotFound),
            Err(Failure::Refused { code, .. }) => Err(GatewayError::Refused { code }),
            // Asking does nothing, so that a lost answer leaves no doubt.
            Err(Failure::Unsent { retry_after, cause } | Failure::Lost { retry_after, cause }) => {
                Err(GatewayError::Unavailable { retry_after, cause })
            }
        }
    }

    async fn end(&self, serial: i64, reason: &str) -> Result<Report, GatewayError> {
        let open = match self.cancelled(serial, reason).await {
            Ok(link) => match self.report(link) {
                Report { standing: Standing::Open, .. } => GatewayError::Refused { code: "still-open".to_owned() },
                report => return Ok(report),
            },
            Err(failure) if failure.is_not_found() => return Ok(Report::never_opened()),
            Err(Failure::Refused { code, .. }) => GatewayError::Refused { code },
            Err(Failure::Lost { cause, .. }) => GatewayError::Ambiguous(cause),
            Err(Failure::Unsent { retry_after, cause }) => return Err(GatewayError::Unavailable { retry_after, cause }),
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
            tracing::error!(serial = link.order_code, count = odd.len(), "PayOS lists transfers without amount or reference");
        }
        let movement = |it: types::Transaction| Movement { reference: it.reference, amount: it.amount, currency: *CURRENCY };
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

    fn status(&self, serial: i64) -> BoxFuture<'_, Result<Report, GatewayError>> {
        self.ask(serial).boxed()
    }

    fn close<'a>(&'a self, serial: i64, reason: &'a str) -> BoxFuture<'a, Result<Report, GatewayError>> {
        self.end(serial, reason).boxed()
    }

    fn notify(&self, raw: &Notification<'_>) -> Result<Notified, Rejected> {
        webhook::read(&self.settings.keys.checksum_key, raw)
    }

    fn answer(&self, outcome: Outcome) -> Answer {
        let (status, body) = match outcome {
            Outcome::Accepted | Outcome::Unknown => (StatusCode::OK, r#"{"success":true}"#),
            Outcome::RetryLater => (StatusCode::SERVICE_UNAVAILABLE, r#"{"success":false}"#),
            Outcome::Rejected => (StatusCode::BAD_REQUEST, r#"{"success":false}"#),
        };
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        Answer { status, headers, body: Bytes::from_static(body.as_bytes()) }
    }

    fn returned(&self, query: &str) -> Result<Returned, Rejected> {
        if query.len() > LONGEST_QUERY {
            return Err(Rejected::Malformed("the query is too long"));
        }
        let mut url = Url::parse("http://localhost/").expect("a constant URL");
        url.set_query(Some(query));
        let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let serial = value("orderCode").and_then(|text| text.parse().ok()).filter(|serial| *serial > 0);
        let serial = serial.ok_or(Rejected::Malformed("the query names no orderCode"))?;
        let cancelled = value("cancel").as_deref() == Some("true") || value("status").as_deref() == Some("CANCELLED");
        Ok(Returned { serial, cancelled })
    }
}

fn opened(payment: &CreatePayment, created: Created) -> Result<Intent, CreateError> {
    if created.order_code != payment.serial || created.amount != payment.amount {
        return Err(CreateError::Ambiguous(Box::new(Trouble::AnotherPayment)));
    }
    if !is_web_url(&created.checkout_url) {
        return Err(CreateError::PageLost { reference: created.payment_link_id });
    }
    Ok(Intent { reference: created.payment_link_id, url: created.checkout_url })
}

/// Paid only if the money is there: the movements decide, and a status alone moves nothing.
fn standing(link: &Link) -> Standing {
    match link.status {
        Status::Pending | Status::Processing | Status::Underpaid => Standing::Open,
        Status::Paid if link.amount_paid >= link.amount => Standing::Paid,
        Status::Failed => Standing::Failed,
        Status::Cancelled | Status::Expired => Standing::Ended,
        Status::Paid | Status::Unknown => {
            tracing::error!(serial = link.order_code, status = ?link.status, "PayOS says what cannot be: taken as still open");
            Standing::Open
        }
    }
}

fn json(body: &impl serde::Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(body).expect("numbers and texts can always be written as JSON"))
}

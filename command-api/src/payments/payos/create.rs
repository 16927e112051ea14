//! Opening a payment, and finding out whether one was opened whose answer never came.

use domain::saga::CreatePayment;
use http::StatusCode;
use service_kit::validate::is_web_url;

use super::client::is_not_found;
use super::types::{self, Create, Created, Link, Status};
use super::{CURRENCY, Payos, signature};
use crate::payments::caller::{Call, Repeats};
use crate::payments::failure::{Failure, Trouble};
use crate::payments::gateway::{Cause, CreateError, Intent, Urls};

/// The official Node SDK reads an order code as a double.
const LARGEST_ORDER_CODE: i64 = (1 << 53) - 1;

impl Payos {
    pub(super) async fn open(&self, payment: &CreatePayment, back: &Urls) -> Result<Intent, CreateError> {
        let call = self.creation(payment, back)?;
        match self.client.call(&call).await {
            Ok(data) => match types::read(data) {
                Ok(created) => opened(payment, created),
                Err(error) => Err(CreateError::Ambiguous(Box::new(Trouble::Unreadable(error.into())))),
            },
            Err(Failure::Unsent { retry_after, cause }) => Err(CreateError::Unavailable { retry_after, cause }),
            Err(Failure::Lost { cause, .. }) => self.find(payment, cause).await,
            Err(Failure::Refused { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, code }) => {
                tracing::error!(provider.code = code, "PayOS does not accept our keys: no payment can be opened");
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
        let text = signature::create_text(payment.amount, &back.cancelled, &description, payment.serial, &back.paid);
        let create = Create {
            order_code: payment.serial,
            amount: payment.amount,
            description,
            cancel_url: back.cancelled.clone(),
            return_url: back.paid.clone(),
            expired_at: i32::try_from(payment.pay_by.0.div_euclid(1_000_000)).unwrap_or(i32::MAX),
            signature: self.settings.keys.checksum_key.sign(&text),
        };
        Ok(Call::json("create", "/v2/payment-requests", &create, Repeats::Allowed))
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
            Err(failure) if is_not_found(&failure) && code != "231" => Err(CreateError::Refused { code }),
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
            tracing::error!(payment.id = %payment.payment, payment.serial = payment.serial, "PayOS has another payment under our order code: does another service use this channel?");
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

//! Opening a Checkout Session. The same key finds the same session, so that a lost answer is asked for by asking again.

use domain::saga::CreatePayment;
use domain::value::Timestamp;
use service_kit::clock;
use service_kit::validate::is_web_url;

use super::client::{KEY_REUSED, is_locked_out, keyed};
use super::session::Session;
use super::{Stripe, amounts};
use crate::payments::failure::{Failure, Trouble};
use crate::payments::gateway::{About, CreateError, Intent, Urls};

/// Stripe's shortest life of a session is 30 minutes. Ours are often shorter, and are closed by us.
const BEYOND_S: i64 = 31 * 60;
/// Stripe's longest life of a session, which is also what it has when nothing is said; less some minutes of travel.
const LONGEST_S: i64 = 24 * 3600 - 10 * 60;

impl Stripe {
    pub(super) async fn open(&self, payment: &CreatePayment, back: &Urls) -> Result<Intent, CreateError> {
        let refuse = |code: &str| CreateError::Refused { code: code.to_owned() };
        if !self.settings.currencies.contains(&payment.currency) {
            return Err(refuse("currency-not-taken"));
        }
        let amount =
            amounts::to_stripe(payment.amount, payment.currency).ok_or_else(|| refuse("amount-not-sayable"))?;
        // The parameters of a repeat have to be those of the first time. Only this moment's choice may have been another.
        let end = payment.pay_by.plus_s(BEYOND_S);
        let ends = if end > clock::now().plus_s(LONGEST_S) { [None, Some(end)] } else { [Some(end), None] };
        let made = match self.make(payment, amount, back, ends[0]).await {
            Err(Failure::Refused { code, .. }) if code == KEY_REUSED => self.make(payment, amount, back, ends[1]).await,
            made => made,
        };
        match made {
            Ok(session) => opened(payment, session),
            Err(Failure::Unsent { retry_after, cause }) => Err(CreateError::Unavailable { retry_after, cause }),
            Err(Failure::Lost { cause, .. }) => Err(CreateError::Ambiguous(cause)),
            Err(Failure::Refused { code, .. }) if code == KEY_REUSED => {
                Err(CreateError::Ambiguous("this payment was opened before with other parameters".into()))
            }
            Err(failure @ Failure::Refused { .. }) if is_locked_out(&failure) => {
                tracing::error!(error = failure.to_text(), "Stripe does not accept our key: no payment can be opened");
                Err(refused(failure))
            }
            Err(failure @ Failure::Refused { .. }) => Err(refused(failure)),
        }
    }

    async fn make(
        &self,
        payment: &CreatePayment,
        amount: i64,
        back: &Urls,
        end: Option<Timestamp>,
    ) -> Result<Session, Failure> {
        let id = payment.payment.to_string();
        let currency = payment.currency.as_str().to_ascii_lowercase();
        let amount = amount.to_string();
        let end = end.map(|end| end.0.div_euclid(1_000_000).to_string());
        let mut form = vec![
            ("mode", "payment"),
            ("line_items[0][quantity]", "1"),
            ("line_items[0][price_data][currency]", &currency),
            ("line_items[0][price_data][unit_amount]", &amount),
            ("line_items[0][price_data][product_data][name]", &payment.code),
            ("success_url", &back.paid),
            ("cancel_url", &back.cancelled),
            ("client_reference_id", &id),
            ("metadata[payment]", &id),
            ("payment_intent_data[metadata][payment]", &id),
        ];
        form.extend(end.as_deref().map(|end| ("expires_at", end)));
        self.client.call(&keyed("create", "/v1/checkout/sessions", &form, &id)).await
    }
}

fn opened(payment: &CreatePayment, session: Session) -> Result<Intent, CreateError> {
    let about = session.about();
    let unreadable = |what: &'static str| CreateError::Ambiguous(Box::new(Trouble::Unreadable(what.into())));
    let currency = session.currency.as_deref().and_then(amounts::currency);
    let report = session.report().map_err(unreadable)?;
    let asked = (Some(payment.amount), Some(payment.currency));
    let (About::Payment(id), Some(reference)) = (about, report.reference) else {
        return Err(CreateError::Ambiguous(Box::new(Trouble::AnotherPayment)));
    };
    if id != payment.payment || (report.amount, currency) != asked {
        return Err(CreateError::Ambiguous(Box::new(Trouble::AnotherPayment)));
    }
    match report.url {
        Some(url) if is_web_url(&url) => Ok(Intent { reference, url }),
        _ => Err(CreateError::PageLost { reference }),
    }
}

fn refused(failure: Failure) -> CreateError {
    match failure {
        Failure::Refused { code, .. } => CreateError::Refused { code },
        Failure::Unsent { cause, .. } | Failure::Lost { cause, .. } => CreateError::Ambiguous(cause),
    }
}
